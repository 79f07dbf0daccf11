"""Small problems side by side, with the batch as the last axis, in lanes.

XLA vectorizes over the last axis. A single matrix of ten columns leaves it nothing to vectorize over, and a thousand
of them fill every vector register if each has a lane.

This is the only module that uses JAX below its public functions. A primitive `lanes` evaluates one problem, or many
with the batch along the last axis. It has two parameters:

- `task`: the function to evaluate (`LaneTask`);
- `n_lanes`: the number of items, or `None` for a single item without a batch axis.

Each transformation of JAX asks a rule for the transformed primitive. Every rule answers with the same primitive and
another task, so that transformations compose in any order and to any depth:

| transformation | rule | answer |
|---|---|---|
| `jit` | `_abstract_evaluate`, `_evaluate` | the types of the results, and the operations |
| `vmap` | `_batch` | the same task with as many times more lanes |
| `jvp` | `_jvp` | the task, and `_JvpTask` for the tangents |
| transposition | `_transpose` | `_TransposeTask` |

`jax.custom_batching.custom_vmap` would need no primitive, but it has no reverse mode, and it traces a function three
times. A task is traced once for all numbers of lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_context
from jax.extend.core import Primitive, take_current_trace
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

MAX_NEIGHBORS_IN_LANES = 5
"""Neighbors of the largest environments, and of the largest centers of structures, that are computed in lanes.

Measured: the matrices of larger ones fill the caches, and are faster one by one.
"""


def in_lanes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function of a batch into a function of one item that `jax.vmap` evaluates in lanes.

    Nested vmaps make one batch. Derivatives of both modes and of any order are those of `function`.

    `function` takes `(shared, each)`, two pytrees of arrays. Those in `each`, and the results, have the batch along
    their last axis, which the function of one item lacks. Those in `shared` are common to all items. If `shared` is
    mapped over, then the items with the same `shared` go side by side.
    """

    @wraps(function)
    def of_item(shared: Any, each: Any) -> Any:
        leaves, tree = jax.tree.flatten((shared, each))
        task, leaves = LaneTask(function, tree, len(jax.tree.leaves(shared))), list(map(jnp.asarray, leaves))
        _, results = _item_results(task, tuple(map(jax.typeof, leaves)), jnp.result_type(float))
        return jax.tree.unflatten(results, _lanes.bind(*leaves, task=task, n_lanes=None))

    return of_item


def contract_lanes(a: Float[Array, "*i j b"], b: Float[Array, "j *k b"]) -> Float[Array, "*i *k b"]:
    """Compute Σ_j a_j b_j in every lane, written out, because XLA makes faster code of it than of a reduction."""
    left, right = a.ndim - 2, b.ndim - 2
    a = jnp.moveaxis(a, left, 0)
    a = a.reshape(*a.shape[: left + 1], *[1] * right, a.shape[-1])
    b = b.reshape(len(b), *[1] * left, *b.shape[1:])
    return sum((a[j] * b[j] for j in range(1, len(a))), a[0] * b[0])


def inside_transformation() -> bool:
    """Tell whether this code runs inside jit, vmap, grad or the like. Arguments cannot tell, because a function may
    close over a tracer, and because inside jit even an operation on a constant gives a tracer."""
    with take_current_trace() as here:
        pass
    with eval_context(), take_current_trace() as outside:
        return here is not outside


@dataclass(frozen=True)
class LaneTask:
    """A function `(shared, each)` as a function of a list of arrays, to which its two pytrees of arguments flatten.

    The first `n_shared` arrays are common to all lanes. The others, and all results, have the lanes along their last
    axis, or no such axis if the task is called for a `single` item. A task is hashable, because it is a parameter of
    the primitive.
    """

    function: Any
    tree: Any
    n_shared: int

    def __call__(self, leaves: Sequence[Array], single: bool) -> Any:
        if not single:
            return self.function(*jax.tree.unflatten(self.tree, leaves))
        each = [x[..., None] for x in leaves[self.n_shared :]]
        return jax.tree.map(lambda x: x[..., 0], self([*leaves[: self.n_shared], *each], False))


@dataclass(frozen=True)
class _JvpTask:
    """The derivative along tangents of `moving` arrays. It takes shared arrays, their tangents, others, and theirs."""

    task: Task
    moving: tuple[bool, ...]

    @property
    def n_shared(self) -> int:
        return self.task.n_shared + sum(self.moving[: self.task.n_shared])

    def __call__(self, leaves: Sequence[Array], single: bool) -> list[Array]:
        n, total = self.task.n_shared, len(self.moving)
        shared, each = leaves[: self.n_shared], leaves[self.n_shared :]
        primals = [*shared[:n], *each[: total - n]]
        given = iter([*shared[n:], *each[total - n :]])
        tangents = [next(given) if moving else _zero_tangent(x) for moving, x in zip(self.moving, primals, strict=True)]
        _, changes = jax.jvp(lambda *x: jax.tree.leaves(self.task(x, single)), primals, tangents)
        return [x for x in changes if x.dtype != jax.dtypes.float0]


@dataclass(frozen=True)
class _TransposeTask:
    """The transpose of a task that is linear in the arrays marked in `linear`. It takes the other arrays, then the
    cotangents of the results, and gives the cotangents of the linear arrays, of types `item_types` in a single item."""

    task: Task
    linear: tuple[bool, ...]
    item_types: tuple[Any, ...]

    @property
    def n_shared(self) -> int:
        return self.task.n_shared - sum(self.linear[: self.task.n_shared])

    def __call__(self, leaves: Sequence[Array], single: bool) -> list[Array]:
        if not single and any(self.linear[: self.task.n_shared]):
            # Each lane has its own cotangent of a shared array; `_transpose` adds them up.
            axes = [None if k < self.n_shared else -1 for k in range(len(leaves))]
            return jax.vmap(lambda *x: self(x, True), axes, -1)(*leaves)
        n_others = len(self.linear) - sum(self.linear)

        def of_linear(*given: Array) -> list[Array]:
            others, linear = iter(leaves[:n_others]), iter(given)
            return jax.tree.leaves(self.task([next(linear if one else others) for one in self.linear], single))

        lanes = () if single else leaves[-1].shape[-1:]
        types = [x.update(shape=(*x.shape, *lanes)) for x in self.item_types]
        return list(jax.linear_transpose(of_linear, *types)(list(leaves[n_others:])))


Task = LaneTask | _JvpTask | _TransposeTask


def _zero_tangent(x: Array) -> Any:
    return jnp.zeros_like(x) if jnp.issubdtype(x.dtype, jnp.inexact) else np.zeros(x.shape, jax.dtypes.float0)


@lru_cache(maxsize=1024)
def _item_results(task: Task, item_types: tuple[Any, ...], widest: Any) -> tuple[Sequence[Any], Any]:
    """Return the types of the results for one item, and their tree. Types depend on the `widest` float enabled."""
    traced, shapes = jax.make_jaxpr(lambda *x: task(x, True), return_shape=True)(*item_types)
    return traced.out_avals, jax.tree.structure(shapes)


# The rules. The primitive takes and returns arrays with the lanes along the first axis, where vmap puts them.


def _evaluate(*leaves: Array, task: Task, n_lanes: int | None) -> list[Array]:
    if n_lanes is None:
        return jax.tree.leaves(task(leaves, True))
    each = [jnp.moveaxis(x, 0, -1) for x in leaves[task.n_shared :]]
    return [jnp.moveaxis(x, -1, 0) for x in jax.tree.leaves(task([*leaves[: task.n_shared], *each], False))]


def _abstract_evaluate(*types: Any, task: Task, n_lanes: int | None) -> list[Any]:
    n = task.n_shared
    of_item = types if n_lanes is None else (*types[:n], *(x.update(shape=x.shape[1:]) for x in types[n:]))
    results, _ = _item_results(task, of_item, jnp.result_type(float))
    # An updated type keeps the names of the devices over which a result varies inside shard_map; a new one would not.
    return list(results) if n_lanes is None else [x.update(shape=(n_lanes, *x.shape)) for x in results]


def _batch(
    leaves: Sequence[Array], axes: Sequence[int | None], *, task: Task, n_lanes: int | None
) -> tuple[list[Array], list[int]]:
    n = task.n_shared
    if any(axis is not None for axis in axes[:n]):
        # Lanes with different shared arrays cannot go side by side, so vmap maps the operations themselves.
        found = jax.vmap(lambda *x: _evaluate(*x, task=task, n_lanes=n_lanes), in_axes=tuple(axes))(*leaves)
        return found, [0] * len(found)
    length = next(x.shape[axis] for x, axis in zip(leaves, axes, strict=True) if axis is not None)

    def merged(x: Array, axis: int | None) -> Array:
        x = jnp.broadcast_to(x, (length, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        return x if n_lanes is None else x.reshape(length * n_lanes, *x.shape[2:])

    each = [merged(x, axis) for x, axis in zip(leaves[n:], axes[n:], strict=True)]
    found = _lanes.bind(*leaves[:n], *each, task=task, n_lanes=length * (1 if n_lanes is None else n_lanes))
    if n_lanes is not None:
        found = [x.reshape(length, n_lanes, *x.shape[1:]) for x in found]
    return found, [0] * len(found)


def _jvp(
    primals: Sequence[Array], tangents: Sequence[Any], *, task: Task, n_lanes: int | None
) -> tuple[list[Array], list[Any]]:
    moving = tuple(not isinstance(x, ad.Zero) for x in tangents)
    given = [x for x in tangents if not isinstance(x, ad.Zero)]
    n, m = task.n_shared, sum(moving[: task.n_shared])
    leaves = [*primals[:n], *given[:m], *primals[n:], *given[m:]]
    # The results have a primitive of their own, so that a vmap over tangents does not map them too.
    found = _lanes.bind(*primals, task=task, n_lanes=n_lanes)
    changes = iter(_lanes.bind(*leaves, task=_JvpTask(task, moving), n_lanes=n_lanes))
    smooth = [jnp.issubdtype(x.dtype, jnp.inexact) for x in found]
    zeros = [ad.Zero(jax.typeof(x).to_tangent_aval()) for x in found]
    return found, [next(changes) if s else zero for s, zero in zip(smooth, zeros, strict=True)]


def _transpose(cotangents: Sequence[Any], *leaves: Any, task: Task, n_lanes: int | None) -> list[Any]:
    n, linear = task.n_shared, tuple(map(ad.is_undefined_primal, leaves))
    others = [x for x, is_linear in zip(leaves, linear, strict=True) if not is_linear]
    item_types = tuple(
        x.aval if n_lanes is None or k < n else x.aval.update(shape=x.aval.shape[1:])
        for k, x in enumerate(leaves)
        if linear[k]
    )
    given = map(ad.instantiate_zeros, cotangents)
    found = iter(_lanes.bind(*others, *given, task=_TransposeTask(task, linear, item_types), n_lanes=n_lanes))
    each = [next(found) if is_linear else None for is_linear in linear]
    # Lanes have their own cotangents of the shared arrays.
    return [x if x is None or n_lanes is None or k >= n else x.sum(0) for k, x in enumerate(each)]


_lanes = Primitive("lanes")
_lanes.multiple_results = True
_lanes.def_impl(_evaluate)
_lanes.def_abstract_eval(_abstract_evaluate)
batching.primitive_batchers[_lanes] = _batch
ad.primitive_jvps[_lanes] = _jvp
ad.primitive_transposes[_lanes] = _transpose
mlir.register_lowering(_lanes, mlir.lower_fun(_evaluate, multiple_results=True))
