"""Structures, centers and the radius are checked before the search, and messages name the structure."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

import jaxfeat
from jaxfeat.errors import GeometryError, ReadError, SpeciesError


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
    assert jaxfeat.environments(molecule("CH4"), 2.0, centers).center_index.tolist() == expected


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
        jaxfeat.environments(atoms, **{"r_cut": 4.0, **kwargs})
