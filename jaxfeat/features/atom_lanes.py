"""The atoms of one environment, or of several in lanes along the last axis, as kernels of features take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxfeat.linalg.lanes import contract_lanes


class AtomLanes(NamedTuple):
    """Positions of the neighbors (Å), and the weight of each atom in the channels of each species a: zero for others.
    Arrays of several environments have one more axis at the end, which is `*b` in the shapes."""

    positions: Float[Array, "n 3 *b"]
    mask: Bool[Array, "n *b"]
    neighbor_weights: Float[Array, "n a *b"]
    center_weights: Float[Array, "a *b"]


def place_in_channels(atoms: AtomLanes, radial: Float[Array, "n_max *rest n *b"]) -> Float[Array, "q *rest n *b"]:
    """Copy functions of the neighbors into the channels of each neighbor's species; other channels are zero."""
    species = atoms.neighbor_weights.swapaxes(0, 1)
    between = [1] * (radial.ndim - species.ndim)
    placed = species.reshape(species.shape[0], 1, *between, *species.shape[1:]) * radial[None]
    return placed.reshape(placed.shape[0] * placed.shape[1], *placed.shape[2:])


def map_l(atoms: AtomLanes, function: Callable[..., Any], *arrays: Float[Array, "l *rest"]) -> Any:
    """Apply `function` to the arrays of each l: in lanes by a loop, because XLA would fuse it into every reader."""
    return jax.lax.map(lambda of_l: function(*of_l), arrays) if atoms.mask.ndim > 1 else jax.vmap(function)(*arrays)


def multiply(atoms: AtomLanes, a: Float[Array, "*i j *b"], b: Float[Array, "j *k *b"]) -> Float[Array, "*i *k *b"]:
    """Compute Σ_j a_j b_j in every lane."""
    return contract_lanes(a, b) if atoms.mask.ndim > 1 else jnp.tensordot(a, b, 1, precision="highest")
