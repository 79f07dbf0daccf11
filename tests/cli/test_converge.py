"""jaxfeat converge: JSON, a heat map and advice."""

import json

import ase.io
import pytest
from ase.build import molecule

import jaxfeat
from jaxfeat.choose import converge
from jaxfeat.cli import main


def test_converge_writes_json_and_a_heat_map_and_ends_with_advice(tmp_path, capsys):
    path = tmp_path / "two.xyz"
    ase.io.write(path, [molecule("H2O"), molecule("SH2")])
    grid = ["--n-max", "1", "2", "--l-max", "0", "1", "--centers", "O", "S"]
    targets = ["--json", tmp_path / "c.json", "--plot", tmp_path / "c.png"]
    assert main(list(map(str, ["converge", path, *grid, *targets]))) == 0
    result = json.loads((tmp_path / "c.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert (result["environments"], result["drawn"], result["r_cut"]) == (2, 2, 4.0)
    assert [(r["nu"], r["n_max"], r["l_max"]) for r in result["bases"]] == [(2, n, l) for n in (1, 2) for l in (0, 1)]
    # Without l, one and the same r twice leaves the angle unseen.
    assert [(r["environments"], r["truncated"], r["symmetric"]) for r in result["bases"]] == [(2, 2, 2), (2, 0, 2)] * 2
    assert result["orders"][0]["smallest"] == {"n_max": 1, "l_max": 1, "n_features": 12}
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    captured = capsys.readouterr()
    said = [f"reading {path}.", "2 environments; 4 bases.", f"wrote {targets[1]} (", f", {targets[3]} ("]
    assert all(line in captured.err for line in said) and len(captured.err.splitlines()) == 3
    assert " ".join(captured.out.split()).endswith(result["advice"])
    assert "l_max is the bottleneck" in captured.out


@pytest.fixture
def grids(monkeypatch):
    """What `jaxfeat converge` would compute: a function of its arguments."""
    calls = []

    class Stop(Exception):
        pass

    def fake(f, batch, n_max, l_max, progress):
        calls.append((f, batch, n_max, l_max))
        raise Stop

    def ask(*words):
        with pytest.raises(Stop):
            main(["converge", *map(str, words)])
        return calls.pop()

    monkeypatch.setattr(jaxfeat, "converge", fake)
    return ask


def test_options_reach_the_grid(grids, capsys):
    (f,), batch, n_max, l_max = grids("random-methane:40", "--centers", "H")
    assert (f.nu, len(batch), n_max, l_max) == (2, 160, [2, 4, 6, 8], [2, 4, 6, 8])
    words = [
        "--nu",
        3,
        1,
        3,
        "--l-max",
        5,
        4,
        "--r-cut",
        3.5,
        "--no-center",
        "--sample",
        30,
        "--species",
        "C",
        "H",
        "O",
    ]
    fs, batch, n_max, l_max = grids("random-methane:40", *words)
    assert ([f.nu for f in fs], len(batch), n_max, l_max) == ([1, 3], 30, [1, 2, 3, 4], [5, 4])
    assert (fs[1].r_cut, fs[1].center_weight, len(fs[1].species)) == (3.5, 0.0, 3)
    assert "jaxfeat: 30 environments of" in capsys.readouterr().err
    draws = [
        grids("random-methane:40", "--sample", 30, "--seed", seed)[1].structure_index.tolist() for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len(grids("random-methane:40", "--sample", 0)[1]) == 40


@pytest.mark.parametrize(
    "words, message",
    [
        (["--r-cut", "-1"], "r_cut is -1.0"),
        (["--n-max", "2", "0"], "n_max is 0"),
        (["--l-max", "2", "99"], "l_max is 99"),
        (["--nu", "2", "0"], "nu is 0"),
        (["--sample", "-5"], "a sample of -5"),
        (["--plot", "c.doc"], "names no picture"),
        (["--json", "nowhere/c.json"], "there is no folder nowhere"),
    ],
)
def test_bad_grids_are_status_two_and_one_sentence(words, message, monkeypatch, capsys):
    monkeypatch.setattr(converge, "evaluate_bases", lambda *_: pytest.fail("something was computed"))
    assert main(["converge", "random-methane:3", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    *_, said = captured.err.splitlines()
    assert said.startswith("jaxfeat: ") and message in said
