"""Point groups of points, not all in line with the origin: candidate operations, their largest group, and its symbol.
An operation is a rotation, proper or not, with the permutation of like points that it causes. The images of two points
that are not in line with the origin fix it, so the possible images of one pair of points are tried."""

from collections.abc import Iterator

import numpy as np

SAME_FIT = 1e-13  # Å. Mismatches below this are rounding.
CLEARLY_BETTER = 5.0  # ratio of mismatches
NEARLY_STRAIGHT = 1e-4  # ratio of sums of squared coordinates, across and along the best line
INERTIA_ROUNDING = 1e-13  # relative moments of inertia below this belong to a line
TURN_ROUNDING = 1e-3  # rad; smaller turns are the identity's. Traces of mirrors and the inversion may differ as much.


def kabsch(positions: np.ndarray, targets: np.ndarray, signs: np.ndarray | float = 1.0) -> np.ndarray:
    """Fit orthogonal matrices `(..., 3, 3)` that map positions `(..., n, 3)` onto targets of the same shape.

    `signs` are the determinants of the matrices. With the determinant given, planar atoms have one solution as well.

    **Source:** Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    u, _, vt = np.linalg.svd(targets.swapaxes(-1, -2) @ positions)
    u[..., 2] *= np.asarray(signs * np.sign(np.linalg.det(u @ vt)))[..., None]
    return u @ vt


def orthonormal_axes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Build right-handed axes `(..., 3, 3)`, in columns: along `first`, in the plane of both vectors, normal to it."""
    x = first / np.linalg.norm(first, axis=-1, keepdims=True)
    z = np.cross(x, second)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def label_shells(species: np.ndarray, radii: np.ndarray, tolerance: float) -> np.ndarray:
    """Label `(n,)` like atoms at like radii. No operation within the tolerance sends an atom to another label."""
    order = np.lexsort((radii, species))
    step = (np.diff(species[order]) != 0) | (np.diff(radii[order]) > tolerance)
    labels = np.empty(len(order), int)
    labels[order] = np.concatenate([[0], np.cumsum(step)])
    return labels


def find_permutations(positions: np.ndarray, labels: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Find candidates, the identity first, that include all operations: permutations `(k, n)`, determinants `(k,)`."""
    first, second = _list_images_of_rarest_pair(positions, labels, tolerance)
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


def _list_images_of_rarest_pair(
    positions: np.ndarray, labels: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """List the ordered pairs of atoms `(k,), (k,)` onto which the first pair of the list may be mapped. No image is
    missed, because an operation changes a distance by at most twice the tolerance. The first pair has the fewest images
    among pairs with a quarter of the best leverage. With less, its noise would turn distant atoms into each other."""
    n = len(positions)
    distances, radii = np.linalg.norm(positions[:, None] - positions, axis=-1), np.linalg.norm(positions, axis=1)
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


def find_largest_group(
    positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the rotations, permutations and residual (Å) of the largest group within the tolerance."""
    return next(find_groups(positions, permutations, signs, tolerance))


def find_groups(
    positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray, tolerance: float
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Find the rotations, permutations and residual (Å) of the groups within the tolerance, from the largest one to the
    identity alone. Products of operations may be outside, so operations are taken in the order of their mismatch, and
    each number of them that forms a group is one. Noise makes the operations of a group fit unequally well. So a
    smaller group counts only if it fits better than the next larger one by `CLEARLY_BETTER`."""
    mismatch = _mismatches(positions, permutations, _fit_rotations(positions, permutations, signs))
    rank = np.argsort(mismatch, kind="stable")[: np.count_nonzero(mismatch <= tolerance)]
    table, last = _multiplication_table(permutations[rank], signs[rank]), np.inf
    for size in range(len(rank), 0, -1):
        products, worst = table[:size, :size], max(float(mismatch[rank[size - 1]]), SAME_FIT)
        if size > 1 and worst * CLEARLY_BETTER > last:
            continue
        if products.min() >= 0 and products.max() < size:
            elements = np.sort(rank[:size])
            rotations, residual = _exact_rotations(positions, permutations[elements], signs[elements], worst)
            if residual <= tolerance or size == 1:
                last = worst
                yield rotations, permutations[elements], residual


def _fit_rotations(positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Fit matrices `(k, 3, 3)` of given determinants that map atoms onto their images."""
    targets = positions[permutations]
    rotations = kabsch(positions, targets, signs)
    _, across, along = np.linalg.eigvalsh(positions.T @ positions)
    if across < NEARLY_STRAIGHT * along:
        rotations = _polish(rotations, positions, targets)
    # Rounding leaves the turn about a line of atoms undetermined. The identity's matrix is known.
    rotations[(permutations == np.arange(len(positions))).all(1) & (signs > 0)] = np.eye(3)
    return rotations


def _polish(rotations: np.ndarray, positions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Turn fitted matrices by what rounding left. A fit takes squares of lengths, so for atoms at 1e-5 Å from a line it
    knows the turn about the line to six digits only."""
    images = positions @ rotations.transpose(0, 2, 1)
    torques = np.cross(images, targets - images).sum(1)
    inertia = (images**2).sum((1, 2))[:, None, None] * np.eye(3) - images.transpose(0, 2, 1) @ images
    turns = (np.linalg.pinv(inertia, rcond=INERTIA_ROUNDING, hermitian=True) @ torques[:, :, None])[:, :, 0]
    crosses = np.cross(turns[:, None], np.eye(3)).transpose(0, 2, 1)
    return rotations + (crosses + crosses @ crosses / 2) @ rotations


def _mismatches(positions: np.ndarray, permutations: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Measure the largest distance (Å) of an atom from its target, for each operation."""
    return np.linalg.norm(positions @ rotations.transpose(0, 2, 1) - positions[permutations], axis=-1).max(-1)


def _multiplication_table(permutations: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Tabulate `(k, k)` the index of g h, or -1 if g h is not among the elements."""
    index = {row.tobytes(): g for g, row in enumerate(np.column_stack([signs, permutations]))}
    products = (np.column_stack([s * signs, p[permutations]]) for s, p in zip(signs, permutations, strict=True))
    return np.array([[index.get(row.tobytes(), -1) for row in of_g] for of_g in products], int)


def _exact_rotations(
    positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray, mismatch: float
) -> tuple[np.ndarray, float]:
    """Find rotations that multiply as their permutations do, and their largest mismatch (Å) at the given positions.
    Rotations that are fitted to noisy positions multiply only up to the noise. Averaging the positions over the group
    and fitting again squares the error each time: from a `mismatch` of 1e-3 Å, three rounds reach rounding."""
    symmetric = positions
    for _ in range(1 if mismatch <= SAME_FIT else 4):
        rotations = _fit_rotations(symmetric, permutations, signs)
        images = np.empty((len(permutations), *positions.shape))
        np.put_along_axis(images, permutations[..., None], symmetric @ rotations.transpose(0, 2, 1), axis=1)
        symmetric = images.mean(0)
    return rotations, float(_mismatches(positions, permutations, rotations).max())


def schoenflies_symbol(rotations: np.ndarray) -> str:
    """Name the point group of a finite group of orthogonal matrices `(m, 3, 3)`."""
    proper = np.linalg.det(rotations) > 0
    traces = np.trace(rotations, axis1=1, axis2=2)
    n_proper = int(proper.sum())
    turns = np.arccos(np.clip((traces[proper] - 1) / 2, -1, 1))
    # The smallest turn belongs to the axis of highest order.
    n = round(2 * np.pi / turns[turns > TURN_ROUNDING].min()) if n_proper > 1 else 1
    cyclic = n_proper == n
    dihedral = n_proper == 2 * n
    family = f"C{n}" if cyclic else f"D{n}" if dihedral else {12: "T", 24: "O", 60: "I"}[n_proper]
    if proper.all():
        return family
    n_mirrors = np.count_nonzero(np.abs(traces[~proper] - 1) < TURN_ROUNDING)
    inversion = (traces < -3 + TURN_ROUNDING).any()
    if not cyclic:
        # n mirrors contain the axis; Dnh has the horizontal mirror as well.
        return family + ("h" if (n_mirrors == n + 1 if dihedral else inversion) else "d")
    if n == 1:
        return "Ci" if inversion else "Cs"
    if n_mirrors == n:
        return family + "v"
    return family + "h" if n_mirrors == 1 else f"S{2 * n}"
