"""A batch of any size, computed in blocks of a bounded number of items. A whole batch at once would outgrow the caches,
and soon the memory; one item at a time would leave nothing to vectorize."""

from collections.abc import Callable
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

BLOCK_ITEMS = 128  # Small matrices in a block. Measured: the time to start a kernel is small beside its work.

ACCELERATOR_FACTOR = 256
"""How many times as much an accelerator computes at a time as a core, whose caches a block has to fit into. Blocks of
half a GB to one GB keep it busy and leave room on small devices. Chosen, not measured."""


def on_cpu() -> bool:
    """Tell whether programs that are traced now are for CPUs."""
    chosen = jax.config.values["jax_default_device"]
    platform = jax.default_backend() if chosen is None else getattr(chosen, "platform", chosen)
    return platform.startswith("cpu")


def together(count: float) -> int:
    """Return how many items, or bytes of them, the platform computes at a time where a core computes `count`."""
    return int(count if on_cpu() else ACCELERATOR_FACTOR * count)


def map_large_items(function: Callable[[Any], Any], items: Any) -> Any:
    """Map a function over the leading axis. On CPUs it takes the items one by one, because each fills the caches."""
    return jax.lax.map(function, items) if on_cpu() else jax.vmap(function)(items)


def map_blocks(function: Callable[[Any], Any], items: Any, n_axes: int, block_items: int = BLOCK_ITEMS) -> Any:
    """Apply a function of batches with one leading axis, about `block_items` items at a time, to pytrees with `n_axes`
    leading axes, or to a single item if there are none."""
    shape = jax.tree.leaves(items)[0].shape[:n_axes]
    flat = jax.tree.map(lambda x: x.reshape(prod(shape), *x.shape[n_axes:]), items)
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), _map_flat_blocks(function, flat, block_items))


def map_blocks_in_two_steps(
    first: Callable[[Any], Any], then: Callable[[Any, Any], Any], items: Any, n_axes: int, block_items: int
) -> Any:
    """Compute `then(first(item), item)` for each item. `first` needs much memory and runs on `block_items` items at a
    time, or on single items without a batch axis; `then` runs on `BLOCK_ITEMS` or more."""
    if n_axes == 0:
        return then(first(items), items)

    def both(batch: Any) -> Any:
        reduced = (
            jax.lax.map(first, batch) if block_items == 1 else _map_flat_blocks(jax.vmap(first), batch, block_items)
        )
        return jax.vmap(then)(reduced, batch)

    return map_blocks(both, items, n_axes, max(block_items, BLOCK_ITEMS))


def _map_flat_blocks(function: Callable[[Any], Any], batch: Any, block_items: int) -> Any:
    total = jax.tree.leaves(batch)[0].shape[0]
    n_blocks = max(-(-total // block_items), 1)
    if n_blocks == 1:
        return function(batch)
    # Blocks of equal length share one program, so the last block overlaps the one before if the batch does not divide.
    length = -(-total // n_blocks)
    starts = np.minimum(np.arange(n_blocks) * length, total - length)
    n_twice = n_blocks * length - total
    # The items are taken out before the loop: the derivative of a slice inside would be as large as the batch.
    blocks = jax.tree.map(lambda x: x[starts[:, None] + np.arange(length)], batch)

    def joined(x: Array) -> Array:
        if not n_twice:
            return x.reshape(total, *x.shape[2:])
        return jnp.concatenate([x[:-1].reshape((n_blocks - 1) * length, *x.shape[2:]), x[-1, n_twice:]])

    return jax.tree.map(joined, jax.lax.map(function, blocks))
