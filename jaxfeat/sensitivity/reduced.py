"""What a spectrum needs of a Jacobian: a few rows, or the Gram matrix of its columns.

The Jacobian has as many rows as there are features; neither of these has more than there are coordinates. Where
features offer a shorter way, or belong to one center each, J is never put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.base import AbstractFeaturizer, AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.gram import gram_matrix
from jaxfeat.linalg.triangular import r_factor
from jaxfeat.sensitivity.jacobian import added_up, assembled, structure_jacobian


class Reduced(NamedTuple):
    """A Jacobian of n atoms as far as its singular values and right singular vectors go.

    **Attributes:**

    - `matrix`: `(k, 3n)`, k <= 3n, the Jacobian up to an orthogonal matrix from the left; or `(3n, 3n)`, JᵀJ, in which
      nothing is left of singular values below √eps of the largest.
    - `added`: `(n,)`, the joint norm of what was added up to each atom's three columns.
    - `n_features`: how many rows the Jacobian has.
    """

    matrix: Float[Array, "k m"]
    added: Float[Array, " n"]
    n_features: int | Int[Array, ""] | np.ndarray


def all_rows(jacobian: Float[Array, "d n 3"], added: Float[Array, " n"]) -> Reduced:
    """A Jacobian as it is."""
    return Reduced(jacobian.reshape(jacobian.shape[0], 3 * jacobian.shape[1]), added, jacobian.shape[0])


def triangular(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> Reduced:
    """The triangular factor of one item's Jacobian."""
    if isinstance(f, AbstractStructureMap) and not f.adds_centers:
        assert isinstance(at, Structure)
        of_centers, n_features = _of_centers(r_factor, f, at)
        of_centers = of_centers.reshape(*of_centers.shape[:2], *at.neighbor.shape[1:], 3)
        whole, added = assembled(f, at, of_centers, jnp.sqrt(jnp.sum(of_centers**2, (1, 3))))
        return Reduced(r_factor(whole.reshape(len(whole), 3 * whole.shape[1])), added, n_features)
    return _whole(r_factor, f, at)


def gram(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> Reduced:
    """JᵀJ of one item."""
    if isinstance(f, AbstractStructureMap) and not f.adds_centers:
        assert isinstance(at, Structure)
        n, (c, k) = at.positions.shape[0], at.neighbor.shape
        of_centers, n_features = _of_centers(gram_matrix, f, at)
        squares = jnp.diagonal(of_centers, axis1=1, axis2=2).reshape(c, k, 3).sum(-1)
        products = _with_center(_with_center(of_centers.reshape(c, k, 3, k, 3), 1), 3).transpose(0, 1, 3, 2, 4)
        atoms = jnp.concatenate([at.neighbor, at.center[:, None]], 1)
        whole = jnp.zeros((n, n, 3, 3), products.dtype).at[atoms[:, :, None], atoms[:, None]].add(products)
        return Reduced(whole.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n), added_up(at, squares), n_features)
    return _whole(gram_matrix, f, at)


def _of_centers(
    reduce: Callable[[Array], Array], f: AbstractStructureMap, structure: Structure
) -> tuple[Float[Array, "c k m"], Int[Array, ""]]:
    def one(env: Environment) -> tuple[Array, Array]:
        rows, n_features = f.featurizer.condensed_jacobian(env)
        return reduce(rows), jnp.asarray(n_features)

    reduced, n_features = jax.vmap(one)(structure.environments())
    return reduced, n_features.sum()


def _with_center(products: Array, axis: int) -> Array:
    """A center's own displacement moves all of its neighbors backwards."""
    return jnp.concatenate([products, -products.sum(axis, keepdims=True)], axis)


def _whole(
    reduce: Callable[[Array], Array], f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure
) -> Reduced:
    if isinstance(f, AbstractStructureMap):
        assert isinstance(at, Structure)
        rows, added = structure_jacobian(f, at)
        return Reduced(reduce(rows.reshape(len(rows), 3 * rows.shape[1])), added, len(rows))
    assert isinstance(at, Environment)
    rows, n_features = f.condensed_jacobian(at)
    columns = jnp.sum(rows**2, 0).reshape(at.max_neighbors, 3)
    return Reduced(reduce(rows), jnp.sqrt(columns.sum(-1)), n_features)
