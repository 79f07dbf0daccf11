"""Compiled programs over many starts: one shape for all blocks, and lanes that are kept full. Landings take between 3
and 100 steps. A loop over a batch runs as long as its slowest item, and would mostly carry finished items along. All
lanes are therefore halted after a few steps, and finished items make room for others."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np

from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.singular.gauss_newton import RUNNING, STATIONARY, Iterate

MAX_LANES = 32
STEPS_PER_ROUND = 6  # steps between two checks for finished lanes
STAGNATION_RATIO = 0.95  # A round that leaves a larger share of a residual stops its item, at a bound or a minimum


def n_lanes_for(n: int) -> int:
    """Round the number of starts up to a power of two, at most `MAX_LANES`. Few shapes mean few compilations."""
    return min(MAX_LANES, 2 ** int(np.ceil(np.log2(max(n, 1)))))


@eqx.filter_jit
def vmapped(function: Callable[..., Any], shared: Any, *batched: Any) -> Any:
    """Call a function of a module, compiled, with one shared argument and each item of batched trees."""
    return jax.vmap(partial(function, shared))(*batched)


def map_lanes(call: Callable[..., Any], *trees: Any, lanes: int) -> Any:
    """Call a function on blocks of batched trees, all of one shape, and join the results as NumPy arrays."""
    n = len(jax.tree.leaves(trees)[0])
    parts = []
    with one_blas_thread(of_xla=True):
        for start in range(0, n, lanes):
            rows = np.arange(start, start + lanes) % n
            part = call(*jax.tree.map(lambda leaf, rows=rows: np.asarray(leaf)[rows], trees))
            parts.append(jax.tree.map(lambda leaf, start=start: np.asarray(leaf)[: n - start], part))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def solve_all(
    advance: Callable[[Iterate, np.ndarray, np.ndarray], Any],
    state: Any,
    max_iterations: int,
    *,
    lanes: int,
    steps_per_round: int = STEPS_PER_ROUND,
    stagnation: float = STAGNATION_RATIO,
) -> Any:
    """Iterate all items of a batch, in place, until each has finished or has taken `max_iterations` steps; 0 steps only
    evaluate. `advance` takes the iterates of `lanes` items, their indices, and a number of steps, and returns the
    iterates after these steps. If there are fewer items, they are repeated in order."""
    with one_blas_thread(of_xla=True):
        while True:
            active = np.flatnonzero((state.code == RUNNING) & (state.iterations < max_iterations))[:lanes]
            if not len(active):
                return state
            rows = np.resize(active, lanes)
            steps = np.asarray(min(steps_per_round, max_iterations - int(state.iterations[active].min())))
            after = advance(jax.tree.map(lambda leaf, rows=rows: leaf[rows], state), rows, steps)
            before = state.residual[active]
            for leaf, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
                leaf[active] = np.asarray(new)[: len(active)]
            crawling = active[state.residual[active] > stagnation * before]
            state.code[crawling] = np.where(state.code[crawling] == RUNNING, STATIONARY, state.code[crawling])
