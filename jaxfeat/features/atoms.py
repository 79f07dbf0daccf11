"""The atoms of an environment and their radial functions, with the batch as the last axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxfeat.geometry.environment import Environment

if TYPE_CHECKING:
    from jaxfeat.features.density import DensityFeaturizer


class Atoms(NamedTuple):
    """The neighbors, whether there are such, and which channels' species they and the center are of; `*b`: nothing, or
    a batch."""

    positions: Float[Array, "n 3 *b"]
    mask: Bool[Array, "n *b"]
    of_neighbors: Float[Array, "n a *b"]
    of_center: Float[Array, "a *b"]


def atoms_of(f: DensityFeaturizer, env: Environment) -> tuple[DensityFeaturizer, Atoms]:
    """What a function with `lanes` takes: the featurizer, from which the species are gone into the atoms, so that each
    item may have its own; and those, still without a batch."""
    known, dtype = jnp.asarray(f.species, env.species.dtype), env.positions.dtype
    of_neighbors = (env.species[:, None] == known[None]).astype(dtype)
    of_center = (env.center_species[None] == known).astype(dtype)
    shared = eqx.tree_at(lambda f: f.species, f, np.zeros(len(f.species), np.int32))
    return shared, Atoms(env.positions, env.mask, of_neighbors, of_center)


def radial_factors(
    f: DensityFeaturizer, at: Atoms
) -> tuple[Float[Array, "n_max l n *b"], Float[Array, "n_max l n *b"]]:
    """What neighbors add to c_{n l m} but for their solid harmonics, and its derivative by squared distance."""

    def of_all(s: Array) -> Float[Array, "n_max l n *b"]:
        every = jax.vmap(f.radial_factor, -1, -1)(s.reshape(s.size), at.mask.reshape(s.size))
        return every.reshape(*every.shape[:2], *s.shape)

    s = jnp.sum(at.positions**2, 1)
    return jax.jvp(of_all, (s,), (jnp.ones_like(s),))


def in_channels(at: Atoms, of_neighbors: Float[Array, "n_max *rest n *b"]) -> Float[Array, "q *rest n *b"]:
    """What belongs to radial functions, put where the channels of each neighbor's species are, among zeros."""
    species = at.of_neighbors.swapaxes(0, 1)
    between = [1] * (of_neighbors.ndim - species.ndim)
    placed = species.reshape(species.shape[0], 1, *between, *species.shape[1:]) * of_neighbors[None]
    return placed.reshape(-1, *placed.shape[2:])


def center_in_channels(f: DensityFeaturizer, at: Atoms) -> Float[Array, "q *b"]:
    """What the atom at the center adds to c_{q 0 0}, but for Y_00."""
    dtype, batch = at.positions.dtype, at.of_center.shape[1:]
    at_zero = jnp.asarray(f.center_weight, dtype) * f.radial(jnp.zeros((), dtype))[:, 0]
    return (at.of_center[:, None] * at_zero.reshape(1, -1, *[1] * len(batch))).reshape(-1, *batch)
