"""What a spectrum needs of a Jacobian: a few rows, or the Gram matrix of its columns.

The Jacobian has as many rows as there are features; neither of these has more than there are coordinates. Where
features offer a shorter way, or belong to one center each, J is never put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.gram import gram_matrix
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.linalg.triangular import r_factor
from jaxfeat.spectrum.jacobian import added_up, assembled, assembled_gram, cancellation, structure_jacobian


class Reduced(NamedTuple):
    """A Jacobian of n atoms as far as its singular values and right singular vectors go.

    **Attributes:**

    - `matrix`: `(k, 3n)`, k <= 3n, the Jacobian up to an orthogonal matrix from the left; or `(3n, 3n)`, JᵀJ, in which
      nothing is left of singular values below √eps of the largest.
    - `added`: `(n,)`, the joint norm of what was added up to each atom's three columns, times its `cancellation`.
    - `n_features`: how many rows the Jacobian has.
    """

    matrix: Float[Array, "k m"]
    added: Float[Array, " n"]
    n_features: int | Int[Array, ""] | np.ndarray


def all_rows(jacobian: Float[Array, "d n 3"], added: Float[Array, " n"]) -> Reduced:
    """A Jacobian as it is."""
    return Reduced(_flat(jacobian), added, jacobian.shape[0])


def few_rows(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> Reduced:
    """One item's Jacobian in no more rows than there are coordinates, by QR."""
    if isinstance(at, Environment):
        assert isinstance(f, AbstractFeaturizer)
        rows, n_features = f.compact_jacobian(at)
        rows = _shortened(rows)
        squares = jnp.sum(rows**2, 0).reshape(at.max_neighbors, 3).sum(1)
        return Reduced(rows, jnp.sqrt(squares) * cancellation(f, at), n_features)
    assert isinstance(f, AbstractStructureMap)
    if f.adds_centers:
        rows, added = structure_jacobian(f, at)
        return Reduced(_shortened(_flat(rows)), added, len(rows))

    def of_center(env: Environment) -> tuple[Array, Array, Array]:
        rows, n_features = f.featurizer.compact_jacobian(env)
        return _shortened(rows), cancellation(f.featurizer, env), _counted(n_features, env)

    rows, cancelled, counts = _of_centers(of_center, at)
    rows = rows.reshape(*rows.shape[:2], *at.neighbor.shape[1:], 3)
    whole, added = assembled(f, at, rows, jnp.sqrt(jnp.sum(rows**2, (1, 3))) * cancelled)
    return Reduced(_shortened(_flat(whole)), added, counts.sum())


def gram(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> Reduced:
    """JᵀJ of one item."""
    if isinstance(at, Environment):
        assert isinstance(f, AbstractFeaturizer)
        products, added, n_features = f.jacobian_gram(at)
        return Reduced(products, added * cancellation(f, at), n_features)
    assert isinstance(f, AbstractStructureMap)
    if f.adds_centers:
        rows, added = structure_jacobian(f, at)
        return Reduced(gram_matrix(_flat(rows)), added, len(rows))

    def of_center(env: Environment) -> tuple[Array, Array, Array]:
        products, added, n_features = f.featurizer.jacobian_gram(env)
        return products, (added * cancellation(f.featurizer, env)) ** 2, _counted(n_features, env)

    products, squares, counts = _of_centers(of_center, at)
    return Reduced(assembled_gram(at, products), added_up(at, squares), counts.sum())


def _of_centers(function: Callable[[Environment], Any], structure: Structure) -> Any:
    """`function` of each center's environment; one by one, and of those that there are, where they fill the caches."""
    environments = structure.environments()
    if structure.neighbor.shape[1] <= MAX_NEIGHBORS_IN_LANES:
        return jax.vmap(function)(environments)
    found = jax.eval_shape(function, environments[0])

    def of_none(env: Environment) -> Any:
        return jax.tree.map(lambda x: jnp.zeros_like(env.positions, x.dtype, x.shape), found)

    return jax.lax.map(
        lambda item: jax.lax.cond(item[0], function, of_none, item[1]), (structure.center_mask, environments)
    )


def _counted(n_features: int, env: Environment) -> Int[Array, ""]:
    # Like the positions: inside shard_map, both branches are to vary over devices alike.
    return jnp.full_like(env.positions, n_features, jnp.int32, ())


def _shortened(matrix: Float[Array, "d m"]) -> Float[Array, "k m"]:
    """By QR, where that leaves fewer rows."""
    return r_factor(matrix) if matrix.shape[0] > matrix.shape[1] else matrix


def _flat(rows: Float[Array, "d n 3"]) -> Float[Array, "d m"]:
    return rows.reshape(rows.shape[0], 3 * rows.shape[1])
