"""Which environments are one: up to rotation, inversion and permutation of like neighbors. On the host."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jaxfeat.geometry.point_group import kabsch

CONGRUENCE_TOLERANCE = 1e-5
"""Å, by which atoms may miss each other."""


def group_congruent(
    positions: np.ndarray, species: np.ndarray, tolerance: float = CONGRUENCE_TOLERANCE
) -> tuple[np.ndarray, ...]:
    """Indices of environments `(b, n, 3)` with atomic numbers `(b, n)` (0 for padding), one array for each family.

    Families are in the order of their first member. Sorted distances single out pairs to look at; those are congruent
    if a rotation, with or without inversion, sends every atom to within the tolerance of one of its kind.
    """
    b = len(positions)
    if b == 0:
        return ()
    keys = np.stack([_distances(x, z, tolerance) for x, z in zip(positions, species, strict=True)])
    # Moving two atoms by the tolerance each changes their distance by at most twice that, and sorting by no more.
    pairs = cKDTree(keys).query_pairs(4 * tolerance, p=np.inf, output_type="ndarray")
    same = [congruent(positions[i], positions[j], species[i], species[j], tolerance) for i, j in pairs]
    first, second = pairs[np.asarray(same, bool)].T if len(pairs) else (np.zeros(0, int), np.zeros(0, int))
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(b, b))
    labels = connected_components(graph, directed=False)[1]
    families = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return tuple(sorted(families, key=lambda members: members[0]))


def _distances(positions: np.ndarray, species: np.ndarray, tolerance: float) -> np.ndarray:
    """Sorted distances from the center and between neighbors, kind by kind: an invariant, and continuous."""
    n = len(positions)
    first, second = np.triu_indices(n, 1)
    lengths = np.concatenate(
        [np.linalg.norm(positions, axis=1), np.linalg.norm(positions[first] - positions[second], axis=1)]
    )
    low, high = np.minimum(species[first], species[second]), np.maximum(species[first], species[second])
    kinds = np.concatenate([species.astype(int) - 1000, 1000 * low.astype(int) + high])
    order = np.lexsort((lengths, kinds))
    # The kinds themselves, so far apart that others are never near.
    return np.concatenate([lengths[order], kinds[order] * 100.0 * tolerance])


def congruent(a: np.ndarray, b: np.ndarray, kinds_a: np.ndarray, kinds_b: np.ndarray, tolerance: float) -> bool:
    """Whether some rotation, or rotation with inversion, and some permutation of like atoms take `a` to `b`."""
    a, kinds_a = a[kinds_a > 0], kinds_a[kinds_a > 0]
    b, kinds_b = b[kinds_b > 0], kinds_b[kinds_b > 0]
    return len(a) == len(b) and congruent_image(a, b, kinds_a, kinds_b, tolerance) is not None


def congruent_image(
    a: np.ndarray,
    b: np.ndarray,
    kinds_a: np.ndarray,
    kinds_b: np.ndarray,
    tolerance: float,
    signs: tuple[float, ...] = (1.0, -1.0),
) -> np.ndarray | None:
    """Atoms `a` rotated and permuted onto `b` such that each is within the tolerance of its own, in the order of `b`.

    `signs` are the determinants allowed: with -1 among them, inversion is. `None` where there is no such image; if
    there are several, any of them.
    """
    if not len(a):
        return b
    # Two atoms of a, far from being in line with the center, and all that they may be sent to.
    leverage = np.linalg.norm(np.cross(a[:, None], a), axis=-1)
    i, j = np.unravel_index(int(leverage.argmax()), leverage.shape)
    slack = 4 * tolerance
    kind = kinds_a[:, None] == kinds_b
    near = kind & (np.abs(np.linalg.norm(a, axis=1)[:, None] - np.linalg.norm(b, axis=1)) < slack)
    gap = np.abs(np.linalg.norm(a[i] - a[j]) - np.linalg.norm(b[:, None] - b, axis=-1)) < slack
    for k, l in np.argwhere(near[i][:, None] & near[j] & gap):
        for sign in signs:
            rotation = kabsch(a[[i, j]], b[[k, l]], sign)
            cost = np.where(kind, np.linalg.norm((a @ rotation.T)[:, None] - b, axis=-1), np.inf)
            match = cost.argmin(1)
            if len(np.unique(match)) != len(a) or not np.isfinite(cost.min(1)).all():
                continue
            # Two atoms fix a rotation to their own noise: once more with all of them.
            moved = a @ kabsch(a, b[match], sign).T
            if np.linalg.norm(moved - b[match], axis=1).max() <= tolerance:
                return moved[np.argsort(match)]
    return None
