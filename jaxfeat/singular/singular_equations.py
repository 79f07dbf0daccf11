"""The equations of a singular point, for the solver and for the descent. J(x) v, the velocity of the features along a
displacement v, is differentiated by x and v in forward mode, with the axis of tangents first. Each of the many columns
that a Gauss-Newton step needs is then contiguous, which makes the contraction of densities three times as fast on a
CPU."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.additive import AbstractAdditiveFeaturizer
from jaxfeat.features.joint import AbstractJointFeaturizer, reverse_is_faster
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.rigid import item_rigid_motions
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.lapack import qr_triangle, right_singular_vectors, solve_upper, solve_upper_transposed
from jaxfeat.singular.gauss_newton import Linearization, Residual
from jaxfeat.singular.random_invariants import RandomInvariants
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.spectrum.jacobian import assemble_jacobian, directional_derivative, item_features

PENALTY = 100.0  # penalty of violated constraints in a descent, per Å²: large against the slope of a logarithm
PADDING_SIGMA = 1e3  # singular value that is given to padding, relative to the norm of the matrix
HIDDEN_LENGTH = 1e-6  # length of a displacement in the reference's metric, per Å, below which symmetry hides it
ROUNDING_VIOLATION = 1e-10  # violation of a constraint (Å) that is rounding


class Reference(eqx.Module):
    """Random invariants of a higher order, which see all that symmetry does not hide, and their metric `(r, k)`. They
    describe an environment, or the atoms of a molecule about their centroid."""

    invariants: RandomInvariants
    rows: Float[Array, "r k"]

    def velocity(self, at: Item, direction: Float[Array, "n 3"]) -> Float[Array, " r"]:
        """Compute how fast the invariants change along a displacement."""
        return self.rows @ jax.jvp(partial(self._invariants, at), (at.positions,), (direction,))[1]

    def jacobian(self, at: Item) -> Float[Array, "r c"]:
        found = jax.jacfwd(partial(self._invariants, at))(at.positions)
        return self.rows @ found.reshape(found.shape[0], -1)

    def _invariants(self, at: Item, positions: Float[Array, "n 3"]) -> Float[Array, " k"]:
        moved = at.with_positions(positions)
        return self.invariants(moved.around_centroid() if isinstance(moved, Structure) else moved)


class SingularEquations(eqx.Module):
    """J(x) v = 0 for a displacement v that is not rigid, with x(θ) in a search space.

    Without a `reference`, |v| = 1. With a reference, |J_ref v| = 1 instead. Where symmetry hides v, symmetry hides v
    from all invariants, and no multiple of v has this length: on the way to such a point v grows in proportion, and
    J(x) v does not vanish. Symmetric points are then no solutions, unless they are spurious as well. `rows` are the
    metric of the features, `(r, n_features)`.
    """

    f: FeatureMap
    space: AbstractSearchSpace
    rows: Float[Array, "r d"]
    reference: Reference | None

    def residual(self, start: Item, floor: Float[Array, ""] | float = 0.0) -> Residual:
        """Make the residual in the unknowns (θ, v). Each row is of order 1. The rows are J(x) v in the metric; the
        rigid part of v, as `rigid_part` measures it; violated constraints (Å); and the length of v."""

        def item(point: Array) -> Item:
            return self.space.item(point, start)

        def rigid_and_violations(point: Array, direction: Array) -> Array:
            at = item(point)
            slack = self.space.slack(point, start)
            rigid = rigid_part(at, _on_atoms(direction, at))
            return jnp.concatenate([rigid, jnp.where(slack < -ROUNDING_VIOLATION, slack, 0)])

        def length(point: Array, direction: Array) -> Array:
            at = item(point)
            v = _on_atoms(direction, at)
            v = v if self.reference is None else self.reference.velocity(at, v)
            return (jnp.sum(v * v) - 1) / 2

        def linearize(unknowns: Float[Array, " n"]) -> Linearization:
            point, direction = jnp.split(unknowns, [unknowns.shape[0] - start.n_coordinates])
            at = item(point)
            product = item_velocity(self.f, at, _on_atoms(direction, at))
            moves = jax.jacfwd(lambda point: item(point).positions.reshape(-1))(point)
            stacked = jnp.concatenate([product.value[None], product.by_position, product.by_direction]) @ self.rows.T
            by_position, by_direction = stacked[1 : 1 + moves.shape[0]], stacked[1 + moves.shape[0] :]
            by_direction = jnp.where(jnp.repeat(start.mask, 3)[:, None], by_direction, 0)
            slopes = jax.jacfwd(rigid_and_violations, argnums=(0, 1))(point, direction)
            norm, gradient = jax.value_and_grad(length, argnums=(0, 1))(point, direction)
            by_point = jnp.concatenate([moves.T @ by_position, slopes[0].T, gradient[0][:, None]], 1)
            by_direction = jnp.concatenate([by_direction, slopes[1].T, gradient[1][:, None]], 1)
            return Linearization(
                value=jnp.concatenate([stacked[0], rigid_and_violations(point, direction), norm[None]]),
                slopes=jnp.concatenate([by_point, by_direction]),
                floor=floor,
            )

        return linearize

    def spectrum(self, jacobian: Float[Array, "d n 3"], at: Item) -> tuple[Float[Array, " c"], Float[Array, "c p"]]:
        """Compute the singular values of J in the metric, and their displacements, of length 1 as in `residual`. Rigid
        motions are projected out. Values descend; those of padding come first. Do not differentiate this."""
        rigid = item_rigid_motions(at)
        valid = rigid.valid
        jacobian = rigid.project(self.rows @ jacobian.reshape(jacobian.shape[0], -1))
        if self.reference is None:
            values, coordinates = _decomposed(jacobian, valid)
            return values, rigid.lift(coordinates.T).T
        # |J v| / |J_ref v| is stationary at the singular vectors of J R⁻¹, with J_ref = Q R.
        seen = jnp.where(valid[None], rigid.project(self.reference.jacobian(at)), 0)
        short = jnp.diag(jnp.where(valid, HIDDEN_LENGTH, 1).astype(seen.dtype))
        r = qr_triangle(jnp.concatenate([seen, short]))
        weighed = solve_upper_transposed(r, jnp.where(valid[None], jacobian, 0).T).T
        values, coordinates = _decomposed(weighed, valid)
        coordinates = solve_upper(r, coordinates.T).T
        lengths = jnp.linalg.norm(coordinates @ seen.T, axis=1, keepdims=True)
        return values, rigid.lift((coordinates / jnp.where(lengths > 0, lengths, 1)).T).T

    def objective(self, point: Float[Array, " k"], direction: Float[Array, " p"], start: Item) -> Float[Array, ""]:
        """Compute log |J(x) v|, or log |J(x) v| / |J_ref(x) v|, at a fixed v, with a penalty for violated constraints.
        If v is the smallest right singular vector at x, the gradient by x is that of log σ_min."""
        at = self.space.item(point, start)
        v = _on_atoms(direction, at)
        moved = self.rows @ directional_derivative(self.f, at, v)
        seen = v if self.reference is None else self.reference.velocity(at, v)
        tiny = jnp.finfo(point.dtype).tiny
        value = (jnp.log(jnp.sum(moved**2) + tiny) - jnp.log(jnp.sum(seen**2) + tiny)) / 2
        return value + PENALTY / 2 * jnp.sum(jnp.minimum(self.space.slack(point, start), 0) ** 2)


def _on_atoms(direction: Float[Array, " p"], at: Item) -> Float[Array, "n 3"]:
    return jnp.where(at.mask[:, None], direction.reshape(at.positions.shape), 0)


def rigid_part(at: Item, displacement: Float[Array, "n 3"]) -> Float[Array, " r"]:
    """Compute Σ r_j x v_j, which vanishes unless v turns the atoms as a whole, about the center or the centroid. For
    structures Σ v_j comes first, which vanishes unless v shifts all atoms; in crystals nothing else is rigid."""
    if isinstance(at, Environment):
        return jnp.sum(jnp.cross(at.positions, displacement), 0)
    shifting, present = jnp.sum(displacement, 0), at.mask.astype(displacement.dtype)
    if at.periodic:
        return shifting
    centroid = at.positions.T @ present / present.sum()
    return jnp.concatenate([shifting, jnp.sum(jnp.cross(at.positions - centroid[None], displacement), 0)])


def _decomposed(
    matrix: Float[Array, "r c"], valid: Bool[Array, " c"]
) -> tuple[Float[Array, " c"], Float[Array, "c c"]]:
    """Compute singular values, descending, and right singular vectors as rows. Invalid columns come first."""
    matrix = jnp.where(valid[None], matrix, 0)
    top = PADDING_SIGMA * (1 + jnp.linalg.norm(matrix))
    return right_singular_vectors(qr_triangle(jnp.concatenate([matrix, jnp.diag(jnp.where(valid, 0, top))])))


class FeatureVelocity(NamedTuple):
    """J(x) v, of shape `(m,)`, and its transposed derivatives by x, `(k, m)`, and by v, `(p, m)`: the transposed J."""

    value: Float[Array, " m"]
    by_position: Float[Array, "k m"]
    by_direction: Float[Array, "p m"]


def function_velocity(
    fn: Callable[[Float[Array, " k"]], Float[Array, " m"]],
    x: Float[Array, " k"],
    v: Float[Array, " k"],
    *,
    reverse: bool = False,
) -> FeatureVelocity:
    """Compute J(x) v of a smooth function R^k -> R^m, with derivatives in forward or `reverse` mode."""
    along = lambda x: jax.jvp(fn, (x,), (v,))[1]  # noqa: E731
    if reverse:
        return FeatureVelocity(along(x), jax.jacrev(along)(x).T, jax.jacrev(fn)(x).T)
    basis = jnp.eye(x.shape[0], dtype=x.dtype)
    by_position = jax.vmap(lambda e: jax.jvp(along, (x,), (e,))[1])(basis)
    by_direction = jax.vmap(lambda e: jax.jvp(fn, (x,), (e,))[1])(basis)
    return FeatureVelocity(along(x), by_position, by_direction)


def item_velocity(f: FeatureMap, at: Item, direction: Float[Array, "n 3"]) -> FeatureVelocity:
    """Compute J(x) v of the features of one item, in features per Å; k = p = 3n."""
    if isinstance(f, AbstractAdditiveFeaturizer):
        assert isinstance(at, Environment)
        return _additive_velocity(f, at, direction)
    joint = isinstance(f.environment_featurizer, AbstractJointFeaturizer)
    if isinstance(f, AbstractStructureMap) and not joint:
        assert isinstance(at, Structure)
        return _structure_velocity(f, at, direction)
    features = lambda x: item_features(f, at.with_positions(x.reshape(at.positions.shape)))  # noqa: E731
    x = at.positions.reshape(-1)
    reverse = joint and reverse_is_faster(features, x)
    return function_velocity(features, x, direction.reshape(-1), reverse=reverse)


def _structure_velocity(f: AbstractStructureMap, at: Structure, direction: Float[Array, "n 3"]) -> FeatureVelocity:
    """Assemble J(x) v from those of the centers, by displacements of their neighbors relative to them."""
    relative = direction[at.neighbor] - direction[at.center][:, None]
    around = at.environments()
    each = jax.vmap(partial(item_velocity, f.featurizer))(around, jnp.where(around.mask[..., None], relative, 0))

    def by_atoms(transposed: Float[Array, "c k3 d"]) -> Float[Array, "m features"]:
        rows = transposed.mT.reshape(len(transposed), transposed.shape[2], *around.mask.shape[1:], 3)
        rows = jnp.where(around.mask[:, None, :, None], rows, 0)
        whole = assemble_jacobian(f, at, rows, jnp.zeros(around.mask.shape, rows.dtype))[0]
        return whole.reshape(len(whole), at.n_coordinates).T

    return FeatureVelocity(f.collect(each.value, at), by_atoms(each.by_position), by_atoms(each.by_direction))


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
