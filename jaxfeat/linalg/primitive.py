"""The one module that reaches below JAX's public functions: a primitive for small problems side by side, and whether
a transformation is at work.

`jax.custom_batching.custom_vmap` would need no primitive, but it has no reverse mode and traces a function three times.
A primitive is traced once for all batches, and its rules say how each transformation goes on. All of them lead to the
primitive again, so that they compose in any order and to any depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_context
from jax.extend.core import Primitive, take_current_trace
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array


def inside_transformation() -> bool:
    """Tell whether a transformation such as jit, vmap or grad is at work here.

    Leaves of arguments do not tell: a function among them may close over what is traced, and inside jit even a plain
    number is traced, as soon as something is done with it.
    """
    with take_current_trace() as here:
        pass
    with eval_context(), take_current_trace() as plain:
        return here is not plain


class AbstractTask(Protocol):
    """A function of a list of arrays, the first `n_shared` of which have no lanes; the others and the results have
    them along their last axis. `alone` is the same function of one item, without that axis."""

    @property
    def n_shared(self) -> int: ...
    def __hash__(self) -> int: ...
    def __call__(self, leaves: Sequence[Array]) -> Any: ...
    def alone(self, leaves: Sequence[Array]) -> Any: ...


def bind_lanes(task: AbstractTask, leaves: Sequence[Any]) -> Any:
    """Compute a task of one item, such that `jax.vmap` puts the items into lanes."""
    leaves = [jnp.asarray(x) for x in leaves]
    _, result = _of_one(task, tuple(jax.typeof(x) for x in leaves), jnp.result_type(float))
    return jax.tree.unflatten(result, _lanes.bind(*leaves, task=task, size=None))


@dataclass(frozen=True)
class LaneTask:
    """A function `(shared, each)` of two trees, which together flatten to `tree`."""

    function: Any
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

    task: AbstractTask
    moving: tuple[bool, ...]

    @property
    def n_shared(self) -> int:
        n = self.task.n_shared
        return n + sum(self.moving[:n])

    def __call__(self, leaves: Sequence[Array]) -> list[Array]:
        return self._along(self.task, leaves)

    def alone(self, leaves: Sequence[Array]) -> list[Array]:
        return self._along(self.task.alone, leaves)

    def _along(self, function: Any, leaves: Sequence[Array]) -> list[Array]:
        n, total = self.task.n_shared, len(self.moving)
        shared, each = leaves[: self.n_shared], leaves[self.n_shared :]
        primals = [*shared[:n], *each[: total - n]]
        moved = iter([*shared[n:], *each[total - n :]])
        tangents = [next(moved) if moving else _still(x) for moving, x in zip(self.moving, primals, strict=True)]
        _, change = jax.jvp(lambda *x: jax.tree.leaves(function(x)), primals, tangents)
        return [x for x in change if x.dtype != jax.dtypes.float0]


@dataclass(frozen=True)
class _Transposed:
    """The transpose of a task that is linear in some of its arrays: takes the other arrays, then cotangents of the
    results, to cotangents of the `linear` ones, which are of the types `of_one` in a single item."""

    task: AbstractTask
    linear: tuple[bool, ...]
    of_one: tuple[Any, ...]

    @property
    def n_shared(self) -> int:
        return self.task.n_shared - sum(self.linear[: self.task.n_shared])

    def __call__(self, leaves: Sequence[Array]) -> list[Array]:
        if any(self.linear[: self.task.n_shared]):
            # Of what all lanes have in common each lane has a cotangent of its own.
            axes = [None if k < self.n_shared else -1 for k in range(len(leaves))]
            return jax.vmap(lambda *x: self.alone(x), axes, -1)(*leaves)
        return self._back(self.task, leaves, leaves[-1].shape[-1:])

    def alone(self, leaves: Sequence[Array]) -> list[Array]:
        return self._back(self.task.alone, leaves, ())

    def _back(self, function: Any, leaves: Sequence[Array], lanes: tuple[int, ...]) -> list[Array]:
        n_others = len(self.linear) - sum(self.linear)

        def of_linear(*moved: Array) -> list[Array]:
            others, linear = iter(leaves[:n_others]), iter(moved)
            return jax.tree.leaves(function([next(linear if one else others) for one in self.linear]))

        types = [x.update(shape=(*x.shape, *lanes)) for x in self.of_one]
        return list(jax.linear_transpose(of_linear, *types)(list(leaves[n_others:])))


def _still(x: Array) -> Any:
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)


@lru_cache(maxsize=1024)
def _of_one(task: AbstractTask, avals: tuple[Any, ...], widest: Any) -> tuple[Sequence[Any], Any]:
    """Tell the types of one item's results, and their tree. Traced once for all batches of such, and once more where
    another type is the `widest` that is enabled."""
    traced, shapes = jax.make_jaxpr(lambda *x: task.alone(x), return_shape=True)(*avals)
    return traced.out_avals, jax.tree.structure(shapes)


def _run(*leaves: Array, task: AbstractTask, size: int | None) -> list[Array]:
    if size is None:
        return jax.tree.leaves(task.alone(leaves))
    each = [jnp.moveaxis(x, 0, -1) for x in leaves[task.n_shared :]]
    return [jnp.moveaxis(x, -1, 0) for x in jax.tree.leaves(task([*leaves[: task.n_shared], *each]))]


def _shapes(*avals: Any, task: AbstractTask, size: int | None) -> list[Any]:
    n = task.n_shared
    one = avals if size is None else (*avals[:n], *(x.update(shape=x.shape[1:]) for x in avals[n:]))
    found, _ = _of_one(task, one, jnp.result_type(float))
    # Updated rather than made anew: inside shard_map, types say besides over which devices a result varies.
    return list(found) if size is None else [x.update(shape=(size, *x.shape)) for x in found]


def _batched(leaves: Sequence[Array], axes: Sequence[int | None], *, task: AbstractTask, size: int | None) -> Any:
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


def _derivative(primals: Sequence[Array], tangents: Sequence[Any], *, task: AbstractTask, size: int | None) -> Any:
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


def _transposed(cotangents: Sequence[Any], *leaves: Any, task: AbstractTask, size: int | None) -> list[Any]:
    linear = tuple(ad.is_undefined_primal(x) for x in leaves)
    others = [x for x in leaves if not ad.is_undefined_primal(x)]
    shared = [k < task.n_shared for k in range(len(leaves))]
    of_one = tuple(
        x.aval if size is None or alike else x.aval.update(shape=x.aval.shape[1:])
        for x, alike in zip(leaves, shared, strict=True)
        if ad.is_undefined_primal(x)
    )
    given = [ad.instantiate_zeros(x) for x in cotangents]
    found = iter(_lanes.bind(*others, *given, task=_Transposed(task, linear, of_one), size=size))

    def of_leaf(alike: bool) -> Array:
        return next(found).sum(0) if alike and size is not None else next(found)

    return [of_leaf(alike) if moved else None for moved, alike in zip(linear, shared, strict=True)]


_lanes = Primitive("lanes")
_lanes.multiple_results = True
_lanes.def_impl(_run)
_lanes.def_abstract_eval(_shapes)
batching.primitive_batchers[_lanes] = _batched
ad.primitive_jvps[_lanes] = _derivative
ad.primitive_transposes[_lanes] = _transposed
mlir.register_lowering(_lanes, mlir.lower_fun(_run, multiple_results=True))
