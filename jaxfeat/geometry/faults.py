"""Faults of `ase.Atoms` that no search for neighbors can mend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

MIN_INDEPENDENCE = 1e-8
"""The smallest singular value of the periodic cell vectors, scaled to unit length, above which they are independent."""


def check_structures(atoms: Any, names: Sequence[str] | None) -> tuple[list[Atoms], Callable[[int], str]]:
    """Check `ase.Atoms`, one or a list of them, and return a list and a function that names its structures.

    **Raises:** `ReadError` for anything else and for an empty list; `GeometryError` and `SpeciesError` for a fault.
    """
    structures = _list_structures(atoms)

    def label(k: int) -> str:
        return f"structure {k} ({formula(structures[k])})" if names is None else names[k]

    for k, structure in enumerate(structures):
        fault = _find_fault(structure)
        if fault is not None:
            raise type(fault)(f"{label(k)}: {fault}")
    return structures, label


def _list_structures(atoms: Any) -> list[Atoms]:
    from ase import Atoms

    if isinstance(atoms, Atoms):
        return [atoms]
    if not isinstance(atoms, (list, tuple)):
        raise ReadError(f"environments are made from ase.Atoms or a list of them, not from {type(atoms).__name__}.")
    for k, structure in enumerate(atoms):
        if not isinstance(structure, Atoms):
            raise ReadError(f"item {k} of the list is of type {type(structure).__name__}; give ase.Atoms only.")
    if not atoms:
        raise ReadError("the list of structures is empty; give at least one.")
    return list(atoms)


def formula(structure: Atoms) -> str:
    """Return the chemical formula, or the number of atoms if one of them is no element."""
    known = (structure.numbers < len(SYMBOLS)).all()
    return structure.get_chemical_formula() if known and len(structure) else f"{len(structure)} atoms"


def _find_fault(structure: Atoms) -> GeometryError | SpeciesError | None:
    if not len(structure):
        return GeometryError("there are no atoms in it; leave it out.")
    unknown = (structure.numbers < 1) | (structure.numbers >= len(SYMBOLS))
    if unknown.any():
        bad = int(np.argmax(unknown))
        return SpeciesError(
            f"atom {bad} has atomic number {structure.numbers[bad]}, which is no element; leave ghosts and dummy atoms "
            "out (--skip-ghosts of files)."
        )
    try:
        check_positions(structure.positions, "atom")
    except GeometryError as error:
        return error
    cell = structure.cell.array[structure.pbc]
    if not np.isfinite(cell).all():
        return GeometryError(f"the cell {cell.tolist()} is not finite; mend it.")
    return find_cell_fault(structure)


def find_cell_fault(structure: Atoms) -> GeometryError | None:
    """Find out whether the periodic cell vectors, if finite, span no cell."""
    cell = structure.cell.array[structure.pbc]
    if not len(cell) or not np.isfinite(cell).all():
        return None
    lengths = np.linalg.norm(cell, axis=-1)
    if (lengths == 0).any():
        axis = np.flatnonzero(structure.pbc)[int(np.argmin(lengths))]
        return GeometryError(f"cell vector {axis} is zero, yet periodic; give it a length or unset pbc.")
    if np.linalg.svd(cell / lengths[:, None], compute_uv=False)[-1] < MIN_INDEPENDENCE:
        return GeometryError(f"the periodic cell vectors {cell.tolist()} are linearly dependent; mend them.")
    return None
