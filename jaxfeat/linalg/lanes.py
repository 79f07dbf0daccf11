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
from jax.custom_batching import custom_vmap


def lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """From `function(shared, each)`, whose arrays in `each` and in the result have a batch along their last axis: the
    same function of one item, for which `jax.vmap` puts the items into lanes. Nested vmaps become one batch.

    `shared` is for what all items have in common. Mapped over, it is taken item by item.
    """

    def alone(shared: Any, each: Any) -> Any:
        return jax.tree.map(lambda x: x[..., 0], function(shared, jax.tree.map(lambda x: x[..., None], each)))

    def side_by_side(shared: Any, each: Any) -> Any:
        last = jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), each)
        return jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), function(shared, last))

    one, batch = custom_vmap(alone), custom_vmap(side_by_side)

    @one.def_vmap
    def of_one(size: int, mapped: Any, shared: Any, each: Any) -> tuple[Any, Any]:
        if any(jax.tree.leaves(mapped[0])):
            return _mapped(alone, mapped, shared, each)
        found = batch(shared, _repeated(size, mapped[1], each))
        return found, jax.tree.map(lambda _: True, found)

    @batch.def_vmap
    def of_batch(size: int, mapped: Any, shared: Any, each: Any) -> tuple[Any, Any]:
        if any(jax.tree.leaves(mapped[0])):
            return _mapped(side_by_side, mapped, shared, each)
        every = jax.tree.map(lambda x: x.reshape(size * x.shape[1], *x.shape[2:]), _repeated(size, mapped[1], each))
        found = jax.tree.map(lambda x: x.reshape(size, x.shape[0] // size, *x.shape[1:]), batch(shared, every))
        return found, jax.tree.map(lambda _: True, found)

    return wraps(function)(one)


def in_chunks(function: Callable[[Any], Any], items: Any, n_axes: int, size: int) -> Any:
    """`function` of every item of a batch with `n_axes` leading axes, about `size` at a time."""
    if n_axes == 0:
        return function(items)
    shape = jax.tree.leaves(items)[0].shape[:n_axes]
    total = prod(shape)
    n_chunks = max(-(-total // size), 1)
    # Of equal length, so that there is one program and little to repeat.
    length = -(-total // n_chunks)
    flat = jax.tree.map(lambda x: x.reshape(total, *x.shape[n_axes:]), items)
    if n_chunks == 1:
        found = jax.vmap(function)(flat)
    else:
        index = np.minimum(np.arange(n_chunks * length), total - 1).reshape(n_chunks, length)
        found = jax.lax.map(jax.vmap(function), jax.tree.map(lambda x: x[index], flat))
        found = jax.tree.map(lambda x: x.reshape(n_chunks * length, *x.shape[2:])[:total], found)
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), found)


def _mapped(function: Callable[..., Any], mapped: Any, shared: Any, each: Any) -> tuple[Any, Any]:
    axes = jax.tree.map(lambda is_mapped: 0 if is_mapped else None, tuple(mapped))
    found = jax.vmap(function, in_axes=axes)(shared, each)
    return found, jax.tree.map(lambda _: True, found)


def _repeated(size: int, mapped: Any, each: Any) -> Any:
    return jax.tree.map(lambda m, x: x if m else jnp.broadcast_to(x, (size, *x.shape)), mapped, each)
