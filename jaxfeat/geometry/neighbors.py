"""Environments and structures from `ase.Atoms`. The rest of the package runs without ASE and vesin."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.ase_input import check_structures, find_centers, resolve_r_cut
from jaxfeat.geometry.bounds import BoundsError, plan_search
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import COINCIDENCE_DISTANCE
from jaxfeat.geometry.species import Atoms
from jaxfeat.geometry.structure import Structure


class ImagesError(GeometryError):
    """Two atoms at one point by periodicity; `atoms` are their indices."""

    def __init__(self, message: str, atoms: tuple[int, int]) -> None:
        super().__init__(message)
        self.atoms = atoms


def environments(
    atoms: Atoms | Sequence[Atoms],
    within: Any = None,
    centers: str | int | Sequence[str] | Sequence[int] | None = None,
    *,
    r_cut: float | None = None,
    names: Sequence[str] | None = None,
) -> Environment:
    """Cut the environments of atoms out of molecules and periodic cells, as one batch.

    Neighbors are the atoms and periodic images nearer to the center than the radius, nearest first. A center without
    neighbors is kept; its neighbors are all padding. A featurizer refuses environments that were cut at less than its
    `r_cut`.

    **Arguments:**

    - `atoms`: One structure or a list of structures. Their `pbc` decides which cell vectors count.
    - `within`: The radius in Å; or a featurizer or structure map, whose `r_cut` is taken.
    - `centers`: Indices (the same in every structure), chemical symbols, or `None` for every atom. A center that is
        named twice is taken once.
    - `r_cut`: The radius in Å, in place of `within`. If both are given, they must agree.
    - `names`: Names of the structures, for error messages.

    **Returns:** An `Environment` with one leading axis: positions of shape `(b, n, 3)`, in Å relative to the center,
    padded to the largest `n`; float64 if JAX is set to it. Environments follow the order of structures, then the order
    of indices in `centers`, or the order of atoms if centers are given by symbol or not at all.

    **Raises:** `ReadError` for anything but `ase.Atoms`, and for an empty list; `GeometryError` for positions and cells
    that are not finite or degenerate, centers that a structure lacks, a missing, negative or contradictory radius,
    coordinates above 1e5 Å, and more than about 3e7 pairs of neighbors; `SpeciesError` for dummy atoms, and for symbols
    that no structure holds.
    """
    radius = resolve_r_cut(within, r_cut)
    structures, label = check_structures(atoms, names)
    chosen = find_centers([structure.numbers for structure in structures], centers, label)
    return jax.device_put(cut_environments(structures, chosen, radius, label))


def structures(
    atoms: Atoms | Sequence[Atoms],
    within: Any = None,
    centers: str | int | Sequence[str] | Sequence[int] | None = None,
    *,
    r_cut: float | None = None,
) -> Structure:
    """Make molecules or crystals with lists of neighbors, for structure maps.

    The lists hold for displacements that take no atom across the radius. A smooth cutoff makes such a crossing
    harmless.

    **Arguments:** as `environments`.

    **Returns:** One `Structure` for one `ase.Atoms`; for a list, a batch padded to the largest.

    **Raises:** as `environments`, and `GeometryError` if molecules and periodic structures come in one list.
    """
    built = list(iterate_structures(atoms, resolve_r_cut(within, r_cut), centers))
    return Structure.stack(built) if isinstance(atoms, (list, tuple)) else jax.device_put(built[0])


def iterate_structures(
    atoms: Atoms | Sequence[Atoms], radius: float, centers: Any = None, names: Sequence[str] | None = None
) -> Iterator[Structure]:
    """Make single structures of NumPy arrays, without padding. Arguments are those of `environments`."""
    many, label = check_structures(atoms, names)
    chosen = find_centers([structure.numbers for structure in many], centers, label)
    for k, (structure, center) in enumerate(zip(many, chosen, strict=True)):
        n = len(structure)
        around = cut_environments([structure], [np.arange(n)], radius, [label(k)].__getitem__)
        arrays: dict[str, Any] = {
            "positions": np.asarray(structure.positions, float),
            "cell": np.where(structure.pbc[:, None], structure.cell.array, 0.0),
            "species": structure.numbers.astype(np.int32),
            "mask": np.ones(n, bool),
            "center": center.astype(np.int32),
            "center_mask": np.ones(len(center), bool),
            "neighbor": np.maximum(around.neighbor_index, 0)[center],
            "shift": np.asarray(around.neighbor_shift, float)[center],
            "neighbor_mask": around.mask[center],
            "r_cut": np.asarray(radius),
        }
        yield Structure(**arrays, periodic=bool(structure.pbc.any()))


def cut_environments(
    structures: list[Atoms], chosen: list[np.ndarray], r_cut: float, label: Callable[[int], str]
) -> Environment:
    """Cut the environments of centers out of structures without faults, on the host; images may still coincide."""
    numbers = np.concatenate([structure.numbers for structure in structures])
    starts = np.cumsum([0, *map(len, structures)])[:-1]
    centers = np.concatenate([start + index for start, index in zip(starts, chosen, strict=True)])
    structure_index = np.repeat(np.arange(len(structures), dtype=np.int32), [len(index) for index in chosen])
    row_of_atom = np.full(len(numbers), -1)
    row_of_atom[centers] = np.arange(len(centers))
    found = _search(structures, starts, r_cut, label)
    # Neighbors are sorted by center and distance, so they fill the mask in its own order.
    rows = row_of_atom[found.center]
    wanted = np.flatnonzero(rows >= 0)
    order = wanted[np.lexsort([key[wanted] for key in (*found.shift.T, found.neighbor, found.distance, rows)])]
    found, counts = _NeighborList(*(part[order] for part in found)), np.bincount(rows[order], minlength=len(centers))
    mask = np.arange(max(1, counts.max(initial=0))) < counts[:, None]
    positions, species = np.zeros((*mask.shape, 3)), np.zeros(mask.shape, np.int32)
    neighbor_index, neighbor_shift = np.full(mask.shape, -1, np.int32), np.zeros((*mask.shape, 3), np.int32)
    positions[mask], species[mask] = found.vector, numbers[found.neighbor]
    neighbor_index[mask] = found.neighbor - np.repeat(starts[structure_index], counts)
    neighbor_shift[mask] = found.shift
    arrays: dict[str, Any] = {
        "positions": positions,
        "species": species,
        "mask": mask,
        "center_species": numbers[centers].astype(np.int32),
        "structure_index": structure_index,
        "center_index": np.concatenate(chosen).astype(np.int32),
        "r_cut": np.full(len(centers), r_cut),
        "neighbor_index": neighbor_index,
        "neighbor_shift": neighbor_shift,
    }
    return Environment(**arrays)


class _NeighborList(NamedTuple):
    """Neighbors of all atoms of all structures. Indices count atoms through the whole list of structures."""

    center: np.ndarray
    neighbor: np.ndarray
    vector: np.ndarray
    distance: np.ndarray
    shift: np.ndarray


def _search(structures: list[Atoms], starts: np.ndarray, r_cut: float, label: Callable[[int], str]) -> _NeighborList:
    found = []
    for k, (structure, start) in enumerate(zip(structures, starts, strict=True)):
        cell = structure.cell.copy()
        # Cell vectors of directions that do not repeat may hold anything. ASE completes the others to a cell.
        cell[~structure.pbc] = 0.0
        cell = cell.complete().array if structure.pbc.any() else cell.array
        try:
            pairs = search_neighbors(np.asarray(structure.positions, float), cell, structure.pbc, r_cut)
        except BoundsError as error:
            raise BoundsError(f"{label(k)}: {error}") from error
        i, j, distance, vector, shift = pairs
        if distance.size and distance.min() < COINCIDENCE_DISTANCE:
            first, second = sorted((int(i[distance.argmin()]), int(j[distance.argmin()])))
            message = f"atoms {first} and {second} are periodic images of each other; remove one of them."
            raise ImagesError(f"{label(k)}: {message}", (first, second))
        found.append(_NeighborList(i + start, j + start, vector, distance, shift))
    return _NeighborList(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def search_again(batch: Structure, radii: np.ndarray) -> Structure:
    """Search for the neighbors of structures `(b,)` of NumPy arrays once more, within radii `(b,)` (Å). Neighbors are
    in the order of `structures`. A structure whose radius is not positive keeps none."""
    rows = [_search_centers(one, float(radius)) for one, radius in zip(batch, radii, strict=True)]
    k = max(1, *(len(neighbor) for one in rows for neighbor, _ in one))
    shape = (*batch.center.shape, k)
    neighbor, shift = np.zeros(shape, batch.neighbor.dtype), np.zeros((*shape, 3), batch.shift.dtype)
    mask = np.zeros(shape, bool)
    for item, one in enumerate(rows):
        for row, (found, images) in enumerate(one):
            neighbor[item, row, : len(found)], shift[item, row, : len(found)] = found, images
            mask[item, row, : len(found)] = True
    lists: Any = {"neighbor": neighbor, "shift": shift, "neighbor_mask": mask}
    return replace(batch, **lists, r_cut=np.asarray(radii, batch.r_cut.dtype))  # type: ignore[arg-type]


def _search_centers(structure: Structure, radius: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """List the neighbors and their images of each center of one structure, nearest first; nothing for padding."""
    none = np.zeros(0, int), np.zeros((0, 3))
    if not radius > 0:
        return [none] * len(structure.center)
    atoms = np.flatnonzero(structure.mask)
    cell = np.array(structure.cell, float)
    repeats: Any = cell.any(1)
    if repeats.any():
        cell[~repeats] = np.linalg.svd(cell[repeats], full_matrices=True)[2][repeats.sum() :]
    points = np.asarray(structure.positions, float)[atoms]
    i, j, distance, _, shift = search_neighbors(points, cell, repeats, radius)
    order = np.lexsort((*shift.T, j, distance, i))
    i, j, shift = atoms[i[order]], atoms[j[order]], shift[order]
    centers = np.where(structure.center_mask, structure.center, -1)
    return [(j[i == center], shift[i == center]) for center in centers]


def search_neighbors(points: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_cut: float) -> tuple[np.ndarray, ...]:
    """Find all pairs of points `(n, 3)` (Å) nearer than `r_cut`, in both orders: indices of the center and of the
    neighbor, distances, vectors, and shifts in cells. Rows of `cell` that do not repeat are unit vectors orthogonal to
    the others; if none repeats, all are zero."""
    from vesin import NeighborList

    radius, box, periodic = plan_search(points, cell, pbc, r_cut)
    search = NeighborList(cutoff=radius, full_list=True)
    pairs = search.compute(points=points, box=box, periodic=periodic, quantities="ijdDS")
    if radius > r_cut:
        pairs = [part[pairs[2] < r_cut] for part in pairs]
    i, j, *rest = pairs
    return i.astype(int), j.astype(int), *rest
