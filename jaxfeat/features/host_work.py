"""Work that NumPy does on environments of equal sizes side by side, because it is over before a program is compiled."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.geometry.environment import Batch, Environment
from jaxfeat.geometry.structure import Structure, species_present

HOST_SECONDS_PER_NEIGHBOR = 1e-4  # CPU seconds of NumPy, about. Measured for 4 to 52 neighbors.
Work = Literal["features", "call", "chunk", "job"]
"""Features or Jacobians of environments, often asked for again; another call; a chunk, which others follow; a job."""

HOST_SECONDS: dict[Work, float] = {"features": 0.02, "call": 0.1, "chunk": 0.3, "job": 4.0}
"""CPU seconds up to which NumPy works. Beyond that a program is worth its compilation."""

FEATURES_IF_UNKNOWN = 256  # features that are assumed where only a call counts them
GROUP_BYTES = 4_000_000  # bytes that are computed side by side, about what the caches of a core hold
ITEMS_OF_PROGRAM = 4  # environments in one call of a program whose results NumPy takes


def is_small(room: int, n_items: int, work: Work) -> bool:
    """Tell whether NumPy is done with `n_items` of up to `room` neighbors before a program is compiled."""
    return n_items * room * HOST_SECONDS_PER_NEIGHBOR <= HOST_SECONDS[work]


def room_for_neighbors(n_neighbors: int) -> int:
    """Compute the padded number of neighbors. There are few, so that mixed sizes compile a handful of programs."""
    for step in (1, 2, 4, 8, 16):
        if n_neighbors <= 4 * step:
            return max(-(-n_neighbors // step) * step, 1)
    return -(-n_neighbors // 32) * 32


def flatten_on_host(batch: Batch) -> Batch:
    """Return a batch of any shape, or one item, as a batch `(b,)` of NumPy arrays."""
    shape = batch.batch_shape
    return jax.tree.map(lambda leaf: np.asarray(leaf).reshape(prod(shape), *leaf.shape[len(shape) :]), batch)


def map_items(function: Callable[[Any], np.ndarray], batch: Batch) -> np.ndarray:
    """Apply a function of NumPy arrays to each item of a batch of any shape."""
    found = np.stack([function(item) for item in flatten_on_host(batch)])
    return found.reshape(*batch.batch_shape, *found.shape[1:])


def equal_sizes(batch: Environment, present: np.ndarray, item_bytes: Callable[[int], int]) -> Iterator[np.ndarray]:
    """Yield indices of environments that have equally many neighbors and species, as many as fit into the caches.
    `item_bytes` maps the number of neighbors to the bytes of one item."""
    sizes = np.stack([batch.mask.sum(1), (present >= 0).sum(1)], 1)
    found, which = np.unique(sizes, axis=0, return_inverse=True)
    for k, (n, _) in enumerate(found):
        members = np.flatnonzero(which.ravel() == k)
        length = int(max(GROUP_BYTES // max(item_bytes(int(n)), 1), 1))
        yield from np.split(members, range(length, len(members), length))


def take_equal_sizes(batch: Environment, present: np.ndarray, indices: np.ndarray) -> tuple[Environment, np.ndarray]:
    """Take environments of one size out of a batch, without padding, and the species that they hold."""
    n, s = int(batch.mask[indices[0]].sum()), max(int((present[indices[0]] >= 0).sum()), 1)
    return jax.tree.map(lambda leaf: leaf[indices], batch).padded(n), present[indices, :s]


def put_leading(whole: Any, indices: np.ndarray, part: np.ndarray) -> None:
    """Write results of smaller sizes into the leading entries of each axis."""
    whole[(indices, *(slice(size) for size in part.shape[1:]))] = part


def compute_on_host(
    compute: Callable[[Environment, Int[np.ndarray, "b s"]], np.ndarray],
    batch: Environment,
    known: Int[np.ndarray, " k"] | None,
    shape: tuple[int | None, ...],
) -> np.ndarray:
    """Compute an array of this shape for each environment of a batch of any shape. `compute` maps environments `(b,)`
    of equal sizes, and the `known` species that each holds, to arrays. Smaller ones fill the leading entries. A length
    of `None`, for features that only a call counts, is that of the arrays."""
    flat = flatten_on_host(batch)
    present, found = species_present(known, flat), np.zeros((flat.batch_shape[0], *(n or 0 for n in shape)))
    # Features of atoms that are very far away may overflow.
    with np.errstate(all="ignore"):
        for indices in equal_sizes(flat, present, lambda n: 8 * prod(n or FEATURES_IF_UNKNOWN for n in shape)):
            part = compute(*take_equal_sizes(flat, present, indices))
            if not found.size:
                whole = (part.shape[k + 1] if n is None else n for k, n in enumerate(shape))
                found = np.zeros((len(found), *whole))
            put_leading(found, indices, part)
    return found.reshape(*batch.batch_shape, *found.shape[1:])


def by_atoms_on_host(rows: Float[np.ndarray, "c d k 3"], structure: Structure) -> Float[np.ndarray, "c d n 3"]:
    """Turn the centers' derivatives by their neighbors into derivatives by all atoms of one structure, in NumPy."""
    c, d, k = rows.shape[:3]
    found = np.zeros((c, d, len(structure.positions), 3))
    # NumPy is slow at sums over an axis that is not the last.
    together = rows.reshape(c, d, 3 * k) @ np.tile(np.eye(3), (k, 1))
    for whole, of_center, atom, center, backwards in zip(
        found, rows, structure.neighbor, structure.center, together, strict=True
    ):
        atoms, first, n_images = np.unique(atom, return_index=True, return_counts=True)
        whole[:, atoms] = of_center[:, first]
        # Several neighbors may be images of one atom. Padding, whose rows are zero, stands for the first atom.
        if (n_images > 1).any():
            further = np.setdiff1d(np.arange(k), first)
            np.add.at(whole.swapaxes(0, 1), atom[further], of_center[:, further].swapaxes(0, 1))
        whole[:, center] -= backwards
    return found


def jacobians_by_program(f: Any, batch: Environment, present: np.ndarray) -> np.ndarray:
    """Compute the Jacobians of environments `(b,)` of equal sizes."""
    return _compute_by_program(_jacobians, f, batch, present, batch.max_neighbors)[0]


def rows_by_program(f: Any, batch: Environment, present: np.ndarray, room: int) -> tuple[np.ndarray, int]:
    """Compute the compact rows of environments `(b,)` of equal sizes in the species `present`, and count features."""
    rows, n_features = _compute_by_program(_compact_rows, f, batch, present, room)
    return rows.reshape(*rows.shape[:2], 3 * batch.max_neighbors), int(n_features[0])


def roundings_by_program(f: Any, batch: Environment) -> np.ndarray:
    """Compute the `roundings` of environments `(b,)` that are NumPy arrays."""
    if not batch.mask.size:
        return np.ones(batch.mask.shape)
    nothing = np.zeros((len(batch), 0), int)
    return _compute_by_program(_roundings, f, batch, nothing, batch.max_neighbors)[0][:, 0]


def smooth_on_host(f: Any, batch: Environment) -> np.ndarray:
    """Tell at which environments of a batch `(b,)` a featurizer has derivatives."""
    if f.always_smooth or not len(batch):
        return np.ones(len(batch), bool)
    finite: Any = batch.with_positions(np.nan_to_num(batch.positions, posinf=0, neginf=0))  # type: ignore[arg-type]
    return _compute_by_program(_smooth, f, finite, np.zeros((len(batch), 0), int), batch.max_neighbors)[0]


def is_smooth(f: Any, at: Any) -> bool:
    """Tell whether a featurizer has derivatives at one environment, or at all centers of one structure."""
    if f.always_smooth:
        return True
    one = jax.tree.map(lambda leaf: np.asarray(leaf)[None], at) if isinstance(at, Environment) else at.environments()
    return bool(smooth_on_host(f, one).all())


def _compute_by_program(
    program: Callable[..., tuple[Any, ...]], f: Any, batch: Environment, present: np.ndarray, room: int
) -> list[np.ndarray]:
    """Compute arrays a few environments at a time, in room for at least `room` neighbors, so that few programs serve
    all sizes. Axis 2 of an array, if there is one, is that of the neighbors; it is cut to their number."""
    b, n = batch.mask.shape
    room = room_for_neighbors(max(room, n))
    filled = np.minimum(np.arange(-(-b // ITEMS_OF_PROGRAM) * ITEMS_OF_PROGRAM), b - 1)
    parts = []
    for indices in np.split(filled, len(filled) // ITEMS_OF_PROGRAM):
        items = jax.tree.map(lambda leaf, indices=indices: leaf[indices], batch).padded(room)
        parts.append([np.asarray(found) for found in program(f, items, present[indices])])
    whole = [np.concatenate(found)[:b] for found in zip(*parts, strict=True)]
    return [found[:, :, :n] if found.ndim > 2 else found for found in whole]


@eqx.filter_jit
def _jacobians(f: Any, env: Environment, present: Any) -> tuple[Array]:
    return (jax.vmap(type(f).jacobian, (None, 0))(f, env),)


@eqx.filter_jit
def _compact_rows(f: Any, env: Environment, present: Any) -> tuple[Array, Array]:
    def one(env: Environment, present: Array) -> tuple[Array, Array]:
        narrow = f if f.species is None else f.restricted_to_species(present)
        rows, n_features = narrow.compact_jacobian(env)
        return rows.reshape(rows.shape[0], env.max_neighbors, 3), jnp.asarray(n_features)

    return jax.vmap(one)(env, present)


@eqx.filter_jit
def _smooth(f: Any, env: Environment, present: Any) -> tuple[Array]:
    return (jax.vmap(f.is_smooth_at)(env),)


@eqx.filter_jit
def _roundings(f: Any, env: Environment, present: Any) -> tuple[Array]:
    return (jax.vmap(f.roundings)(env)[:, None],)
