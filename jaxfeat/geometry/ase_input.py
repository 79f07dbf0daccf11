"""Checks of the arguments of functions that take `ase.Atoms`: structures, centers and the radius."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.geometry.environment import RADIUS_ROUNDING
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.species import SYMBOLS, Atoms, atomic_number

MIN_INDEPENDENCE = 1e-8  # cell vectors of unit length with a smaller singular value are linearly dependent


def check_structures(atoms: Any, names: Sequence[str] | None) -> tuple[list[Atoms], Callable[[int], str]]:
    """Check `ase.Atoms`, one or a list of them, and return a list and a function that names its structures."""
    from ase import Atoms

    structures = [atoms] if isinstance(atoms, Atoms) else atoms
    if not isinstance(structures, (list, tuple)):
        raise ReadError(f"environments are made from ase.Atoms or a list of them, not from {type(atoms).__name__}.")
    if not structures:
        raise ReadError("the list of structures is empty; give at least one.")
    for k, structure in enumerate(structures):
        if not isinstance(structure, Atoms):
            raise ReadError(f"item {k} of the list is of type {type(structure).__name__}; give ase.Atoms only.")

    def label(k: int) -> str:
        return f"structure {k} ({formula(structures[k])})" if names is None else names[k]

    for k, structure in enumerate(structures):
        try:
            _check_structure(structure)
        except (GeometryError, SpeciesError) as error:
            raise type(error)(f"{label(k)}: {error}") from error
    return list(structures), label


def formula(structure: Atoms) -> str:
    """Return the chemical formula, or the number of atoms if one of them is no element."""
    known = (structure.numbers < len(SYMBOLS)).all()
    return structure.get_chemical_formula() if known and len(structure) else f"{len(structure)} atoms"


def _check_structure(structure: Atoms) -> None:
    if not len(structure):
        raise GeometryError("there are no atoms in it; leave it out.")
    unknown = np.flatnonzero((structure.numbers < 1) | (structure.numbers >= len(SYMBOLS)))
    if unknown.size:
        fault = f"atom {unknown[0]} has atomic number {structure.numbers[unknown[0]]}, which is no element"
        raise SpeciesError(f"{fault}; leave ghosts and dummy atoms out (--skip-ghosts of files).")
    check_positions(structure.positions, "atom")
    cell = structure.cell.array[structure.pbc]
    if not np.isfinite(cell).all():
        raise GeometryError(f"the cell {cell.tolist()} is not finite; mend it.")
    if (cell_fault := find_cell_fault(structure)) is not None:
        raise cell_fault


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


def parse_centers(centers: Any) -> np.ndarray | None:
    """Parse indices, kept in their order, or symbols, which are sorted; `None` stands for every atom."""
    if centers is None:
        return None
    wanted = np.atleast_1d(np.asarray(centers)).ravel()
    distinct, first = np.unique(wanted, return_index=True)
    if not wanted.size or wanted.dtype.kind not in "iuU":
        raise GeometryError(f"centers is {centers!r}; give indices, chemical symbols, or None for every atom.")
    if wanted.dtype.kind != "U":
        return wanted[np.sort(first)]
    for symbol in distinct.tolist():
        atomic_number(symbol)
    # Symbols are sorted, because their order must not tell one input from another.
    return distinct


def find_centers(numbers: Sequence[np.ndarray], centers: Any, label: Callable[[int], str]) -> list[np.ndarray]:
    """Find the indices of the centers in each structure from the structures' atomic numbers."""
    wanted = parse_centers(centers)
    if wanted is not None and wanted.dtype.kind == "U":
        held = [SYMBOLS[number] for number in np.unique(np.concatenate(numbers))]
        for symbol in wanted:
            if symbol not in held:
                raise SpeciesError(f"there is no {symbol} among the atoms; choose centers among {', '.join(held)}.")
    return [select_centers(each, wanted, k, label) for k, each in enumerate(numbers)]


def select_centers(numbers: np.ndarray, wanted: np.ndarray | None, k: int, label: Callable[[int], str]) -> np.ndarray:
    """Find the indices of the centers in structure number `k`, which may lack the symbols among `wanted`."""
    if wanted is None:
        return np.arange(len(numbers))
    if wanted.dtype.kind == "U":
        return np.flatnonzero(np.isin(numbers, [atomic_number(symbol) for symbol in wanted.tolist()]))
    for index in (wanted.min(), wanted.max()):
        if not 0 <= index < len(numbers):
            raise GeometryError(f"{label(k)}: there is no atom {index}, only 0 to {len(numbers) - 1}.")
    return wanted


def resolve_r_cut(within: Any, r_cut: Any) -> float:
    """Return the radius in Å that `within` (a radius, a featurizer, a structure map or `None`) and `r_cut` name."""
    given = [_read_radius(one) for one in (within, r_cut) if one is not None]
    if not given:
        raise GeometryError("no radius is given; give r_cut in Å, or the featurizer that has one.")
    if np.ptp(given) > RADIUS_ROUNDING * max(given):
        raise GeometryError(f"the radius is given as {given[0]:g} Å and as {given[1]:g} Å; give it once.")
    return given[0]


def _read_radius(given: Any) -> float:
    # Featurizers and structure maps name the featurizer of environments so. Its own r_cut, if it has one, counts.
    featurizer = getattr(given, "environment_featurizer", given)
    radius = getattr(featurizer, "r_cut", featurizer)
    if callable(radius):
        raise GeometryError(f"a {type(featurizer).__name__} has no r_cut to take the radius from; give it in Å.")
    try:
        value = float(radius)
    except (TypeError, ValueError):
        value = np.nan
    if not 0 < value < np.inf:
        raise GeometryError(f"r_cut is {radius!r}; give a positive number of Å.")
    return value
