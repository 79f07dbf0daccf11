"""Environments and structures that are made from `ase.Atoms`."""

import ase.io
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule
from ase.neighborlist import neighbor_list

import jaxfeat


def slab():
    atoms = bulk("LiH", "rocksalt", a=4.0) * (2, 1, 1)
    atoms.positions += 7.0
    atoms.pbc = [True, True, False]
    return atoms


STRUCTURES = {
    "molecule": molecule("CH3OH"),
    "molecule with a cell": Atoms("H2", [[0, 0, 0], [0, 0, 0.8]], cell=[3, 4, 5]),
    "crystal, one atom": bulk("Cu"),
    "crystal, atoms outside the cell": Atoms(
        "NaCl", [[-9.0, 0.3, 0], [2.0, 11.0, 2]], cell=np.diag([4, 4, 4.5]), pbc=True
    ),
    "slab": slab(),
    "wire": Atoms("CO", [[0, 0, 0], [0.4, 1.1, 0]], cell=[[0, 0, 0], [0, 3.1, 0.3], [0, 0, 0]], pbc=[0, 1, 0]),
}


def made_by_environments(atoms):
    return jaxfeat.environments(atoms, 3.9)


def made_by_structure(atoms):
    return jaxfeat.structures(atoms, 3.9).environments()


@pytest.mark.parametrize("make", [made_by_environments, made_by_structure])
@pytest.mark.parametrize("name", STRUCTURES)
def test_each_neighbor_is_an_atom_of_the_structure_or_its_image(name, make):
    atoms = STRUCTURES[name]
    env = jax.tree.map(np.asarray, make(atoms).padded(80))
    where = atoms.positions[env.neighbor_index] + env.neighbor_shift @ atoms.cell.array
    vectors = where - atoms.positions[env.center_index][:, None]
    assert env.mask.any()
    np.testing.assert_allclose(vectors[env.mask], env.positions[env.mask], rtol=0, atol=1e-13)
    np.testing.assert_array_equal(atoms.numbers[env.neighbor_index][env.mask], env.species[env.mask])
    assert (env.neighbor_index[~env.mask] == -1).all() and not env.neighbor_shift[~env.mask].any()
    assert env.neighbor_index.dtype == env.neighbor_shift.dtype == np.int32


def test_indices_count_within_each_structure():
    atoms = [molecule("H2O"), molecule("CH4"), molecule("CO2")]
    batch = jaxfeat.environments(atoms, 3.0, ["C"])
    assert batch.structure_index.tolist() == [1, 2]
    assert [sorted(env.trimmed().neighbor_index.tolist()) for env in batch] == [[1, 2, 3, 4], [1, 2]]


def test_environments_of_neighbors_alone_have_no_indices():
    env = jaxfeat.Environment.from_neighbors(np.eye(3), ["H"] * 3, "C")
    assert env.neighbor_index.tolist() == [-1] * 3 and not env.neighbor_shift.any()
    batch = jaxfeat.environments(molecule("CH4"), 3.0)
    mixed = jaxfeat.Environment.stack([env, batch[0]])
    assert mixed.neighbor_index.tolist() == [[-1] * 4, batch.neighbor_index[0].tolist()]


@pytest.mark.parametrize("centers", [[3, 1], [1, 3], np.asarray([4, 0, 2]), [3, 1, 3]])
def test_centers_come_in_the_order_asked_for(centers, tmp_path):
    expected = list(dict.fromkeys(np.asarray(centers).tolist()))
    atoms = [molecule("CH4"), molecule("C2H6")]
    ase.io.write(tmp_path / "two.xyz", atoms)
    found = jaxfeat.environments(atoms, 3.0, centers)
    assert found.center_index.tolist() == 2 * expected
    assert found.structure_index.tolist() == [0] * len(expected) + [1] * len(expected)
    every = jaxfeat.environments(atoms[0], 3.0)
    n = every.max_neighbors
    for k, center in enumerate(expected):
        np.testing.assert_array_equal(np.asarray(found.positions)[k, :n], np.asarray(every.positions)[center])
    assert jaxfeat.structures(atoms, 3.0, centers).center.tolist() == 2 * [expected]
    (block,) = jaxfeat.frames(tmp_path / "two.xyz", 3.0, centers).batches(0)
    assert block.center_index.tolist() == 2 * expected
    (block,) = jaxfeat.frames("random-methane:2", 3.0, centers).batches(0)
    assert block.center_index.tolist() == 2 * expected


def _random_cell(n, pbc, seed):
    """Atoms that lie anywhere, also outside a skewed cell."""
    rng = np.random.default_rng(seed)
    cell = 3 * np.eye(3) + rng.normal(size=(3, 3))
    return Atoms("C" * n, positions=rng.uniform(-6, 6, (n, 3)), cell=cell, pbc=pbc)


def _without_cell_vector(atoms, axis):
    atoms.cell[axis] = 0
    return atoms


CELLS = {
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
@pytest.mark.parametrize("name", CELLS)
def test_neighbors_are_those_that_ase_finds(name, r_cut):
    atoms = CELLS[name]
    batch = jax.tree.map(np.asarray, jaxfeat.environments(atoms, r_cut))
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
    batch = jaxfeat.environments([molecule("H2O"), molecule("CH4"), Atoms("He")], 3.0)
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
    batch = jaxfeat.environments(Atoms("He"), 3.0)
    assert batch.positions.shape == (1, 1, 3)
    assert batch.n_neighbors.tolist() == [0]


def test_structures_without_the_wanted_center_are_passed_over():
    batch = jaxfeat.environments([molecule("CH4"), molecule("H2O"), molecule("CO")], 2.0, "C")
    assert batch.structure_index.tolist() == [0, 2]


def test_images_of_the_center_are_neighbors():
    batch = jaxfeat.environments(bulk("Po", "sc", a=3.3), 3.4)
    assert batch.n_neighbors.tolist() == [6]
    assert np.allclose(np.linalg.norm(batch.positions[0], axis=-1), 3.3, rtol=0, atol=1e-12)
