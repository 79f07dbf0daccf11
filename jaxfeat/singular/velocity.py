"""J(x) v, the velocity of the features along a displacement v, with its derivatives by x and v.

Both derivatives are in forward mode, with the axis of tangents first. Each of the many columns that a Gauss-Newton step
needs is then contiguous, which makes the contraction of densities three times as fast on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.additive import AbstractAdditiveFeaturizer
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment


class FeatureVelocity(NamedTuple):
    """J(x) v, of shape `(m,)`, and its transposed derivatives by x, `(k, m)`, and by v, `(p, m)`: the transposed J."""

    value: Float[Array, " m"]
    by_position: Float[Array, "k m"]
    by_direction: Float[Array, "p m"]


def function_velocity(
    fn: Callable[[Float[Array, " k"]], Float[Array, " m"]], x: Float[Array, " k"], v: Float[Array, " k"]
) -> FeatureVelocity:
    """Compute J(x) v of a smooth function R^k -> R^m."""
    along = lambda x: jax.jvp(fn, (x,), (v,))[1]  # noqa: E731
    basis = jnp.eye(x.shape[0], dtype=x.dtype)
    by_position = jax.vmap(lambda e: jax.jvp(along, (x,), (e,))[1])(basis)
    by_direction = jax.vmap(lambda e: jax.jvp(fn, (x,), (e,))[1])(basis)
    return FeatureVelocity(along(x), by_position, by_direction)


def environment_velocity(f: AbstractFeaturizer, env: Environment, direction: Float[Array, "n 3"]) -> FeatureVelocity:
    """Compute J(x) v of a featurizer at one environment, in features per Å; k = p = 3n."""
    if isinstance(f, AbstractAdditiveFeaturizer):
        return _additive_velocity(f, env, direction)
    shape = env.positions.shape
    features = lambda x: f.features(env.with_positions(x.reshape(shape)))  # noqa: E731
    return function_velocity(features, env.positions.reshape(-1), direction.reshape(-1))


def _additive_velocity(
    f: AbstractAdditiveFeaturizer, env: Environment, direction: Float[Array, "n 3"]
) -> FeatureVelocity:
    """Push three tangents of each neighbor through its density. Only the contraction takes one per coordinate."""

    def one(
        position: Float[Array, "3"], species: Int[Array, ""], mask: Bool[Array, ""], velocity: Float[Array, "3"]
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        def moving(r: Float[Array, "3"]) -> tuple[Array, Array]:
            return jax.jvp(lambda r: f.neighbor_density(r, species, mask), (r,), (velocity,))

        value, push = jax.linearize(moving, position)
        return value, jax.vmap(push)(jnp.eye(3, dtype=position.dtype))

    added, tangents = jax.vmap(one)(env.positions, env.species, env.mask, direction)
    density = f.center_density(env.center_species, env.positions.dtype) + jnp.sum(added[0], 0)
    velocity = jnp.sum(added[1], 0)
    slopes, curvatures = (t.reshape(-1, *t.shape[2:]) for t in tangents)

    def push(density: Array, velocity: Array) -> Array:
        return jax.jvp(f.contract, (density,), (velocity,))[1]

    by_position = jax.vmap(lambda d, v: jax.jvp(push, (density, velocity), (d, v))[1])(slopes, curvatures)
    return FeatureVelocity(push(density, velocity), by_position, jax.vmap(lambda d: push(density, d))(slopes))
