"""Exact Jacobians of featurizers and structure maps, in forward mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.batching import map_blocks
from jaxfeat.linalg.jit import tuned_jit
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES, contract_lanes, in_lanes
from jaxfeat.spectrum.sizes import check_jacobian


@overload
def jacobian(f: AbstractFeaturizer, at: Environment) -> Float[Array, "*batch d n 3"]: ...
@overload
def jacobian(f: AbstractStructureMap, at: Structure) -> Float[Array, "*batch d n 3"]: ...
def jacobian(f: Any, at: Any) -> Float[Array, "*batch d n 3"]:
    """dF/dr: `(..., n_features, n, 3)`, features per Å.

    Of an environment, with respect to its neighbors; the center is fixed. Of a structure, with respect to all its
    atoms; each center moves with its atom, and images of one atom add up. Padding has zero columns.

    **Raises:** `GeometryError` where `f` and `at` do not go together, `SizeError` where the Jacobian does not fit into
    memory; otherwise as the featurizer does.
    """
    check_compatible(f, at)
    check_jacobian(f, at)
    return _compiled(f.prepared(), at)


PORTION_BYTES = 4_000_000
"""Jacobians that are made at a time, where there are more than three such portions: what is made on the way to more of
them leaves the caches. Measured."""

ABREAST = 4
"""Environments to a portion at least. Measured."""


@tuned_jit
def _compiled(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> Array:
    call: Callable[[Any], Any] = partial(single_jacobian, f)
    if isinstance(at, Environment) and at.batch_shape:
        return map_blocks(jax.vmap(call), at, len(at.batch_shape), _portion(f, at))
    many = isinstance(at, Structure) and at.neighbor.shape[-1] > MAX_NEIGHBORS_IN_LANES
    for _ in at.batch_shape:
        # One by one, what large structures need on the way stays in the caches.
        call = partial(jax.lax.map, call) if many else jax.vmap(call)
    return call(at)


def _portion(f: Any, at: Environment) -> int:
    """How many of a batch to make the Jacobians of at a time."""
    total = max(prod(at.batch_shape), 1)
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[len(at.batch_shape) :], x.dtype), at)
    n_features = jax.eval_shape(lambda env: f.features(env), one).size
    held = max(n_features * 3 * at.max_neighbors * at.positions.dtype.itemsize, 1)
    return total if total * held <= 3 * PORTION_BYTES else max(PORTION_BYTES // held, ABREAST)


def single_jacobian(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> Float[Array, "d n 3"]:
    """The Jacobian of one item, by the shortest way that the featurizer offers."""
    return weighed_jacobian(f, at)[0]


def weighed_jacobian(
    f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure
) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """The Jacobian of one item, and the joint norm of what was added up to each atom's three columns, times its
    `cancellation`.

    Where symmetry makes contributions cancel, rounding errors are in proportion to the latter, not to the columns.
    """
    if isinstance(f, AbstractStructureMap):
        assert isinstance(at, Structure)
        return structure_jacobian(f, at)
    assert isinstance(at, Environment)
    whole = f.jacobian(at)
    return whole, jnp.sqrt(jnp.sum(whole**2, (0, 2))) * cancellation(f, at)


FEW_ROUNDINGS = 64
"""Rounding errors of a contribution that the least floor, 256 eps, has room for."""


def cancellation(f: AbstractFeaturizer, env: Environment) -> Float[Array, " n"]:
    """By how much the rounding errors of each neighbor's columns exceed those that every floor has room for."""
    return jnp.maximum(f.roundings(env) / FEW_ROUNDINGS, 1)


def velocity(
    f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, displacement: Float[Array, "n 3"]
) -> Float[Array, " d"]:
    """Compute J v of one item, how fast features change along a displacement, by one tangent through the features."""
    features: Callable[[Any], Array] = f.features if isinstance(f, AbstractFeaturizer) else f
    return jax.jvp(lambda x: features(at.with_positions(x)), (at.positions,), (displacement,))[1]


def structure_jacobian(
    f: AbstractStructureMap, structure: Structure
) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """From the centers' Jacobians: a displacement reaches a center as that of its neighbor less its own."""
    if structure.neighbor.shape[1] <= MAX_NEIGHBORS_IN_LANES:
        return assembled(f, structure, *center_jacobians(f, structure))
    n = structure.positions.shape[0]

    def of_center(item: tuple[Environment, Array, Array]) -> tuple[Array, Array]:
        env, neighbor, center = item
        rows, weights = _masked(*weighed_jacobian(f.featurizer, env), env)
        return _moving(rows, neighbor, center, n), weights

    rows, weights = jax.lax.map(of_center, (structure.environments(), structure.neighbor, structure.center))
    return f.collect(rows, structure), added_up(structure, weights**2)


def center_jacobians(
    f: AbstractStructureMap, structure: Structure
) -> tuple[Float[Array, "c d k 3"], Float[Array, "c k"]]:
    """The Jacobians of the centers' environments, and the joint norms of their columns."""
    environments = structure.environments()
    found = jax.vmap(weighed_jacobian, in_axes=(None, 0))(f.featurizer, environments)
    return jax.vmap(_masked)(*found, environments)


def _masked(
    rows: Float[Array, "d k 3"], weights: Float[Array, " k"], env: Environment
) -> tuple[Float[Array, "d k 3"], Float[Array, " k"]]:
    return jnp.where(env.mask[None, :, None], rows, 0), jnp.where(env.mask, weights, 0)


def assembled(
    f: AbstractStructureMap, structure: Structure, rows: Float[Array, "c d k 3"], weights: Float[Array, "c k"]
) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """The Jacobian of the structure from those of its centers."""
    if rows.shape[2] <= MAX_NEIGHBORS_IN_LANES:
        per_center = _moved((), (rows, _bonds(structure, rows.dtype)))
    else:
        moving = partial(_moving, n=structure.positions.shape[0])
        per_center = jax.vmap(moving)(rows, structure.neighbor, structure.center)
    return f.collect(per_center, structure), added_up(structure, weights**2)


def _moving(
    rows: Float[Array, "d k 3"], neighbor: Int[Array, " k"], center: Int[Array, ""], n: int
) -> Float[Array, "d n 3"]:
    """A center's rows by all atoms rather than by neighbors."""
    d, k = rows.shape[:2]
    # As a matrix product: XLA is slow at sums over an axis that is not the last.
    together = jnp.matmul(rows.reshape(d, 3 * k), np.tile(np.eye(3, dtype=rows.dtype), (k, 1)), precision="highest")
    return jnp.zeros((d, n, 3), rows.dtype).at[:, neighbor].add(rows).at[:, center].add(-together)


def assembled_gram(structure: Structure, of_centers: Float[Array, "c j j"]) -> Float[Array, "m m"]:
    """JᵀJ of the structure from those of its centers, of three columns a neighbor."""
    n, (c, k) = structure.positions.shape[0], structure.neighbor.shape
    products = of_centers.reshape(c, k, 3, k, 3)
    if k <= MAX_NEIGHBORS_IN_LANES:
        return _moved_twice((), (products, _bonds(structure, products.dtype))).reshape(3 * n, 3 * n)
    for axis in (1, 3):
        # A center's own displacement moves all of its neighbors backwards.
        products = jnp.concatenate([products, -products.sum(axis, keepdims=True)], axis)
    atoms = jnp.concatenate([structure.neighbor, structure.center[:, None]], 1)
    whole = jnp.zeros((n, n, 3, 3), products.dtype)
    whole = whole.at[atoms[:, :, None], atoms[:, None]].add(products.transpose(0, 1, 3, 2, 4))
    return whole.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)


def _bonds(structure: Structure, dtype: Any) -> Float[Array, "c k n"]:
    """How a displacement of each atom moves each neighbor as seen from its center."""
    atoms = jnp.arange(structure.positions.shape[0], dtype=structure.neighbor.dtype)
    ends = (structure.neighbor[:, :, None] == atoms[None, None]).astype(dtype)
    return ends - (structure.center[:, None, None] == atoms[None, None]).astype(dtype)


@in_lanes
def _moved(_: tuple[()], each: tuple[Array, Array]) -> Float[Array, "c d n 3 b"]:
    rows, bonds = each
    return jax.lax.map(lambda one: contract_lanes(jnp.moveaxis(one[0], 1, 2), one[1]).swapaxes(1, 2), (rows, bonds))


@in_lanes
def _moved_twice(_: tuple[()], each: tuple[Array, Array]) -> Float[Array, "n 3 n 3 b"]:
    products, bonds = each
    n, b = bonds.shape[2:]

    def add(sums: Array, of_center: tuple[Array, Array]) -> tuple[Array, None]:
        products, bonds = of_center
        once = contract_lanes(bonds.swapaxes(0, 1), products)
        return sums + contract_lanes(bonds.swapaxes(0, 1), jnp.moveaxis(once, 2, 0)), None

    found = jax.lax.scan(add, jnp.zeros_like(products, shape=(n, n, 3, 3, b)), (products, bonds))[0]
    return found.transpose(0, 3, 1, 2, 4)


def added_up(structure: Structure, squares: Float[Array, "c k"]) -> Float[Array, " n"]:
    """The joint norm of what each atom's columns are added up from, of the centers' columns' squared norms."""
    added = jnp.zeros(structure.positions.shape[0], squares.dtype)
    return jnp.sqrt(added.at[structure.neighbor].add(squares).at[structure.center].add(squares.sum(1)))
