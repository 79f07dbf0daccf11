"""Small problems side by side, with the batch as the last axis.

XLA vectorizes over the last axis. A single matrix of ten columns leaves it nothing to vectorize over, and a thousand
of them fill every vector register if each has a lane.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.linalg.primitive import evaluate_in_lanes

MAX_NEIGHBORS_IN_LANES = 5
"""Neighbors of the largest environments, and of the largest centers of structures, that are computed in lanes.

Measured: the matrices of larger ones fill the caches, and are faster one by one.
"""


def in_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function of a batch into a function of one item that `jax.vmap` evaluates in lanes.

    Nested vmaps make one batch. Derivatives of both modes and of any order are those of `function`.

    **Arguments:**

    - `function`: Takes `(shared, each)`, two pytrees of arrays. Those in `each`, and the results, have the batch along
        their last axis; those in `shared` are common to all items. If `shared` is mapped over, then the items with the
        same `shared` go side by side.

    **Returns:** The function `(shared, each)` of one item, without the last axis.
    """

    @wraps(function)
    def of_item(shared: Any, each: Any) -> Any:
        return evaluate_in_lanes(function, shared, each)

    return of_item


def contract_lanes(a: Float[Array, "*i j b"], b: Float[Array, "j *k b"]) -> Float[Array, "*i *k b"]:
    """Compute Σ_j a_j b_j in every lane.

    The sum is written out, because XLA makes faster code of a sum of products than of a reduction.
    """
    left, right = a.ndim - 2, b.ndim - 2
    a = jnp.moveaxis(a, left, 0)
    a = a.reshape(*a.shape[: left + 1], *[1] * right, a.shape[-1])
    b = b.reshape(len(b), *[1] * left, *b.shape[1:])
    return sum((a[j] * b[j] for j in range(1, len(a))), a[0] * b[0])
