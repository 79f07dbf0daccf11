"""Spectra of many environments: in chunks of one compiled shape, with progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.batching import map_blocks, map_blocks_in_two_steps
from jaxfeat.linalg.jit import tuned_jit
from jaxfeat.linalg.threads import one_blas_thread
from jaxfeat.spectrum.devices import devices, shared_out
from jaxfeat.spectrum.plan import chunk_size, room_for_neighbors, species_present
from jaxfeat.spectrum.reduce import JacobianGram, JacobianRows, reduce_to_gram, reduce_to_rows
from jaxfeat.spectrum.refine import gram_is_faster, spectra_from_gram
from jaxfeat.spectrum.sizes import check_spectra
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum

BLOCK_BYTES = 8e6
"""Jacobians of one block, about: small enough for a core's cache."""

CACHE_FILLS = 16
"""Portions to a call: enough to hide its dispatch."""

CALLS_OF_SHAPE = 3
"""Calls of a shape that a chunk of a stream fills, or they are smaller: the last one is filled up with repetitions."""

WORTH_COMPILING = 48
"""Environments of one shape that are not worth a compilation of their own."""

NEIGHBORS_FOR_GRAM = 16
"""Neighbors above which two spectra, raw and equilibrated, take less time from JᵀJ than from rows of J. Measured."""

Progress = Callable[[int, Any], None]


class RawAndEquilibrated(NamedTuple):
    """Raw and equilibrated spectrum of the same environments, as NumPy arrays, without directions."""

    raw: Spectrum
    equilibrated: Spectrum


def spectra_in_blocks(
    f: AbstractFeaturizer,
    batch: Environment,
    screened: bool = False,
    chunk: int | None = None,
    fills: int = CACHE_FILLS,
    by_rows: bool = False,
) -> Iterator[tuple[np.ndarray, RawAndEquilibrated]]:
    """Indices into `batch` and their spectra, a block at a time; `chunk` as in `collect`.

    Those that JᵀJ tells too little of, where `screened` those that have a value below its floor, come in the end, by
    QR; all of them `by_rows`. Where there are several devices, each works on a share of a block. Singular values are
    those of one device within some ten eps of the largest.
    """
    doubtful = [np.zeros(0, int)]
    over = devices()[: None if chunk else max(len(batch), 1)]
    for block in blocks_by_shape(f, batch, fills=fills, chunk=chunk, shares=len(over)):
        with one_blas_thread():
            found = shared_out(_spectra, over, f, (block.species, block.environments), screened, by_rows)
            pair = _taken(RawAndEquilibrated(*jax.tree.map(np.asarray, found)), slice(len(block.indices)))
        below = np.any([~part.certified & ((np.asarray(part.n_null) > 0) | (not screened)) for part in pair], 0)
        doubtful.append(block.indices[below])
        if not below.all():
            yield block.indices[~below], _taken(pair, ~below)
    again = np.concatenate(doubtful)
    if again.size:
        rest = jax.tree.map(lambda leaf: np.asarray(leaf)[again], batch)
        for indices, pair in spectra_in_blocks(
            f, rest, False, chunk, CACHE_FILLS if chunk is None else 1, by_rows=True
        ):
            yield again[indices], pair


def _taken(pair: RawAndEquilibrated, index: Any) -> RawAndEquilibrated:
    return jax.tree.map(lambda leaf: leaf[index], pair)


class Block(NamedTuple):
    """Environments of one shape, to be worked on in one call.

    - `indices`: `(m,)` into the batch that they come from.
    - `species`: `(b, k)`, those that each holds, then -1: what to restrict the featurizer to. b may exceed m: the last
      chunk of a shape repeats its first member rather than be a shape of its own.
    - `environments`: `(b,)`, on the host, padded to what they need.
    """

    indices: np.ndarray
    species: np.ndarray
    environments: Environment


def blocks_by_shape(
    f: AbstractFeaturizer,
    batch: Environment,
    least: int | None = None,
    fills: int = 1,
    chunk: int | None = None,
    shares: int = 1,
) -> Iterator[Block]:
    """A batch, a chunk at a time, one shape after the other.

    Each environment is to be described in the species that it holds: features of the others are zero, and the singular
    values are the same without them. Shapes of less than `least` members, 48 unless told, join larger ones. A block is
    as large as the cache holds Jacobians, or `fills` times that. Of a batch that is a `chunk` of a stream, as `collect`
    has it, no chunk is smaller, however few its members: a compilation costs more than working on some twice. There it
    is 1, 4 or `fills` times what the cache holds, by how many of its shape there are, so that few are worked on twice.
    All of this is of one share; a chunk is as many `shares`.
    """
    host = jax.tree.map(np.asarray, batch)
    held = species_present(f, host)
    rooms = np.asarray([room_for_neighbors(n) for n in range(host.max_neighbors + 1)])
    # Of environments without any species that the featurizer knows, one is described: none.
    n_held = (held >= 0).sum(1)
    n_described = n_held if f.species is None else np.maximum(n_held, 1)
    shapes = np.stack([n_described, rooms[host.mask.sum(-1)]], -1)
    merged = _merged(shapes, WORTH_COMPILING if least is None else least)
    for (n_species, room), members in merged.items():
        narrow, one = (
            f.restricted_to_species(np.arange(1, n_species + 1, dtype=np.int32)),
            host[members[:1]].padded(room),
        )
        check_spectra(narrow, one, abreast=1, by_gram=room > NEIGHBORS_FOR_GRAM and gram_is_faster(narrow, one))
    for (n_species, room), members in merged.items():
        subsets = held[:, :n_species]
        narrow = f.restricted_to_species(np.arange(1, n_species + 1, dtype=np.int32))
        cached = _cached(_n_features(narrow, host, room), room)
        most = -(-(len(members) if chunk is None else chunk) // shares)
        fit = fills if chunk is None else len(members) // (CALLS_OF_SHAPE * shares * cached)
        times = max((n for n in (4, fills) if n <= min(fit, fills)), default=1)
        per_chunk = shares * min(cached * times, 2 ** (most - 1).bit_length())
        for start in range(0, len(members), per_chunk):
            indices = members[start : start + per_chunk]
            filled = np.concatenate([indices, np.full(per_chunk - len(indices), indices[0])])
            yield Block(indices, subsets[filled], jax.tree.map(np.asarray, host[filled].padded(room)))


def _merged(shapes: np.ndarray, least: int) -> dict[tuple[int, int], np.ndarray]:
    """Members of each shape (species, neighbors), after shapes of few members have joined the next larger one: a
    compilation costs as much as thousands of environments."""
    base = int(shapes[:, 1].max(initial=0)) + 1
    found, which, counts = np.unique(shapes @ (base, 1), return_inverse=True, return_counts=True)
    kinds = [divmod(code, base) for code in found.tolist()]
    target = {shape: shape for shape in kinds}
    size = dict(zip(kinds, counts.tolist(), strict=True))
    for shape in sorted(size, key=lambda s: s[0] ** 2 * s[1]):
        larger = [other for other in size if other != shape and other[0] >= shape[0] and other[1] >= shape[1]]
        if size[shape] < least and larger:
            host = min(larger, key=lambda s: s[0] ** 2 * s[1])
            size[host] += size.pop(shape)
            target = {member: host if to == shape else to for member, to in target.items()}
    return {
        shape: np.flatnonzero(np.asarray([target[kind] == shape for kind in kinds])[which]) for shape in sorted(size)
    }


def _cached(n_features: int, room: int) -> int:
    """Environments whose Jacobians the cache holds."""
    return int(np.clip(2 ** round(np.log2(BLOCK_BYTES / (24 * max(n_features, 1) * room))), 1, 128))


def _n_features(f: AbstractFeaturizer, batch: Environment, room: int) -> int:
    if f.has_fast_gram:
        # Counted without listing them, and quick enough otherwise for a trace to each chunk to be felt.
        return f.n_features
    return eqx.filter_eval_shape(f, jax.tree.map(np.zeros_like, batch[0]).padded(room)).shape[0]


@tuned_jit
def _spectra(
    f: AbstractFeaturizer, subsets: Int[Array, "b k"] | np.ndarray, batch: Environment, screened: bool, by_rows: bool
) -> tuple[Spectrum, ...]:
    Item = tuple[Int[Array, " k"] | np.ndarray, Environment]
    scalings = (False, True)
    if batch.max_neighbors > NEIGHBORS_FOR_GRAM and gram_is_faster(f, batch) and not by_rows:
        return map_blocks(lambda both: spectra_from_gram(f, both[0], both[1], scalings, screened), (subsets, batch), 1)

    def reduce(item: Item) -> JacobianRows | JacobianGram:
        subset, env = item
        narrow = f.restricted_to_species(subset) if f.species is not None else f
        return (reduce_to_gram if screened else reduce_to_rows)(narrow, env)

    def finish(reduced: JacobianRows | JacobianGram, item: Item) -> tuple[Spectrum, ...]:
        how = {"directions": False}
        return tuple(decompose(reduced, item[1], f, equilibrated=scaled, **how) for scaled in scalings)

    narrowest = f.restricted_to_species(subsets[0]) if f.species is not None else f
    return map_blocks_in_two_steps(reduce, finish, (subsets, batch), 1, chunk_size(narrowest, batch, screened))
