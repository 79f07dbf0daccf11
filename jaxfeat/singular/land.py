"""Landing: solve { J(x) v = 0, v not rigid, |v| = 1 } from many starts.

σ_min has a kink where it vanishes, and its Hessian is not finite where singular values cross. The residual in (x, v) is
smooth, square-free and zero at every singular point.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.singular.gauss_newton import Iterate, proceed
from jaxfeat.singular.lanes import begin_all, solve_all
from jaxfeat.singular.singular_equations import SingularEquations


class Landing(NamedTuple):
    """Ends of landings from b starts.

    **Attributes:** `points`: θ, `(b, k)`. `directions`: v, `(b, p)`. `triangles`: `(b, k + p + 1, k + p + 1)`, R of the
    QR decomposition of [derivative by θ and v | residual]. `iterations`: steps tried, `(b,)`. `code`: `(b,)`, as in
    `jaxfeat.singular.gauss_newton`.
    """

    points: np.ndarray
    directions: np.ndarray
    triangles: np.ndarray
    iterations: np.ndarray
    code: np.ndarray


def land(
    equations: SingularEquations,
    points: np.ndarray,
    directions: np.ndarray,
    starts: Environment,
    *,
    lanes: int,
    max_iterations: int,
    floor: float = 0.0,
) -> Landing:
    """Land from θ `(b, k)` and v `(b, p)`, until the norm of the residual is at most `floor` or at rounding."""
    host, enough = jax.tree.map(np.asarray, starts), np.asarray(floor, points.dtype)

    def advance(iterates: Iterate, rows: np.ndarray, steps: np.ndarray) -> Iterate:
        return _advanced(equations, iterates, host[rows], steps, enough)

    state = begin_all(np.concatenate([points, directions], 1))
    end = solve_all(advance, state, max_iterations, lanes=lanes)
    k = points.shape[1]
    return Landing(end.unknowns[:, :k], end.unknowns[:, k:], end.triangle, end.iterations, end.code)


def linearized(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> np.ndarray:
    """Compute the triangles of `Landing` at θ `(b, k)` and v `(b, p)`, without a step."""
    return land(equations, points, directions, starts, lanes=lanes, max_iterations=0).triangles


@eqx.filter_jit
def _advanced(equations: SingularEquations, iterates: Iterate, starts: Environment, steps: Any, floor: Any) -> Iterate:
    return jax.vmap(lambda now, start: proceed(equations.residual(start, floor), now, steps))(iterates, starts)
