"""The equations of a singular point of a featurizer, for the solver and for the descent."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.rigid import rigid_motions
from jaxfeat.linalg.lapack import qr_triangle, right_singular_vectors, solve_upper, solve_upper_transposed
from jaxfeat.singular.land import Residual, Rows
from jaxfeat.singular.random_invariants import RandomInvariants
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.singular.velocity import environment_velocity
from jaxfeat.spectrum.jacobian import directional_derivative

PENALTY = 100.0
"""Of violated constraints in a descent, per Å²: much against a logarithm's slope."""

_ON_TOP = 1e3
_SHORT = 1e-6
_ROUNDING = 1e-10


class Reference(eqx.Module):
    """What sees more: invariants, and the metric `(k, k)` of their components."""

    invariants: RandomInvariants
    rows: Float[Array, "r k"]

    def velocity(self, env: Environment, direction: Float[Array, "n 3"]) -> Float[Array, " r"]:
        """How fast they change along a displacement."""
        call = lambda x: self.invariants(env.with_positions(x))  # noqa: E731
        return self.rows @ jax.jvp(call, (env.positions,), (direction,))[1]

    def jacobian(self, env: Environment) -> Float[Array, "r c"]:
        found = jax.jacfwd(lambda x: self.invariants(env.with_positions(x)))(env.positions)
        return self.rows @ found.reshape(found.shape[0], -1)


class Problem(eqx.Module):
    """Where is there a displacement v, not rigid, with J(x) v = 0? In a search space, θ -> x.

    With a `reference`, v is measured by how fast the reference changes along it: v with |J_ref v| = 1 instead of
    |v| = 1. Where symmetry hides v, it hides it from any invariants, and no v of that length is there: as x approaches
    such a point, v grows in proportion, and J(x) v does not vanish. So symmetric points are no solutions, unless they
    are spurious as well.

    - `rows`: the metric of features, `(r, n_features)`.
    """

    f: AbstractFeaturizer
    space: AbstractSearchSpace
    rows: Float[Array, "r d"]
    reference: Reference | None

    def residual(self, start: Environment) -> Residual:
        """Rows, each of order 1: J(x) v in the metric; Σ r_j x v_j, which vanishes for v that does not turn the atoms
        as a whole; violated constraints, in Å; the length of v."""

        def environment(point: Array) -> Environment:
            return self.space.environment(point, start)

        def small(point: Array, direction: Array) -> Array:
            env = environment(point)
            turning = jnp.sum(jnp.cross(env.positions, _on_atoms(direction, env)), 0)
            slack = self.space.slack(point, env)
            # On a bound, to rounding, there is nothing to hold against.
            return jnp.concatenate([turning, jnp.where(slack < -_ROUNDING, slack, 0)])

        def length(point: Array, direction: Array) -> Array:
            env = environment(point)
            v = _on_atoms(direction, env)
            v = v if self.reference is None else self.reference.velocity(env, v)
            return (jnp.sum(v * v) - 1) / 2

        def rows(point: Float[Array, " k"], direction: Float[Array, " p"]) -> Rows:
            env = environment(point)
            product = environment_velocity(self.f, env, _on_atoms(direction, env))
            moves = jax.jacfwd(lambda point: environment(point).positions.reshape(-1))(point)
            stacked = jnp.concatenate([product.value[None], product.by_position, product.by_direction]) @ self.rows.T
            by_position, by_direction = stacked[1 : 1 + moves.shape[0]], stacked[1 + moves.shape[0] :]
            by_direction = jnp.where(jnp.repeat(start.mask, 3)[:, None], by_direction, 0)
            slopes = jax.jacfwd(small, argnums=(0, 1))(point, direction)
            norm, gradient = jax.value_and_grad(length, argnums=(0, 1))(point, direction)
            return Rows(
                value=jnp.concatenate([stacked[0], small(point, direction), norm[None]]),
                by_point=jnp.concatenate([moves.T @ by_position, slopes[0].T, gradient[0][:, None]], 1),
                by_direction=jnp.concatenate([by_direction, slopes[1].T, gradient[1][:, None]], 1),
            )

        return rows

    def spectrum(
        self, jacobian: Float[Array, "d n 3"], env: Environment
    ) -> tuple[Float[Array, " c"], Float[Array, "c p"]]:
        """How much displacements move the features, in the metric: singular values of J on what is not rigid, those of
        padding first, descending; and displacements, of length 1 as `residual` has it. Not to be differentiated."""
        rigid = rigid_motions(env.positions, env.mask)
        valid = rigid.valid
        jacobian = rigid.project(self.rows @ jacobian.reshape(jacobian.shape[0], -1))
        if self.reference is None:
            values, coordinates = _decomposed(jacobian, valid)
            return values, rigid.lift(coordinates.T).T
        # |J v| / |J_ref v| is stationary at the singular vectors of J R⁻¹, with J_ref = Q R.
        seen = jnp.where(valid[None], rigid.project(self.reference.jacobian(env)), 0)
        short = jnp.diag(jnp.where(valid, _SHORT, 1).astype(seen.dtype))
        r = qr_triangle(jnp.concatenate([seen, short]))
        weighed = solve_upper_transposed(r, jnp.where(valid[None], jacobian, 0).T).T
        values, coordinates = _decomposed(weighed, valid)
        coordinates = solve_upper(r, coordinates.T).T
        lengths = jnp.linalg.norm(coordinates @ seen.T, axis=1, keepdims=True)
        return values, rigid.lift((coordinates / jnp.where(lengths > 0, lengths, 1)).T).T

    def objective(
        self, point: Float[Array, " k"], direction: Float[Array, " p"], start: Environment
    ) -> Float[Array, ""]:
        """log |J(x) v|, or log |J(x) v| / |J_ref(x) v|, at fixed v; and a penalty where constraints are violated.

        With v the minimiser at x, the gradient by x is that of the logarithm of the smallest singular value.
        """
        env = self.space.environment(point, start)
        v = _on_atoms(direction, env)
        moved = self.rows @ directional_derivative(self.f, env, v)
        seen = v if self.reference is None else self.reference.velocity(env, v)
        tiny = jnp.finfo(point.dtype).tiny
        value = (jnp.log(jnp.sum(moved**2) + tiny) - jnp.log(jnp.sum(seen**2) + tiny)) / 2
        return value + PENALTY / 2 * jnp.sum(jnp.minimum(self.space.slack(point, env), 0) ** 2)


def _on_atoms(direction: Float[Array, " p"], env: Environment) -> Float[Array, "n 3"]:
    return jnp.where(env.mask[:, None], direction.reshape(env.positions.shape), 0)


def _decomposed(
    matrix: Float[Array, "r c"], valid: Bool[Array, " c"]
) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Singular values, descending, and right singular vectors as rows; those of invalid columns come first."""
    matrix = jnp.where(valid[None], matrix, 0)
    top = _ON_TOP * (1 + jnp.linalg.norm(matrix))
    return right_singular_vectors(qr_triangle(jnp.concatenate([matrix, jnp.diag(jnp.where(valid, 0, top))])))
