"""Subspaces of displacements, as orthonormal rows; on the host, in float64."""

from __future__ import annotations

import numpy as np

Gap = tuple[float, float]
"""The largest singular value that was taken for zero and the smallest that was not, relative to the largest of all."""


def leading(rows: np.ndarray, rank: int) -> np.ndarray:
    """The `rank` leading directions of rows, orthonormal."""
    if rank <= 0 or not len(rows):
        return np.zeros((0, rows.shape[1]))
    return np.linalg.svd(rows, full_matrices=False)[2][:rank]


def without(rows: np.ndarray, space: np.ndarray) -> np.ndarray:
    """Rows less their parts in a subspace."""
    # Twice: what cancels in the first pass leaves rounding errors that lie in the subspace.
    for _ in range(2):
        rows = rows - (rows @ space.T) @ space
    return rows


def orthogonal(space: np.ndarray) -> np.ndarray:
    """The orthogonal complement of a subspace."""
    if not len(space):
        return np.eye(space.shape[1])
    return np.linalg.svd(space)[2][len(space) :]


def beyond(space: np.ndarray, smaller: np.ndarray) -> np.ndarray:
    """The part of `space` orthogonal to a subspace of it: as many directions as their dimensions differ by."""
    return leading(without(space, smaller), len(space) - len(smaller))


def added(space: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The sum of a subspace and the span of orthonormal rows, for two that meet at right angles or not at all.

    So do orbits of a group and the complement of its fixed vectors: the group maps rigid motions to rigid motions.
    Sines of the angles between them are 0 or 1, but for the noise of positions that are symmetric only nearly.
    """
    rest = without(rows, space)
    if not len(rest):
        return space
    _, sines, directions = np.linalg.svd(rest, full_matrices=False)
    return np.concatenate([space, directions[sines > 0.5]])


def outside(space: np.ndarray, larger: np.ndarray) -> float:
    """The largest sine of an angle between `space` and `larger`: 0 where the one holds the other."""
    rest = without(space, larger)
    return float(np.linalg.norm(rest, 2)) if len(rest) else 0.0


def common_kernel(rows: np.ndarray, threshold: float) -> tuple[np.ndarray, Gap]:
    """Directions whose image under `rows` is below a threshold, relative to the largest or to 1; and the gap."""
    size = rows.shape[1]
    # A tall matrix is reduced first: its left singular vectors are of no use.
    reduced = np.linalg.qr(rows, mode="r") if len(rows) > size else rows
    _, found, right = np.linalg.svd(reduced)
    values = np.concatenate([found, np.zeros(size - len(found))])
    # Rows are of length 1 before they are carried over; in a crystal, all of them may cancel.
    values /= max(values.max(initial=0.0), 1.0)
    null = values <= threshold
    return right[null], (float(values[null].max(initial=0.0)), float(values[~null].min(initial=np.inf)))


def widest(gaps: list[Gap]) -> Gap:
    """What is left of several gaps: the largest of their null values and the smallest of the others."""
    return max((g[0] for g in gaps), default=0.0), min((g[1] for g in gaps), default=np.inf)
