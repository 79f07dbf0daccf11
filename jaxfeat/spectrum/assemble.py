"""Jacobians of structures, assembled from those of their centers' environments.

Moving an atom moves a neighbor relative to its center. The derivative by an atom's position is therefore the sum of the
derivatives by all neighbors that are this atom, minus that of the center's own environment if the atom is its center.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES, contract_lanes, in_lanes

ROUNDINGS_IN_FLOOR = 64
"""Rounding errors of a contribution that the least floor of a spectrum, 256 eps, has room for."""


def cancellation(f: AbstractFeaturizer, env: Environment) -> Float[Array, " n"]:
    """Compute the factor, at least 1, by which rounding errors of each neighbor's columns exceed every floor's room."""
    return jnp.maximum(f.roundings(env) / ROUNDINGS_IN_FLOOR, 1)


def environment_jacobian(f: AbstractFeaturizer, env: Environment) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """Compute the Jacobian of one environment, and each neighbor's joint column norm times its `cancellation`."""
    whole = f.jacobian(env)
    return whole, jnp.sqrt(jnp.sum(whole**2, (0, 2))) * cancellation(f, env)


def structure_jacobian(
    f: AbstractStructureMap, structure: Structure
) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """Compute the Jacobian of one structure, and the joint norm of the contributions to each atom's columns."""
    if structure.neighbor.shape[1] <= MAX_NEIGHBORS_IN_LANES:
        return assemble_jacobian(f, structure, *center_jacobians(f, structure))
    n = structure.positions.shape[0]

    def of_center(item: tuple[Environment, Array, Array]) -> tuple[Array, Array]:
        env, neighbor, center = item
        rows, norms = _masked(*environment_jacobian(f.featurizer, env), env)
        return _by_atoms(rows, neighbor, center, n), norms

    rows, norms = jax.lax.map(of_center, (structure.environments(), structure.neighbor, structure.center))
    return f.collect(rows, structure), joint_norms(structure, norms**2)


def center_jacobians(
    f: AbstractStructureMap, structure: Structure
) -> tuple[Float[Array, "c d k 3"], Float[Array, "c k"]]:
    """Compute the Jacobians of the centers' environments, and the joint norms of each neighbor's columns."""
    environments = structure.environments()
    found = jax.vmap(environment_jacobian, in_axes=(None, 0))(f.featurizer, environments)
    return jax.vmap(_masked)(*found, environments)


def _masked(
    rows: Float[Array, "d k 3"], norms: Float[Array, " k"], env: Environment
) -> tuple[Float[Array, "d k 3"], Float[Array, " k"]]:
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
    rows, bonds = each
    return jax.lax.map(lambda one: contract_lanes(jnp.moveaxis(one[0], 1, 2), one[1]).swapaxes(1, 2), (rows, bonds))


@in_lanes
def _gram_by_bonds(_: tuple[()], each: tuple[Array, Array]) -> Float[Array, "n 3 n 3 b"]:
    products, bonds = each
    n, b = bonds.shape[2:]

    def add(sums: Array, of_center: tuple[Array, Array]) -> tuple[Array, None]:
        products, bonds = of_center
        once = contract_lanes(bonds.swapaxes(0, 1), products)
        return sums + contract_lanes(bonds.swapaxes(0, 1), jnp.moveaxis(once, 2, 0)), None

    found = jax.lax.scan(add, jnp.zeros_like(products, shape=(n, n, 3, 3, b)), (products, bonds))[0]
    return found.transpose(0, 3, 1, 2, 4)


def joint_norms(structure: Structure, squares: Float[Array, "c k"]) -> Float[Array, " n"]:
    """Compute the joint norm of the contributions to each atom's columns from the centers' squared column norms."""
    added = jnp.zeros(structure.positions.shape[0], squares.dtype)
    return jnp.sqrt(added.at[structure.neighbor].add(squares).at[structure.center].add(squares.sum(1)))
