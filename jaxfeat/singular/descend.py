"""Descent on the logarithm of the smallest singular value, for starts that the solver cannot land from.

The smallest right singular vector v is found anew at every step and then held fixed: ½ |J(x) v|² has the gradient of
½ σ_min², and J(x) v is one jvp, so that one sweep of reverse mode over forward mode gives it (theory, section 4). No
singular value decomposition is differentiated.
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxfeat.geometry.environment import Environment
from jaxfeat.singular.singular_equations import SingularEquations
from jaxfeat.spectrum.jacobian import item_jacobian

STEPS = 100
RATE = 0.02
"""Å, or units of a parameter: about the length of an Adam step."""


@cache
def default_optimizer() -> optax.GradientTransformation:
    """Adam, at a rate that falls to nothing. One object, so that all searches share its compiled program."""
    return optax.adam(optax.cosine_decay_schedule(RATE, STEPS))


def descend(
    equations: SingularEquations,
    point: Float[Array, " k"],
    start: Environment,
    optimizer: optax.GradientTransformation,
    steps: int = STEPS,
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """The lowest point of a descent from θ, and log σ_min there: of J in the problem's metric, or relative to its
    reference. Works under jit and vmap: one compiled program for all starts."""

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        point, state, best, lowest = carry
        env = equations.space.environment(point, start)
        direction = equations.spectrum(item_jacobian(equations.f, env), env)[1][-1]
        value, gradient = jax.value_and_grad(equations.objective)(point, direction, start)
        better = value < lowest
        best, lowest = jnp.where(better, point, best), jnp.where(better, value, lowest)
        update, state = optimizer.update(gradient, state, point)
        moved = point + update
        # A gradient that is not finite leaves the point where it is.
        return (jnp.where(jnp.isfinite(moved), moved, point), state, best, lowest), None

    first = (point, optimizer.init(point), point, jnp.asarray(jnp.inf, point.dtype))
    (_, _, best, lowest), _ = jax.lax.scan(step, first, None, length=steps)
    return best, lowest
