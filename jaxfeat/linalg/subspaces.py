"""Subspaces of displacements, as orthonormal rows; on the host, in float64."""

from __future__ import annotations

import numpy as np
import scipy.linalg

Gap = tuple[float, float]
"""The largest singular value that was taken for zero and the smallest that was not, relative to the largest of all."""


def robust_svd(matrices: np.ndarray, full_matrices: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular value decompositions of `(..., m, n)`, as NumPy has them.

    NumPy's divide and conquer gives up on one matrix in many thousands, and on the whole batch with it; those are done
    by QR iteration, which takes longer.
    """
    try:
        u, values, vt = np.linalg.svd(matrices, full_matrices=full_matrices)
    except np.linalg.LinAlgError:
        if matrices.ndim > 2:
            u, values, vt = map(np.stack, zip(*(robust_svd(matrix, full_matrices) for matrix in matrices), strict=True))
        else:
            u, values, vt = scipy.linalg.svd(matrices, full_matrices=full_matrices, lapack_driver="gesvd")
    return u, values, vt


def least_norm_solutions(matrices: np.ndarray, right: np.ndarray, cut: float) -> np.ndarray:
    """The shortest x `(b, n)` that minimise |A x - y|, for A `(b, m, n)` and y `(b, m)`; singular values below `cut`,
    relative to the largest, are zeros."""
    u, values, vt = robust_svd(matrices)
    kept = values > cut * values.max(-1, keepdims=True, initial=0)
    weights = np.where(kept, np.einsum("bmk,bm->bk", u, right) / np.where(kept, values, 1), 0)
    return np.einsum("bk,bkn->bn", weights, vt)


def leading_directions(rows: np.ndarray, rank: int) -> np.ndarray:
    """The `rank` leading directions of rows, orthonormal."""
    if rank <= 0 or not len(rows):
        return np.zeros((0, rows.shape[1]))
    return robust_svd(rows)[2][:rank]


def project_out(rows: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Rows less their parts in a subspace."""
    # Twice: what cancels in the first pass leaves rounding errors that lie in the subspace.
    for _ in range(2):
        rows = rows - (rows @ space.T) @ space
    return rows


def orthogonal_complement(space: np.ndarray) -> np.ndarray:
    """The orthogonal complement of a subspace."""
    if not len(space):
        return np.eye(space.shape[1])
    return robust_svd(space, full_matrices=True)[2][len(space) :]


def complement_within(space: np.ndarray, smaller: np.ndarray) -> np.ndarray:
    """The part of `space` orthogonal to a subspace of it: as many directions as their dimensions differ by."""
    return leading_directions(project_out(space, smaller), len(space) - len(smaller))


def sum_of_subspaces(space: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The sum of a subspace and the span of orthonormal rows, for two that meet at right angles or not at all.

    So do orbits of a group and the complement of its fixed vectors: the group maps rigid motions to rigid motions.
    Sines of the angles between them are 0 or 1, but for the noise of positions that are symmetric only nearly.
    """
    rest = project_out(rows, space)
    if not len(rest):
        return space
    _, sines, directions = robust_svd(rest)
    return np.concatenate([space, directions[sines > 0.5]])


def largest_sine(space: np.ndarray, larger: np.ndarray) -> float:
    """The largest sine of an angle between `space` and `larger`: 0 where the one holds the other."""
    rest = project_out(space, larger)
    return float(np.linalg.norm(rest, 2)) if len(rest) else 0.0


def common_kernel(rows: np.ndarray, threshold: float) -> tuple[np.ndarray, Gap]:
    """Directions whose image under `rows` is below a threshold, relative to the largest or to 1; and the gap."""
    size = rows.shape[1]
    # A tall matrix is reduced first: its left singular vectors are of no use.
    reduced = np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) > size else rows
    _, found, right = robust_svd(reduced, full_matrices=True)
    values = np.concatenate([found, np.zeros(size - len(found))])
    # Rows are of length 1 before they are carried over; in a crystal, all of them may cancel.
    values /= max(values.max(initial=0.0), 1.0)
    null = values <= threshold
    return right[null], (float(values[null].max(initial=0.0)), float(values[~null].min(initial=np.inf)))


def joint_gap(gaps: list[Gap]) -> Gap:
    """What is left of several gaps: the largest of their null values and the smallest of the others."""
    return max((g[0] for g in gaps), default=0.0), min((g[1] for g in gaps), default=np.inf)
