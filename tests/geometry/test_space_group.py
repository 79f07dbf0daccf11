"""Operations of space groups on the atoms of a cell."""

import numpy as np
import pytest
from ase.build import bulk, mx2

import jaxfeat
from jaxfeat.geometry.crystal_symmetry import nearby_crystals
from jaxfeat.geometry.space_group import crystal_stabilizer

CRYSTALS = {
    "diamond": (bulk("Si"), 48),
    "two cells of diamond": (bulk("Si") * (2, 1, 1), None),
    "layer": (mx2("MoS2", vacuum=5), 12),
    "wurtzite": (bulk("ZnS", "wurtzite", a=3.82, c=6.26), 12),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_operations_form_a_group_and_map_atoms_onto_images(name):
    atoms, order = CRYSTALS[name]
    (crystal,) = nearby_crystals(jaxfeat.structures(atoms, 4.0))
    found = crystal_stabilizer(crystal, atoms.numbers, "O3")
    if order is not None:
        assert len(found.rotations) == order == crystal.n_operations
    np.testing.assert_array_equal(found.permutations[0], np.arange(len(atoms)))
    np.testing.assert_allclose(found.rotations[0], np.eye(3), atol=1e-12)
    pairs = {
        (*np.rint(r.ravel() * 1e6).astype(int), *p) for r, p in zip(found.rotations, found.permutations, strict=True)
    }
    for r, p in zip(found.rotations, found.permutations, strict=True):
        np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-12)
        for s, q in zip(found.rotations, found.permutations, strict=True):
            assert (*np.rint((r @ s).ravel() * 1e6).astype(int), *p[q]) in pairs
    proper = crystal_stabilizer(crystal, atoms.numbers, "SO3")
    assert len(proper.rotations) == (np.linalg.det(found.rotations) > 0).sum()


def test_atoms_of_two_kinds_are_not_exchanged():
    (crystal,) = nearby_crystals(jaxfeat.structures(bulk("Si"), 4.0))
    found = crystal_stabilizer(crystal, np.array([0, 1]), "O3")
    assert len(found.rotations) == 24 and (found.permutations == [0, 1]).all()
