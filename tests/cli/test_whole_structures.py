"""jaxfeat scan --stacked and --summed, --tolerance and --symmetrize."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule, mx2

from jaxfeat.cli import main

SMALL = ["--n-max", "2", "--l-max", "2"]


def scan(*words):
    return main(["scan", *map(str, words), *SMALL])


@pytest.fixture
def rough(tmp_path):
    """A rounded methane, water, exact silicon, and a layer with 0.6667."""
    methane, layer = molecule("CH4"), mx2("MoS2", vacuum=5)
    methane.rattle(1e-4, seed=0)
    layer.set_scaled_positions(layer.get_scaled_positions().round(4))
    ase.io.write(tmp_path / "rough.extxyz", [methane, molecule("H2O"), bulk("Si"), layer])
    return tmp_path / "rough.extxyz"


@pytest.mark.parametrize("kind", ["--stacked", "--summed"])
def test_a_scan_of_structures_writes_json_and_prints_tables(rough, kind, tmp_path, capsys):
    assert scan(rough, kind, "--json", tmp_path / "s.json") == 0
    records = json.loads((tmp_path / "s.json").read_text())
    assert list(records[0])[:3] == ["structure", "name", "n_atoms"]
    assert [record["n_atoms"] for record in records] == [5, 3, 2, 3]
    assert records[2]["null"]["symmetry"] == 3 and records[2]["status"] == "no-signal"
    assert "T_d" in {group["symbol"] for group in records[0]["near"]}
    assert "P-6m2 (187)" in {group["symbol"] for group in records[3]["near"]}
    captured = capsys.readouterr()
    assert "4 structures of up to 5 atoms" in captured.err
    assert "4 most blind of 4 structures" in captured.out and "4 structures: " in captured.out
    assert "nearly T_d" in " ".join(captured.out.split())


def test_symmetrized_structures_are_scanned(rough, tmp_path, capsys):
    assert scan(rough, "--stacked", "--symmetrize", 0.01, "--json", tmp_path / "s.json") == 0
    said = capsys.readouterr().err
    assert "2 of 4 structures moved to symmetric geometries, by " in said
    assert "1 to T_d" in said and "1 to P-6m2 (187)" in said
    records = json.loads((tmp_path / "s.json").read_text())
    assert records[0]["null"]["symmetry"] > 0 and not any(record["near"] for record in records)
    # Environments are cut of the moved structures, too.
    assert scan(rough, "--index", 0, "--centers", "C", "--symmetrize", "--json", tmp_path / "e.json") == 0
    assert "1 of 1 structures moved" in capsys.readouterr().err
    (record,) = json.loads((tmp_path / "e.json").read_text())
    assert record["null"]["symmetry"] == 8


def test_a_tolerance_says_what_is_near(rough, tmp_path):
    words = [rough, "--index", 0, "--centers", "C", "--json", tmp_path / "s.json"]
    found = {}
    for tolerance in (1e-6, 0.1):
        assert scan(*words, "--tolerance", tolerance) == 0
        (record,) = json.loads((tmp_path / "s.json").read_text())
        found[tolerance] = {group["symbol"] for group in record["near"]}
    assert found == {1e-6: set(), 0.1: {"T_d"}}


def test_options_that_do_not_go_together_are_refused(rough, tmp_path, capsys):
    for words, message in (
        (["--stacked", "--out", tmp_path / "s.zarr"], "--stacked computes structures as wholes, without --out"),
        (["--summed", "--screened"], "without --screened"),
        (["--symmetrize", "--out", tmp_path / "s.zarr"], "need INPUT whole, and --out reads it frame by frame"),
        (["--tolerance", 0.01, "--out", tmp_path / "s.zarr"], "need INPUT whole"),
    ):
        assert scan(rough, *words) == 2
        assert message in capsys.readouterr().err
    for words, message in ((["--tolerance", "-1"], "is no length"), (["--stacked", "--summed"], "not allowed with")):
        with pytest.raises(SystemExit):
            scan(rough, *words)
        assert message in capsys.readouterr().err


def test_centers_may_be_missing_from_some_structures(rough, tmp_path):
    assert scan(rough, "--stacked", "--centers", "C", "--json", tmp_path / "s.json") == 0
    records = json.loads((tmp_path / "s.json").read_text())
    assert [record["status"] for record in records][1:] == ["empty"] * 3
    assert np.all([record["sigma"] == [] for record in records[1:]])
