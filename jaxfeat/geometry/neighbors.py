"""From `ase.Atoms` to environments.

The search for neighbors is discrete, so it happens here, once, on the host and in float64.
ASE and vesin are imported where they are used: without them everything else still runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError, ReadError, SpeciesError
from jaxfeat.geometry.bounds import BoundsError, plan_search
from jaxfeat.geometry.environment import COINCIDENCE_DISTANCE, Environment, check_positions
from jaxfeat.geometry.radius import resolve_r_cut
from jaxfeat.geometry.species import SYMBOLS, atomic_number
from jaxfeat.geometry.structure import Structure

if TYPE_CHECKING:
    from ase import Atoms


class _Pairs(NamedTuple):
    """Neighbors of all atoms of all structures; `center` counts atoms through the whole list."""

    center: np.ndarray
    neighbor: np.ndarray
    vector: np.ndarray
    distance: np.ndarray
    shift: np.ndarray


class ImagesError(GeometryError):
    """Two atoms, `pair`, at one point by periodicity."""

    def __init__(self, message: str, pair: tuple[int, int]) -> None:
        super().__init__(message)
        self.pair = pair


def environments(
    atoms: Atoms | Sequence[Atoms],
    within: Any = None,
    centers: str | int | Sequence[str] | Sequence[int] | None = None,
    *,
    r_cut: float | None = None,
    names: Sequence[str] | None = None,
) -> Environment:
    """The environments of atoms in molecules and periodic cells, as one batch.

    Neighbors are the atoms and periodic images nearer to the center than the radius, nearest first; a center without
    any is kept, all masked. Environments follow the order of structures, then that of the indices in `centers`; centers
    chosen by symbol, and all of them, come in the order of the atoms.

    Environments know their radius, and a featurizer refuses those that were cut at less than its `r_cut`
    (`AbstractFeaturizer.check`).

    **Arguments:**

    - `atoms`: one structure or a list of them. Their `pbc` decides which cell vectors count.
    - `within`: the radius in Å; or the featurizer or structure map that is to describe the environments, whose `r_cut`
      is taken.
    - `centers`: `None` for every atom, indices (the same in every structure), or chemical symbols. What is named twice
      is a center once.
    - `r_cut`: the radius in Å, in place of `within`. If both are given, they must agree.
    - `names`: of the structures, for messages about them.

    **Returns:** an `Environment` with leading axis `b`: positions `(b, n, 3)` in Å relative to the center, padded to
    the largest `n`, float64 where JAX has it.

    **Raises:** `ReadError` for what is not `ase.Atoms` or an empty list; `GeometryError` for positions, cells, indices
    or a radius that make no sense, for two radii that differ, for coordinates above 1e5 Å and for more than about 3e7
    pairs of neighbors; `SpeciesError` for dummy atoms and for symbols that no structure holds.
    """
    radius = resolve_r_cut(within, r_cut)
    structures, label = _checked(atoms, names)
    return jax.device_put(cut_environments(structures, find_centers(structures, centers, label), radius, label))


def cut_environments(
    structures: list[Atoms], chosen: list[np.ndarray], r_cut: float, label: Callable[[int], str]
) -> Environment:
    """Environments of the chosen centers of structures that nothing is wrong with, on the host.

    **Raises:** `ImagesError` for atoms that are at the same point as the image of another, `BoundsError` for structures
    whose neighbors cannot be looked for.
    """
    numbers = np.concatenate([structure.numbers for structure in structures])
    sizes = np.asarray([len(structure) for structure in structures])
    starts = np.cumsum(sizes) - sizes
    where = np.concatenate([start + index for start, index in zip(starts, chosen, strict=True)])

    pairs = _pairs(structures, starts, r_cut, label)
    slot = np.full(len(numbers), -1)
    slot[where] = np.arange(len(where))
    row = slot[pairs.center]
    pairs, row = _Pairs(*(part[row >= 0] for part in pairs)), row[row >= 0]
    order = np.lexsort((*pairs.shift.T, pairs.neighbor, pairs.distance, row))
    pairs, row = _Pairs(*(part[order] for part in pairs)), row[order]

    counts = np.bincount(row, minlength=len(where))
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (len(where), max(1, int(counts.max(initial=0))))
    positions, species, mask = np.zeros((*shape, 3)), np.zeros(shape, np.int32), np.zeros(shape, bool)
    positions[row, column] = pairs.vector
    species[row, column] = numbers[pairs.neighbor]
    mask[row, column] = True
    structure_index = np.repeat(np.arange(len(structures)), [len(index) for index in chosen])
    arrays: dict[str, Any] = {
        "positions": positions,
        "species": species,
        "mask": mask,
        "center_species": numbers[where].astype(np.int32),
        "structure_index": structure_index.astype(np.int32),
        "center_index": np.concatenate(chosen).astype(np.int32),
        "r_cut": np.full(len(where), r_cut),
    }
    return Environment(**arrays)


def structures(
    atoms: Atoms | Sequence[Atoms],
    within: Any = None,
    centers: str | int | Sequence[str] | Sequence[int] | None = None,
    *,
    r_cut: float | None = None,
) -> Structure:
    """Molecules or crystals with their lists of neighbors, for structure maps.

    The lists hold for displacements that take no atom across the radius, which a smooth cutoff makes harmless.

    **Arguments:** as `environments`.

    **Returns:** one `Structure` for one `ase.Atoms`; for a list, a batch padded to the largest.

    **Raises:** as `environments`, and `GeometryError` where molecules and periodic structures come in one list.
    """
    radius = resolve_r_cut(within, r_cut)
    many, label = _checked(atoms, None)
    chosen = find_centers(many, centers, label)
    built = []
    for k, (structure, center) in enumerate(zip(many, chosen, strict=True)):
        name = label(k)
        pairs = _pairs([structure], np.zeros(1, int), radius, [name].__getitem__)
        n = len(structure)
        counts = np.bincount(pairs.center, minlength=n)
        order = np.lexsort((*pairs.shift.T, pairs.neighbor, pairs.distance, pairs.center))
        column = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (n, max(1, int(counts.max(initial=0))))
        neighbor, shift, mask = np.zeros(shape, np.int32), np.zeros((*shape, 3)), np.zeros(shape, bool)
        row = pairs.center[order]
        neighbor[row, column], shift[row, column], mask[row, column] = pairs.neighbor[order], pairs.shift[order], True
        arrays: dict[str, Any] = {
            "positions": np.asarray(structure.positions, float),
            "cell": np.where(structure.pbc[:, None], structure.cell.array, 0.0),
            "species": structure.numbers.astype(np.int32),
            "mask": np.ones(n, bool),
            "center": center.astype(np.int32),
            "center_mask": np.ones(len(center), bool),
            "neighbor": neighbor[center],
            "shift": shift[center],
            "neighbor_mask": mask[center],
            "r_cut": np.asarray(radius),
        }
        built.append(Structure(**arrays, periodic=bool(structure.pbc.any())))
    return Structure.stack(built) if isinstance(atoms, (list, tuple)) else jax.device_put(built[0])


def _checked(atoms: Any, names: Sequence[str] | None) -> tuple[list[Atoms], Callable[[int], str]]:
    """The structures, and what to call each of them, once nothing is wrong with them."""
    structures = _structures(atoms)

    def label(k: int) -> str:
        return f"structure {k} ({formula(structures[k])})" if names is None else names[k]

    for k, structure in enumerate(structures):
        fault = _fault(structure)
        if fault is not None:
            raise type(fault)(f"{label(k)}: {fault}")
    return structures, label


def _structures(atoms: Any) -> list[Atoms]:
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
    """What a reader calls a structure."""
    known = (structure.numbers < len(SYMBOLS)).all()
    return structure.get_chemical_formula() if known and len(structure) else f"{len(structure)} atoms"


def _fault(structure: Atoms) -> GeometryError | SpeciesError | None:
    """What no neighbor search can mend."""
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
    """Periodic cell vectors that span no cell."""
    cell = structure.cell.array[structure.pbc]
    if not len(cell) or not np.isfinite(cell).all():
        return None
    lengths = np.linalg.norm(cell, axis=-1)
    if (lengths == 0).any():
        axis = np.flatnonzero(structure.pbc)[int(np.argmin(lengths))]
        return GeometryError(f"cell vector {axis} is zero, yet periodic; give it a length or unset pbc.")
    if np.linalg.svd(cell / lengths[:, None], compute_uv=False)[-1] < 1e-8:
        return GeometryError(f"the periodic cell vectors {cell.tolist()} are linearly dependent; mend them.")
    return None


def find_centers(structures: list[Atoms], centers: Any, label: Callable[[int], str]) -> list[np.ndarray]:
    """Indices of the centers in each structure.

    **Raises:** `SpeciesError` for symbols that no structure holds, `GeometryError` for indices that one does not have.
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
    """Indices of the atoms of some species, of which there may be none."""
    return np.flatnonzero(np.isin(structure.numbers, numbers))


def parse_centers(centers: Any) -> np.ndarray | None:
    """Indices in the order given, or symbols in any, without repetition; `None` for every atom. **Raises:**
    `GeometryError` for anything else."""
    if centers is None:
        return None
    wanted = np.atleast_1d(np.asarray(centers)).ravel()
    symbols_or_indices, first = np.unique(wanted, return_index=True)
    # The order of symbols means nothing, and must not tell one input from another.
    wanted = symbols_or_indices if wanted.dtype.kind == "U" else wanted[np.sort(first)]
    if not wanted.size or wanted.dtype.kind not in "iuU":
        raise GeometryError(f"centers is {centers!r}; give indices, chemical symbols, or None for every atom.")
    return wanted


def _pairs(structures: list[Atoms], starts: np.ndarray, r_cut: float, label: Callable[[int], str]) -> _Pairs:
    from vesin import NeighborList

    found = []
    for k, (structure, start) in enumerate(zip(structures, starts, strict=True)):
        # Vectors of directions that do not repeat may hold anything; what completes the others to a cell is safe.
        cell = np.where(structure.pbc[:, None], structure.cell.array, 0.0)
        if structure.pbc.any():
            cell = type(structure.cell)(cell).complete().array
        points = np.asarray(structure.positions, float)
        try:
            radius, box, periodic = plan_search(points, cell, structure.pbc, r_cut)
        except BoundsError as error:
            raise BoundsError(f"{label(k)}: {error}") from error
        search = NeighborList(cutoff=radius, full_list=True)
        i, j, distance, vector, shift = search.compute(points=points, box=box, periodic=periodic, quantities="ijdDS")
        if radius > r_cut:
            near = distance < r_cut
            i, j, distance, vector, shift = i[near], j[near], distance[near], vector[near], shift[near]
        i, j = i.astype(int), j.astype(int)
        if distance.size and distance.min() < COINCIDENCE_DISTANCE:
            first, second = sorted((int(i[distance.argmin()]), int(j[distance.argmin()])))
            message = f"atoms {first} and {second} are periodic images of each other; remove one of them."
            raise ImagesError(f"{label(k)}: {message}", (first, second))
        found.append(_Pairs(i + start, j + start, vector, distance, shift))
    return _Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
