"""Permutations of like points that a rotation about the origin, proper or not, may cause.

An operation is fixed by where it sends two points that are not in line with the origin. So the possible images of one
pair of points are tried, and each trial says where it sends all other points. Everything here runs on the host, in
float64, for points that are not all in line with the origin.
"""

from __future__ import annotations

import numpy as np

from jaxfeat.geometry.rotations import orthonormal_axes


def label_shells(species: np.ndarray, radii: np.ndarray, tolerance: float) -> np.ndarray:
    """Label `(n,)` like atoms at like radii. No operation within the tolerance sends an atom to another label."""
    order = np.lexsort((radii, species))
    step = (np.diff(species[order]) != 0) | (np.diff(radii[order]) > tolerance)
    labels = np.empty(len(order), int)
    labels[order] = np.concatenate([[0], np.cumsum(step)])
    return labels


def find_permutations(positions: np.ndarray, labels: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Find permutations `(k, n)` and determinants `(k,)` among which all operations within the tolerance are.

    The candidates are distinct and not yet verified. The identity is the first.
    """
    first, second = _images_of_rarest_pair(positions, labels, tolerance)
    axes = orthonormal_axes(positions[first], positions[second])
    proper = axes @ axes[0].T
    normals = axes[:, :, 2]
    # The improper operation with the same images of the pair: reflect in the plane of the images afterwards.
    improper = proper - 2 * normals[:, :, None] * (normals[:, None] @ proper)
    rotations = np.concatenate([proper, improper])
    signs = np.repeat([1, -1], len(proper))

    images = positions @ rotations.transpose(0, 2, 1)
    permutations = np.empty(images.shape[:2], int)
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        targets = positions[members]
        # The nearest target, whatever the distance: a threshold would have to allow for the noise of the pair times
        # its leverage. Each rotation is refitted to all atoms before the mismatch decides.
        nearness = images[:, members] @ targets.T - (targets**2).sum(1) / 2
        permutations[:, members] = members[nearness.argmax(-1)]
    bijective = (np.sort(permutations, 1) == np.arange(len(positions))).all(1)
    # Atoms off a common line fix the rotation, so (determinant, permutation) identifies an operation, exactly. Sorted
    # with proper operations first, the identity leads.
    distinct = np.unique(np.column_stack([-signs, permutations])[bijective], axis=0)
    return distinct[:, 1:], -distinct[:, 0]


def _images_of_rarest_pair(
    positions: np.ndarray, labels: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """List the ordered pairs of atoms `(k,), (k,)` onto which the first pair of the list may be mapped.

    An operation moves each of two atoms to within the tolerance, so their distance changes by at most twice the
    tolerance: no image is missed. The first pair is the one with the fewest images among pairs with a quarter of the
    best leverage. With less leverage, the noise of the pair would turn distant atoms into each other.
    """
    n = len(positions)
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    radii = np.linalg.norm(positions, axis=1)
    leverage = np.linalg.norm(np.cross(positions[:, None], positions), axis=-1)
    leverage /= np.maximum(np.maximum(radii[:, None], radii), tolerance)
    # One sortable number for (label, label, distance): distances fit between two multiples of the stride.
    stride = distances.max() + 6 * tolerance
    keys = ((labels[:, None] * n + labels) * stride + distances).ravel()
    ranked = np.argsort(keys)
    low, high = (np.searchsorted(keys[ranked], keys + shift) for shift in (-2 * tolerance, 2 * tolerance))
    counts = np.where(leverage.ravel() >= leverage.max() / 4, high - low, n * n + 1)
    rarest = int(counts.argmin())
    matches = ranked[low[rarest] : high[rarest]]
    matches = np.concatenate([[rarest], matches[matches != rarest]])
    # Two atoms in line with the center may share the distance by chance, and span no axes.
    matches = matches[leverage.ravel()[matches] > leverage.ravel()[rarest] / 2]
    return matches // n, matches % n
