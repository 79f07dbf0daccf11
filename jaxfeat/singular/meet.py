"""Landing where several null directions meet.

Towards a point with several null directions, σ_min may vanish to a higher order than the singular values above it. A
landing with one direction then converges linearly, and rounding stops it 1e-8 Å away, or 1e-4 Å at third order: J is
singular there as far as float64 can tell, and yet the point is none of those that theory knows. With all of the
directions at once, { J(x) v_i = 0, v_i·v_j = δ_ij }, convergence is quadratic again.

The equations of each direction on its own are those of `jaxfeat.singular.land`, reduced to triangles: those are stacked
here, on the host, for the few points that need it.
"""

from __future__ import annotations

import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.subspaces import least_norm_solutions
from jaxfeat.singular.batches import land_all
from jaxfeat.singular.equations import Problem

ITERATIONS = 8
CUT = 1e-9
"""Singular values of the linearised equations below this, relative to the largest, are those of moves along the set."""

SMALLEST_STEP = 1e-10


def meet(
    problems: tuple[Problem, ...], points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton from θ `(b, k)` and q directions each, `(b, q, p)`, in one metric after the other."""
    for problem in problems:
        active = np.arange(len(points))
        for _ in range(ITERATIONS):
            step = _steps(problem, points[active], directions[active], starts[active], lanes)
            points[active] += step[0]
            directions[active] += step[1]
            size = np.maximum(np.abs(step[0]).max(1), np.abs(step[1]).max((1, 2)))
            active = active[(size > SMALLEST_STEP) & (size < 1)]
            if not len(active):
                break
    return points, directions


def _steps(
    problem: Problem, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    b, q, p = directions.shape
    k = points.shape[1]
    lane = np.repeat(np.arange(b), q)
    evaluated = land_all(problem, points[lane], directions.reshape(-1, p), starts[lane], lanes=lanes)
    triangles = evaluated.triangle.reshape(b, q, k + p + 1, k + p + 1)
    pairs = [(i, j) for i in range(q) for j in range(i + 1, q)]
    matrix = np.zeros((b, q * (k + p + 1) + len(pairs), k + q * p))
    right = np.zeros(matrix.shape[:2])
    for i in range(q):
        rows = slice(i * (k + p + 1), (i + 1) * (k + p + 1))
        matrix[:, rows, :k] = triangles[:, i, :, :k]
        matrix[:, rows, k + i * p : k + (i + 1) * p] = triangles[:, i, :, k:-1]
        right[:, rows] = triangles[:, i, :, -1]
    for row, (i, j) in enumerate(pairs, start=q * (k + p + 1)):
        matrix[:, row, k + i * p : k + (i + 1) * p] = directions[:, j]
        matrix[:, row, k + j * p : k + (j + 1) * p] = directions[:, i]
        right[:, row] = (directions[:, i] * directions[:, j]).sum(1)
    lost = ~(np.isfinite(matrix).all((1, 2)) & np.isfinite(right).all(1))
    matrix[lost], right[lost] = 0, 0
    step = -least_norm_solutions(matrix, right, CUT)
    return step[:, :k], step[:, k:].reshape(b, q, p)
