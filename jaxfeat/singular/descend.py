"""Descent on the logarithm of the smallest singular value, for starts that the solver cannot land from.

Each step computes the smallest right singular vector v and then holds it fixed. The gradient of ½ |J(x) v|² is that of
½ σ_min², and one pass of reverse mode over the tangent J(x) v computes it. No singular value
decomposition is differentiated.
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
"""Learning rate of Adam: about the length of a step (Å, or units of a parameter)."""


@cache
def default_optimizer() -> optax.GradientTransformation:
    """Make Adam with a rate that decays to zero. It is made once, so that all searches share its compiled program."""
    return optax.adam(optax.cosine_decay_schedule(RATE, STEPS))


def descend(
    equations: SingularEquations,
    point: Float[Array, " k"],
    start: Environment,
    optimizer: optax.GradientTransformation,
    steps: int = STEPS,
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """Descend from θ, and return the lowest point and its log σ_min.

    σ_min is that of J in the metric of the equations, relative to their reference if there is one. Works under `jit`
    and `vmap`.
    """

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        point, state, best, lowest = carry
        env = equations.space.environment(point, start)
        direction = equations.spectrum(item_jacobian(equations.f, env), env)[1][-1]
        value, gradient = jax.value_and_grad(equations.objective)(point, direction, start)
        better = value < lowest
        best, lowest = jnp.where(better, point, best), jnp.where(better, value, lowest)
        update, state = optimizer.update(gradient, state, point)
        moved = point + update
        # If the gradient is not finite, the point stays.
        return (jnp.where(jnp.isfinite(moved), moved, point), state, best, lowest), None

    first = (point, optimizer.init(point), point, jnp.asarray(jnp.inf, point.dtype))
    (_, _, best, lowest), _ = jax.lax.scan(step, first, None, length=steps)
    return best, lowest
