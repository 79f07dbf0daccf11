"""Space groups of crystals, exact and nearby. spglib finds the operations within a tolerance. Averages over them take
the cell and the atoms to the nearest crystal that has the operations exactly."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.neighbors import search_neighbors
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.structure import Structure

TOLERANCES = 10.0 ** np.arange(-10, 0.5, 0.5)  # Å; `nearby_crystals` stops at the largest that it is given
ROUNDING = 1e-11  # Å; distances to crystals below this are zero
MERGED = 10.0  # ratio of distances up to which a space group counts as noise of the next larger one
LENGTH_ROUNDING = 1e-9  # Å; edges that an operation maps onto each other are equally long within this
VACUUM = 10.0  # Å, added to the gap between the images of a layer
STRAIN = np.asarray([[0.3, -0.5, 0.9], [-0.5, 0.8, 0.2], [0.9, 0.2, -1.0]])  # without any symmetry
STRAIN_SHARE = 0.03  # of the tolerance, by which it moves the ends of cell vectors
MAX_ROUNDS = 5  # averages over translations; one finds nearly always all


@dataclass(frozen=True, eq=False, repr=False)
class NearbyCrystal:
    """The crystal with an exact space group that is nearest to a given one.

    **Attributes:**

    - `structure`: The exact crystal. Its atoms keep their order, and their mean keeps its place. The cell keeps its
        orientation and its choice of vectors. Each center has its old neighbors first, in their order. Symmetric images
        of neighbors that lay outside the radius, and atoms that have come within it, follow.
    - `distance`: Å, the largest displacement of a neighbor relative to its center. It includes the strain of the cell.
    - `symbol`: The international symbol and the number of the space group, as in "P-6m2 (187)". A layer has the space
        group of layers that are stacked at a distance.
    - `n_operations`: The number of operations up to the translations of the given cell: those of the primitive cell,
        times the number of primitive cells.
    - `rotations`: `(m, 3, 3)`, the orthogonal matrices of the operations, each once.
    """

    structure: Structure
    distance: float
    symbol: str
    n_operations: int
    rotations: np.ndarray

    def __repr__(self) -> str:
        return f"NearbyCrystal({self.symbol}, {self.n_operations} operations, {self.distance:.1g} Å away)"


def symmetrize_crystal(structure: Structure, tolerance: float) -> NearbyCrystal:
    """Move the atoms and strain the cell of a crystal to have exactly the space group within a tolerance (Å)."""
    if not tolerance > 0:
        raise GeometryError(f"the symmetry tolerance is {tolerance}; give a positive length in Å.")
    crystal = _Crystal.of(structure)
    if (found := _reduce(crystal, tolerance)) is None:
        fault = f"spglib finds no space group of this crystal within {tolerance:g} Å"
        raise GeometryError(f"{fault}; choose a tolerance well below the distances between atoms.")
    return _make_exact(structure, crystal, *found)


def nearby_crystals(structure: Structure, largest: float = 0.1) -> list[NearbyCrystal]:
    """List the exact crystals with more and more symmetry near a crystal, the nearest first.

    spglib is asked at tolerances from 1e-10 Å to the `largest` (Å), two in a decade. The first crystal has the space
    group of the given one within rounding, which may be P1. A group counts as noise of the next larger one, and is left
    out, if it is hardly nearer: by less than a factor of 10.

    **Raises:** `GeometryError` for a batch, a molecule, and atoms that repeat in one direction only.
    """
    crystal = _Crystal.of(structure)
    chain: list[NearbyCrystal] = []
    for found in _list_groups(crystal, TOLERANCES[TOLERANCES <= max(largest, TOLERANCES[0]) * (1 + LENGTH_ROUNDING)]):
        try:
            exact = _make_exact(structure, crystal, *found)
        except GeometryError:
            break
        if not chain or exact.n_operations > chain[-1].n_operations:
            chain.append(exact)
    kept: list[NearbyCrystal] = []
    for exact in reversed(chain):
        if not kept or MERGED * max(exact.distance, ROUNDING) < max(kept[0].distance, ROUNDING):
            kept.insert(0, exact)
    return kept


class _Crystal(NamedTuple):
    """Atoms of a cell whose rows (Å) are lattice vectors, in units of these; the last one of a layer is vacuum."""

    cell: np.ndarray
    fractional: np.ndarray
    numbers: np.ndarray

    @staticmethod
    def of(structure: Structure) -> _Crystal:
        if structure.batch_shape or not structure.periodic:
            given = f"a batch of {structure.batch_shape} crystals" if structure.batch_shape else "a molecule"
            raise GeometryError(f"space groups are found of one crystal, and this is {given}.")
        mask = np.asarray(structure.mask)
        positions, cell = np.asarray(structure.positions, float)[mask], np.asarray(structure.cell, float)
        check_positions(positions, "atom")
        cell = fill_with_vacuum(positions, cell)
        return _Crystal(cell, positions @ np.linalg.inv(cell), np.asarray(structure.species)[mask])


def fill_with_vacuum(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Complete the cell of a layer by a normal that is too long for a rotation that turns it into the plane."""
    (missing,) = np.nonzero(np.linalg.norm(cell, axis=1) == 0)
    if len(missing) > 1:
        raise GeometryError("this crystal repeats in one direction; space groups are found of layers and of solids.")
    if len(missing):
        cell = cell.copy()
        first, second = (row for row in cell if row.any())
        normal = np.cross(first, second)
        normal /= np.linalg.norm(normal)
        length = 2 * np.ptp(positions @ normal) + 2 * np.linalg.norm(cell, axis=1).max() + VACUUM
        cell[missing[0]] = length * normal
    return cell


class _Operations(NamedTuple):
    """Rotations of fractional coordinates, as columns; translations; the space group's name, and its number."""

    rotations: np.ndarray
    translations: np.ndarray
    symbol: str
    hall: int


class _Primitive(NamedTuple):
    """A primitive cell, rows in Å. Atom j of the crystal is an image, `shift[j]` cells away, of atom `orbit[j]`.
    `expand` holds the crystal's cell vectors in units of the primitive ones, which are integers."""

    cell: np.ndarray
    fractional: np.ndarray
    orbit: np.ndarray
    shift: np.ndarray
    expand: np.ndarray


def _ask_spglib(crystal: _Crystal, tolerance: float) -> Any:
    """Ask for the data set of a space group; `None` if there is none."""
    import spglib

    # If cell vectors are equally long to rounding, spglib tries thousands of tolerances in vain for some crystals
    # without symmetry, which takes 20 s. A strain far below the tolerance prevents that.
    strain = STRAIN_SHARE * tolerance / np.linalg.norm(crystal.cell, axis=1).max() * STRAIN
    cell: Any = (crystal.cell + crystal.cell @ strain, crystal.fractional, crystal.numbers)
    with warnings.catch_warnings():
        # Versions differ in whether they return nothing, with a warning that they will raise, or raise.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except Exception:  # Versions before 2.7 have no class for their errors.
            return None


def _list_groups(crystal: _Crystal, tolerances: np.ndarray) -> list[tuple[_Primitive, _Operations]]:
    """List the groups at ascending tolerances, each once. Groups grow with the tolerance, so those between two that are
    equal need not be asked for: spglib takes up to 15 ms."""
    asked: dict[int, Any] = {}

    def key(k: int) -> Any:
        if k not in asked:
            asked[k] = _reduce(crystal, float(tolerances[k]))
        return None if asked[k] is None else (asked[k][1].hall, len(asked[k][0].fractional))

    intervals = [(0, len(tolerances) - 1)]
    while intervals:
        low, high = intervals.pop()
        if key(low) != key(high) and high - low > 1:
            intervals += [(low, (low + high) // 2), ((low + high) // 2, high)]
    groups: dict[Any, tuple[_Primitive, _Operations]] = {}
    for k in sorted(asked):
        if asked[k] is not None:
            groups.setdefault(key(k), asked[k])
    return list(groups.values())


def _reduce(crystal: _Crystal, tolerance: float) -> tuple[_Primitive, _Operations] | None:
    """Average over the translations and find the operations of the primitive cell that remains."""
    n = len(crystal.numbers)
    whole = _Primitive(crystal.cell, crystal.fractional, np.arange(n), np.zeros((n, 3)), np.eye(3))
    numbers = crystal.numbers
    for _ in range(MAX_ROUNDS):
        found = _ask_spglib(_Crystal(whole.cell, whole.fractional, numbers), tolerance)
        if found is None:
            return None
        # The cell that spglib returns is reduced, and integers take it to the given one.
        expand = np.rint(whole.cell @ np.linalg.inv(found.primitive_lattice))
        n_cells = round(abs(np.linalg.det(expand)))
        if n_cells == 1:
            rotations, translations = (np.asarray(part, float) for part in (found.rotations, found.translations))
            symbol = f"{found.international} ({found.number})"
            return whole, _Operations(rotations, translations, symbol, int(found.hall_number))
        orbit = np.asarray(found.mapping_to_primitive)
        if n_cells < 1 or (np.bincount(orbit) != n_cells).any():
            return None
        fractional = whole.fractional @ expand
        first = np.unique(orbit, return_index=True)[1]
        shift = np.rint(fractional - fractional[first[orbit]])
        mean = np.stack([np.bincount(orbit, part) for part in (fractional - shift).T], -1) / n_cells
        # Atoms of the crystal, through the cell before to this one.
        shift = whole.shift @ expand + shift[whole.orbit]
        cell = np.linalg.inv(expand) @ whole.cell
        whole = _Primitive(cell, mean, orbit[whole.orbit], shift, whole.expand @ expand)
        numbers = numbers[first]
    return None


def _make_exact(
    structure: Structure, crystal: _Crystal, primitive: _Primitive, operations: _Operations
) -> NearbyCrystal:
    """Average the primitive cell and its atoms over the operations, and build the given cell from them."""
    rotations = operations.rotations
    metric = primitive.cell @ primitive.cell.T
    metric = np.einsum("gki,kl,glj->ij", rotations, metric, rotations) / len(rotations)
    inverse = np.linalg.inv(primitive.cell)
    # The strain is symmetric, so the cell does not turn.
    squares, axes = np.linalg.eigh(inverse @ metric @ inverse.T)
    cell = primitive.cell @ (axes * np.sqrt(squares)) @ axes.T
    numbers = crystal.numbers[np.unique(primitive.orbit, return_index=True)[1]]
    fractional = _average(primitive.fractional, numbers, operations, cell)[primitive.orbit] + primitive.shift
    mask = np.asarray(structure.mask)
    positions, old_cell = np.array(structure.positions, float), np.asarray(structure.cell, float)
    center = positions[mask].mean(0)
    positions[mask] = center + (fractional - fractional.mean(0)) @ cell
    exact_cell = np.where(np.linalg.norm(old_cell, axis=1)[:, None] > 0, primitive.expand @ cell, 0.0)
    strain = np.asarray(structure.shift, float) @ (exact_cell - old_cell)
    drift = positions - np.asarray(structure.positions, float)
    edges = strain + drift[np.asarray(structure.neighbor)] - drift[np.asarray(structure.center)][:, None]
    held = np.asarray(structure.neighbor_mask) & np.asarray(structure.center_mask)[:, None]
    # Atoms without neighbors move in the frame of the cell.
    moves = edges[held] if held.any() else drift[mask]
    exact = _with_neighbors(structure, positions, exact_cell, primitive.expand @ cell)
    n_cells = len(crystal.numbers) // len(numbers)
    distance = float(np.linalg.norm(moves, axis=-1).max())
    turns = (np.linalg.inv(cell) @ rotations.transpose(0, 2, 1) @ cell).transpose(0, 2, 1)
    return NearbyCrystal(exact, distance, operations.symbol, len(rotations) * n_cells, turns)


def _average(fractional: np.ndarray, numbers: np.ndarray, operations: _Operations, cell: np.ndarray) -> np.ndarray:
    """Average fractional coordinates over the operations; the mean over the atoms stays.

    An operation sends atom j onto an image of its target, a whole number of cells away. About the mean of the atoms the
    operations are linear, apart from these numbers, so one average is exact. The translations of spglib serve to find
    the targets only.
    """
    center = fractional.mean(0)
    about = fractional - center
    average = np.zeros_like(about)
    for rotation, translation in zip(operations.rotations, operations.translations, strict=True):
        images = fractional @ rotation.T + translation
        offsets = images[:, None] - fractional
        misses = np.linalg.norm((offsets - np.rint(offsets)) @ cell, axis=-1)
        target = np.where(numbers[:, None] == numbers, misses, np.inf).argmin(1)
        cells = np.rint(offsets[np.arange(len(target)), target])
        if len(np.unique(target)) < len(target):
            raise GeometryError("the symmetry tolerance cannot tell atoms of this crystal apart; choose a smaller one.")
        average[target] += about @ rotation.T + cells.mean(0) - cells
    return center + average / len(operations.rotations)


def _with_neighbors(structure: Structure, positions: np.ndarray, cell: np.ndarray, complete: np.ndarray) -> Structure:
    """Move the atoms and the cell. Complete the lists of neighbors by images of old ones and by atoms that come within
    the radius. The cell is `complete` with the normal of a layer."""
    atoms, center = np.flatnonzero(structure.mask), np.asarray(structure.center)
    held = np.asarray(structure.neighbor_mask) & np.asarray(structure.center_mask)[:, None]
    rows, neighbor = np.nonzero(held)[0], np.asarray(structure.neighbor)[held]
    shift = np.asarray(structure.shift, float)[held]
    lengths = np.linalg.norm(positions[neighbor] + shift @ cell - positions[center[rows]], axis=-1)
    radius = float(structure.r_cut)
    # Edges that an operation maps onto each other are equally long.
    outside = np.append(np.sort(lengths[lengths >= radius - LENGTH_ROUNDING]), np.inf)
    longest = max(radius, lengths.max(initial=0.0)) + LENGTH_ROUNDING
    periodic = np.linalg.norm(cell, axis=1) > 0
    box = np.where(periodic[:, None], cell, complete / np.linalg.norm(complete, axis=1, keepdims=True))
    i, j, distance, _, images = search_neighbors(positions[atoms], box, periodic, longest)
    like_old = outside[np.searchsorted(outside, distance - LENGTH_ROUNDING)] <= distance + LENGTH_ROUNDING
    wanted = (distance < radius - LENGTH_ROUNDING) | like_old
    row_of_atom = np.full(len(positions), -1)
    row_of_atom[center[np.asarray(structure.center_mask)]] = np.flatnonzero(structure.center_mask)
    found = np.column_stack([row_of_atom[atoms[i]], atoms[j], images])[wanted]
    edges = np.concatenate([np.column_stack([rows, neighbor, shift]), found[found[:, 0] >= 0]]).astype(int)
    edges = edges[np.sort(np.unique(edges, axis=0, return_index=True)[1])]
    edges = edges[np.argsort(edges[:, 0], kind="stable")]
    counts = np.bincount(edges[:, 0], minlength=len(center))
    mask = np.arange(max(held.shape[-1], counts.max(initial=0))) < counts[:, None]
    new_neighbor, new_shift = np.zeros(mask.shape, np.int32), np.zeros((*mask.shape, 3))
    new_neighbor[mask], new_shift[mask] = edges[:, 1], edges[:, 2:]
    changed: dict[str, Any] = {"positions": positions, "cell": cell, "neighbor": new_neighbor, "shift": new_shift}
    changed["neighbor_mask"] = mask
    return jax.device_put(replace(structure, **changed))
