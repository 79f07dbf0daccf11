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
from jaxfeat.spectrum.driver import chunk_size, species_held
from jaxfeat.spectrum.reduce import Reduced, few_rows, gram
from jaxfeat.spectrum.refine import refinable, refined_spectra
from jaxfeat.spectrum.sizes import check_spectra
from jaxfeat.spectrum.solve import Spectrum, spectrum_of

CHUNK_BYTES = 8e6
"""Jacobians of one portion, about: small enough for a core's cache."""

AHEAD = 16
"""Portions to a call: enough to hide its dispatch."""

FILLED = 3
"""Calls of a shape that a chunk of a stream fills, or they are smaller: the last one is filled up with repetitions."""

FEW = 48
"""Environments of one shape that are not worth a compilation of their own."""

MANY = 16
"""Neighbors above which two spectra, raw and equilibrated, take less time from JᵀJ than from rows of J. Measured."""

CHUNK = 16384
"""Environments of a chunk of a store: a second's work at best, beside which writing it counts little; at a few hundred
a second a minute's, which is what a kill may cost."""

Progress = Callable[[int, Any], None]


class Pair(NamedTuple):
    """Raw and equilibrated spectrum of the same environments, as NumPy arrays, without directions."""

    raw: Spectrum
    equilibrated: Spectrum


def chunks(
    f: AbstractFeaturizer,
    batch: Environment,
    screened: bool = False,
    chunk: int | None = None,
    ahead: int = AHEAD,
    by_rows: bool = False,
) -> Iterator[tuple[np.ndarray, Pair]]:
    """Indices into `batch` and their spectra, a portion at a time; `chunk` as in `scan_arrays`.

    Those that JᵀJ tells too little of, where `screened` those that have a value below its floor, come in the end, by
    QR; all of them `by_rows`. Where there are several devices, each works on a share of a portion. Singular values are
    those of one device within some ten eps of the largest.
    """
    doubtful = [np.zeros(0, int)]
    over = devices()[: None if chunk else max(len(batch), 1)]
    for portion in portions(f, batch, ahead=ahead, chunk=chunk, shares=len(over)):
        with one_blas_thread():
            found = shared_out(_spectra, over, f, (portion.species, portion.environments), screened, by_rows)
            pair = _taken(Pair(*jax.tree.map(np.asarray, found)), slice(len(portion.indices)))
        below = np.any([~part.certified & ((np.asarray(part.n_null) > 0) | (not screened)) for part in pair], 0)
        doubtful.append(portion.indices[below])
        if not below.all():
            yield portion.indices[~below], _taken(pair, ~below)
    again = np.concatenate(doubtful)
    if again.size:
        rest = jax.tree.map(lambda leaf: np.asarray(leaf)[again], batch)
        for indices, pair in chunks(f, rest, False, chunk, AHEAD if chunk is None else 1, by_rows=True):
            yield again[indices], pair


def _taken(pair: Pair, index: Any) -> Pair:
    return jax.tree.map(lambda leaf: leaf[index], pair)


class Chunk(NamedTuple):
    """Environments of one shape, to be worked on in one call.

    - `indices`: `(m,)` into the batch that they come from.
    - `species`: `(b, k)`, those that each holds, then -1: what to restrict the featurizer to. b may exceed m: the last
      chunk of a shape repeats its first member rather than be a shape of its own.
    - `environments`: `(b,)`, on the host, padded to what they need.
    """

    indices: np.ndarray
    species: np.ndarray
    environments: Environment


def portions(
    f: AbstractFeaturizer,
    batch: Environment,
    few: int | None = None,
    ahead: int = 1,
    chunk: int | None = None,
    shares: int = 1,
) -> Iterator[Chunk]:
    """A batch, a chunk at a time, one shape after the other.

    Each environment is to be described in the species that it holds: features of the others are zero, and the singular
    values are the same without them. Shapes of less than `few` members, 48 unless told, join larger ones. A chunk is as
    large as the cache holds Jacobians, or `ahead` times that. Of a batch that is a `chunk` of a stream, as
    `scan_arrays` has it, no chunk is smaller, however few its members: a compilation costs more than working on some
    twice. There it is 1, 4 or `ahead` times what the cache holds, by how many of its shape there are, so that few are
    worked on twice. All of this is of one share; a chunk is as many `shares`.
    """
    host = jax.tree.map(np.asarray, batch)
    held = species_held(f, host)
    rooms = np.asarray([room_for(n) for n in range(host.max_neighbors + 1)])
    # Of environments without any species that the featurizer knows, one is described: none.
    n_held = (held >= 0).sum(1)
    n_described = n_held if f.species is None else np.maximum(n_held, 1)
    shapes = np.stack([n_described, rooms[host.mask.sum(-1)]], -1)
    merged = _merged(shapes, FEW if few is None else few)
    for (n_species, room), members in merged.items():
        narrow, one = (
            f.restricted_to_species(np.arange(1, n_species + 1, dtype=np.int32)),
            host[members[:1]].padded(room),
        )
        check_spectra(narrow, one, abreast=1, by_gram=room > MANY and refinable(narrow, one))
    for (n_species, room), members in merged.items():
        subsets = held[:, :n_species]
        narrow = f.restricted_to_species(np.arange(1, n_species + 1, dtype=np.int32))
        cached = _cached(_n_features(narrow, host, room), room)
        most = -(-(len(members) if chunk is None else chunk) // shares)
        fit = ahead if chunk is None else len(members) // (FILLED * shares * cached)
        times = max((n for n in (4, ahead) if n <= min(fit, ahead)), default=1)
        per_chunk = shares * min(cached * times, 2 ** (most - 1).bit_length())
        for start in range(0, len(members), per_chunk):
            indices = members[start : start + per_chunk]
            filled = np.concatenate([indices, np.full(per_chunk - len(indices), indices[0])])
            yield Chunk(indices, subsets[filled], jax.tree.map(np.asarray, host[filled].padded(room)))


def _merged(shapes: np.ndarray, few: int) -> dict[tuple[int, int], np.ndarray]:
    """Members of each shape (species, neighbors), after shapes of few members have joined the next larger one: a
    compilation costs as much as thousands of environments."""
    base = int(shapes[:, 1].max(initial=0)) + 1
    found, which, counts = np.unique(shapes @ (base, 1), return_inverse=True, return_counts=True)
    kinds = [divmod(code, base) for code in found.tolist()]
    target = {shape: shape for shape in kinds}
    size = dict(zip(kinds, counts.tolist(), strict=True))
    for shape in sorted(size, key=lambda s: s[0] ** 2 * s[1]):
        larger = [other for other in size if other != shape and other[0] >= shape[0] and other[1] >= shape[1]]
        if size[shape] < few and larger:
            host = min(larger, key=lambda s: s[0] ** 2 * s[1])
            size[host] += size.pop(shape)
            target = {member: host if to == shape else to for member, to in target.items()}
    return {
        shape: np.flatnonzero(np.asarray([target[kind] == shape for kind in kinds])[which]) for shape in sorted(size)
    }


def room_for(n_neighbors: int) -> int:
    """The padded size for an environment: few sizes, so that a set of mixed sizes compiles a handful of programs."""
    for step in (1, 2, 4, 8, 16):
        if n_neighbors <= 4 * step:
            return max(-(-n_neighbors // step) * step, 1)
    return -(-n_neighbors // 32) * 32


def _cached(n_features: int, room: int) -> int:
    """Environments whose Jacobians the cache holds."""
    return int(np.clip(2 ** round(np.log2(CHUNK_BYTES / (24 * max(n_features, 1) * room))), 1, 128))


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
    if batch.max_neighbors > MANY and refinable(f, batch) and not by_rows:
        return map_blocks(lambda both: refined_spectra(f, both[0], both[1], scalings, screened), (subsets, batch), 1)

    def reduce(item: Item) -> Reduced:
        subset, env = item
        narrow = f.restricted_to_species(subset) if f.species is not None else f
        return (gram if screened else few_rows)(narrow, env)

    def finish(reduced: Reduced, item: Item) -> tuple[Spectrum, ...]:
        how = {"every": True, "directions": False, "squared": screened}
        return tuple(spectrum_of(reduced, f, item[1], equilibrated=scaled, **how) for scaled in scalings)

    narrowest = f.restricted_to_species(subsets[0]) if f.species is not None else f
    return map_blocks_in_two_steps(reduce, finish, (subsets, batch), 1, chunk_size(narrowest, batch, screened))
