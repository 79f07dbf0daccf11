"""Environments that come one batch after another, regrouped into chunks of one length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.geometry.environment import Environment, concatenate_on_host
from jaxfeat.geometry.files.frames import Frames
from jaxfeat.geometry.structure import Structure

CHUNK_LENGTH = 16384
"""Environments in a chunk of a store. They take one second at best, beside which writing them costs little, and a
minute at a few hundred environments a second, which is what a kill may cost."""


T = TypeVar("T")

SLICE = 4096
"""Environments of a batch in memory that are handed on at a time."""


class Place(NamedTuple):
    """Where a stream goes on: at environment `skip` of frame `frame`."""

    frame: int = 0
    skip: int = 0


class Stream(NamedTuple):
    """Environments in order.

    - `origin`: what is compared when a sweep of it is taken up again: `input_hash`, `r_cut`, `centers`; of a plain
      iterable nothing is known.
    - `name`: for the reader.
    - `total`: how many there are, where that is known.
    - `blocks`: from a frame on, the frame that each environment belongs to, and the environments; always whole frames.
    - `seekable`: whether it can start at any frame, any number of times, and in any thread. Otherwise it starts at 0,
      once.
    """

    origin: dict[str, Any]
    name: str
    total: int | None
    blocks: Callable[[int], Iterator[tuple[np.ndarray, Environment]]]
    seekable: bool


def stream_of(at: Environment | Frames | Iterable[Environment]) -> Stream:
    """A batch, frames or any iterable of batches as a stream. **Raises:** `ReadError` for anything else."""
    if isinstance(at, Frames):
        return _of_frames(at)
    if isinstance(at, Environment):
        return _of_batch(jax.tree.map(np.asarray, at))
    if isinstance(at, Iterable):
        return _of_iterable(iter(at))
    raise ReadError(f"a sweep goes over environments, frames or a manifold, not over a {type(at).__name__}.")


def check_input(at: Any) -> None:
    """Raise `ReadError` for what is no environments, and says so without being gone through."""
    for item in at if isinstance(at, (list, tuple)) and not isinstance(at, Frames) else [at]:
        if isinstance(item, Structure):
            raise ReadError("a sweep goes over environments, not over structures; structure.environments() has them.")
        if isinstance(item, Environment) and not item.batch_shape:
            raise ReadError("a sweep goes over batches, and this is one environment; Environment.stack makes a batch.")
        # By what they can do: ASE need not be there.
        if hasattr(item, "get_chemical_formula"):
            raise ReadError(
                f"a sweep goes over environments, not over {type(item).__name__}; make them with "
                "jaxfeat.environments(atoms, f), where f is the featurizer."
            )


def _of_frames(frames: Frames) -> Stream:
    def blocks(start: int) -> Iterator[tuple[np.ndarray, Environment]]:
        return ((np.asarray(block.structure_index), block) for block in frames.batches(start))

    origin = {"input_hash": frames.identity, "r_cut": frames.r_cut, "centers": frames.centers}
    return Stream(origin, frames.name, frames.total, blocks, True)


def _of_batch(host: Environment) -> Stream:
    def blocks(start: int) -> Iterator[tuple[np.ndarray, Environment]]:
        for first in range(start, len(host), SLICE):
            part = host[first : first + SLICE]
            yield np.arange(first, first + len(part)), part

    return Stream({"input_hash": content_hash(host)}, "environments in memory", len(host), blocks, True)


def _of_iterable(batches: Iterator[Environment]) -> Stream:
    def blocks(start: int) -> Iterator[tuple[np.ndarray, Environment]]:
        first = start
        for batch in batches:
            check_input(batch)
            if not isinstance(batch, Environment):
                raise ReadError(f"a stream yields batches of environments, not {type(batch).__name__}.")
            host = jax.tree.map(np.asarray, batch)
            yield np.arange(first, first + len(host)), host
            first += len(host)

    return Stream({"input_hash": ""}, "a stream of environments", None, blocks, False)


class Piece(NamedTuple):
    """The environments of one chunk, on the host and without needless padding, and where the stream goes on."""

    environments: Environment
    after: Place


def regrouped(stream: Stream, place: Place, length: int) -> Iterator[Piece]:
    """The stream from a place on in pieces of `length` environments; the last one may be shorter.

    What was read before an error in reading still comes, as a shorter piece, before the error is raised.
    """
    error: Exception | None = None
    parts: list[Environment] = []
    held = 0
    blocks, skip = stream.blocks(place.frame), place.skip
    while error is None:
        try:
            found = next(blocks, None)
        except (GeometryError, ReadError) as caught:
            error, found = caught, None
        if found is None:
            break
        frames, block = found
        first = np.searchsorted(frames, frames, side="left")
        within = np.arange(len(frames)) - first
        start, skip = min(skip, len(frames)), max(skip - len(frames), 0)
        while start < len(frames):
            stop = min(start + length - held, len(frames))
            parts.append(block[start:stop])
            held, start = held + stop - start, stop
            if held == length:
                rest = stop < len(frames)
                after = Place(int(frames[stop]), int(within[stop])) if rest else Place(int(frames[-1]) + 1)
                yield Piece(_together(parts), after)
                parts, held = [], 0
        place = Place(int(frames[-1]) + 1) if len(frames) else place
    if held:
        yield Piece(_together(parts), place)
    if error is not None:
        raise error


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each of which is made in a thread while the one before it is worked on. Nobody waits for that thread
    where no more are asked for: an item may take long."""
    end = object()

    def begun() -> Future[Any]:
        coming: Future[Any] = Future()

        def make() -> None:
            try:
                coming.set_result(next(items, end))
            except BaseException as error:
                coming.set_exception(error)

        Thread(target=make, daemon=True).start()
        return coming

    coming = begun()
    while (item := coming.result()) is not end:
        coming = begun()
        yield item


def _together(parts: list[Environment]) -> Environment:
    size = max(part.max_neighbors for part in parts)
    return concatenate_on_host([part.padded(size) for part in parts]).trimmed()


def content_hash(host: Environment) -> str:
    """Of environments on the host, whatever their padding."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(host.trimmed()):
        digest.update(f"{leaf.shape} {leaf.dtype}".encode())
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()
