"""Environments from memory, from files or from an iterable, as one stream of batches."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import chain
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.frames import Frames
from jaxfeat.geometry.structure import Structure

T = TypeVar("T")
SLICE = 4096  # environments that a stream takes at a time from a batch in memory

HASHED = ("positions", "species", "mask", "center_species", "structure_index", "center_index", "r_cut")
"""Arrays of an environment that identify it. Existing stores keep hashes of them, in this order."""

Batches = Iterator[tuple[np.ndarray, Environment]]  # batches of environments, with their frame numbers


class StreamPosition(NamedTuple):
    """A position in a stream: environment `skip` of frame `frame`."""

    frame: int = 0
    skip: int = 0


class Stream(NamedTuple):
    """Environments in a fixed order.

    `total` is `None` if it is unknown until the end. `batches` yields batches of whole frames, from a given frame on:
    from any frame, repeatedly and in any thread, if it is `seekable`, otherwise from frame 0, once. `input_hash`
    identifies the source; it is empty for an iterable. Only frames have `r_cut` (Å) and `centers`.
    """

    name: str
    total: int | None
    batches: Callable[[int], Batches]
    seekable: bool
    input_hash: str = ""
    r_cut: float | None = None
    centers: list[Any] | None = None


def open_stream(at: Environment | Frames | Iterable[Environment]) -> Stream:
    """Open a batch, frames or any iterable of batches as a stream. **Raises:** `ReadError` for anything else."""
    if isinstance(at, Frames):
        frames = at

        def read_frames(start: int) -> Batches:
            return ((np.asarray(batch.structure_index), batch) for batch in frames.batches(start))

        return Stream(at.name, at.total, read_frames, True, at.identity, at.r_cut, at.centers)
    if isinstance(at, Environment):
        host = jax.tree.map(np.asarray, at)

        def cut_batch(start: int) -> Batches:
            for first in range(start, len(host), SLICE):
                part = host[first : first + SLICE]
                yield np.arange(first, first + len(part)), part

        return Stream("environments in memory", len(host), cut_batch, True, content_hash(host))
    if isinstance(at, Iterable):
        items = iter(at)

        def read_items(first: int) -> Batches:
            for batch in items:
                check_sweepable(batch)
                if not isinstance(batch, Environment):
                    raise ReadError(f"a stream yields batches of environments, not {type(batch).__name__}.")
                yield np.arange(first, first + len(batch)), jax.tree.map(np.asarray, batch)
                first += len(batch)

        return Stream("a stream of environments", None, read_items, False)
    raise ReadError(f"a sweep goes over environments, frames or a manifold, not over a {type(at).__name__}.")


def take_first(stream: Stream) -> tuple[Environment | None, Stream]:
    """Look at the first batch, `None` if there is none. Return it with a stream that still begins with it."""
    batches = stream.batches(0)
    first = next(batches, None)
    if first is not None and not stream.seekable:
        again = chain([first], batches)
        stream = stream._replace(batches=lambda _: again)
    return None if first is None else first[1], stream


def check_sweepable(at: Any) -> None:
    """Raise `ReadError` unless an input is batches, as far as its type or, of lists and tuples, its items tell."""
    for item in at if isinstance(at, (list, tuple)) and not isinstance(at, Frames) else [at]:
        if isinstance(item, Structure):
            raise ReadError("a sweep goes over environments, not over structures; structure.environments() has them.")
        if isinstance(item, Environment) and not item.batch_shape:
            raise ReadError("a sweep goes over batches, and this is one environment; Environment.stack makes a batch.")
        # ASE's class is known by a method, because importing ASE takes time.
        if hasattr(item, "get_chemical_formula"):
            cure = "make them with jaxfeat.environments(atoms, f), where f is the featurizer"
            raise ReadError(f"a sweep goes over environments, not over {type(item).__name__}; {cure}.")


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Make each item in a thread while the caller works on the one before. Nobody waits for an item not asked for."""
    end = object()

    def start() -> Future[Any]:
        coming: Future[Any] = Future()

        def make() -> None:
            try:
                coming.set_result(next(items, end))
            except BaseException as error:
                coming.set_exception(error)

        Thread(target=make, daemon=True).start()
        return coming

    coming = start()
    while (item := coming.result()) is not end:
        coming = start()
        yield item


def content_hash(host: Environment) -> str:
    """Hash the arrays of `HASHED` of environments on the host. Padding does not change the hash."""
    digest, trimmed = hashlib.sha256(), host.trimmed()
    for name in HASHED:
        array = np.asarray(getattr(trimmed, name))
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
