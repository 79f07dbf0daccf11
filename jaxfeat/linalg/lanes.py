"""Small problems side by side, with the batch as the last axis.

XLA vectorises over the last axis. A matrix of ten columns leaves it nothing to vectorise over; a thousand of them, one
to a lane, do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.linalg.primitive import LaneTask, bind_lanes


def in_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """From `function(shared, each)`, whose arrays in `each` and in the result have a batch along their last axis: the
    same function of one item, for which `jax.vmap` puts the items into lanes. Nested vmaps become one batch.

    `shared` is for what all items have in common. Mapped over, it is taken item by item. Derivatives of both modes and
    of any order are those of `function`.
    """

    @wraps(function)
    def one(shared: Any, each: Any) -> Any:
        leaves, tree = jax.tree.flatten((shared, each))
        return bind_lanes(LaneTask(function, tree, len(jax.tree.leaves(shared))), leaves)

    return one


def contract_lanes(a: Float[Array, "*i j b"], b: Float[Array, "j *k b"]) -> Float[Array, "*i *k b"]:
    """Σ_j a_j b_j of every lane, written out: of a reduction XLA makes slower code than of a sum of products."""
    left, right = a.ndim - 2, b.ndim - 2
    a = jnp.moveaxis(a, left, 0)
    a = a.reshape(*a.shape[: left + 1], *[1] * right, a.shape[-1])
    b = b.reshape(len(b), *[1] * left, *b.shape[1:])
    return sum((a[j] * b[j] for j in range(1, len(a))), a[0] * b[0])


MAX_NEIGHBORS_IN_LANES = 5
"""Neighbors up to which environments, and structures of such, go side by side. The matrices of larger ones fill the
caches one by one. Measured."""
