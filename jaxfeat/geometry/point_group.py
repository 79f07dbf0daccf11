"""The finite groups of rotations and relabelings that map points about the origin onto each other.

The detector matches pairs. An operation is fixed by where it sends two points that are not in line with the origin, so
the images of one such pair are tried, and each trial is judged by where it sends everything else. Everything here runs
on the host, in float64, for points that are not all in line with the origin.
"""

from __future__ import annotations

import numpy as np


def label_shells(species: np.ndarray, radii: np.ndarray, tolerance: float) -> np.ndarray:
    """Labels `(n,)` of like atoms at like radii: no operation within the tolerance leads from one label to another."""
    order = np.lexsort((radii, species))
    step = (np.diff(species[order]) != 0) | (np.diff(radii[order]) > tolerance)
    labels = np.empty(len(order), int)
    labels[order] = np.concatenate([[0], np.cumsum(step)])
    return labels


def candidates(positions: np.ndarray, labels: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Permutations `(k, n)` and determinants `(k,)` among which all operations are; distinct, not yet verified."""
    first, second = _images_of_rarest_pair(positions, labels, tolerance)
    turned = orthonormal_axes(positions[first], positions[second])
    proper = turned @ turned[0].T
    normals = turned[:, :, 2]
    # The improper operation with the same images of the pair: reflect in the plane of the images afterwards.
    improper = proper - 2 * normals[:, :, None] * (normals[:, None] @ proper)
    rotations = np.concatenate([proper, improper])
    signs = np.repeat([1, -1], len(proper))

    images = positions @ rotations.transpose(0, 2, 1)
    permutations = np.empty(images.shape[:2], int)
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        targets = positions[members]
        # Nearest, whatever the distance: a threshold here would have to allow for the leverage of the pair's own
        # noise. Which assignments hold is decided after each rotation has been refitted to all atoms.
        nearness = images[:, members] @ targets.T - (targets**2).sum(1) / 2
        permutations[:, members] = members[nearness.argmax(-1)]
    bijective = (np.sort(permutations, 1) == np.arange(len(positions))).all(1)
    # (permutation, determinant) names an operation: atoms off a common line fix the rotation. Integers compare exactly.
    # Proper ones first, in lexicographic order: the identity leads.
    distinct = np.unique(np.column_stack([-signs, permutations])[bijective], axis=0)
    return distinct[:, 1:], -distinct[:, 0]


def _images_of_rarest_pair(
    positions: np.ndarray, labels: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ordered pairs of atoms `(k,), (k,)` onto which the pair that comes first may be mapped.

    An operation within the tolerance moves each of two atoms to within it, so their distance changes by at most twice
    that: no image is missed. The pair is the one with the fewest candidates, among those with a quarter of the best
    leverage; less would let its noise turn the far atoms into each other.
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
    pair = int(counts.argmin())
    matches = ranked[low[pair] : high[pair]]
    matches = np.concatenate([[pair], matches[matches != pair]])
    # A distance shared by chance may belong to two atoms in line with the center, which span no frame.
    matches = matches[leverage.ravel()[matches] > leverage.ravel()[pair] / 2]
    return matches // n, matches % n


def orthonormal_axes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Right-handed orthonormal frames `(..., 3, 3)`, in columns, of pairs of vectors `(..., 3)`; their normal last."""
    x = first / np.linalg.norm(first, axis=-1, keepdims=True)
    z = np.cross(x, second)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def kabsch(positions: np.ndarray, targets: np.ndarray, signs: np.ndarray | float = 1.0) -> np.ndarray:
    """Matrices `(..., 3, 3)` of given determinants that best map positions `(..., n, 3)` onto targets alike.

    Kabsch, Acta Cryst. A 32, 922 (1976). With the determinant given, planar atoms have one solution as well.
    """
    u, _, vt = np.linalg.svd(targets.swapaxes(-1, -2) @ positions)
    u[..., 2] *= np.asarray(signs * np.sign(np.linalg.det(u @ vt)))[..., None]
    return u @ vt


def _fit(positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Matrices `(k, 3, 3)` of given determinants that best map atoms onto their images; mismatches `(k,)`, Å."""
    targets = positions[permutations]
    rotations = kabsch(positions, targets, signs)
    # Of atoms nearly in line, rounding leaves the turn about the line open. The identity's is known.
    rotations[(permutations == np.arange(len(positions))).all(1) & (signs > 0)] = np.eye(3)
    mismatch = np.linalg.norm(positions @ rotations.transpose(0, 2, 1) - targets, axis=-1).max(-1)
    return rotations, mismatch


def largest_group(
    positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Rotations, permutations and residual of the largest group whose elements all fit within the tolerance.

    Being within a tolerance is not transitive: near the boundary the product of two operations that pass may fail, and
    what passes is then no group. So the operations are taken in the order of their mismatch for as long as they close.
    """
    _, mismatch = _fit(positions, permutations, signs)
    rank = np.argsort(mismatch, kind="stable")
    rank = rank[: np.searchsorted(mismatch[rank], tolerance, side="right")]
    table = _products(permutations[rank], signs[rank])
    for size in range(len(rank), 0, -1):
        block = table[:size, :size]
        if block.min() < 0 or block.max() >= size:
            continue
        elements = np.sort(rank[:size])
        rotations, residual = _exact_rotations(positions, permutations[elements], signs[elements])
        if residual <= tolerance or size == 1:
            return rotations, permutations[elements], residual
    raise AssertionError("the identity is always among the candidates and is a group.")


def _products(permutations: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Multiplication table `(k, k)`: the index of g h, or -1 where that is not among the elements."""
    elements = np.column_stack([signs, permutations])
    names = {row.tobytes(): index for index, row in enumerate(elements)}
    table = np.empty((len(signs), len(signs)), int)
    for g, (sign, permutation) in enumerate(zip(signs, permutations, strict=True)):
        products = np.column_stack([sign * signs, permutation[permutations]])
        table[g] = [names.get(row.tobytes(), -1) for row in products]
    return table


def _exact_rotations(positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, float]:
    """Rotations that multiply as their permutations do, and their largest mismatch (Å) at the given positions.

    Fitted to noisy positions they would multiply only up to the noise. Averaging the positions over the group and
    fitting again squares the error of the representation each time: from 1e-3, three rounds reach rounding.
    """
    symmetric = positions
    for _ in range(4):
        rotations, _ = _fit(symmetric, permutations, signs)
        images = np.empty((len(permutations), *positions.shape))
        np.put_along_axis(images, permutations[..., None], symmetric @ rotations.transpose(0, 2, 1), axis=1)
        symmetric = images.mean(0)
    mismatch = positions @ rotations.transpose(0, 2, 1) - positions[permutations]
    return rotations, float(np.linalg.norm(mismatch, axis=-1).max())


def schoenflies(rotations: np.ndarray) -> str:
    """Schoenflies symbol of a finite group of orthogonal matrices `(m, 3, 3)`."""
    proper = np.linalg.det(rotations) > 0
    traces = np.trace(rotations, axis1=1, axis2=2)
    n_proper = int(proper.sum())
    turns = np.arccos(np.clip((traces[proper] - 1) / 2, -1, 1))
    # The smallest turn belongs to the axis of highest order. Turns by rounding are the identity's.
    n = round(2 * np.pi / turns[turns > 1e-3].min()) if n_proper > 1 else 1
    cyclic = n_proper == n
    dihedral = n_proper == 2 * n
    family = f"C{n}" if cyclic else f"D{n}" if dihedral else {12: "T", 24: "O", 60: "I"}[n_proper]
    if proper.all():
        return family
    n_mirrors = int((np.abs(traces[~proper] - 1) < 1e-3).sum())
    inversion = bool((traces < -3 + 1e-3).any())
    if not (cyclic or dihedral):
        return family + ("h" if inversion else "d")
    if dihedral:
        # n mirrors through the axis; Dnh has the horizontal one besides.
        return family + ("h" if n_mirrors == n + 1 else "d")
    if n == 1:
        return "Ci" if inversion else "Cs"
    if n_mirrors == n:
        return family + "v"
    return family + "h" if n_mirrors == 1 else f"S{2 * n}"
