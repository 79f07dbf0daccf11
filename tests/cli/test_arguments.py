"""Options of files reach every command that reads some, and what is wrong with a file is said in a sentence."""

from pathlib import Path

import numpy as np
import pytest
import xarray
from ase.build import molecule

import jaxfeat
from jaxfeat.cli import main
from jaxfeat.store import chunk, into_store
from jaxfeat.store import sweep as sweeping

SMALL = ["--n-max", "2", "--l-max", "2"]
RADIAL = ["--nu", "1", *SMALL]
WATER = "3\n\nO 0.0 0.01 0.119\nH 0.0 0.763 -0.477\nH 0.0 -0.763 -0.477\n"
HEAVY = WATER.replace("H ", "D ")
GHOST = "4\n\nX 0 0 -0.477\n" + WATER.split("\n", 2)[2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Stop(Exception):
    pass


@pytest.fixture
def asked(monkeypatch):
    """What a command would compute of."""
    calls = []

    def fake(f, at, *_, **__):
        calls.append(at)
        raise Stop

    def ask(*words):
        with pytest.raises(Stop):
            main(list(words))
        return calls.pop()

    for name in ("scan", "converge", "sweep"):
        monkeypatch.setattr(jaxfeat, name, fake)
    monkeypatch.setattr(into_store, "sweep_into_store", fake)
    return ask


def test_options_of_files_reach_every_command(asked):
    Path("w.xyz").write_text("4\n\nBq 1 1 1\n" + HEAVY.split("\n", 2)[2] + 2 * HEAVY)
    told = ["--types", "D=H", "--skip-ghosts"]
    for command in ("scan", "converge"):
        batch = asked(command, "w.xyz", *told, *SMALL, "--index", ":2")
        assert (len(batch), np.unique(batch.species).tolist()) == (6, [1, 8])
        assert np.unique(asked(command, "w.xyz@1", *told, *SMALL, "--ignore", "O").species).tolist() == [1]
        near, far = (
            np.asarray(asked(command, "w.xyz", *told, *SMALL, "--units", units).positions)
            for units in ("bohr", "angstrom")
        )
        np.testing.assert_allclose(near, far * 0.529177, rtol=1e-5)
    stream = asked("scan", "w.xyz", *told, *SMALL, "--index", "1:", "--out", "s.zarr")
    assert [block.species.shape for block in stream.batches(0)] == [(6, 2)]
    way = asked("sweep", "trajectory", "w.xyz", *told, *SMALL, "--index=-2:")
    assert way(0.0).species.tolist() == [1, 1]


@pytest.mark.parametrize(
    "words, message",
    [
        (["scan", "d.xyz"], "d.xyz cannot be read at frame 0, line 4: 'D' is not a chemical symbol"),
        (["converge", "d.xyz"], "--types D=H"),
        (["sweep", "trajectory", "d.xyz"], "d.xyz cannot be read at frame 0, line 4"),
        (["scan", "d.xyz", "--out", "s.zarr"], "d.xyz cannot be read at frame 0, line 4"),
        (["scan", "g.xyz"], "g.xyz cannot be read at frame 1, line 8: X is a ghost or dummy atom"),
        (["scan", "w.data"], "name the format with --format"),
        (["scan", "w.xyz", "--format", "poscar"], "'poscar' is not a format that ASE reads"),
        (["scan", "w.xyz", "--index", "9"], "w.xyz holds no frame with that index"),
        (["scan", "w.xyz", "--ignore", "O", "H"], "w.xyz: 0 atoms: there are no atoms in it"),
        (["scan", "w.xyz", "--centers", "5"], "w.xyz: H2O: there is no atom 5"),
        (["scan", "w.xyz", "--species", "O", "--out", "s.zarr"], "w.xyz: species H not among the featurizer's (O)"),
        (["scan", "g2", "--index", "3"], "g2 is a built-in set; leave out the options of files"),
        (["sweep", "prl-methane", "--skip-ghosts"], "prl-methane needs no file; leave out the options"),
        (["sweep", "trajectory", "w.xyz", "--center", "7"], "w.xyz: there is no atom 7, only 0 to 2"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(monkeypatch, capsys, words, message):
    Path("d.xyz").write_text(HEAVY)
    Path("g.xyz").write_text(WATER + GHOST)
    Path("w.xyz").write_text(WATER)
    Path("w.data").write_text("LAMMPS\n\n3 atoms\n")
    for module, name in (
        (jaxfeat, "scan"),
        (jaxfeat, "converge"),
        (chunk, "compute_chunk"),
        (sweeping, "find_manifold_zeros"),
    ):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("something was computed"))
    assert main([*words, *SMALL]) == 2
    captured = capsys.readouterr()
    said = captured.err.splitlines()[-1]
    assert captured.out == "" and said.startswith("jaxfeat: ") and message in said
    assert not (Path("s.zarr") / "sigma").exists()


@pytest.mark.parametrize("words", [["--types", "1"], ["--types", "=O"], ["--units", "nm"]])
def test_options_of_no_meaning_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        main(["scan", "w.xyz", *words])
    said = capsys.readouterr().err
    assert said.startswith("jaxfeat scan: --") and said.endswith(" See jaxfeat scan --help.\n")


def test_a_ghost_has_a_status_as_its_neighbors_have_and_other_options_are_another_sweep(capsys):
    Path("m.xyz").write_text(WATER + GHOST + WATER)
    assert main(["scan", "m.xyz", *RADIAL, "--out", "s.zarr"]) == 0
    printed = capsys.readouterr().out
    assert "X0" not in printed and "Without a spectrum: 4 unknown-species." in printed
    ds = xarray.open_zarr("s.zarr", chunks=None)
    assert ds["status"].values.tolist() == ["ok"] * 3 + ["unknown-species"] * 4 + ["ok"] * 3
    assert np.isnan(ds["sigma"].values[3:7]).all()
    for words in (["--skip-ghosts"], ["--index", ":2"], ["--units", "bohr"], ["--ignore", "X"]):
        assert main(["scan", "m.xyz", *RADIAL, *words, "--out", "s.zarr"]) == 2
        assert "another input, or of one read in another way" in capsys.readouterr().err
    assert main(["scan", "m.xyz@:", *RADIAL, "--out", "s.zarr"]) == 0


def test_species_out_of_reach_are_no_matter_in_a_store_either(asked):
    Path("far.xyz").write_text(WATER.replace("3", "4", 1) + "Na 0 0 50\n")
    words = ["far.xyz", *SMALL, "--species", "O", "H", "--centers", "O"]
    assert len(asked("scan", *words)) == 1
    assert asked("scan", *words, "--out", "s.zarr").centers == ["O"]


def test_what_ase_keeps_as_a_result_is_an_array_to_displace_along(asked, capsys):
    water = molecule("H2O")
    text = "3\nProperties=species:S:1:pos:R:3:forces:R:3:REF_forces:R:3 energy=-14.2\n"
    for symbol, position, z in zip(water.symbols, water.positions, (0, 1, -1), strict=True):
        text += f"{symbol} {' '.join(map(str, position))} 0 0 {z} 0 {z} 0\n"
    Path("f.extxyz").write_text(text)
    for along, axis in (("forces", 2), ("REF_forces", 1)):
        family = asked("sweep", "displacement", "f.extxyz", "--along", along, "--center", "1", *SMALL)
        moved = np.asarray(family(0.5).positions) - np.asarray(family(0.0).positions)
        expected = np.zeros((2, 3))
        expected[:, axis] = 0.5 * np.asarray([0 - 1, -1 - 1]) / 5**0.5
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12)
    assert main(["sweep", "displacement", "f.extxyz", "--along", "velocities"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "it holds forces, positions, REF_forces" in said
