"""Reduction of a Jacobian to a few rows, or to JᵀJ.

A Jacobian has one row for each feature. Neither reduced form has more rows than there are coordinates. If the features
offer a shorter way, or belong to one center each, the whole Jacobian is never put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.eigen import gram_matrix
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.linalg.triangular import r_factor
from jaxfeat.spectrum.assemble import (
    assemble_gram,
    assemble_jacobian,
    cancellation,
    joint_norms,
    structure_jacobian,
)


class JacobianRows(NamedTuple):
    """The Jacobian of n atoms, up to an orthogonal matrix from the left.

    **Attributes:**

    - `matrix`: Shape `(k, 3n)`.
    - `added`: Shape `(n,)`, the joint norm of the contributions to each atom's three columns, times `cancellation`.
    - `n_features`: The number of rows of the whole Jacobian.
    """

    matrix: Float[Array, "k m"]
    added: Float[Array, " n"]
    n_features: int | Int[Array, ""] | np.ndarray


class JacobianGram(NamedTuple):
    """JᵀJ of n atoms, of shape `(3n, 3n)`, which has lost all singular values below √eps of the largest.

    **Attributes:** As of `JacobianRows`.
    """

    matrix: Float[Array, "m m"]
    added: Float[Array, " n"]
    n_features: int | Int[Array, ""] | np.ndarray


def keep_all_rows(jacobian: Float[Array, "d n 3"], added: Float[Array, " n"]) -> JacobianRows:
    """Take a whole Jacobian and its `added` norms, as `jacobian_and_norms` returns them, without reduction."""
    return JacobianRows(_as_matrix(jacobian), added, jacobian.shape[0])


def reduce_to_rows(f: FeatureMap, at: Item) -> JacobianRows:
    """Reduce one item's Jacobian by QR to no more rows than there are coordinates."""
    if isinstance(at, Environment):
        assert isinstance(f, AbstractFeaturizer)
        rows, n_features = f.compact_jacobian(at)
        rows = _triangle(rows)
        squares = jnp.sum(rows**2, 0).reshape(at.max_neighbors, 3).sum(1)
        return JacobianRows(rows, jnp.sqrt(squares) * cancellation(f, at), n_features)
    assert isinstance(f, AbstractStructureMap)
    if f.adds_centers:
        rows, added = structure_jacobian(f, at)
        return JacobianRows(_triangle(_as_matrix(rows)), added, len(rows))

    def of_center(env: Environment) -> tuple[Array, Array, Array]:
        rows, n_features = f.featurizer.compact_jacobian(env)
        return _triangle(rows), cancellation(f.featurizer, env), _as_array(n_features, env)

    rows, cancelled, counts = _of_centers(of_center, at)
    rows = rows.reshape(*rows.shape[:2], *at.neighbor.shape[1:], 3)
    whole, added = assemble_jacobian(f, at, rows, jnp.sqrt(jnp.sum(rows**2, (1, 3))) * cancelled)
    return JacobianRows(_triangle(_as_matrix(whole)), added, counts.sum())


def reduce_to_gram(f: FeatureMap, at: Item) -> JacobianGram:
    """Compute JᵀJ of one item."""
    if isinstance(at, Environment):
        assert isinstance(f, AbstractFeaturizer)
        products, added, n_features = f.jacobian_gram(at)
        return JacobianGram(products, added * cancellation(f, at), n_features)
    assert isinstance(f, AbstractStructureMap)
    if f.adds_centers:
        rows, added = structure_jacobian(f, at)
        return JacobianGram(gram_matrix(_as_matrix(rows)), added, len(rows))

    def of_center(env: Environment) -> tuple[Array, Array, Array]:
        products, added, n_features = f.featurizer.jacobian_gram(env)
        return products, (added * cancellation(f.featurizer, env)) ** 2, _as_array(n_features, env)

    products, squares, counts = _of_centers(of_center, at)
    return JacobianGram(assemble_gram(at, products), joint_norms(at, squares), counts.sum())


def _of_centers(function: Callable[[Environment], Any], structure: Structure) -> Any:
    """Map `function` over the centers' environments. Large environments go one by one, without those of padding."""
    environments = structure.environments()
    if structure.neighbor.shape[1] <= MAX_NEIGHBORS_IN_LANES:
        return jax.vmap(function)(environments)
    found = jax.eval_shape(function, environments[0])

    def of_none(env: Environment) -> Any:
        return jax.tree.map(lambda x: jnp.zeros_like(env.positions, x.dtype, x.shape), found)

    return jax.lax.map(
        lambda item: jax.lax.cond(item[0], function, of_none, item[1]), (structure.center_mask, environments)
    )


def _as_array(n_features: int, env: Environment) -> Int[Array, ""]:
    # Made from the positions, because inside shard_map both branches of a condition have to vary over the same devices.
    return jnp.full_like(env.positions, n_features, jnp.int32, ())


def _triangle(matrix: Float[Array, "d m"]) -> Float[Array, "k m"]:
    """Take R of a QR decomposition, if it has fewer rows."""
    return r_factor(matrix) if matrix.shape[0] > matrix.shape[1] else matrix


def _as_matrix(rows: Float[Array, "d n 3"]) -> Float[Array, "d m"]:
    return rows.reshape(rows.shape[0], 3 * rows.shape[1])
