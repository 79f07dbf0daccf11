"""Landing with several null directions at once.

Towards a point with several null directions, σ_min may vanish to a higher order than the singular values above it. A
landing with one direction then converges linearly, and rounding stops it 1e-8 Å away, or 1e-4 Å away at third order: J
is singular there as far as float64 can tell, and yet the point is not the exact one. With all directions
at once, { J(x) v_i = 0, v_i·v_j = δ_ij }, convergence is quadratic again.

The rows of each direction come from the program of `jaxfeat.singular.land`, reduced to a triangle, and are stacked on
the host. A program for each number of directions would take longer to compile than all its calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.singular.gauss_newton import Iterate, Linearization, judge, propose
from jaxfeat.singular.land import linearized
from jaxfeat.singular.lanes import begin_all, solve_all
from jaxfeat.singular.singular_equations import SingularEquations

MAX_ITERATIONS = 8
"""Steps in each metric."""

SHORTEST = 1e-10
"""Largest entry of the last step (Å, or units of θ)."""

MOST_LANES = 8
"""Few points need several directions; more lanes would mostly carry repeated items."""

PADDED_TO = 4
"""Directions are padded with zeros to a multiple of this, so that most numbers of directions share one program."""


def land_jointly(
    metrics: Sequence[SingularEquations], points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Land from θ `(b, k)` and q directions each, `(b, q, p)`, in one metric after the other."""
    k, (b, q, p) = points.shape[1], directions.shape
    unknowns = np.concatenate([points, directions.reshape(b, -1), np.zeros((b, -q % PADDED_TO * p))], 1)
    for equations in metrics:
        advance = partial(_advanced, equations, starts, k, q, lanes)
        state = begin_all(unknowns)
        solve_all(advance, state, MAX_ITERATIONS, lanes=min(lanes, MOST_LANES), steps_per_round=1, stagnation=np.inf)
        unknowns = state.unknowns
    return unknowns[:, :k], unknowns[:, k : k + q * p].reshape(b, q, p)


def _advanced(
    equations: SingularEquations,
    starts: Environment,
    k: int,
    q: int,
    lanes: int,
    iterates: Iterate,
    rows: np.ndarray,
    steps: np.ndarray,
) -> Iterate:
    """Take one step. Items that are repeated to fill the lanes are evaluated once."""
    step = _propose(iterates)
    m = len(np.unique(rows))
    there = _stacked(equations, np.asarray(step.unknowns)[:m], k, q, starts[rows[:m]], lanes)
    return _judge(iterates, step, jax.tree.map(lambda leaf: leaf[np.arange(len(rows)) % m], there))


_propose = jax.jit(jax.vmap(propose))
_judge = jax.jit(jax.vmap(partial(judge, shortest=SHORTEST)))


def _stacked(
    equations: SingularEquations, unknowns: np.ndarray, k: int, q: int, starts: Environment, lanes: int
) -> Linearization:
    """Stack the rows of q directions, and those of their scalar products, `(b, n, r)`."""
    b, n = unknowns.shape
    p = 3 * starts.max_neighbors
    item = np.repeat(np.arange(b), q)
    directions = unknowns[:, k : k + q * p].reshape(b, q, p)
    triangles = linearized(equations, unknowns[item, :k], directions.reshape(-1, p), starts[item], lanes)
    height = k + p + 1
    triangles = triangles.reshape(b, q, height, height)
    padded = (n - k) // p
    first, second = np.triu_indices(padded, 1)
    value, slopes = np.zeros((b, padded * height + len(first))), np.zeros((b, n, padded * height + len(first)))
    columns = [slice(k + i * p, k + (i + 1) * p) for i in range(padded)]
    for i in range(q):
        own = slice(i * height, (i + 1) * height)
        value[:, own] = triangles[:, i, :, -1]
        slopes[:, :k, own] = triangles[:, i, :, :k].mT
        slopes[:, columns[i], own] = triangles[:, i, :, k:-1].mT
    for row, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True), start=padded * height):
        value[:, row] = (unknowns[:, columns[i]] * unknowns[:, columns[j]]).sum(1)
        slopes[:, columns[i], row] = unknowns[:, columns[j]]
        slopes[:, columns[j], row] = unknowns[:, columns[i]]
    return Linearization(value, slopes, np.zeros(b))  # type: ignore[arg-type]
