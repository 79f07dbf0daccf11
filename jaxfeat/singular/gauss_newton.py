"""Gauss-Newton steps with a damping in proportion to the residual: the one solver of the searches and of inversion.

Each problem is a residual: J(x) v for landing, for tracing and for several null directions at once, σ_min along the
parameters of a manifold, and F(x) - F* for inversion and quasi-constant paths. Three facts about them make the solver.

- Solutions are not isolated: singular points form families, and with several null directions v turns freely. The solver
  must take the shortest step that solves the linearized problem, without deciding on a rank, which changes from point
  to point. A damping in proportion to the residual does both: the step tends to the minimum-norm step, and convergence
  is quadratic as long as the residual grows in proportion to the distance from the set of solutions (Yamashita and
  Fukushima, Computing Suppl. 15, 239 (2001); Fan and Yuan, Computing 74, 23 (2005)).
- The weakest directions matter most. Normal equations lose those with (σ/σ_max)² below rounding, so steps use QR.
- Many problems share one compiled program, so iterations are halted and resumed (`jaxfeat.singular.lanes`).

Optimistix's damping does not depend on the residual, and its loops cannot be halted and resumed one by one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.linalg.arrays import array_namespace
from jaxfeat.linalg.lapack import qr_triangle, solve_upper

RUNNING, SOLVED, STATIONARY = 0, 1, 2  # not finished; at the floor or at rounding; no step reduces the residual
LONGEST_STEP = 0.3  # The largest entry of a step (Å for atoms). Features are not linear over longer steps.
SMALLEST_DAMPING = 1e-10  # Relative to the norm of the Jacobian. Steps along the solutions are rounding errors over it.
ROUNDING_RESIDUAL = 1e-12  # A residual below this that does not fall by half has reached rounding


class Linearization(NamedTuple):
    """A residual of r rows at n unknowns, and its transposed derivative. The iteration ends if the norm is at the
    `floor`. `aux` holds any arrays that the caller wants to know at the solution."""

    value: Float[Array, " r"]
    slopes: Float[Array, "n r"]
    floor: Float[Array, ""] | float = 0.0
    aux: Any = ()


Residual = Callable[[Float[Array, " n"]], Linearization]


class Iterate(NamedTuple):
    """State of one iteration, which can be halted and resumed: the best point so far with the norm of its residual, and
    R of the QR decomposition of [A | b], with A the derivative of the residual and b its value. The damping is in units
    of the residual. `iterations` counts the steps tried, -1 before the first evaluation."""

    unknowns: Float[Array, " n"]
    residual: Float[Array, ""]
    triangle: Float[Array, "q q"]
    damping: Float[Array, ""]
    iterations: Int[Array, ""]
    code: Int[Array, ""]
    aux: Any = ()


class Bounds(NamedTuple):
    """Bounds of the unknowns. An unknown whose bounds are equal does not move."""

    low: Float[Array, " n"]
    high: Float[Array, " n"]


class Step(NamedTuple):
    """A step: its end, its largest entry before it was shortened, and the residual's norm there if it were linear."""

    unknowns: Float[Array, " n"]
    longest: Float[Array, ""]
    predicted: Float[Array, ""]


def begin(unknowns: Any, aux: Any = ()) -> Any:
    """Make iterates of unknowns `(*b, n)`, NumPy's or JAX's, that have not been evaluated, with `aux` of the right
    shapes. Their first step has length zero."""
    xp, dtype, (*b, n) = array_namespace(unknowns), unknowns.dtype, unknowns.shape
    return Iterate(
        unknowns=unknowns,
        residual=xp.full(b, xp.inf, dtype),
        triangle=xp.zeros((*b, n + 1, n + 1), dtype),
        damping=xp.ones(b, dtype),
        iterations=xp.full(b, -1),
        code=xp.full(b, RUNNING),
        aux=aux,
    )


def solve(residual: Residual, unknowns: Float[Array, " n"], max_iterations: int = 100) -> Iterate:
    """Go to a zero or a minimum of a residual, near the start if there is one. Works under `jit` and `vmap`."""
    return proceed(residual, begin(unknowns), max_iterations + 1)


def proceed(
    residual: Residual,
    now: Iterate,
    iterations: int,
    bounds: Bounds | None = None,
    shortest: Float[Array, ""] | float = 0.0,
) -> Iterate:
    """Take at most `iterations` more steps, until no step reduces the residual, or all entries are below `shortest`."""
    last = now.iterations + iterations

    def pending(now: Iterate) -> Bool[Array, ""]:
        return (now.code == RUNNING) & (now.iterations < last)

    def advance(now: Iterate) -> Iterate:
        step = propose(now, bounds)
        return judge(now, step, residual(step.unknowns), shortest)

    return jax.lax.while_loop(pending, advance, now)


def propose(now: Iterate, bounds: Bounds | None = None) -> Step:
    """Compute the next step: the minimum of |A s + b|² + (damping |s|)², shortened to `LONGEST_STEP`."""
    triangle = now.triangle
    size = triangle.shape[1] - 1
    norm = jnp.linalg.norm(triangle[:, :size])
    damping = jnp.maximum(now.damping * jnp.minimum(now.residual, 1), SMALLEST_DAMPING * norm)
    step = _damped_step(triangle, damping)
    if bounds is not None:
        outward = jnp.where(step < 0, now.unknowns <= bounds.low, now.unknowns >= bounds.high)
        step = _damped_step(jnp.where(jnp.append(outward, False)[None], 0, triangle), damping)
    longest = jnp.abs(step).max()
    step = step * jnp.minimum(1, LONGEST_STEP / jnp.maximum(longest, LONGEST_STEP))
    unknowns = now.unknowns + step
    if bounds is not None:
        unknowns = jnp.clip(unknowns, bounds.low, bounds.high)
        step = unknowns - now.unknowns
    predicted = jnp.linalg.norm(triangle[:, :size] @ step + triangle[:, size])
    return Step(unknowns, longest, predicted)


def judge(now: Iterate, step: Step, there: Linearization, shortest: Float[Array, ""] | float = 0.0) -> Iterate:
    """Accept a step if it reduces the residual, and adapt the damping to how well the linear model predicted it."""
    reached = jnp.linalg.norm(there.value)
    stacked = jnp.concatenate([there.slopes, there.value[None]])
    size, height = stacked.shape
    triangle = qr_triangle(jnp.pad(stacked.T, ((0, max(size - height, 0)), (0, 0))))
    better = reached < now.residual
    info = jnp.finfo(reached.dtype)
    gain = (now.residual**2 - reached**2) / jnp.maximum(now.residual**2 - step.predicted**2, info.tiny)
    factor = jnp.where(gain > 0.75, 0.25, jnp.where(gain < 0.25, 4.0, 1.0))
    damping = jnp.clip(now.damping * jnp.where(better, factor, 4.0), 1e-6, 1e8)
    evaluated = jnp.isfinite(now.residual)
    still = (step.longest < jnp.maximum(shortest, info.eps)) & evaluated
    lost = ~(better | evaluated)
    rounding = (now.residual < ROUNDING_RESIDUAL) & (still | ~(reached < now.residual / 2))
    solved = (better & (reached <= jnp.maximum(there.floor, info.eps))) | rounding
    stuck = (~better & (damping >= 1e8)) | still | lost
    pick = lambda new, old: jnp.where(better, new, old)  # noqa: E731
    return Iterate(
        unknowns=pick(step.unknowns, now.unknowns),
        residual=pick(reached, now.residual),
        triangle=pick(triangle, now.triangle),
        damping=damping,
        iterations=now.iterations + 1,
        code=jnp.where(solved, SOLVED, jnp.where(stuck, STATIONARY, RUNNING)),
        aux=jax.tree.map(pick, there.aux, now.aux),
    )


def _damped_step(triangle: Float[Array, "q q"], damping: Float[Array, ""]) -> Float[Array, " n"]:
    size = triangle.shape[1] - 1
    r = qr_triangle(jnp.concatenate([triangle, damping * jnp.eye(size, size + 1, dtype=triangle.dtype)]))
    return -solve_upper(r[:size, :size], r[:size, size])
