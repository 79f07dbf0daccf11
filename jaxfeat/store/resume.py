"""A stream of environments into a store: what is done stays done, whatever stops it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.errors import ClusterError, GeometryError, ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.spec import identity
from jaxfeat.geometry.environment import Environment
from jaxfeat.spectrum.blocks import Progress
from jaxfeat.store.arrays import Chunked
from jaxfeat.store.chunk import Crew, Entry, Keep, Order, clear_all_away, put
from jaxfeat.store.journal import END, SETTINGS, Journal
from jaxfeat.store.refusals import (
    COMPARED,
    IDENTIFY,
    MEND,
    check_goes_anywhere,
    check_place,
    check_same,
    check_versions,
)
from jaxfeat.store.schema import VERSIONS, chunk_arrays, provenance, variables, versions
from jaxfeat.store.stream import CHUNK_LENGTH, Piece, Place, Stream, ahead, content_hash, regrouped


def sweep_into(
    path: Path,
    f: AbstractFeaturizer,
    stream: Stream,
    *,
    screened: bool = False,
    chunk: int = CHUNK_LENGTH,
    positions: bool = True,
    overwrite: bool = False,
    command: str = "",
    progress: Progress | None = None,
    cluster: Any = None,
) -> None:
    """Fill the store at `path`, or what is missing of it. Arguments and errors as of `sweep`."""
    if chunk < 1:
        raise GeometryError(f"chunk is {chunk}; a chunk has at least one environment.")
    if cluster is not None:
        check_goes_anywhere(f)
    origin = {name: stream.origin.get(name) for name in ("input_hash", "r_cut", "centers")}
    attributes = provenance(f) | origin | {"input": stream.name, "command": command, "screened": int(screened)}
    settings = {**attributes, "screened": screened, "chunk": chunk, "positions": positions}
    settings = {name: settings[name] for name in COMPARED} | {"featurizer": identity(f)}
    journal = Journal(path)
    check_place(path, journal, overwrite)
    with _unwritable(path):
        journal.start()
    with journal.locked():
        kept = journal.read(SETTINGS)
        if overwrite:
            kept = None
        elif kept is not None and "attributes" not in kept:
            raise ReadError(f"{path} was begun by an older jaxfeat, which wrote less of what made it; {MEND}.")
        elif kept is not None:
            check_same(path, kept["compared"], settings)
        elif journal.numbers:
            raise ReadError(f"{path} is damaged: its settings cannot be read; overwrite it, or name another store.")
        if kept is None:
            _empty(path, journal)
        else:
            attributes = kept["attributes"]
        job = _Job(path, stream, journal, settings, {**attributes, "complete": 0}, kept, progress)
        job.run(partial(_here, job, f) if cluster is None else partial(_elsewhere, job, cluster))


class _Job:
    """One sweep into one store, which is locked.

    `done`: entries of the chunks that are there and sound.
    """

    def __init__(
        self,
        path: Path,
        stream: Stream,
        journal: Journal,
        settings: dict[str, Any],
        attributes: dict[str, Any],
        kept: dict[str, Any] | None,
        progress: Progress | None,
    ) -> None:
        self.path, self.stream, self.journal = path, stream, journal
        self.settings, self.attributes, self.progress = settings, attributes, progress
        self.length: int = settings["chunk"]
        self.arrays: Chunked | None = None
        self.order: Order | None = None
        self.done: dict[int, Entry] = {}
        self.end: Entry | None = None
        if kept is not None:
            self.arrays = self._opened(kept["widths"])
            self.end = journal.read(END)
            self.done = {k: entry for k, entry in journal.entries().items() if self._complete(k, entry)}

    def _complete(self, k: int, entry: Entry) -> bool:
        # A short chunk is the last one, or what came before something that could not be read.
        whole = entry["n"] == self.length or (self.end is not None and k == self.end["chunks"] - 1)
        return whole and self.journal.sound(entry)

    def _opened(self, widths: Mapping[str, int]) -> Chunked:
        arrays = Chunked(self.path, variables(self.settings["positions"]), self.length, widths)
        arrays.create(self.attributes)
        arrays.open()
        self.order = Order(str(self.path.absolute()), self.settings, dict(widths), versions())
        return arrays

    @property
    def n_done(self) -> int:
        return sum(entry["n"] for entry in self.done.values())

    def run(self, hired: Callable[[], AbstractContextManager[Crew]]) -> None:
        if self.end is not None and len(self.done) == self.end["chunks"]:
            self._finish()
            return
        if self.order is not None:
            # Only now: a store that is complete has nothing computed, and hence nothing mixed.
            check_versions(self.path, {name: str(self.attributes.get(name)) for name in VERSIONS})
        with hired() as crew:
            try:
                self._fill(crew)
                self._finish()
            except (GeometryError, ReadError) as error:
                self._settle(crew)
                if not self.done:
                    raise
                raise type(error)(f"{str(error).removesuffix('.')}; {self._kept()}.") from error
            except ClusterError as error:
                self._settle(crew)
                raise ClusterError(f"{error}; {self._kept()} {self._again()}.") from error
            except OSError as error:
                self._settle(crew)
                raise OSError(error.errno, f"{error.strerror}; {self._kept()} {self._again()}.") from error
            except KeyboardInterrupt:
                self._settle(crew)
                raise KeyboardInterrupt(f"interrupted; {self._kept()} {self._again()}.") from None

    def _kept(self) -> str:
        return f"{self.n_done} environments are kept in {self.path}"

    def _again(self) -> str:
        if self.settings["featurizer"] is None:
            return f"but cannot be gone on with, since nothing tells this featurizer from others; {IDENTIFY} next time"
        return "and the same sweep, not overwriting, goes on from there"

    def _fill(self, crew: Crew) -> None:
        self.show(self.n_done)
        for k, piece in self._missing():
            if self.arrays is None:
                self._begin(piece)
            n, m = len(piece.environments), piece.environments.max_neighbors
            self._grow(k * self.length + n, {"value": 3 * m, "neighbor": m})
            assert self.order is not None
            crew.hand(self.order, k, piece.environments, partial(self._keep, k, piece.after))
        crew.finish()

    def show(self, n: int) -> None:
        if self.progress is not None:
            self.progress(n, self.stream.total)

    def _missing(self) -> Iterator[tuple[int, Piece]]:
        """Chunks that are not there, in order, with their environments."""
        k, place = 0, Place()
        while True:
            while self.stream.seekable and k in self.done:
                k, place = k + 1, Place(*self.done[k]["after"])
            if self.end is not None and k >= self.end["chunks"]:
                return
            pieces = regrouped(self.stream, place, self.length)
            for piece in ahead(pieces) if self.stream.seekable else pieces:
                if k not in self.done:
                    yield k, piece
                elif self.stream.seekable:
                    break
                elif self.done[k]["inputs"] != content_hash(piece.environments):
                    raise ReadError(f"{self.path} holds a sweep of other environments; {MEND}.")
                k, place = k + 1, piece.after
            else:
                return

    def _begin(self, piece: Piece) -> None:
        """An empty store for chunks like the first one."""
        n = piece.environments.max_neighbors
        if self.stream.total is not None:
            # Two spectra, positions with species, and some 60 bytes that all have.
            each = 8 * (2 * 3 * n + (4 * n if self.settings["positions"] else 0)) + 60
            need, free = self.stream.total * each, shutil.disk_usage(self.path).free
            if need > free:
                raise ReadError(
                    f"{self.path} will take about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; make room."
                )
        widths = {"value": 3 * n, "neighbor": n}
        with _unwritable(self.path):
            self.arrays = self._opened(widths)
            # Attributes stand in the store as well, where they would be lost with its metadata.
            self.journal.write(SETTINGS, {"compared": self.settings, "widths": widths, "attributes": self.attributes})

    def _keep(self, k: int, after: Place, entry: Entry) -> None:
        entry = {**entry, "after": list(after)}
        self.journal.write(k, entry)
        self.done[k] = entry

    def _grow(self, n: int, widths: Mapping[str, int]) -> None:
        assert self.arrays is not None
        size = self.arrays.size
        if n > size["environment"]:
            # Twice as many, since metadata of all arrays is written each time; in the end they are cut.
            n = max(n, self.stream.total or 2 * size["environment"])
        self.arrays.resize({axis: max(size[axis], want) for axis, want in (("environment", n), *widths.items())})

    def _settle(self, crew: Crew) -> None:
        """Keep what is finished, and cut the arrays to that."""
        crew.stop()
        if self.arrays is not None and self.order is not None:
            clear_all_away(self.order)
            with suppress(OSError):
                self._cut()
                self.arrays.finish({})

    def _cut(self) -> None:
        assert self.arrays is not None
        last = max(self.done, default=-1)
        n = last * self.length + self.done[last]["n"] if self.done else 0
        widest = {axis: max((entry[axis] for entry in self.done.values()), default=0) for axis in ("value", "neighbor")}
        self.arrays.resize({"environment": n, **widest})

    def _finish(self) -> None:
        if self.arrays is None or not self.done:
            raise GeometryError(f"{self.stream.name} holds no environments of these centers; choose others.")
        self._cut()
        assert self.order is not None
        clear_all_away(self.order)
        self.arrays.finish({"complete": 1})
        self.journal.seal(self.path.glob("*/zarr.json"))
        self.journal.write(END, {"chunks": len(self.done), "environments": self.n_done})


class _Here:
    """The crew of one: this process computes a chunk while a thread of it writes the one before."""

    def __init__(self, job: _Job, f: AbstractFeaturizer) -> None:
        self.job, self.f = job, f
        self.pool = ThreadPoolExecutor(1)
        self.pending: Future[None] | None = None
        self.handed = job.n_done

    def hand(self, order: Order, k: int, environments: Environment, keep: Keep) -> None:
        def shown(done: int, _: int) -> None:
            self.job.show(self.handed + done)

        arrays = chunk_arrays(self.f, environments, *order.how, shown)
        self.handed += len(environments)
        self.finish()
        self.pending = self.pool.submit(self._put, k, environments, arrays, keep)

    def _put(self, k: int, environments: Environment, arrays: dict[str, np.ndarray], keep: Keep) -> None:
        assert self.job.arrays is not None
        keep(put(self.job.arrays, self.job.journal, k, environments, arrays))

    def finish(self) -> None:
        if self.pending is not None:
            self.pending.result()

    def stop(self) -> None:
        self.pool.shutdown()


@contextmanager
def _here(job: _Job, f: AbstractFeaturizer) -> Iterator[Crew]:
    crew = _Here(job, f)
    try:
        yield crew
    finally:
        crew.stop()


@contextmanager
def _elsewhere(job: _Job, cluster: Any) -> Iterator[Crew]:
    from jaxfeat.store.cluster import Workers, connected

    with connected(cluster) as client:
        crew = Workers(client, lambda: job.show(job.n_done))
        try:
            yield crew
        finally:
            crew.stop()


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReadError(f"{path} cannot be written: {error.strerror}.") from error


def _empty(path: Path, journal: Journal) -> None:
    journal.clear()
    for entry in path.iterdir():
        if entry != journal.folder:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    journal.start()
