"""jaxfeat scan: tables, JSON, pictures and stores."""

import json
import math
import signal

import ase.io
import numpy as np
import pytest
import xarray
from ase.build import bulk, molecule

from jaxfeat.cli import main
from jaxfeat.geometry.random import draw_evenly
from jaxfeat.spectrum import blocks
from jaxfeat.store import chunk

SMALL = ["--n-max", "2", "--l-max", "2"]
KEYS = ["structure", "center", "name", "species", "n_neighbors", "sigma", "sigma_equilibrated", "floor",
        "floor_equilibrated", "null", "near", "status"]  # fmt: skip


def scan(*words):
    return main(["scan", *map(str, words), *SMALL])


@pytest.fixture
def two(tmp_path):
    """Two molecules with the species and sizes of random methanes, so that one program serves all tests."""
    methane = molecule("CH4")
    methane.rattle(0.1, seed=0)
    ase.io.write(tmp_path / "two.xyz", [methane, molecule("C2H2")])
    return tmp_path / "two.xyz"


@pytest.mark.as_shipped
def test_a_screened_scan_says_what_is_certified(tmp_path):
    # One neighbor, of which nothing is hidden: nothing is computed twice.
    ase.io.write(tmp_path / "one.xyz", molecule("CH"))
    assert scan(tmp_path / "one.xyz", "--nu", 1, "--screened", "--json", tmp_path / "s.json") == 0
    assert all(isinstance(record["certified"], bool) for record in json.loads((tmp_path / "s.json").read_text()))


def test_a_scan_writes_json_and_a_picture_and_prints_tables(tmp_path, two, capsys):
    assert scan(two, "--json", tmp_path / "s.json", "--plot", tmp_path / "s.png") == 0
    records = json.loads((tmp_path / "s.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [[key for key in record if key != "second_order"] for record in records] == [KEYS] * 9
    # The atoms of acetylene lie on a line.
    assert ["second_order" in record for record in records] == [False] * 5 + [True] * 4
    assert [record["structure"] for record in records] == [0] * 5 + [1] * 4
    assert [record["center"] for record in records] == [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert [record["species"] for record in records] == ["C", "H", "H", "H", "H", "C", "C", "H", "H"]
    assert records[6]["name"] == "frame 1, C2H2"
    for record in records:
        assert record["status"] == "ok"
        assert len(record["sigma"]) == 3 * record["n_neighbors"] - record["null"]["rigid"]
        assert all(math.isfinite(s) for s in (*record["sigma"], record["floor"]))
        assert record["sigma"] == sorted(record["sigma"], reverse=True)
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.json", "s.png", "two.xyz"]
    captured = capsys.readouterr()
    assert "frame 1, C2H2" in captured.out
    assert "most blind of 9 environments" in captured.out
    begins, sizes, written = captured.err.splitlines()
    assert begins == f"jaxfeat: reading {two}."
    assert "2 structures, 9 environments of up to 4 neighbors; NumPy computes them" in sizes
    sizes = [f"{tmp_path / name} ({(tmp_path / name).stat().st_size / 1e3:.3g} kB)" for name in ("s.json", "s.png")]
    assert written == f"jaxfeat: wrote {', '.join(sizes)}."


def test_a_scan_into_a_store_resumes_and_prints_tables(tmp_path, capsys, monkeypatch, ctrl_c):
    store = tmp_path / "s.zarr"
    # Sixteen at once, as above.
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    assert scan("random-methane:6", "--out", store) == 0
    first = capsys.readouterr().out
    assert "The most blind of 6 environments" in first and "C0 of random CH4 " in first
    ds = xarray.open_zarr(store, chunks=None)
    assert ds.attrs["command"].startswith("jaxfeat scan random-methane:6 --out")
    assert json.loads(ds.attrs["featurizer"])["species"] == ["H", "C"]
    monkeypatch.setattr(chunk, "compute_chunk", lambda *_: pytest.fail("something was computed"))
    assert scan("random-methane:6", "--out", store) == 0
    assert capsys.readouterr().out == first
    for words, message in (
        (["--out", store, "--json", tmp_path / "s.json"], "--json and --plot hold all environments in memory"),
        (["--out", tmp_path / "s.nc"], "names no store; end it in .zarr"),
        (["--overwrite"], "apply to a store; name one with --out"),
        (["--out", store, "--no-positions"], "with positions True, not False; overwrite it"),
    ):
        assert scan("random-methane:6", *words) == 2
        assert message in capsys.readouterr().err
    for number in (signal.SIGINT, signal.SIGTERM):
        monkeypatch.setattr(chunk, "compute_chunk", lambda *_, number=number: signal.raise_signal(number))
        assert scan("random-methane:6", "--out", store, "--overwrite") == 130
        said = capsys.readouterr().err.splitlines()
        assert f"0 environments are kept in {store}" in said[-2] and said[-2].endswith("Resume it with")
        assert said[-1] == f"  jaxfeat scan random-methane:6 --out {store} --n-max 2 --l-max 2"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_sample_is_drawn_and_its_seed_is_said(tmp_path, scanned, capsys):
    _, batch = scanned("random-methane:40", "--sample", 7, "--seed", 3)
    drawn = draw_evenly(40, 7, 3)
    np.testing.assert_array_equal(batch.structure_index, drawn)
    assert "7 of 40 environments are drawn at random (seed 3)." in capsys.readouterr().err
    store = tmp_path / "s.zarr"
    assert scan("random-methane:40", "--sample", 7, "--seed", 3, "--chunk", 4, "--out", store) == 0
    assert "7 of 40 environments are drawn at random (seed 3)." in capsys.readouterr().err
    ds = xarray.open_zarr(store, chunks=None)
    assert ds["structure_index"].values.tolist() == drawn.tolist()
    assert (store / "journal" / "00000001.json").exists() and not (store / "journal" / "00000002.json").exists()


def test_an_interrupted_scan_says_what_was_done(monkeypatch, capsys, ctrl_c):
    def stop(f, batch, report, *_, **__):
        report(3, 6)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("jaxfeat.nulls.scan.scan_arrays", stop)
    assert scan("random-methane:6") == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("jaxfeat: interrupted after 3 of 6 environments. None are kept: --out STORE.zarr")


def test_nothing_but_lone_atoms_is_written_and_drawn(scanned, tmp_path, capsys):
    scanned("random-methane:1", "--json", tmp_path / "s.json", "--plot", tmp_path / "s.pdf")
    (record,) = json.loads((tmp_path / "s.json").read_text())
    assert record["floor"] is None
    assert record["floor_equilibrated"] is None
    assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF")
    assert "Without a spectrum: 1 empty." in capsys.readouterr().out


def test_crystals_and_lone_atoms(tmp_path, capsys):
    ase.io.write(tmp_path / "two.cif", [bulk("NaCl", "rocksalt", a=5.64), bulk("He", "fcc", a=9.0)])
    assert scan(tmp_path / "two.cif", "--nu", 1, "--r-cut", 3, "--json", tmp_path / "s.json") == 0
    *salt, alone = json.loads((tmp_path / "s.json").read_text())
    assert [record["n_neighbors"] for record in salt] == [6, 6]
    assert alone["status"] == "empty"
    assert alone["sigma"] == []
    assert alone["floor"] is None
    assert "Without a spectrum: 1 empty." in capsys.readouterr().out
