"""The atoms of an environment and their radial functions, with the batch as the last axis."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxfeat.linalg.lanes import contract_lanes

Y_00 = 1 / sqrt(4 * pi)


class Atoms(NamedTuple):
    """The neighbors, whether there are such, and the weights of their and the center's species in the channels of each
    species; `*b`: nothing, or a batch."""

    positions: Float[Array, "n 3 *b"]
    mask: Bool[Array, "n *b"]
    of_neighbors: Float[Array, "n a *b"]
    of_center: Float[Array, "a *b"]


def in_channels(at: Atoms, of_neighbors: Float[Array, "n_max *rest n *b"]) -> Float[Array, "q *rest n *b"]:
    """What belongs to radial functions, put where the channels of each neighbor's species are, among zeros."""
    species = at.of_neighbors.swapaxes(0, 1)
    between = [1] * (of_neighbors.ndim - species.ndim)
    placed = species.reshape(species.shape[0], 1, *between, *species.shape[1:]) * of_neighbors[None]
    return placed.reshape(placed.shape[0] * placed.shape[1], *placed.shape[2:])


def each_l(at: Atoms, function: Callable[..., Any], *arrays: Float[Array, "l *rest"]) -> Any:
    """`function` of each l. Side by side, XLA would fuse it into whatever reads the result, and work it out again for
    each reader; not so across loops."""
    return jax.lax.map(lambda of_l: function(*of_l), arrays) if at.mask.ndim > 1 else jax.vmap(function)(*arrays)


def matrix_product(at: Atoms, a: Float[Array, "*i j *b"], b: Float[Array, "j *k *b"]) -> Float[Array, "*i *k *b"]:
    """Σ_j a_j b_j."""
    return contract_lanes(a, b) if at.mask.ndim > 1 else jnp.tensordot(a, b, 1, precision="highest")
