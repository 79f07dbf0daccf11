import ase.io
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule
from ase.collections import g2
from ase.neighborlist import neighbor_list

from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.geometry.files.read import read
from jaxfeat.geometry.neighbors import environments
from jaxfeat.manifolds import prl_methane


def _random_cell(n, pbc, seed):
    """Atoms that lie anywhere, also outside a skewed cell."""
    rng = np.random.default_rng(seed)
    cell = 3 * np.eye(3) + rng.normal(size=(3, 3))
    return Atoms("C" * n, positions=rng.uniform(-6, 6, (n, 3)), cell=cell, pbc=pbc)


def _without_cell_vector(atoms, axis):
    atoms.cell[axis] = 0
    return atoms


STRUCTURES = {
    "molecule": molecule("CH3CH2OH"),
    "one atom": Atoms("H"),
    "molecule in a box": Atoms("OH2", positions=[[0, 0, 0], [0.9, 0, 0], [0, 0.9, 0]], cell=[2, 2, 2], pbc=False),
    "copper": bulk("Cu"),
    "salt": bulk("NaCl", "rocksalt", a=5.64),
    "one atom in a skew cell": _random_cell(1, True, 0),
    "random cell": _random_cell(7, True, 1),
    "random slab": _random_cell(5, (True, False, True), 2),
    "random wire": _random_cell(5, (False, True, False), 3),
    "slab": fcc111("Cu", (1, 1, 3), vacuum=4.0),
    "sheet": graphene(),
    "slab without a third cell vector": _without_cell_vector(fcc111("Al", (2, 1, 2), vacuum=4.0), 2),
    "cell vectors that do not count": Atoms(
        "C2", [[0, 0, 0], [0, 0, 1.2]], cell=[[2, 0, 0], [4, 0, 0], [0, 0, 0]], pbc=[1, 0, 0]
    ),
}


@pytest.mark.parametrize("r_cut", [2.0, 5.5])
@pytest.mark.parametrize("name", STRUCTURES)
def test_neighbors_are_those_that_ase_finds(name, r_cut):
    atoms = STRUCTURES[name]
    batch = jax.tree.map(np.asarray, environments(atoms, r_cut))
    i, j, vectors = neighbor_list("ijD", _oracle_cell(atoms), r_cut)
    assert len(batch) == len(atoms)
    assert batch.max_neighbors == max(1, np.bincount(i, minlength=len(atoms)).max())
    for center in range(len(batch)):
        env = batch[center]
        n = int(np.sum(env.mask))
        assert n == np.sum(i == center)
        mine = env.positions[:n]
        distances = np.linalg.norm(mine, axis=-1)
        assert np.all(np.diff(distances) >= -1e-12)
        assert np.all(distances < r_cut)
        theirs, species = vectors[i == center], atoms.numbers[j[i == center]]
        matches = np.linalg.norm(mine[:, None] - theirs[None], axis=-1) < 1e-12
        assert np.all(matches.sum(0) == 1)
        assert np.all(matches.sum(1) == 1)
        assert np.array_equal(env.species[:n], matches @ species)


def _oracle_cell(atoms):
    """ASE trips over cell vectors that depend on each other, even where they do not count."""
    atoms = atoms.copy()
    atoms.set_cell(np.where(atoms.pbc[:, None], atoms.cell.array, 0.0))
    return atoms


def test_a_batch_is_padded_and_says_where_its_environments_come_from():
    batch = environments([molecule("H2O"), molecule("CH4"), Atoms("He")], 3.0)
    assert batch.positions.shape == (9, 4, 3)
    assert batch.positions.dtype == jnp.float64
    assert batch.structure_index.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert batch.center_index.tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 0]
    assert batch.center_species.tolist() == [8, 1, 1, 6, 1, 1, 1, 1, 2]
    assert batch.n_neighbors.tolist() == [2, 2, 2, 4, 4, 4, 4, 4, 0]
    assert np.array_equal(batch.mask, np.arange(4) < np.asarray(batch.n_neighbors)[:, None])
    assert not np.any(np.asarray(batch.positions)[~np.asarray(batch.mask)])
    assert not np.any(np.asarray(batch.species)[~np.asarray(batch.mask)])


def test_a_lone_atom_is_kept():
    batch = environments(Atoms("He"), 3.0)
    assert batch.positions.shape == (1, 1, 3)
    assert batch.n_neighbors.tolist() == [0]


@pytest.mark.parametrize(
    "centers, expected",
    [
        (None, [0, 1, 2, 3, 4]),
        ("C", [0]),
        (["H"], [1, 2, 3, 4]),
        (["C", "H"], [0, 1, 2, 3, 4]),
        (2, [2]),
        ([3, 1, 3], [3, 1]),
        (np.array([4]), [4]),
    ],
)
def test_centers_are_chosen_by_index_or_symbol(centers, expected):
    assert environments(molecule("CH4"), 2.0, centers).center_index.tolist() == expected


def test_structures_without_the_wanted_center_are_passed_over():
    batch = environments([molecule("CH4"), molecule("H2O"), molecule("CO")], 2.0, "C")
    assert batch.structure_index.tolist() == [0, 2]


def test_images_of_the_center_are_neighbors():
    batch = environments(bulk("Po", "sc", a=3.3), 3.4)
    assert batch.n_neighbors.tolist() == [6]
    assert np.allclose(np.linalg.norm(batch.positions[0], axis=-1), 3.3, rtol=0, atol=1e-12)


def _nan():
    atoms = molecule("CH4")
    atoms.positions[2, 1] = np.nan
    return atoms


@pytest.mark.parametrize(
    "atoms, kwargs, error, message",
    [
        ([molecule("H2"), _nan()], {}, GeometryError, r"structure 1 \(CH4\): atom 2 is at .*not finite"),
        (_nan(), {"names": ["marsh gas"]}, GeometryError, "marsh gas: atom 2 is at"),
        (Atoms("COC", [[0, 0, 0], [1, 0, 0], [0, 0, 1e-9]]), {}, GeometryError, "structure 0 .*atoms 0 and 2 are at"),
        (
            Atoms("OC", [[0, 0, 0], [0, 0, 3]], cell=[3, 3, 3], pbc=True),
            {},
            GeometryError,
            "atoms 0 and 1 are periodic",
        ),
        (Atoms("C", cell=[3, 3, 0], pbc=True), {}, GeometryError, "cell vector 2 is zero"),
        (Atoms("C", cell=[[1, 0, 0], [2, 0, 0], [0, 0, 1]], pbc=True), {}, GeometryError, "linearly dependent"),
        (Atoms("C", cell=[[np.inf, 0, 0], [0, 2, 0], [0, 0, 1]], pbc=True), {}, GeometryError, "cell .* not finite"),
        (Atoms(), {}, GeometryError, "no atoms"),
        (molecule("CH4"), {"r_cut": 0.0}, GeometryError, "r_cut is 0.0"),
        (molecule("CH4"), {"r_cut": -1}, GeometryError, "r_cut is -1"),
        (molecule("CH4"), {"r_cut": np.nan}, GeometryError, "r_cut is nan"),
        (molecule("CH4"), {"r_cut": np.inf}, GeometryError, "r_cut is inf"),
        (molecule("CH4"), {"r_cut": "four"}, GeometryError, "r_cut is 'four'"),
        (Atoms("CX", [[0, 0, 0], [1, 0, 0]]), {}, SpeciesError, "structure 0 .*atom 1 has atomic number 0"),
        (Atoms(numbers=[119]), {}, SpeciesError, "atomic number 119"),
        (molecule("CH4"), {"centers": "N"}, SpeciesError, "no N among the atoms; choose centers among H, C"),
        (molecule("CH4"), {"centers": "Xy"}, SpeciesError, "'Xy' is not a chemical element"),
        ([molecule("C2H6"), molecule("H2")], {"centers": 2}, GeometryError, r"structure 1 \(H2\): there is no atom 2"),
        (molecule("CH4"), {"centers": -1}, GeometryError, "no atom -1, only 0 to 4"),
        (molecule("CH4"), {"centers": []}, GeometryError, "centers is"),
        (molecule("CH4"), {"centers": [0.5]}, GeometryError, "centers is"),
        ([], {}, ReadError, "empty"),
        ("CH4", {}, ReadError, "not from str"),
        ([molecule("CH4"), None], {}, ReadError, "item 1 of the list is of type NoneType"),
    ],
)
def test_bad_input_is_named(atoms, kwargs, error, message):
    with pytest.raises(error, match=message):
        environments(atoms, **{"r_cut": 4.0, **kwargs})


# Files

MOLECULES = [molecule("CH4"), molecule("CH3CH2OH")]


@pytest.mark.parametrize("name", ["many.extxyz", "many.xyz", "many.traj", "many.db", "many.json"])
def test_files_of_many_frames(tmp_path, name):
    ase.io.write(tmp_path / name, MOLECULES)
    source = read(str(tmp_path / name))
    assert source.names == ["frame 0, CH4", "frame 1, C2H6O"]
    assert source.centers is None
    for mine, theirs in zip(source.atoms, MOLECULES, strict=True):
        assert np.allclose(mine.positions, theirs.positions, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["POSCAR", "salt.cif", "salt.traj"])
def test_files_of_crystals(tmp_path, name):
    salt = bulk("NaCl", "rocksalt", a=5.64)
    ase.io.write(tmp_path / name, salt)
    source = read(tmp_path / name)
    assert source.names == ["ClNa"]
    assert environments(source.atoms, 3.0, "Na").n_neighbors.tolist() == [6]


def test_an_at_sign_in_a_file_name_is_a_letter(tmp_path):
    ase.io.write(tmp_path / "me@home.xyz", MOLECULES)
    assert len(read(tmp_path / "me@home.xyz").atoms) == 2


def test_a_faulty_frame_is_named(tmp_path):
    ase.io.write(tmp_path / "md.extxyz", [*MOLECULES, _nan()])
    source = read(tmp_path / "md.extxyz")
    with pytest.raises(GeometryError, match=r"frame 2, CH4: atom 2 is at .*nan"):
        environments(source.atoms, 4.0, source.centers, names=source.names)


def test_a_file_that_breaks_off_is_named(tmp_path):
    path = tmp_path / "md.extxyz"
    ase.io.write(path, MOLECULES)
    path.write_text(path.read_text().replace("\nO ", "\nOgre ", 1))
    with pytest.raises(ReadError, match=r"md.extxyz cannot be read at frame 1, line 12: 'Ogre' is no chemical symbol"):
        read(path)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("empty.xyz", b"", "empty.xyz is empty"),
        ("empty", b"", "empty is empty"),
        ("junk.txt", b"Lorem ipsum dolor sit amet", "junk.txt cannot be read"),
        ("junk.xyz", b"Lorem ipsum dolor sit amet", "junk.xyz cannot be read"),
        ("POSCAR", b"Cu\n1\ngarbage", "POSCAR cannot be read"),
        ("noise.traj", bytes(range(256)), "noise.traj cannot be read"),
        ("noise.db", bytes(range(256)), "noise.db cannot be read"),
        ("noise", bytes(range(255, 0, -1)), "noise cannot be read"),
        ("void.cif", b"data_void\n", "void.cif holds no structures"),
        ("other.json", b'{"a": 1}', "other.json cannot be read"),
    ],
)
def test_files_that_hold_no_structure(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_paths_without_a_file(tmp_path):
    with pytest.raises(ReadError, match=r"nowhere.xyz: there is no such file, and the built-in sets are g2"):
        read(str(tmp_path / "nowhere.xyz"))
    with pytest.raises(ReadError, match="is a folder"):
        read(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "secret.xyz"
    ase.io.write(path, MOLECULES)

    # Modes of files would not stop root.
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ase.io.formats, "open_with_compression", refuse)
    with pytest.raises(ReadError, match=r"secret.xyz cannot be read: PermissionError: .*denied"):
        read(path)


# Sets


def test_g2_has_148_molecules_as_shipped():
    source = read("g2")
    assert len(source.atoms) == len(source.names) == len(set(source.names)) == 148
    for name, atoms in zip(source.names, source.atoms, strict=True):
        assert np.array_equal(atoms.positions, g2[name].positions)
    assert int(environments(source.atoms, 4.0, names=source.names).n_neighbors.min()) >= 1


def test_a_file_with_the_name_of_a_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ase.io.write("g2", MOLECULES, format="extxyz")
    assert len(read("./g2").atoms) == 2
    assert len(read("g2").atoms) == 148


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
