"""Every experiment runs as its README says, in a few seconds, and finds what it claims."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "experiments"
RUNS = sorted(path.parent.name for path in FOLDER.glob("*/run.py"))

ENVIRONMENT = os.environ | {"JAX_PLATFORMS": "cpu"}

FOUND = {
    "symmetry": [
        "planar, ν = 3: symmetry 2 (Cs), in-plane part",
        "planar, ν = 3, SO(3): symmetry 0 (C1)\n",
        "nullities that are those of the complete basis: 12 of 12\n",
    ],
    "incompleteness_methane": [
        "ν = 2, F = π, L = 0: null directions of J [1], of the complete basis [1]\n",
        "ν = 3, F = π, L = 0: null directions of J [0], of the complete basis [0]\n",
        "ν = 2, equal opposite angles: null directions of J [1], of the complete basis [1]\n",
    ],
    "incompleteness_bispectrum": [
        "ν = 3, scalene: incompleteness 0 (ok)\n",
        "ν = 3, isosceles: incompleteness 1 (ok)\n",
        "ν = 4, isosceles: incompleteness 0 (ok)\n",
    ],
    "truncation": [
        "gto, equal radii, n_max 2: rank 3, 7, 9 of 9 for l_max 1, 3, 5\n",
        "gto, unequal radii, n_max 2: rank 5, 9, 9 of 9 for l_max 1, 3, 5\n",
    ],
}


def smoke(name, folder, *words):
    command = [sys.executable, FOLDER / name / "run.py", "--smoke", "--out", folder, *words]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, cwd=folder)


@pytest.mark.parametrize("name", RUNS)
def test_an_experiment_finds_what_it_claims(name, tmp_path):
    finished = smoke(name, tmp_path)
    assert finished.returncode == 0, finished.stderr
    for line in FOUND[name]:
        assert line in finished.stdout, finished.stdout
    figures = [path.name for path in tmp_path.iterdir()]
    assert figures == ["figure.png"]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", RUNS)
def test_an_experiment_has_its_page_and_a_small_figure(name):
    page = (FOLDER / name / "README.md").read_text()
    assert "**Claim.**" in page
    assert f"python experiments/{name}/run.py" in page
    assert "(figure.png)" in page
    assert (FOLDER / name / "figure.png").stat().st_size < 200_000
    assert f"({name}/README.md)" in (FOLDER / "README.md").read_text()
