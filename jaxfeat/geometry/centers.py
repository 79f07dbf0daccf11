"""Centers of environments, by index or by chemical symbol."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.species import SYMBOLS, atomic_number

if TYPE_CHECKING:
    from ase import Atoms


def parse_centers(centers: Any) -> np.ndarray | None:
    """Return indices in the order given, or sorted symbols, without repetition; `None` stands for every atom.

    **Raises:** `GeometryError` for anything else.
    """
    if centers is None:
        return None
    wanted = np.atleast_1d(np.asarray(centers)).ravel()
    symbols_or_indices, first = np.unique(wanted, return_index=True)
    # Symbols are sorted, because their order must not tell one input from another.
    wanted = symbols_or_indices if wanted.dtype.kind == "U" else wanted[np.sort(first)]
    if not wanted.size or wanted.dtype.kind not in "iuU":
        raise GeometryError(f"centers is {centers!r}; give indices, chemical symbols, or None for every atom.")
    return wanted


def find_centers(structures: list[Atoms], centers: Any, label: Callable[[int], str]) -> list[np.ndarray]:
    """Find the indices of the centers in each structure.

    **Raises:** `SpeciesError` for symbols that no structure holds; `GeometryError` for indices that a structure lacks.
    """
    wanted = parse_centers(centers)
    if wanted is None:
        return [np.arange(len(structure)) for structure in structures]
    if wanted.dtype.kind == "U":
        numbers = [atomic_number(str(symbol)) for symbol in wanted]
        held = np.unique(np.concatenate([structure.numbers for structure in structures]))
        for number in numbers:
            if number not in held:
                species = ", ".join(SYMBOLS[n] for n in held)
                raise SpeciesError(f"there is no {SYMBOLS[number]} among the atoms; choose centers among {species}.")
        return [indices_of_species(structure, numbers) for structure in structures]
    for k, structure in enumerate(structures):
        for index in (wanted.min(), wanted.max()):
            if not 0 <= index < len(structure):
                raise GeometryError(f"{label(k)}: there is no atom {index}, only 0 to {len(structure) - 1}.")
    return [wanted] * len(structures)


def indices_of_species(structure: Atoms, numbers: list[int]) -> np.ndarray:
    """Return the indices of the atoms with these atomic numbers, possibly none."""
    return np.flatnonzero(np.isin(structure.numbers, numbers))
