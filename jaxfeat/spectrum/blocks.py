"""A batch of environments of mixed sizes, cut into blocks of equal shape."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import Work, room_for_neighbors
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, species_present
from jaxfeat.linalg.batching import BLOCK_ITEMS, together
from jaxfeat.spectrum.plan import Plan, check_spectra, make_plan, runs_on_host

RAW_AND_EQUILIBRATED = (False, True)  # scalings of the two spectra of each environment in a block
BLOCK_BYTES = 8e6  # bytes of Jacobians of all features that the cache of a core holds, about
CACHE_FILLS = 16  # fillings of the cache in one call: enough to hide the time of its dispatch
CALLS_OF_SHAPE = 3  # Calls that a shape has to fill before its blocks get larger. The last is filled with repetitions.
LEAST_OF_SHAPE = 48  # members of one shape that are worth a compilation of their own


class Block(NamedTuple):
    """Items `(b,)` of one shape, NumPy arrays, which one compiled call works on as planned. `indices`, `(m,)`, are
    their places in a batch; further items repeat the first one, so that blocks share their shape. `present`, `(b, s)`,
    are the species that each item holds, as `species_present` lists them; `None` stands for all."""

    indices: np.ndarray
    present: Any
    items: Any
    plan: Plan


def blocks_by_shape(
    f: AbstractFeaturizer,
    batch: Environment,
    *,
    least_of_shape: int = LEAST_OF_SHAPE,
    cache_fills: int = 1,
    chunk_length: int | None = None,
    n_devices: int = 1,
    screened: bool = False,
    by_rows: bool = False,
) -> Iterator[Block]:
    """Cut a batch `(b,)` into blocks, one shape after the other. A shape is a number of species and a room for
    neighbors.

    Shapes of fewer members than `least_of_shape` join larger ones. The Jacobians of a block fill the cache of a core up
    to `cache_fills` times, times the devices that share it. If the batch is a chunk of a stream, `chunk_length` is the
    length of all chunks but the last. A block then fills the cache 1, 4 or `cache_fills` times, as members suffice:
    lengths depend little on the number of members, because a compilation costs more than computing some items twice.
    """
    host = jax.tree.map(np.asarray, batch)
    present = species_present(f.species, host)
    planned = []
    # All shapes are checked before any of them is computed.
    for (n_species, room), members in _group_by_shape(f, host, present, least_of_shape).items():
        narrow = f.restricted_to_species(np.arange(1, n_species + 1, dtype=np.int32))
        one = host[members[:1]].padded(room)
        plan = make_plan(narrow, one, RAW_AND_EQUILIBRATED, screened=screened and not by_rows, refine=not by_rows)
        check_spectra(narrow, one, plan)
        planned.append((n_species, room, members, narrow, plan))
    for n_species, room, members, narrow, plan in planned:
        in_cache = _n_in_cache(_n_features(narrow, host, room), room)
        length = _block_length(len(members), in_cache, cache_fills, chunk_length, n_devices)
        for start in range(0, len(members), length):
            indices = members[start : start + length]
            filled = np.pad(indices, (0, length - len(indices)), constant_values=indices[0])
            items = jax.tree.map(np.asarray, host[filled].padded(room))
            yield Block(indices, present[filled, :n_species], items, plan)


def _group_by_shape(
    f: AbstractFeaturizer, batch: Environment, present: np.ndarray, least: int
) -> dict[tuple[int, int], np.ndarray]:
    rooms = np.asarray([room_for_neighbors(n) for n in range(batch.max_neighbors + 1)])
    # A featurizer that knows none of the species still needs one to describe an environment without it.
    n_described = np.maximum((present >= 0).sum(1), 0 if f.species is None else 1)
    return join_small_shapes(np.stack([n_described, rooms[batch.mask.sum(-1)]], -1), least)


def count_programs(f: AbstractFeaturizer, batch: Environment, work: Work) -> tuple[int, int]:
    """Count the environments of a batch that NumPy computes, and the shapes of the others."""
    f, host = f.prepared(), jax.tree.map(np.asarray, batch)
    few = few_of_their_size(f, host, work)
    many = host[np.flatnonzero(~few)]
    shapes = _group_by_shape(f, many, species_present(f.species, many), LEAST_OF_SHAPE) if len(many) else ()
    return int(few.sum()), len(shapes)


def few_of_their_size(f: AbstractFeaturizer, batch: Environment, work: Work) -> Bool[np.ndarray, " b"]:
    """Tell which environments of a batch of NumPy arrays are too few of their size for a compiled program."""
    rooms = np.asarray([room_for_neighbors(n) for n in range(batch.max_neighbors + 1)])[batch.mask.sum(-1)]
    counts = np.bincount(rooms, minlength=1)
    few = [runs_on_host(f, batch, room, count, work) for room, count in enumerate(counts.tolist())]
    return np.asarray(few, bool)[rooms]


def _block_length(n_members: int, in_cache: int, cache_fills: int, chunk_length: int | None, n_devices: int) -> int:
    most = -(-(n_members if chunk_length is None else chunk_length) // n_devices)
    fills = cache_fills
    if chunk_length is not None:
        enough = n_members // (CALLS_OF_SHAPE * n_devices * in_cache)
        fills = max((n for n in (4, cache_fills) if n <= min(enough, cache_fills)), default=1)
    return n_devices * min(in_cache * fills, 2 ** (most - 1).bit_length())


def block_of(batch: Item, indices: np.ndarray, plan: Plan) -> Block:
    """Make one block of some items of a batch `(b,)` of NumPy arrays, which keep their room for neighbors. Its length
    is a power of two or three quarters of one, so that few programs are compiled."""
    above = 2 ** (len(indices) - 1).bit_length()
    length = 3 * above // 4 if len(indices) <= 3 * above // 4 else above
    filled = np.pad(indices, (0, length - len(indices)), constant_values=indices[0])
    return Block(indices, None, jax.tree.map(lambda x: x[filled], batch), plan)


def restrict_species(f: FeatureMap, at: Item) -> Any:
    """Prepare a map for the species that an item or a batch holds: fewer features, with the same singular values."""
    prepared = f.prepared()
    featurizer = prepared.environment_featurizer
    if featurizer.species is None:
        return prepared
    known = np.asarray(featurizer.species)
    present = known[np.isin(known, species_present(featurizer.species, at))].astype(np.int32)
    narrow = featurizer.restricted_to_species(present if len(present) else np.asarray([-1], np.int32))
    return prepared.with_environment_featurizer(narrow)


def join_small_shapes(shapes: np.ndarray, least: int) -> dict[tuple[int, int], np.ndarray]:
    """Group environments by shape `(b, 2)`; shapes of fewer than `least` members join the next larger one."""
    found, which = np.unique(shapes, axis=0, return_inverse=True)
    groups = {(s, n): np.flatnonzero(which.ravel() == k) for k, (s, n) in enumerate(found.tolist())}
    cost = {(s, n): s**2 * n for s, n in groups}
    for small in sorted(groups, key=cost.__getitem__):
        larger = [shape for shape in groups if shape != small and shape[0] >= small[0] and shape[1] >= small[1]]
        if len(groups[small]) < least and larger:
            joined = min(larger, key=cost.__getitem__)
            groups[joined] = np.union1d(groups[joined], groups.pop(small))
    return groups


def _n_in_cache(n_features: int, room: int) -> int:
    """Count the environments whose Jacobians the cache holds, or a share of an accelerator's memory: a power of two."""
    fitting = together(BLOCK_BYTES) / (24 * max(n_features, 1) * room)
    return int(np.clip(2 ** round(np.log2(fitting)), 1, together(BLOCK_ITEMS)))


def _n_features(f: AbstractFeaturizer, batch: Environment, room: int) -> int:
    if f.has_fast_gram:
        # These are counted without being listed. The others compute so quickly that a trace for each block would tell.
        return f.n_features
    return eqx.filter_eval_shape(f, jax.tree.map(np.zeros_like, batch[0]).padded(room)).shape[0]
