"""Structures move to their nearest symmetric geometries."""

import ase
import numpy as np
import pytest
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.symmetrize import symmetrize_atoms


def test_rounded_molecules_and_crystals_move_and_others_stay():
    methane, silicon, alone = molecule("CH4"), bulk("Si"), ase.Atoms("H")
    methane.rattle(1e-4, seed=0)
    silicon.rattle(1e-4, seed=0)
    ethanol = molecule("CH3CH2OH")
    ethanol.rattle(0.1, seed=0)
    given = [methane, silicon, alone, ethanol, bulk("Si")]
    before = [atoms.positions.copy() for atoms in given]
    found = symmetrize_atoms(given, 4.0, 1e-2)
    assert dict(found.groups) == {"T_d": 1, "Fd-3m (227)": 1} and not found.failures
    assert all(1e-5 < distance < 1e-2 for distance in found.distances)
    for atoms, moved, positions in zip(given, found.atoms, before, strict=True):
        np.testing.assert_array_equal(atoms.positions, positions)
        np.testing.assert_array_equal(moved.numbers, atoms.numbers)
    assert [moved is atoms for moved, atoms in zip(found.atoms, given, strict=True)] == [False, False, True, True, True]
    assert jaxfeat.stabilizer(jaxfeat.structures(found.atoms[0], 4.0), 1e-10).symbol == "Td"
    assert [jaxfeat.stabilizer(env, 1e-10).symbol for env in jaxfeat.environments(found.atoms[1], 4.0)] == ["Td"] * 2
    assert found.describe(1e-2).startswith("2 of 5 structures moved to symmetric geometries, by ")


def test_what_cannot_move_stays_and_is_said():
    chain = ase.Atoms("C", cell=[1.3, 0, 0], pbc=[True, False, False])
    found = symmetrize_atoms([chain], 4.0, 1e-2)
    assert found.atoms == [chain] and not found.distances
    assert "1 cannot be symmetrized, such as structure 0: this crystal repeats in one direction" in found.describe(1e-2)
    with pytest.raises(GeometryError, match="give a positive length"):
        symmetrize_atoms([chain], 4.0, 0.0)
