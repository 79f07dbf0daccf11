"""Subspaces of displacements, given by orthonormal rows. All functions run on the host in float64."""

import numpy as np
import scipy  # which loads its parts when they are used

Gap = tuple[float, float]  # the largest value taken for zero and the smallest other one, over the largest of all


def robust_svd(matrices: np.ndarray, full_matrices: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the singular value decompositions of `(..., m, n)` as `numpy.linalg.svd` does, which fails on one matrix
    in many thousands, and then on the whole batch. QR iteration, which is slower, decomposes that matrix."""
    try:
        u, values, vt = np.linalg.svd(matrices, full_matrices=full_matrices)
    except np.linalg.LinAlgError:
        if matrices.ndim > 2:
            u, values, vt = map(np.stack, zip(*(robust_svd(matrix, full_matrices) for matrix in matrices), strict=True))
        else:
            u, values, vt = scipy.linalg.svd(matrices, full_matrices=full_matrices, lapack_driver="gesvd")
    return u, values, vt


def least_norm_solutions(matrices: np.ndarray, right: np.ndarray, cutoff: float) -> np.ndarray:
    """Compute the shortest x `(b, n)` that minimize |A x - y|; singular values below `cutoff` σ_max count as zero."""
    u, values, vt = robust_svd(matrices)
    kept = values > cutoff * values.max(-1, keepdims=True, initial=0)
    weights = np.where(kept, np.einsum("bmk,bm->bk", u, right) / np.where(kept, values, 1), 0)
    return np.einsum("bk,bkn->bn", weights, vt)


def leading_directions(rows: np.ndarray, rank: int) -> np.ndarray:
    """Compute the `rank` leading right singular vectors of rows."""
    if rank <= 0 or not len(rows):
        return np.zeros((0, rows.shape[1]))
    return robust_svd(rows)[2][:rank]


def project_out(rows: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Subtract from rows their components in a subspace."""
    # Where most of a row cancels, the first pass leaves rounding errors in the subspace; the second removes them.
    for _ in range(2):
        rows = rows - (rows @ space.T) @ space
    return rows


def orthogonal_complement(space: np.ndarray) -> np.ndarray:
    """Compute the orthogonal complement of a subspace."""
    if not len(space):
        return np.eye(space.shape[1])
    return robust_svd(space, full_matrices=True)[2][len(space) :]


def complement_within(space: np.ndarray, smaller: np.ndarray) -> np.ndarray:
    """Compute the part of `space` that is orthogonal to its subspace `smaller`."""
    return leading_directions(project_out(space, smaller), len(space) - len(smaller))


def sum_of_subspaces(space: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Compute the sum of two subspaces whose principal angles are all 0° or 90°, as of a group's orbits and the
    complement of its fixed vectors, because the group maps rigid motions to rigid motions."""
    rest = project_out(rows, space)
    if not len(rest):
        return space
    _, sines, directions = robust_svd(rest)
    return np.concatenate([space, directions[sines > 0.5]])


def largest_sine(space: np.ndarray, larger: np.ndarray) -> float:
    """Compute the largest sine of a principal angle between two subspaces: 0 if `larger` contains `space`."""
    rest = project_out(space, larger)
    return float(np.linalg.norm(rest, 2)) if len(rest) else 0.0


def common_kernel(rows: np.ndarray, threshold: float) -> tuple[np.ndarray, Gap]:
    """Compute the null space of rows, and its gap: values are zero up to `threshold` times the largest, at least 1."""
    size = rows.shape[1]
    # A tall matrix is reduced first, because its left singular vectors are not needed.
    reduced = np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) > size else rows
    _, found, right = robust_svd(reduced, full_matrices=True)
    values = np.concatenate([found, np.zeros(size - len(found))])
    # Rows have unit length before they are pulled back to the atoms. In a crystal all of them may cancel, and then the
    # largest singular value is a rounding error.
    values /= max(values.max(initial=0.0), 1.0)
    null = values <= threshold
    return right[null], (float(values[null].max(initial=0.0)), float(values[~null].min(initial=np.inf)))


def joint_gap(gaps: list[Gap]) -> Gap:
    """Compute the gap of several spectra together: the largest of the null values and the smallest of the others."""
    return max((g[0] for g in gaps), default=0.0), min((g[1] for g in gaps), default=np.inf)
