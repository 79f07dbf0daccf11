"""Exact Jacobians of featurizers and structure maps, in forward mode. The Jacobian of a structure is assembled from
those of its centers' environments. The derivative by an atom's position is the sum of the derivatives by all neighbors
that are this atom, minus the sum over all neighbors of its own environment if it is a center."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import map_items
from jaxfeat.features.joint import AbstractJointFeaturizer, differentiate
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap, resolve_map
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.batching import map_blocks, map_large_items, together
from jaxfeat.linalg.compilations import tuned_jit
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES, contract_lanes, in_lanes
from jaxfeat.spectrum.plan import check_jacobian

ROUNDINGS_IN_FLOOR = 64  # rounding errors of a contribution that the least floor of a spectrum, 256 eps, has room for
JACOBIANS_TOGETHER_BYTES = 4_000_000  # Bytes at a time in batches of three times as many: caches hold them. Measured.
MIN_JACOBIANS_TOGETHER = 4  # Environments that are computed together, at least. Measured.


def jacobian(f: FeatureMap, at: Item, *, center: int | None = None) -> Float[Array, "*batch d n 3"]:
    """Compute the Jacobian dF/dr of features with respect to the positions of atoms.

    In an environment, neighbors move and the center is fixed. In a structure, all atoms move, each center with its own
    atom; the derivatives by all periodic images of an atom are added up.

    **Arguments:**

    - `f`: The featurizer, or a structure map.
    - `at`: The environment (for a featurizer) or structure (for a map); one item or a batch of any shape.
    - `center`: The index of an atom of a structure: only the features of this atom are differentiated, and a featurizer
        does as well as a map. `None` for all centers.

    **Returns:** An array of shape `(*batch, n_features, n, 3)`, in feature units per Å and in the dtype of the
    positions. Padded atoms have zero columns.

    **Raises:** `GeometryError` if `f` and `at` do not go together or an environment was cut at the wrong
    radius; `SpeciesError` if `at` holds an element that `f` does not know; `SizeError` if the Jacobian does not fit
    into memory.

    **Source:** docs/theory, "The map and its Jacobian".
    """
    f, at = resolve_map(f, at, center)
    check_jacobian(f, at)
    f = f.prepared()
    if f.environment_featurizer.takes_on_host(at):
        return jax.device_put(jacobians_on_host(f, at))
    return _jacobians(f, at)


def jacobians_on_host(f: Any, at: Item) -> np.ndarray:
    """Compute the Jacobians of items of any batch shape, `(*batch, d, n, 3)`, in NumPy. `f` is prepared."""
    if isinstance(at, Environment):
        return f.compute_jacobians_on_host(at)
    return map_items(lambda one: f.collect(f.environment_featurizer.structure_jacobian_on_host(one)[0], one), at)


@tuned_jit
def _jacobians(f: FeatureMap, at: Item) -> Array:
    call: Callable[[Any], Any] = partial(item_jacobian, f)
    if isinstance(at, Environment) and at.batch_shape:
        return map_blocks(jax.vmap(call), at, len(at.batch_shape), _n_together(f, at))
    one_by_one = isinstance(at, Structure) and at.neighbor.shape[-1] > MAX_NEIGHBORS_IN_LANES
    for _ in at.batch_shape:
        # The intermediate arrays of large structures fit into the caches only one by one.
        call = partial(map_large_items, call) if one_by_one else jax.vmap(call)
    return call(at)


def _n_together(f: Any, at: Environment) -> int:
    total = max(prod(at.batch_shape), 1)
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[len(at.batch_shape) :], x.dtype), at)
    n_features = jax.eval_shape(lambda env: f.features(env), one).size
    one_bytes = max(n_features * 3 * at.max_neighbors * at.positions.dtype.itemsize, 1)
    n_bytes = together(JACOBIANS_TOGETHER_BYTES)
    return total if total * one_bytes <= 3 * n_bytes else max(n_bytes // one_bytes, MIN_JACOBIANS_TOGETHER)


def item_jacobian(f: FeatureMap, at: Item) -> Float[Array, "d n 3"]:
    """Compute the Jacobian of one item, by the shortest way that the featurizer offers."""
    return jacobian_and_norms(f, at)[0]


def jacobian_and_norms(f: FeatureMap, at: Item) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """Compute the Jacobian of one item, and the joint norm of the contributions to each atom's columns, times
    `cancellation`: if contributions cancel, rounding errors are in proportion to these norms."""
    if isinstance(f, AbstractFeaturizer):
        assert isinstance(at, Environment)
        whole = f.jacobian(at)
        return whole, jnp.sqrt(jnp.sum(whole**2, (0, 2))) * cancellation(f, at)
    assert isinstance(at, Structure)
    if isinstance(f.featurizer, AbstractJointFeaturizer):
        whole = differentiate(lambda x: f.joint_features(at.with_positions(x)), at.positions)
        return whole, f.featurizer.joint_norms(at, whole)
    if at.neighbor.shape[1] <= MAX_NEIGHBORS_IN_LANES:
        return assemble_jacobian(f, at, *jax.vmap(partial(_center_jacobian, f.featurizer))(at.environments()))

    def of_center(item: tuple[Environment, Array, Array]) -> tuple[Array, Array]:
        env, neighbor, center = item
        rows, norms = _center_jacobian(f.featurizer, env)
        return _by_atoms(rows, neighbor, center, at.positions.shape[0]), norms

    # On CPUs one center at a time, because the rows by all atoms of all centers would not fit into the caches.
    rows, norms = map_large_items(of_center, (at.environments(), at.neighbor, at.center))
    return f.collect(rows, at), joint_norms(at, norms**2)


def cancellation(f: AbstractFeaturizer, env: Environment) -> Float[Array, " n"]:
    """Compute the factor, at least 1, by which rounding errors of each neighbor's columns exceed every floor's room."""
    return jnp.maximum(f.roundings(env) / ROUNDINGS_IN_FLOOR, 1)


def directional_derivative(f: FeatureMap, at: Item, displacement: Float[Array, "n 3"]) -> Float[Array, " d"]:
    """Compute J v of one item, the derivative of its features along a displacement, by one tangent."""
    return jax.jvp(lambda x: item_features(f, at.with_positions(x)), (at.positions,), (displacement,))[1]


def item_features(f: FeatureMap, at: Item) -> Float[Array, " d"]:
    """Compute the features of one item, inside a compiled program."""
    features: Callable[[Any], Array] = f.features if isinstance(f, AbstractFeaturizer) else f
    return features(at)


def _center_jacobian(f: AbstractFeaturizer, env: Environment) -> tuple[Float[Array, "d k 3"], Float[Array, " k"]]:
    rows, norms = jacobian_and_norms(f, env)
    return jnp.where(env.mask[None, :, None], rows, 0), jnp.where(env.mask, norms, 0)


def assemble_jacobian(
    f: AbstractStructureMap, structure: Structure, rows: Float[Array, "c d k 3"], norms: Float[Array, "c k"]
) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """Assemble the Jacobian of a structure, and its joint norms, from those of its centers."""
    if rows.shape[2] <= MAX_NEIGHBORS_IN_LANES:
        per_center = _rows_by_bonds((), (rows, _bonds(structure, rows.dtype)))
    else:
        by_atoms = partial(_by_atoms, n=structure.positions.shape[0])
        per_center = jax.vmap(by_atoms)(rows, structure.neighbor, structure.center)
    return f.collect(per_center, structure), joint_norms(structure, norms**2)


def _by_atoms(
    rows: Float[Array, "d k 3"], neighbor: Int[Array, " k"], center: Int[Array, ""], n: int
) -> Float[Array, "d n 3"]:
    """Turn one center's derivatives by its neighbors into derivatives by all atoms."""
    d, k = rows.shape[:2]
    # A matrix product, because XLA is slow at sums over an axis that is not the last.
    together = jnp.matmul(rows.reshape(d, 3 * k), np.tile(np.eye(3, dtype=rows.dtype), (k, 1)), precision="highest")
    return jnp.zeros((d, n, 3), rows.dtype).at[:, neighbor].add(rows).at[:, center].add(-together)


def assemble_gram(structure: Structure, of_centers: Float[Array, "c j j"]) -> Float[Array, "m m"]:
    """Assemble JᵀJ of a structure from those of its centers, which have three columns for each neighbor."""
    n, (c, k) = structure.positions.shape[0], structure.neighbor.shape
    products = of_centers.reshape(c, k, 3, k, 3)
    if k <= MAX_NEIGHBORS_IN_LANES:
        return _gram_by_bonds((), (products, _bonds(structure, products.dtype))).reshape(3 * n, 3 * n)
    for axis in (1, 3):
        # A center's own displacement moves all of its neighbors backwards.
        products = jnp.concatenate([products, -products.sum(axis, keepdims=True)], axis)
    atoms = jnp.concatenate([structure.neighbor, structure.center[:, None]], 1)
    whole = jnp.zeros((n, n, 3, 3), products.dtype)
    whole = whole.at[atoms[:, :, None], atoms[:, None]].add(products.transpose(0, 1, 3, 2, 4))
    return whole.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)


def _bonds(structure: Structure, dtype: Any) -> Float[Array, "c k n"]:
    """Compute how each atom's displacement moves each neighbor relative to its center: 1, -1 or 0."""
    atoms = jnp.arange(structure.positions.shape[0], dtype=structure.neighbor.dtype)
    ends = (structure.neighbor[:, :, None] == atoms[None, None]).astype(dtype)
    return ends - (structure.center[:, None, None] == atoms[None, None]).astype(dtype)


@in_lanes
def _rows_by_bonds(_: tuple[()], each: tuple[Array, Array]) -> Float[Array, "c d n 3 b"]:
    return map_large_items(lambda one: contract_lanes(jnp.moveaxis(one[0], 1, 2), one[1]).swapaxes(1, 2), each)


@in_lanes
def _gram_by_bonds(_: tuple[()], each: tuple[Array, Array]) -> Float[Array, "n 3 n 3 b"]:
    products, bonds = each
    n, b = bonds.shape[2:]

    def add(sums: Array, of_center: tuple[Array, Array]) -> tuple[Array, None]:
        products, bonds = of_center
        once = contract_lanes(bonds.swapaxes(0, 1), products)
        return sums + contract_lanes(bonds.swapaxes(0, 1), jnp.moveaxis(once, 2, 0)), None

    found = jax.lax.scan(add, jnp.zeros_like(products, shape=(n, n, 3, 3, b)), each)[0]
    return found.transpose(0, 3, 1, 2, 4)


def joint_norms(structure: Structure, squares: Float[Array, "c k"]) -> Float[Array, " n"]:
    """Compute the joint norm of the contributions to each atom's columns from the centers' squared column norms."""
    added = jnp.zeros(structure.positions.shape[0], squares.dtype)
    return jnp.sqrt(added.at[structure.neighbor].add(squares).at[structure.center].add(squares.sum(1)))
