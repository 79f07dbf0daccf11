"""A stream of environments into a store: what is done stays done, whatever stops it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.write import check_folder
from jaxfeat.sweep.chunked import Chunked, is_group
from jaxfeat.sweep.journal import END, SETTINGS, Journal
from jaxfeat.sweep.run import CHUNK, Progress
from jaxfeat.sweep.stream import Piece, Place, Stream, content_hash, regrouped
from jaxfeat.sweep.variables import chunk_arrays, provenance, variables

COMPARED = ("featurizer", "input_hash", "r_cut", "centers", "precision", "screened", "chunk", "positions")
"""What has to be as it was for a sweep to be gone on with."""

Entry = dict[str, Any]


def sweep_into(
    path: Path,
    f: AbstractFeaturizer,
    stream: Stream,
    *,
    screened: bool = False,
    chunk: int = CHUNK,
    positions: bool = True,
    overwrite: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> None:
    """Fill the store at `path`, or what is missing of it. Arguments and errors as of `sweep`."""
    if chunk < 1:
        raise GeometryError(f"chunk is {chunk}; a chunk has at least one environment.")
    origin = {name: stream.origin.get(name) for name in ("input_hash", "r_cut", "centers")}
    attributes = provenance(f) | origin | {"input": stream.name, "command": command, "screened": int(screened)}
    settings = {**attributes, "screened": screened, "chunk": chunk, "positions": positions}
    settings = {name: settings[name] for name in COMPARED}
    journal = Journal(path)
    check_place(path, journal, overwrite)
    with _unwritable(path):
        journal.start()
    with journal.locked():
        kept = journal.read(SETTINGS)
        if overwrite:
            kept = None
        elif kept is not None:
            _check_same(path, kept["compared"], settings)
        elif journal.entries():
            raise ReadError(f"{path} is damaged: its settings cannot be read; overwrite it, or name another store.")
        if kept is None:
            _empty(path, journal)
        job = _Job(path, f, stream, journal, settings, {**attributes, "complete": 0}, kept)
        job.run(progress)


class _Job:
    """One sweep into one store, which is locked.

    - `done`: entries of the chunks that are there and sound.
    - `pending`: the chunk that is being written while the next one is computed.
    """

    def __init__(
        self,
        path: Path,
        f: AbstractFeaturizer,
        stream: Stream,
        journal: Journal,
        settings: dict[str, Any],
        attributes: dict[str, Any],
        kept: dict[str, Any] | None,
    ) -> None:
        self.path, self.f, self.stream, self.journal = path, f, stream, journal
        self.settings, self.attributes = settings, attributes
        self.length: int = settings["chunk"]
        self.arrays: Chunked | None = None
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
        return arrays

    @property
    def n_done(self) -> int:
        return sum(entry["n"] for entry in self.done.values())

    def run(self, progress: Progress | None) -> None:
        if self.end is not None and len(self.done) == self.end["chunks"]:
            self._finish()
            return
        pool = ThreadPoolExecutor(1)
        try:
            self._fill(pool, progress)
            self._finish()
        except (GeometryError, ReadError) as error:
            self._settle(pool)
            if not self.done:
                raise
            raise type(error)(f"{str(error).removesuffix('.')}; {self._kept()}.") from error
        except OSError as error:
            self._settle(pool)
            raise OSError(error.errno, f"{error.strerror}; {self._kept()}, and the same sweep goes on.") from error
        except KeyboardInterrupt:
            self._settle(pool)
            raise KeyboardInterrupt(f"interrupted; {self._kept()}, and the same sweep goes on.") from None
        finally:
            pool.shutdown()

    def _kept(self) -> str:
        return f"{self.n_done} environments are kept in {self.path}"

    def _fill(self, pool: ThreadPoolExecutor, progress: Progress | None) -> None:
        pending: Future[None] | None = None
        total, handed = self.stream.total, self.n_done
        for k, piece in self._missing():

            def shown(done: int, _: int, before: int = handed) -> None:
                if progress is not None:
                    progress(before + done, total)

            if self.arrays is None:
                self._begin(piece)
            arrays = chunk_arrays(
                self.f, piece.environments, self.settings["screened"], self.length, self.settings["positions"], shown
            )
            if pending is not None:
                pending.result()
            pending = pool.submit(self._write, k, piece, arrays)
            handed += len(piece.environments)
        if pending is not None:
            pending.result()

    def _missing(self) -> Iterator[tuple[int, Piece]]:
        """Chunks that are not there, in order, with their environments."""
        k, place = 0, Place()
        while True:
            while self.stream.seekable and k in self.done:
                k, place = k + 1, Place(*self.done[k]["after"])
            if self.end is not None and k >= self.end["chunks"]:
                return
            for piece in regrouped(self.stream, place, self.length):
                if k not in self.done:
                    yield k, piece
                elif self.stream.seekable:
                    break
                elif self.done[k]["inputs"] != content_hash(piece.environments):
                    raise ReadError(f"{self.path} holds a sweep of other environments; {_MEND}.")
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
            self.journal.write(SETTINGS, {"compared": self.settings, "widths": widths})

    def _write(self, k: int, piece: Piece, arrays: dict[str, np.ndarray]) -> None:
        assert self.arrays is not None
        n, m = len(piece.environments), piece.environments.max_neighbors
        self._grow(k * self.length + n, {"value": 3 * m, "neighbor": m})
        entry: Entry = {
            "n": n,
            "after": list(piece.after),
            "inputs": content_hash(piece.environments),
            "value": arrays["sigma"].shape[1],
            "neighbor": m,
            "files": self.journal.seal(self.arrays.write(k, arrays)),
        }
        self.journal.write(k, entry)
        self.done[k] = entry

    def _grow(self, n: int, widths: Mapping[str, int]) -> None:
        assert self.arrays is not None
        size = self.arrays.size
        if n > size["environment"]:
            # Twice as many, since metadata of all arrays is written each time; in the end they are cut.
            n = max(n, self.stream.total or 2 * size["environment"])
        self.arrays.resize({axis: max(size[axis], want) for axis, want in (("environment", n), *widths.items())})

    def _settle(self, pool: ThreadPoolExecutor) -> None:
        """Wait for what is being written, and cut the arrays to what is there."""
        pool.shutdown()
        if self.arrays is not None:
            with suppress(OSError):
                self._cut()

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
        self.arrays.finish({"complete": 1})
        self.journal.seal(self.path.glob("*/zarr.json"))
        self.journal.write(END, {"chunks": len(self.done), "environments": self.n_done})


_MEND = "overwrite it, or name another store"


def check_place(path: Path, journal: Journal, overwrite: bool) -> None:
    """Raise `ReadError` for a place where no store can be, or where something else is."""
    if not path.exists():
        check_folder(path)
    elif not path.is_dir():
        raise ReadError(f"{path} exists and is a file; remove it, or name another store.")
    elif not (journal.exists or not any(path.iterdir()) or (overwrite and is_group(path))):
        what = _MEND if is_group(path) else "name another store"
        raise ReadError(f"{path} exists and holds no sweep of environments to go on with; {what}.")
    elif not os.access(path, os.W_OK):
        raise ReadError(f"{path} cannot be written: it is not yours to write to.")


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


def _check_same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for name in COMPARED:
        if theirs[name] != ours[name]:
            if name == "input_hash":
                raise ReadError(f"{path} holds a sweep of another input; {_MEND}.")
            what, there, here = _difference(name, theirs[name], ours[name])
            raise ReadError(f"{path} holds a sweep with {what} {there}, not {here}; {_MEND}.")


def _difference(name: str, theirs: Any, ours: Any) -> tuple[str, Any, Any]:
    """What differs, as precisely as it can be said, and the two values."""
    if name == "featurizer":
        with suppress(ValueError):
            theirs, ours = json.loads(theirs), json.loads(ours)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in (*theirs, *ours):
            if theirs.get(key) != ours.get(key):
                return _difference(key if key != "kind" else name, theirs.get(key), ours.get(key))
    return name, theirs, ours
