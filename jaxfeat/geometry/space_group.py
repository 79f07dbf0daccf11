"""The operations of a space group on the atoms of one cell, as those of a point group on the atoms of a molecule."""

import numpy as np

from jaxfeat.geometry.crystal_symmetry import NearbyCrystal, fill_with_vacuum
from jaxfeat.geometry.symmetry import Group, Stabilizer

MISFIT = 1e-6  # Å, by which an image may miss its atom; the crystal is exact, and atoms are farther apart
MAX_DISTANCES = 300_000_000  # distances from images to atoms that are computed, which takes 10 s


def crystal_stabilizer(crystal: NearbyCrystal, kinds: np.ndarray, group: Group) -> Stabilizer | None:
    """Find the operations of an exact crystal up to translations of its cell that map atoms onto atoms of their kind,
    `(n,)`, as rotations with permutations. `None` if the cell holds too many atoms."""
    at = crystal.structure
    positions = np.asarray(at.positions, float)[np.asarray(at.mask)]
    cell = fill_with_vacuum(positions, np.asarray(at.cell, float))
    inverse = np.linalg.inv(cell)
    values, counts = np.unique(kinds, return_counts=True)
    rare = np.flatnonzero(kinds == values[counts.argmin()])
    if len(crystal.rotations) * len(rare) * len(kinds) ** 2 > MAX_DISTANCES:
        return None
    rotations, permutations = [], []
    for rotation in crystal.rotations:
        lattice = cell @ rotation.T @ inverse
        if np.abs(lattice - np.rint(lattice)).max() > MISFIT or (group == "SO3" and np.linalg.det(rotation) < 0):
            continue
        images = positions @ rotation.T
        # An operation maps the first of the rarest atoms onto one of them, which fixes its translation.
        for target in rare:
            offsets = (images + positions[target] - images[rare[0]])[:, None] - positions
            fractions = offsets @ inverse
            misses = np.linalg.norm((fractions - np.rint(fractions)) @ cell, axis=-1)
            misses[kinds[:, None] != kinds] = np.inf
            image = misses.argmin(1)
            if misses.min(1).max() < MISFIT and len(np.unique(image)) == len(kinds):
                rotations.append(rotation)
                permutations.append(image)
    # The identity leads.
    order = np.argsort(
        [
            not (p == np.arange(len(kinds))).all() or np.trace(r) < 3 - MISFIT
            for r, p in zip(rotations, permutations, strict=True)
        ],
        kind="stable",
    )
    return Stabilizer(
        np.stack(rotations)[order], np.stack(permutations)[order], group, MISFIT, 0.0, crystal.symbol, None
    )
