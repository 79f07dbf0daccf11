"""The symmetric geometries near an environment, a molecule or a crystal, from the nearest to the most symmetric."""

from dataclasses import dataclass

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.crystal_symmetry import nearby_crystals
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.space_group import crystal_stabilizer
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.geometry.symmetry import (
    Group,
    Stabilizer,
    nearby_stabilizers,
    rotation_center,
    symmetric_positions,
    write_symbol,
)

SAME_POINT = 1e-13  # Å. Positions this close differ by rounding. A few sums of coordinates of 10 Å err by as much.
MERGED_RATIO = 10.0
"""Noise makes the operations of one group fit unequally well, and some of its subgroups fit better. Of two groups whose
distances differ by less than this factor, the smaller one is left out."""


@dataclass(frozen=True, eq=False)
class SymmetricPoint:
    """The nearest geometry with a symmetry: the item `at`, its `distance` (Å), and the `symbol` of its point group or
    space group. The distance is the largest displacement of an atom, in a crystal of a neighbor relative to its center.
    `stabilizer` is `None` for most crystals, and their cells may differ."""

    at: Item
    distance: float
    symbol: str
    stabilizer: Stabilizer | None


def find_symmetric_points(
    at: Item, atoms: np.ndarray, group: Group, largest: float, summed: bool = False
) -> list[SymmetricPoint]:
    """Find the symmetric geometries within a distance (Å) of one item of NumPy arrays, of which `atoms`, `(n,)`, take
    part. They ascend in distance and symmetry. If the positions are symmetric to rounding, the first is `at` itself.

    If features of centers are `summed`, crystals have a stabilizer, and one without symmetry is listed as well.
    """
    if isinstance(at, Structure) and at.periodic:
        return _find_symmetric_crystals(at, group, largest, summed)
    positions = np.asarray(at.positions, np.float64)
    origin = rotation_center(at, positions[atoms])
    points = positions[atoms] - origin
    found: list[SymmetricPoint] = []
    for one in reversed(nearby_stabilizers(points, label_kinds(at)[atoms], group, largest)):
        if one.order == 1:
            continue
        symmetric = symmetric_positions(one, points)
        distance = float(np.linalg.norm(symmetric - points, axis=1).max(initial=0.0))
        if distance > largest or (found and max(distance, SAME_POINT) * MERGED_RATIO > found[-1].distance):
            continue
        moved = positions.copy()
        moved[atoms] = origin + symmetric
        exact = at if distance <= SAME_POINT else at.with_positions(moved)  # type: ignore[arg-type]
        found.append(SymmetricPoint(exact, distance, write_symbol(one), one))
    return found[::-1]


def _find_symmetric_crystals(at: Structure, group: Group, largest: float, summed: bool) -> list[SymmetricPoint]:
    """Find the crystals with more and more operations within a distance (Å)."""
    found = []
    try:
        nearby = nearby_crystals(at, largest)
    except GeometryError:  # It repeats in one direction only, which spglib does not know.
        return []
    for one in nearby:
        itself = one.distance <= SAME_POINT
        if one.distance <= largest and (one.n_operations > 1 or (summed and itself)):
            exact = at if itself else jax.tree.map(np.asarray, one.structure)
            operations = crystal_stabilizer(one, label_kinds(at)[np.asarray(at.mask)], group) if summed else None
            found.append(SymmetricPoint(exact, 0.0 if itself else one.distance, one.symbol, operations))
    return found


def label_kinds(at: Item) -> np.ndarray:
    """Label atoms, `(n,)`, that a symmetry may exchange: no symmetry maps an atom with a center onto one without."""
    kinds = np.asarray(at.species).astype(np.int64)
    if isinstance(at, Environment):
        return kinds
    kinds = 2 * kinds
    kinds[np.asarray(at.center)[np.asarray(at.center_mask)]] += 1
    return kinds
