"""The atoms of an environment and their radial functions, with the batch as the last axis."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lanes import contracted

if TYPE_CHECKING:
    from jaxfeat.features.density import DensityFeaturizer

Y_00 = 1 / sqrt(4 * pi)


class Atoms(NamedTuple):
    """The neighbors, whether there are such, and the weights of their and the center's species in the channels of each
    species; `*b`: nothing, or a batch."""

    positions: Float[Array, "n 3 *b"]
    mask: Bool[Array, "n *b"]
    of_neighbors: Float[Array, "n a *b"]
    of_center: Float[Array, "a *b"]


def atoms_of(f: DensityFeaturizer, env: Environment) -> tuple[DensityFeaturizer, Atoms]:
    """What a function with `lanes` takes: the featurizer, from which the species are gone into the atoms, so that each
    item may have its own; and those, still without a batch."""
    known, dtype = jnp.asarray(f.species, env.species.dtype), env.positions.dtype
    weights = jnp.asarray(f.weights, dtype)
    of_neighbors = jnp.where(env.species[:, None] == known[None], weights[None], 0)
    of_center = jnp.where(env.center_species[None] == known, weights, 0)
    nothing = np.zeros(len(f.species), np.int32), np.ones(len(f.species))
    shared = eqx.tree_at(lambda f: (f.species, f.weights), f, nothing)
    return shared, Atoms(env.positions, env.mask, of_neighbors, of_center)


def radial_factors(
    f: DensityFeaturizer, at: Atoms
) -> tuple[Float[Array, "n_max l n *b"], Float[Array, "n_max l n *b"]]:
    """What neighbors add to c_{n l m} but for their solid harmonics, and its derivative by squared distance."""
    s = jnp.sum(at.positions**2, 1)
    return jax.jvp(lambda s: f.radial_factor(s, at.mask), (s,), (jnp.ones_like(s),))


def in_channels(at: Atoms, of_neighbors: Float[Array, "n_max *rest n *b"]) -> Float[Array, "q *rest n *b"]:
    """What belongs to radial functions, put where the channels of each neighbor's species are, among zeros."""
    species = at.of_neighbors.swapaxes(0, 1)
    between = [1] * (of_neighbors.ndim - species.ndim)
    placed = species.reshape(species.shape[0], 1, *between, *species.shape[1:]) * of_neighbors[None]
    return placed.reshape(placed.shape[0] * placed.shape[1], *placed.shape[2:])


def center_in_channels(f: DensityFeaturizer, at: Atoms) -> Float[Array, "q *b"]:
    """What the atom at the center adds to c_{q 0 0}, but for Y_00."""
    batch = at.of_center.shape[1:]
    radial = f.center_radial(at.positions.dtype).reshape(1, -1, *[1] * len(batch))
    return (at.of_center[:, None] * radial).reshape(-1, *batch)


def each_l(at: Atoms, function: Callable[..., Any], *arrays: Float[Array, "l *rest"]) -> Any:
    """`function` of each l. Side by side, XLA would fuse it into whatever reads the result, and work it out again for
    each reader; not so across loops."""
    return jax.lax.map(lambda of_l: function(*of_l), arrays) if at.mask.ndim > 1 else jax.vmap(function)(*arrays)


def matrix_product(at: Atoms, a: Float[Array, "*i j *b"], b: Float[Array, "j *k *b"]) -> Float[Array, "*i *k *b"]:
    """Σ_j a_j b_j."""
    return contracted(a, b) if at.mask.ndim > 1 else jnp.tensordot(a, b, 1, precision="highest")
