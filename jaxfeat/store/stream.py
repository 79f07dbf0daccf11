"""Environments from memory, from files or from an iterable, as one stream of batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.frames import Frames
from jaxfeat.geometry.structure import Structure

T = TypeVar("T")

SLICE = 4096
"""Environments that a stream takes at a time from a batch in memory."""

HASHED = ("positions", "species", "mask", "center_species", "structure_index", "center_index", "r_cut")
"""Arrays of an environment that identify it. Existing stores keep hashes of them, in this order."""


class StreamPosition(NamedTuple):
    """A position in a stream: environment `skip` of frame `frame`."""

    frame: int = 0
    skip: int = 0


class Stream(NamedTuple):
    """Environments in a fixed order.

    - `origin`: Facts that a resumed sweep compares: `input_hash`, `r_cut` and `centers`. A plain iterable has none.
    - `name`: The name of the source, for messages.
    - `total`: The number of environments, or `None` if it is unknown until the end.
    - `batches`: A function that yields, from a frame on, the frames of some environments and these environments as a
        batch. A batch holds whole frames.
    - `seekable`: True if `batches` can start at any frame, repeatedly and in any thread. Otherwise it starts at frame
        0, once.
    """

    origin: dict[str, Any]
    name: str
    total: int | None
    batches: Callable[[int], Iterator[tuple[np.ndarray, Environment]]]
    seekable: bool


def open_stream(at: Environment | Frames | Iterable[Environment]) -> Stream:
    """Open a batch, frames or any iterable of batches as a stream. **Raises:** `ReadError` for anything else."""
    if isinstance(at, Frames):
        return _stream_frames(at)
    if isinstance(at, Environment):
        return _stream_batch(jax.tree.map(np.asarray, at))
    if isinstance(at, Iterable):
        return _stream_iterable(iter(at))
    raise ReadError(f"a sweep goes over environments, frames or a manifold, not over a {type(at).__name__}.")


def check_sweepable(at: Any) -> None:
    """Raise `ReadError` if an input is no batches of environments, as far as its type or its items tell.

    Only lists and tuples are looked into, because other iterables can be read once.
    """
    for item in at if isinstance(at, (list, tuple)) and not isinstance(at, Frames) else [at]:
        if isinstance(item, Structure):
            raise ReadError("a sweep goes over environments, not over structures; structure.environments() has them.")
        if isinstance(item, Environment) and not item.batch_shape:
            raise ReadError("a sweep goes over batches, and this is one environment; Environment.stack makes a batch.")
        # ASE's class is known by a method, because importing ASE takes time.
        if hasattr(item, "get_chemical_formula"):
            raise ReadError(
                f"a sweep goes over environments, not over {type(item).__name__}; make them with "
                "jaxfeat.environments(atoms, f), where f is the featurizer."
            )


def _stream_frames(frames: Frames) -> Stream:
    def batches(start: int) -> Iterator[tuple[np.ndarray, Environment]]:
        return ((np.asarray(batch.structure_index), batch) for batch in frames.batches(start))

    origin = {"input_hash": frames.identity, "r_cut": frames.r_cut, "centers": frames.centers}
    return Stream(origin, frames.name, frames.total, batches, True)


def _stream_batch(host: Environment) -> Stream:
    def batches(start: int) -> Iterator[tuple[np.ndarray, Environment]]:
        for first in range(start, len(host), SLICE):
            part = host[first : first + SLICE]
            yield np.arange(first, first + len(part)), part

    return Stream({"input_hash": content_hash(host)}, "environments in memory", len(host), batches, True)


def _stream_iterable(items: Iterator[Environment]) -> Stream:
    def batches(start: int) -> Iterator[tuple[np.ndarray, Environment]]:
        first = start
        for batch in items:
            check_sweepable(batch)
            if not isinstance(batch, Environment):
                raise ReadError(f"a stream yields batches of environments, not {type(batch).__name__}.")
            host = jax.tree.map(np.asarray, batch)
            yield np.arange(first, first + len(host)), host
            first += len(host)

    return Stream({"input_hash": ""}, "a stream of environments", None, batches, False)


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """Make each item in a thread while the caller works on the one before.

    A caller that asks for no more items does not wait for that thread, because an item may take long.
    """
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
