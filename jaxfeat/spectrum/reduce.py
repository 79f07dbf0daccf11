"""Reduction of a Jacobian to a few rows, or to JᵀJ. A Jacobian has one row for each feature. Neither reduced form has
more rows than there are coordinates. If the features offer a shorter way, or belong to one center each, the whole
Jacobian is never put together."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.joint import AbstractJointFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.batching import map_large_items
from jaxfeat.linalg.eigen import gram_matrix
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.linalg.triangular import r_factor
from jaxfeat.spectrum.jacobian import assemble_gram, assemble_jacobian, cancellation, jacobian_and_norms, joint_norms


class ReducedJacobian(eqx.Module):
    """The Jacobian of n atoms up to an orthogonal matrix from the left, `(k, 3n)`, or if `squared` JᵀJ, which has lost
    all singular values below √eps of the largest. `contributions`, `(n,)`, are the joint norms of all terms of each
    atom's three columns, times `cancellation`. The whole Jacobian has `n_features` rows."""

    matrix: Float[Array, "k m"]
    contributions: Float[Array, " n"]
    n_features: int | Int[Array, ""] | np.ndarray
    squared: bool = eqx.field(static=True, default=False)


def keep_all_rows(jacobian: Float[Array, "d n 3"], contributions: Float[Array, " n"]) -> ReducedJacobian:
    """Take a whole Jacobian and the norms of its contributions from `jacobian_and_norms`, without reduction."""
    return ReducedJacobian(_as_matrix(jacobian), contributions, jacobian.shape[0])


def reduce_to_rows(f: FeatureMap, at: Item) -> ReducedJacobian:
    """Reduce one item's Jacobian by QR to no more rows than there are coordinates."""
    featurizer = f.environment_featurizer
    if f.adds_centers or _is_joint(f, at):
        rows, contributions = jacobian_and_norms(f, at)
        return ReducedJacobian(_triangle(_as_matrix(rows)), contributions, len(rows))
    if isinstance(at, Environment):
        rows, n_features = featurizer.compact_jacobian(at)
        rows = _triangle(rows)
        squares = jnp.sum(rows**2, 0).reshape(at.max_neighbors, 3).sum(1)
        return ReducedJacobian(rows, jnp.sqrt(squares) * cancellation(featurizer, at), n_features)

    def of_center(env: Environment) -> tuple[Array, Array, int]:
        rows, n_features = featurizer.compact_jacobian(env)
        return _triangle(rows), cancellation(featurizer, env), n_features

    assert isinstance(f, AbstractStructureMap)
    rows, cancelled, counts = _map_centers(of_center, at)
    rows = rows.reshape(*rows.shape[:2], *at.neighbor.shape[1:], 3)
    whole, contributions = assemble_jacobian(f, at, rows, jnp.sqrt(jnp.sum(rows**2, (1, 3))) * cancelled)
    return ReducedJacobian(_triangle(_as_matrix(whole)), contributions, counts.sum())


def reduce_to_gram(f: FeatureMap, at: Item) -> ReducedJacobian:
    """Compute JᵀJ of one item."""
    featurizer = f.environment_featurizer
    if f.adds_centers or _is_joint(f, at):
        rows, contributions = jacobian_and_norms(f, at)
        return ReducedJacobian(gram_matrix(_as_matrix(rows)), contributions, len(rows), squared=True)
    if isinstance(at, Environment):
        products, contributions, n_features = featurizer.jacobian_gram(at)
        return ReducedJacobian(products, contributions * cancellation(featurizer, at), n_features, squared=True)

    def of_center(env: Environment) -> tuple[Array, Array, int]:
        products, contributions, n_features = featurizer.jacobian_gram(env)
        return products, (contributions * cancellation(featurizer, env)) ** 2, n_features

    products, squares, counts = _map_centers(of_center, at)
    return ReducedJacobian(assemble_gram(at, products), joint_norms(at, squares), counts.sum(), squared=True)


def _is_joint(f: FeatureMap, at: Item) -> bool:
    return isinstance(at, Structure) and isinstance(f.environment_featurizer, AbstractJointFeaturizer)


def _map_centers(reduce: Callable[[Environment], tuple[Array, Array, int]], structure: Structure) -> Any:
    """Map `reduce` over the centers' environments. On CPUs large ones go one by one, without those of padding."""

    def of_center(env: Environment) -> tuple[Array, Array, Array]:
        matrix, norms, n_features = reduce(env)
        # Made from the positions, because inside shard_map both branches of a condition have to vary over the same
        # devices.
        return matrix, norms, jnp.full_like(env.positions, n_features, jnp.int32, ())

    environments = structure.environments()
    if structure.neighbor.shape[1] <= MAX_NEIGHBORS_IN_LANES:
        return jax.vmap(of_center)(environments)
    found = jax.eval_shape(of_center, environments[0])

    def of_none(env: Environment) -> Any:
        return jax.tree.map(lambda x: jnp.zeros_like(env.positions, x.dtype, x.shape), found)

    return map_large_items(
        lambda item: jax.lax.cond(item[0], of_center, of_none, item[1]), (structure.center_mask, environments)
    )


def _triangle(matrix: Float[Array, "d m"]) -> Float[Array, "k m"]:
    return r_factor(matrix) if matrix.shape[0] > matrix.shape[1] else matrix


def _as_matrix(rows: Float[Array, "d n 3"]) -> Float[Array, "d m"]:
    return rows.reshape(rows.shape[0], 3 * rows.shape[1])
