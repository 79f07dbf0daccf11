"""Congruence of environments: equality up to rotation, inversion and permutation of like neighbors. On the host."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jaxfeat.geometry.rotations import kabsch

CONGRUENCE_TOLERANCE = 1e-5
"""Å, the largest distance between an atom and its counterpart in a congruent environment."""


def group_congruent(
    positions: np.ndarray, species: np.ndarray, tolerance: float = CONGRUENCE_TOLERANCE
) -> tuple[np.ndarray, ...]:
    """Group environments into families of congruent ones.

    Environments with nearly equal sorted distances are compared. They are congruent if a rotation, with or without
    inversion, sends every atom to within the tolerance of an atom of its kind.

    **Arguments:**

    - `positions`: `(b, n, 3)`, Å relative to the center.
    - `species`: `(b, n)`, atomic numbers; 0 for padding.
    - `tolerance`: Å.

    **Returns:** The indices of the members of each family, in the order of the first members.
    """
    b = len(positions)
    if b == 0:
        return ()
    keys = np.stack([_sort_distances(x, z, tolerance) for x, z in zip(positions, species, strict=True)])
    # Moving two atoms by the tolerance each changes their distance by at most twice that, and sorting adds nothing.
    pairs = cKDTree(keys).query_pairs(4 * tolerance, p=np.inf, output_type="ndarray")
    same = [_are_congruent(positions[i], positions[j], species[i], species[j], tolerance) for i, j in pairs]
    graph = coo_array((np.asarray(same, bool), tuple(pairs.T)), shape=(b, b))
    graph.eliminate_zeros()
    labels = connected_components(graph, directed=False)[1]
    families = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return tuple(sorted(families, key=lambda members: members[0]))


def _sort_distances(positions: np.ndarray, species: np.ndarray, tolerance: float) -> np.ndarray:
    """Sort the distances from the center and between neighbors, kind by kind: an invariant that is continuous."""
    first, second = np.triu_indices(len(positions), 1)
    lengths = np.linalg.norm(np.concatenate([positions, positions[first] - positions[second]]), axis=1)
    low, high = np.sort(species[[first, second]].astype(int), axis=0)
    kinds = np.concatenate([species.astype(int) - 1000, 1000 * low + high])
    order = np.lexsort((lengths, kinds))
    # The kinds are part of the key, scaled so that different kinds are never near.
    return np.concatenate([lengths[order], kinds[order] * 100.0 * tolerance])


def _are_congruent(a: np.ndarray, b: np.ndarray, kinds_a: np.ndarray, kinds_b: np.ndarray, tolerance: float) -> bool:
    in_a, in_b = kinds_a > 0, kinds_b > 0
    if in_a.sum() != in_b.sum():
        return False
    return congruent_image(a[in_a], b[in_b], kinds_a[in_a], kinds_b[in_b], tolerance) is not None


def congruent_image(
    a: np.ndarray,
    b: np.ndarray,
    kinds_a: np.ndarray,
    kinds_b: np.ndarray,
    tolerance: float,
    signs: tuple[float, ...] = (1.0, -1.0),
) -> np.ndarray | None:
    """Rotate and permute atoms `a` onto `b` so that each atom is within the tolerance of its counterpart.

    **Arguments:**

    - `a`, `b`: `(n, 3)`, Å.
    - `kinds_a`, `kinds_b`: `(n,)`, atomic numbers.
    - `tolerance`: Å.
    - `signs`: The allowed determinants; -1 allows inversion.

    **Returns:** The image of `a` in the order of `b`, any one if there are several; `None` if there is none.
    """
    if not len(a):
        return b
    # The two atoms of a that are farthest from being in line with the center, and all their possible images.
    leverage = np.linalg.norm(np.cross(a[:, None], a), axis=-1)
    i, j = np.unravel_index(int(leverage.argmax()), leverage.shape)
    slack = 4 * tolerance
    alike = kinds_a[:, None] == kinds_b
    near = alike & (np.abs(np.linalg.norm(a, axis=1)[:, None] - np.linalg.norm(b, axis=1)) < slack)
    gap = np.abs(np.linalg.norm(a[i] - a[j]) - np.linalg.norm(b[:, None] - b, axis=-1)) < slack
    for k, l in np.argwhere(near[i][:, None] & near[j] & gap):
        for sign in signs:
            rotation = kabsch(a[[i, j]], b[[k, l]], sign)
            cost = np.where(alike, np.linalg.norm((a @ rotation.T)[:, None] - b, axis=-1), np.inf)
            match = cost.argmin(1)
            if len(np.unique(match)) != len(a) or not np.isfinite(cost.min(1)).all():
                continue
            # Two atoms fix a rotation to their own noise. All atoms together fix it better.
            moved = a @ kabsch(a, b[match], sign).T
            if np.linalg.norm(moved - b[match], axis=1).max() <= tolerance:
                return moved[np.argsort(match)]
    return None
