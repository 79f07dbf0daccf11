"""Many starts on few lanes: compiled programs of one shape, kept full.

Landings take between 3 and 100 steps. A loop over a batch runs as long as its slowest lane, and would mostly carry
finished ones along; so all lanes are halted after a few steps, and those that have finished make room for others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array

from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.threads import one_blas_thread
from jaxfeat.singular.descend import descend
from jaxfeat.singular.equations import Problem
from jaxfeat.singular.land import RUNNING, STATIONARY, Landing, begin, proceed

LANES = 32
ROUND = 6
"""Steps between two looks at which lanes have finished."""

GAIN = 0.95
"""A round that leaves more than this of the residual leads nowhere: against a bound, or into a local minimum."""


def in_chunks(call: Callable[..., Any], *trees: Any, lanes: int) -> Any:
    """`call` on chunks of batched trees, put together again as NumPy arrays; all chunks have one shape."""
    n = len(jax.tree.leaves(trees)[0])
    parts = []
    with one_blas_thread():
        for start in range(0, n, lanes):
            rows = np.arange(start, start + lanes) % n
            part = call(*jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], trees))
            parts.append(jax.tree.map(lambda leaf, start=start: np.asarray(leaf)[: n - start], part))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def lanes_for(n: int) -> int:
    """As many lanes as there are starts, rounded up to a power of two: a few shapes, for few starts."""
    return min(LANES, 2 ** int(np.ceil(np.log2(max(n, 1)))))


def land_all(
    problem: Problem,
    points: np.ndarray,
    directions: np.ndarray,
    starts: Environment,
    *,
    lanes: int,
    enough: float = 0.0,
    max_iterations: int = 0,
) -> Any:
    """Land from all of `(b, k)` points and `(b, p)` directions, or only evaluate there; a `Landing` of NumPy arrays."""
    state = jax.tree.map(np.array, _begin(points, directions))
    host = jax.tree.map(np.asarray, starts)
    limit = np.asarray(enough, points.dtype)
    with one_blas_thread():
        while True:
            active = np.flatnonzero((state.code == RUNNING) & (state.iterations < max_iterations))[:lanes]
            if not len(active):
                return state
            rows = np.resize(active, lanes)
            steps = np.asarray(min(ROUND, max_iterations - int(state.iterations[active].min())))
            lane = _proceed(problem, jax.tree.map(lambda leaf, rows=rows: leaf[rows], state), host[rows], steps, limit)
            before = state.residual[active]
            for leaf, new in zip(state, lane, strict=True):
                leaf[active] = np.asarray(new)[: len(active)]
            crawling = active[state.residual[active] > GAIN * before]
            state.code[crawling] = np.where(state.code[crawling] == RUNNING, STATIONARY, state.code[crawling])


def descend_all(
    problem: Problem, points: np.ndarray, starts: Environment, optimizer: optax.GradientTransformation, *, lanes: int
) -> np.ndarray:
    """The ends of descents from all of `(b, k)` points."""
    return in_chunks(lambda *lane: _descend(problem, optimizer, *lane), points, starts, lanes=lanes)


_begin = jax.jit(jax.vmap(begin))


@eqx.filter_jit
def _proceed(problem: Problem, landings: Landing, starts: Environment, steps: Any, enough: Any) -> Landing:
    def one(landing: Landing, start: Environment) -> Landing:
        return proceed(problem.residual(start), landing, steps, enough)

    return jax.vmap(one)(landings, starts)


@eqx.filter_jit
def _descend(problem: Problem, optimizer: optax.GradientTransformation, points: Array, starts: Environment) -> Array:
    return jax.vmap(lambda x, start: descend(problem, x, start, optimizer)[0])(points, starts)
