"""`read` finds files and built-in sets, and names their structures."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from file_texts import write

from jaxfeat import environments, frames, read
from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.geometry.files.trajectory import per_atom_arrays

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
