"""Environments and structures that are made from `ase.Atoms`."""

import ase.io
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

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
