"""Files that a release consists of: they agree on the version and on what is required."""

import re
import tomllib
from pathlib import Path

import pytest

import jaxfeat

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"matplotlib": "matplotlib-base"}
"""Packages that conda-forge splits: this part of them is needed."""


def test_all_files_name_one_version():
    version = PROJECT["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f'\n  version: "{version}"\n' in (ROOT / "recipe" / "recipe.yaml").read_text()
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text()


def test_the_conda_package_requires_the_same_packages():
    recipe = (ROOT / "recipe" / "recipe.yaml").read_text()
    run = recipe.partition("  run:\n")[2].partition("\n\n")[0]
    found = [line.removeprefix("    - ").replace(" ", "") for line in run.splitlines()]
    names = [re.match(r"([\w-]+)(.*)", each).groups() for each in PROJECT["dependencies"]]
    assert found == [f"python{PROJECT['requires-python']}", *(CONDA_NAMES.get(name, name) + at for name, at in names)]


@pytest.mark.parametrize(("name", "atoms"), [("ethanol.xyz", 9), ("blind_methane.xyz", 5), ("silicon.extxyz", 8)])
def test_examples_are_read(name, atoms):
    assert f"1 structures, {atoms} atoms" in repr(jaxfeat.read(str(ROOT / "examples" / name)))
