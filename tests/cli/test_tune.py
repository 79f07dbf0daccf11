"""jaxfeat tune: a table, JSON, a picture, and a spec that other commands read."""

import inspect
import json

import ase.io
import numpy as np
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat.cli import main
from jaxfeat.cli.tune import STEPS

KEEP = ["n_max=", "l_max=", "sigma=0.2", "r-cut=", "cutoff=ShiftedCosine:0.5", "radial=laplacian", "radial_scaling=",
        "include_center=", "weights=", "nu="]  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("tune") / "waters.xyz", np.random.default_rng(0)
    atoms = [molecule("H2O") for _ in range(6)]
    for one in atoms:
        one.positions += rng.normal(scale=0.1, size=(3, 3))
    ase.io.write(path, atoms)
    return path


def test_a_recommended_spec_gives_the_same_features_in_other_commands(path, tmp_path, capsys):
    targets = ["--json", tmp_path / "t.json", "--plot", tmp_path / "t.png", "--out", tmp_path / "spec.json"]
    words = ["tune", path, "--steps", 0, "--n-max", 3, "--l-max", 2, "--share", 0.5, "--vary", *KEEP, *targets]
    assert main(list(map(str, words))) == 0
    captured = capsys.readouterr()
    found = json.loads((tmp_path / "t.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [g["words"] for g in found["gains"]] == ["σ 0.2 Å", "cutoff ShiftedCosine(0.5)", "radial laplacian"]
    assert " ".join(captured.out.split()).endswith(found["reason"])
    assert "18 of 18 environments are compared" in captured.err and f"{targets[-1]} (" in captured.err
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    spec = json.loads((tmp_path / "spec.json").read_text())
    assert spec == found["recommended"]
    f, batch = jaxfeat.from_spec(spec), jaxfeat.environments(jaxfeat.read(path).atoms, 4.0)
    tuned = jaxfeat.from_spec(found["recommended"])
    assert (np.asarray(f(batch)) == np.asarray(tuned(batch))).all()
    assert main(["scan", str(path), "--spec", str(tmp_path / "spec.json")]) == 0


@pytest.mark.parametrize(
    "words, message",
    [
        (["--vary", "size=2"], "axis 'size'"),
        (["--share", "2"], "share is 2"),
        (["--budget", "0"], "--budget is 0 s"),
        (["--plot", "t.doc"], "names no picture"),
        (["--out", "nowhere/spec.json"], "there is no folder nowhere"),
    ],
)
def test_bad_arguments_are_status_two_and_one_sentence(path, words, message, capsys):
    assert main(["tune", str(path), *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err.splitlines()[-1]


def test_the_command_takes_as_many_steps_as_the_function():
    assert inspect.signature(jaxfeat.tune).parameters["steps"].default == STEPS


def test_an_axis_needs_values(path, capsys):
    with pytest.raises(SystemExit):
        main(["tune", str(path), "--vary", "sigma"])
    assert "names no values" in capsys.readouterr().err
