"""Landing: solve { J(x) v = 0, v not rigid, |v| = 1 } from many starts, for one null direction or for several.

σ_min has a kink where it vanishes, and its Hessian is not finite where singular values cross. The residual in (x, v) is
smooth, square-free and zero at every singular point.

Towards a point with several null directions, σ_min may vanish to a higher order than the singular values above it. A
landing with one direction then converges linearly, and rounding stops it 1e-8 Å away, or 1e-4 Å away at third order: J
is singular there as far as float64 can tell, and yet the point is not the exact one. With all directions at once,
{ J(x) v_i = 0, v_i·v_j = δ_ij }, convergence is quadratic again.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from jaxfeat.geometry.structure import Item
from jaxfeat.singular.gauss_newton import Iterate, Linearization, begin, judge, proceed, propose
from jaxfeat.singular.lanes import solve_all
from jaxfeat.singular.singular_equations import SingularEquations

MAX_JOINT_ITERATIONS = 8  # steps in each metric with several directions
SHORTEST_STEP = 1e-10  # largest entry of the last step with several directions (Å, or units of θ)
MAX_JOINT_LANES = 8  # few points need several directions; more lanes would mostly carry repeated items
DIRECTIONS_MULTIPLE = 4  # directions are padded with zeros to a multiple of these, so that most share one program


class Landing(NamedTuple):
    """Ends of landings from b starts: θ `(b, k)`, v `(b, p)`, and R `(b, k + p + 1, k + p + 1)` of the QR decomposition
    of [derivative by θ and v | residual]. `iterations` and `code`, `(b,)`, are those of an `Iterate`."""

    points: np.ndarray
    directions: np.ndarray
    triangles: np.ndarray
    iterations: np.ndarray
    code: np.ndarray


def land(
    equations: SingularEquations,
    points: np.ndarray,
    directions: np.ndarray,
    starts: Item,
    lanes: int,
    max_iterations: int,
    floor: float = 0.0,
) -> Landing:
    """Land from θ `(b, k)` and v `(b, p)`, until the norm of the residual is at most `floor` or at rounding."""
    host, floor_array = jax.tree.map(np.asarray, starts), np.asarray(floor, points.dtype)

    def advance(iterates: Iterate, rows: np.ndarray, steps: np.ndarray) -> Iterate:
        return _advanced(equations, iterates, host[rows], steps, floor_array)

    state = begin(np.concatenate([points, directions], 1))
    solve_all(advance, state, max_iterations, lanes=lanes)
    k = points.shape[1]
    return Landing(state.unknowns[:, :k], state.unknowns[:, k:], state.triangle, state.iterations, state.code)


def linearized(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Item, lanes: int
) -> np.ndarray:
    """Compute the triangles of `Landing` at θ `(b, k)` and v `(b, p)`, without a step."""
    return land(equations, points, directions, starts, lanes, max_iterations=0).triangles


@eqx.filter_jit
def _advanced(equations: SingularEquations, iterates: Iterate, starts: Item, steps: Any, floor: Any) -> Iterate:
    return jax.vmap(lambda now, start: proceed(equations.residual(start, floor), now, steps))(iterates, starts)


def land_jointly(
    metrics: Sequence[SingularEquations], points: np.ndarray, directions: np.ndarray, starts: Item, lanes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Land from θ `(b, k)` and q directions each, `(b, q, p)`, in one metric after the other."""
    k, (b, q, p) = points.shape[1], directions.shape
    unknowns = np.concatenate([points, directions.reshape(b, -1), np.zeros((b, -q % DIRECTIONS_MULTIPLE * p))], 1)

    def solve_in(equations: SingularEquations, unknowns: np.ndarray) -> np.ndarray:
        def advance(iterates: Iterate, rows: np.ndarray, _: np.ndarray) -> Iterate:
            step = _propose(iterates)
            # Items that are repeated to fill the lanes are evaluated once.
            m = len(np.unique(rows))
            there = _stacked(equations, np.asarray(step.unknowns)[:m], k, q, starts[rows[:m]], lanes)
            return _judge(iterates, step, jax.tree.map(lambda leaf: leaf[np.arange(len(rows)) % m], there))

        state = begin(unknowns)
        joint_lanes = min(lanes, MAX_JOINT_LANES)
        solve_all(advance, state, MAX_JOINT_ITERATIONS, lanes=joint_lanes, steps_per_round=1, stagnation=np.inf)
        return state.unknowns

    for equations in metrics:
        unknowns = solve_in(equations, unknowns)
    return unknowns[:, :k], unknowns[:, k : k + q * p].reshape(b, q, p)


_propose = jax.jit(jax.vmap(propose))
_judge = jax.jit(jax.vmap(partial(judge, shortest=SHORTEST_STEP)))


def _stacked(
    equations: SingularEquations, unknowns: np.ndarray, k: int, q: int, starts: Item, lanes: int
) -> Linearization:
    """Stack the rows of q directions, from the program of `land`, and those of their scalar products, `(b, n, r)`, on
    the host. Programs for each number of directions would take longer to compile than all calls."""
    b, n = unknowns.shape
    p = starts.n_coordinates
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
