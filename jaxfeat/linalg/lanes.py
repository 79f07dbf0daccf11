"""Small problems side by side, with the batch as the last axis.

XLA vectorises over the last axis. A matrix of ten columns leaves it nothing to vectorise over; a thousand of them, one
to a lane, do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.linalg.primitive import Task, bound


def lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """From `function(shared, each)`, whose arrays in `each` and in the result have a batch along their last axis: the
    same function of one item, for which `jax.vmap` puts the items into lanes. Nested vmaps become one batch.

    `shared` is for what all items have in common. Mapped over, it is taken item by item. Derivatives of both modes and
    of any order are those of `function`.
    """

    @wraps(function)
    def one(shared: Any, each: Any) -> Any:
        leaves, tree = jax.tree.flatten((shared, each))
        return bound(Task(function, tree, len(jax.tree.leaves(shared))), leaves)

    return one


def contracted(a: Float[Array, "*i j b"], b: Float[Array, "j *k b"]) -> Float[Array, "*i *k b"]:
    """Σ_j a_j b_j of every lane, written out: of a reduction XLA makes slower code than of a sum of products."""
    left, right = a.ndim - 2, b.ndim - 2
    a = jnp.moveaxis(a, left, 0)
    a = a.reshape(*a.shape[: left + 1], *[1] * right, a.shape[-1])
    b = b.reshape(len(b), *[1] * left, *b.shape[1:])
    return sum((a[j] * b[j] for j in range(1, len(a))), a[0] * b[0])


FEW = 5
"""Neighbors up to which environments, and structures of such, go side by side. The matrices of larger ones fill the
caches one by one. Measured."""

LANES = 128
"""Small matrices that go side by side: enough that starting a kernel costs little. Measured."""


def in_chunks(first: Callable[[Any], Any], then: Callable[[Any, Any], Any], items: Any, n_axes: int, size: int) -> Any:
    """`then(first(item), item)` of every item of a batch with `n_axes` leading axes: `first` of about `size` items at a
    time, of one without a batch axis, so that what it does not need is left out; `then` of about `LANES`."""
    if n_axes == 0:
        return then(first(items), items)

    def both(batch: Any) -> Any:
        some = jax.lax.map(first, batch) if size == 1 else _portioned(jax.vmap(first), batch, size)
        return jax.vmap(then)(some, batch)

    return in_portions(both, items, n_axes, max(size, LANES))


def in_portions(function: Callable[[Any], Any], items: Any, n_axes: int, size: int = LANES) -> Any:
    """`function`, which takes a batch of one axis, of about `size` items at a time of a batch of `n_axes`, or of a
    single item."""
    shape = jax.tree.leaves(items)[0].shape[:n_axes]
    flat = jax.tree.map(lambda x: x.reshape(prod(shape), *x.shape[n_axes:]), items)
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), _portioned(function, flat, size))


def _portioned(function: Callable[[Any], Any], batch: Any, size: int) -> Any:
    """`function` of a batch, about `size` of its items at a time."""
    total = jax.tree.leaves(batch)[0].shape[0]
    n_chunks = max(-(-total // size), 1)
    if n_chunks == 1:
        return function(batch)
    # Of equal length, so that there is one program; the last one begins early where it would be short.
    length = -(-total // n_chunks)
    starts = np.minimum(np.arange(n_chunks) * length, total - length)

    def one(start: Array) -> Any:
        return function(jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, start, length), batch))

    found = jax.lax.map(one, starts)
    again = n_chunks * length - total

    def joined(x: Array) -> Array:
        if not again:
            return x.reshape(total, *x.shape[2:])
        first = x[:-1].reshape((n_chunks - 1) * length, *x.shape[2:])
        return jnp.concatenate([first, x[-1, again:]])

    return jax.tree.map(joined, found)
