"""`read` finds files and built-in sets, and names their structures; the sets are the published ones."""

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.collections import g2
from file_texts import write

from jaxfeat import environments, frames, read
from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.geometry.files.trajectory import per_atom_arrays
from jaxfeat.manifolds import prl_methane

MOLECULES = [molecule("CH4"), molecule("CH3CH2OH")]


@pytest.mark.parametrize("name", ["POSCAR", "salt.cif", "salt.traj"])
def test_files_of_crystals(tmp_path, name):
    salt = bulk("NaCl", "rocksalt", a=5.64)
    ase.io.write(tmp_path / name, salt)
    source = read(tmp_path / name)
    assert source.names == ["ClNa"]
    assert environments(source.atoms, 3.0, "Na").n_neighbors.tolist() == [6]


def test_a_faulty_frame_is_named(tmp_path):
    broken = molecule("CH4")
    broken.positions[2, 1] = np.nan
    ase.io.write(tmp_path / "md.extxyz", [*MOLECULES, broken])
    source = read(tmp_path / "md.extxyz")
    with pytest.raises(GeometryError, match=r"frame 2, CH4: atom 2 is at .*nan"):
        environments(source.atoms, 4.0, source.centers, names=source.names)


def test_a_file_that_breaks_off_is_named(tmp_path):
    path = tmp_path / "md.extxyz"
    ase.io.write(path, MOLECULES)
    path.write_text(path.read_text().replace("\nO ", "\nOgre ", 1))
    with pytest.raises(
        ReadError, match=r"md.extxyz cannot be read at frame 1, line 12: 'Ogre' is not a chemical symbol"
    ):
        read(path)


def test_paths_without_a_file(tmp_path):
    with pytest.raises(ReadError, match=r"nowhere.xyz: there is no such file, and the built-in sets are g2"):
        read(str(tmp_path / "nowhere.xyz"))
    with pytest.raises(ReadError, match="is a folder"):
        read(tmp_path)


def test_sets_take_no_options_of_files():
    with pytest.raises(ReadError, match="g2 is a built-in set; leave out the options of files"):
        read("g2@:3")
    with pytest.raises(ReadError, match="is a built-in set"):
        frames("random-methane:3", 4.0, units="bohr")


def test_a_file_with_the_name_of_a_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("g2", MOLECULES, format="extxyz")
    assert len(read("./g2").atoms) == 2
    assert len(read("g2").atoms) == 148


def test_other_columns_are_kept_where_ase_keeps_them(tmp_path):
    text = "2\nProperties=species:S:1:pos:R:3:forces:R:3:tag:I:1:REF_forces:R:3 energy=-14.2\n"
    text += "X 0 0 3 0 0 9 3 0 0 9\nO 0 0 0 0 0 1 7 0 0 2\n"
    atoms = read(write(tmp_path, "a.xyz", text), skip_ghosts=True).atoms[0]
    held = per_atom_arrays(atoms)
    assert (held["forces"].tolist(), held["REF_forces"].tolist(), held["tag"].tolist()) == (
        [[0, 0, 1]],
        [[0, 0, 2]],
        [7],
    )
    atoms = read(write(tmp_path, "a.xyz", text.replace("X", "H"))).atoms[0]
    assert atoms.get_potential_energy() == -14.2 and atoms.get_forces().tolist() == [[0, 0, 9], [0, 0, 1]]
    assert per_atom_arrays(atoms)["forces"].tolist() == atoms.get_forces().tolist()


def test_g2_has_148_molecules_as_shipped():
    source = read("g2")
    assert len(source.atoms) == len(source.names) == len(set(source.names)) == 148
    for name, atoms in zip(source.names, source.atoms, strict=True):
        assert np.array_equal(atoms.positions, g2[name].positions)
    assert int(environments(source.atoms, 4.0, names=source.names).n_neighbors.min()) >= 1


@pytest.mark.parametrize("name, size", [("s22", 22), ("dcdft", 71)])
def test_other_collections(name, size):
    source = read(name)
    assert len(source.atoms) == len(source.names) == size


def test_prl_methane_is_the_grid_of_the_family():
    source = read("prl-methane")
    assert len(source.atoms) == len(set(source.names)) == 162
    assert source.centers == "C"
    expected = []
    for sign in (-1, 1):
        family = prl_methane(sign)
        azimuths, elevations = family.grid()
        expected += [family(f, l).positions for f in azimuths for l in elevations]
    hydrogens = np.stack([atoms.positions[1:] for atoms in source.atoms])
    assert np.allclose(hydrogens, np.stack(expected), rtol=0, atol=1e-15)
    batch = environments(source.atoms, 4.0, source.centers, names=source.names)
    assert batch.positions.shape == (162, 4, 3)


def test_random_methane_follows_its_recipe():
    source = read("random-methane:2000:7")
    positions = np.stack([atoms.positions for atoms in source.atoms])
    assert positions.shape == (2000, 5, 3)
    assert not positions[:, 0].any()
    radii = np.linalg.norm(positions[:, 1:], axis=-1)
    assert radii.max() <= 3.0
    # Uniform in the ball, the exclusion aside: r³ is uniform and no direction is preferred.
    assert abs(np.mean(radii**3 / 27) - 0.5) < 0.02
    assert np.all(np.abs(positions[:, 1:].mean((0, 1))) < 0.05)
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)[:, *np.triu_indices(5, 1)]
    assert 0.5 <= distances.min() < 0.51
    assert np.array_equal(read("random-methane:2000:7").atoms[5].positions, positions[5])
    assert not np.array_equal(read("random-methane:2000").atoms[5].positions, positions[5])


@pytest.mark.parametrize(
    "text", ["random-methane", "random-methane:", "random-methane:0", "random-methane:3:x", "random-methane:1:2:3"]
)
def test_random_methane_wants_numbers(text):
    with pytest.raises(ReadError, match=r"write random-methane:N or random-methane:N:SEED"):
        read(text)


def test_the_repr_counts_structures_and_atoms():
    assert repr(read("prl-methane")) == "StructureSet(162 structures, 810 atoms, centers: C)"


@pytest.mark.parametrize(
    "source, message",
    [
        ("G2", "G2: there is no such file; did you mean the built-in set g2?"),
        ("prl_methan", "did you mean the built-in set prl-methane?"),
        ("molecule.xyz", "molecule.xyz: there is no such file; did you mean molecules.xyz?"),
        ("inside/mine.xyz", "did you mean inside/mine.extxyz?"),
        ("nowhere/mine.xyz", "there is no such file, and no folder nowhere"),
    ],
)
def test_a_similar_name_is_proposed_for_a_file_that_is_not_there(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    Path("inside").mkdir()
    for name in ("molecules.xyz", "inside/mine.extxyz"):
        Path(name).touch()
    with pytest.raises(ReadError, match=re.escape(message)):
        read(source)
