"""Landing: minimum-norm Gauss-Newton, globalised after Levenberg and Marquardt, on { J(x) v = 0, v·v = 1, ... }.

σ_min has a kink where it vanishes, and its Hessian is not finite where singular values cross. The residual in (x, v) is
smooth, square-free and zero at every singular point; its Jacobian is in forward mode (`jaxfeat.singular.velocity`).

Singular points are not isolated: they come in families, rotations move along them, and at a point with several null
directions v turns freely. The solver must then take the shortest step among those that solve the linear problem, and
must not decide on a rank, which changes from point to point. Damping in proportion to the residual does both: as the
residual vanishes the step tends to the minimum-norm one, and convergence is quadratic as long as the residual grows in
proportion to the distance from the set of solutions (Yamashita and Fukushima, Computing Suppl. 15, 239 (2001); Fan
and Yuan, Computing 74, 23 (2005)). Optimistix's solvers, with a damping that knows nothing of the residual, lose one of
the two: with QR they break down as the damping vanishes, with an SVD they cut at a rank. Nor can their loops be halted
together and resumed one by one, which is what keeps a compiled batch full (`jaxfeat.singular.batches`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.linalg.lapack import qr_triangle, solve_upper
from jaxfeat.singular.velocity import function_velocity

RUNNING, SOLVED, STATIONARY = 0, 1, 2
"""Codes of a landing: under way; residual down to what was asked for, or to rounding; no step reduces it any more."""

LONGEST = 0.3
"""The largest entry of a step (Å, for atoms): beyond, features are not linear."""

SMALLEST_DAMPING = 1e-10
"""Relative to the size of the problem. Directions along the set of solutions get rounding errors over this."""

SMALL = 1e-12
"""A residual below this that stops falling by half has met rounding."""


class Rows(NamedTuple):
    """A residual in (x, v), of r rows, and its derivatives, transposed: `(r,)`, `(k, r)`, `(p, r)`."""

    value: Float[Array, " r"]
    by_point: Float[Array, "k r"]
    by_direction: Float[Array, "p r"]


Residual = Callable[[Float[Array, " k"], Float[Array, " p"]], Rows]


class Landing(NamedTuple):
    """Where a landing is, in a form that can be halted and resumed.

    - `point`, `direction`: x and v. `residual`: the norm of the residual there. `triangle`: all that a step needs of
      the residual's Jacobian.
    - `damping`: in units of the residual. `iterations`: steps tried. `code`: `RUNNING`, `SOLVED` or `STATIONARY`.
    """

    point: Float[Array, " k"]
    direction: Float[Array, " p"]
    residual: Float[Array, ""]
    triangle: Float[Array, "q q"]
    damping: Float[Array, ""]
    iterations: Int[Array, ""]
    code: Int[Array, ""]


def plain_residual(fn: Callable[[Float[Array, " k"]], Float[Array, " m"]]) -> Residual:
    """The residual [J(x) v, (v·v - 1) / 2] of any smooth function R^k -> R^m: zero at its singular points."""

    def residual(x: Float[Array, " k"], v: Float[Array, " k"]) -> Rows:
        product = function_velocity(fn, x, v)
        return Rows(
            value=jnp.append(product.value, (v @ v - 1) / 2),
            by_point=jnp.pad(product.by_position, ((0, 0), (0, 1))),
            by_direction=jnp.concatenate([product.by_direction, v[:, None]], 1),
        )

    return residual


def begin(point: Float[Array, " k"], direction: Float[Array, " p"]) -> Landing:
    """A landing of which nothing is known yet: the first step stays where it is, and evaluates."""
    size = point.shape[0] + direction.shape[0] + 1
    return Landing(
        point=point,
        direction=direction,
        residual=jnp.full((), jnp.inf, point.dtype),
        triangle=jnp.zeros((size, size), point.dtype),
        damping=jnp.ones((), point.dtype),
        iterations=jnp.full((), -1),
        code=jnp.full((), RUNNING),
    )


def proceed(residual: Residual, landing: Landing, iterations: int, enough: Float[Array, ""] | float = 0.0) -> Landing:
    """At most so many steps more. Halts when the residual is `enough` or at rounding, or where no step reduces it."""
    last = landing.iterations + iterations

    def pending(landing: Landing) -> Bool[Array, ""]:
        return (landing.code == RUNNING) & (landing.iterations < last)

    return jax.lax.while_loop(pending, lambda landing: _step(residual, landing, enough), landing)


def land(
    residual: Residual, point: Float[Array, " k"], direction: Float[Array, " p"], max_iterations: int = 100
) -> Landing:
    """Go to a zero of a residual in (x, v), near the start if it can be. Works under jit and vmap."""
    return proceed(residual, begin(point, direction), max_iterations + 1)


def _reduced(rows: Rows) -> tuple[Float[Array, ""], Float[Array, "q q"]]:
    """The residual's norm, and R of the QR decomposition of [A | b]: norms of A z + b, from few rows, to rounding."""
    stacked = jnp.concatenate([rows.by_point, rows.by_direction, rows.value[None]])
    size, height = stacked.shape
    return jnp.linalg.norm(rows.value), qr_triangle(jnp.pad(stacked.T, ((0, max(size - height, 0)), (0, 0))))


def _step(residual: Residual, now: Landing, enough: Float[Array, ""] | float) -> Landing:
    k, size = now.point.shape[0], now.triangle.shape[1] - 1
    norm = jnp.linalg.norm(now.triangle[:, :size])
    damping = jnp.maximum(now.damping * jnp.minimum(now.residual, 1), SMALLEST_DAMPING * norm)
    damped = jnp.concatenate([now.triangle, damping * jnp.eye(size, size + 1, dtype=norm.dtype)])
    r = qr_triangle(damped)
    step = -solve_upper(r[:size, :size], r[:size, size])
    longest = jnp.abs(step).max()
    step = step * jnp.minimum(1, LONGEST / jnp.maximum(longest, LONGEST))
    predicted = jnp.linalg.norm(now.triangle[:, :size] @ step + now.triangle[:, size])

    point, direction = now.point + step[:k], now.direction + step[k:]
    reached, triangle = _reduced(residual(point, direction))
    better = reached < now.residual
    tiny = jnp.finfo(norm.dtype).tiny
    gain = (now.residual**2 - reached**2) / jnp.maximum(now.residual**2 - predicted**2, tiny)
    factor = jnp.where(gain > 0.75, 0.25, jnp.where(gain < 0.25, 4.0, 1.0))
    damping = jnp.clip(now.damping * jnp.where(better, factor, 4.0), 1e-6, 1e8)

    still = (longest < jnp.finfo(norm.dtype).eps) & jnp.isfinite(now.residual)
    lost = ~(better | jnp.isfinite(now.residual))
    rounding = (now.residual < SMALL) & (still | ~(reached < now.residual / 2))
    solved = (better & (reached <= jnp.maximum(enough, jnp.finfo(norm.dtype).eps))) | rounding
    stuck = (~better & (damping >= 1e8)) | still | lost
    pick = lambda new, old: jnp.where(better, new, old)  # noqa: E731
    return Landing(
        point=pick(point, now.point),
        direction=pick(direction, now.direction),
        residual=pick(reached, now.residual),
        triangle=pick(triangle, now.triangle),
        damping=damping,
        iterations=now.iterations + 1,
        code=jnp.where(solved, SOLVED, jnp.where(stuck, STATIONARY, RUNNING)),
    )
