"""Small problems side by side, with the batch as the last axis.

XLA vectorises over the last axis. A matrix of ten columns leaves it nothing to vectorise over; a thousand of them, one
to a lane, do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


def lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """From `function(shared, each)`, whose arrays in `each` and in the result have a batch along their last axis: the
    same function of one item, for which `jax.vmap` puts the items into lanes. Nested vmaps become one batch.

    `shared` is for what all items have in common. Mapped over, it is taken item by item. Derivatives are forward ones.
    """

    @wraps(function)
    def one(shared: Any, each: Any) -> Any:
        leaves, tree = jax.tree.flatten((shared, each))
        leaves = [jnp.asarray(x) for x in leaves]
        task = _Task(function, tree, len(jax.tree.leaves(shared)))
        _, result = _of_one(task, tuple(jax.typeof(x) for x in leaves))
        return jax.tree.unflatten(result, _lanes.bind(*leaves, task=task, size=None))

    return one


@dataclass(frozen=True)
class _Task:
    """A function of lanes, of a list of arrays, the first `n_shared` of which have no lanes."""

    function: Callable[..., Any]
    tree: Any
    n_shared: int

    def __call__(self, leaves: Sequence[Array]) -> Any:
        return self.function(*jax.tree.unflatten(self.tree, leaves))

    def alone(self, leaves: Sequence[Array]) -> Any:
        each = [x[..., None] for x in leaves[self.n_shared :]]
        return jax.tree.map(lambda x: x[..., 0], self([*leaves[: self.n_shared], *each]))


@dataclass(frozen=True)
class _Tangents:
    """The derivative of a task along tangents of some of its arrays, which follow the shared and the other ones."""

    task: Any
    moving: tuple[bool, ...]

    @property
    def n_shared(self) -> int:
        n = self.task.n_shared
        return n + sum(self.moving[:n])

    def __call__(self, leaves: Sequence[Array]) -> list[Array]:
        n, total = self.task.n_shared, len(self.moving)
        shared, each = leaves[: self.n_shared], leaves[self.n_shared :]
        primals = [*shared[:n], *each[: total - n]]
        moved = iter([*shared[n:], *each[total - n :]])
        tangents = [next(moved) if moving else _still(x) for moving, x in zip(self.moving, primals, strict=True)]
        _, change = jax.jvp(lambda *x: jax.tree.leaves(self.task(x)), primals, tangents)
        return [x for x in change if x.dtype != jax.dtypes.float0]

    alone = _Task.alone


def _still(x: Array) -> Any:
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)


@lru_cache(maxsize=1024)
def _of_one(task: Any, avals: tuple[Any, ...]) -> tuple[list[jax.ShapeDtypeStruct], Any]:
    """What comes of one item. Traced once for all batches of such."""
    return jax.tree.flatten(jax.eval_shape(lambda *x: task.alone(x), *avals))


def _run(*leaves: Array, task: Any, size: int | None) -> list[Array]:
    if size is None:
        return jax.tree.leaves(task.alone(leaves))
    each = [jnp.moveaxis(x, 0, -1) for x in leaves[task.n_shared :]]
    return [jnp.moveaxis(x, -1, 0) for x in jax.tree.leaves(task([*leaves[: task.n_shared], *each]))]


def _shapes(*avals: Any, task: Any, size: int | None) -> list[Any]:
    n = task.n_shared
    one = avals if size is None else (*avals[:n], *(x.update(shape=x.shape[1:]) for x in avals[n:]))
    batch = () if size is None else (size,)
    return [ShapedArray((*batch, *x.shape), x.dtype, weak_type=x.weak_type) for x in _of_one(task, one)[0]]


def _batched(leaves: Sequence[Array], axes: Sequence[int | None], *, task: Any, size: int | None) -> Any:
    n = task.n_shared
    if any(axis is not None for axis in axes[:n]):
        found = jax.vmap(lambda *x: _run(*x, task=task, size=size), in_axes=tuple(axes))(*leaves)
        return found, [0] * len(found)
    length = next(x.shape[axis] for x, axis in zip(leaves, axes, strict=True) if axis is not None)

    def first(x: Array, axis: int | None) -> Array:
        x = jnp.broadcast_to(x, (length, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        return x if size is None else x.reshape(length * size, *x.shape[2:])

    each = [first(x, axis) for x, axis in zip(leaves[n:], axes[n:], strict=True)]
    found = _lanes.bind(*leaves[:n], *each, task=task, size=length * (1 if size is None else size))
    if size is not None:
        found = [x.reshape(length, size, *x.shape[1:]) for x in found]
    return found, [0] * len(found)


def _derivative(primals: Sequence[Array], tangents: Sequence[Any], *, task: Any, size: int | None) -> Any:
    moving = tuple(not isinstance(x, ad.Zero) for x in tangents)
    along = [x for x in tangents if not isinstance(x, ad.Zero)]
    n, m = task.n_shared, sum(moving[: task.n_shared])
    leaves = [*primals[:n], *along[:m], *primals[n:], *along[m:]]
    # Apart, so that what does not depend on a mapped tangent is not mapped either.
    found = _lanes.bind(*primals, task=task, size=size)
    change = iter(_lanes.bind(*leaves, task=_Tangents(task, moving), size=size))
    smooth = [jnp.issubdtype(x.dtype, jnp.inexact) for x in found]
    still = [ad.Zero(jax.typeof(x).to_tangent_aval()) for x in found]
    return found, [next(change) if s else zero for s, zero in zip(smooth, still, strict=True)]


_lanes = Primitive("lanes")
_lanes.multiple_results = True
_lanes.def_impl(_run)
_lanes.def_abstract_eval(_shapes)
batching.primitive_batchers[_lanes] = _batched
ad.primitive_jvps[_lanes] = _derivative
mlir.register_lowering(_lanes, mlir.lower_fun(_run, multiple_results=True))


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
