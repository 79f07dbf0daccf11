"""A sweep over a stream of environments into a store. Finished chunks stay, whatever stops the sweep."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jaxfeat.errors import BasisError, ClusterError, GeometryError, ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.spec import spec, write_identity
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.scan_records import CLASSIFIED
from jaxfeat.progress import Progress
from jaxfeat.spectrum.blocks import restrict_species
from jaxfeat.spectrum.plan import CHUNK_LENGTHS, choose_chunk_length
from jaxfeat.store.checks import IDENTIFY, NOT_IN_FORMER_STORES, REMEDY, check_place, check_same, check_versions
from jaxfeat.store.chunk import Chunk, Executor, LocalExecutor, Plan, Show, cut_chunks, remove_handed_over
from jaxfeat.store.journal import END, SETTINGS, Entry, Journal
from jaxfeat.store.schema import PACKAGES, provenance, versions
from jaxfeat.store.stream import Stream, StreamPosition, content_hash, prefetch, take_first
from jaxfeat.store.zarr_arrays import GROWING, ZarrArrays


def sweep_stream(
    f: AbstractFeaturizer,
    stream: Stream,
    path: Path,
    progress: Progress,
    *,
    screened: bool = False,
    classify: int | None = CLASSIFIED,
    positions: bool = True,
    chunk: int | None = None,
    sample: list[int] | None = None,
    overwrite: bool = False,
    command: str = "",
    cluster: Any = None,
) -> None:
    """Compute the chunks that the store at `path` lacks, as `jaxfeat.sweep`. `sample`: size and seed of a sample."""
    if chunk is not None and chunk < 1:
        raise GeometryError(f"chunk is {chunk}; a chunk has at least one environment.")
    if cluster is not None:
        try:
            spec(f)
        except BasisError as error:
            raise BasisError(f"workers make the featurizer from its spec; {error}") from error
    origin = {"input_hash": stream.input_hash, "r_cut": stream.r_cut, "centers": stream.centers}
    attributes = provenance(f) | origin | {"input": stream.name, "command": command, "screened": int(screened)}
    attributes |= {} if sample is None else {"sample": sample[0], "sample_seed": sample[1]}
    # A resumed sweep compares these, in this order.
    settings = {
        "featurizer": write_identity(f),
        **origin,
        "precision": attributes["precision"],
        "screened": screened,
        "classify": classify,
        "chunk": chunk,
        "positions": positions,
    } | ({} if sample is None else {"sample": sample})
    journal = Journal(path)
    check_place(path, journal, overwrite)
    with _refusing_unwritable(path):
        journal.create()
    with journal.locked():
        first = None if overwrite else _settings_of_first_sweep(journal, settings)
        kept = attributes if first is None else first["attributes"]
        if settings["chunk"] is None:
            beginning, stream = take_first(stream)
            settings["chunk"] = CHUNK_LENGTHS[1]
            if beginning is not None:
                settings["chunk"] = choose_chunk_length(restrict_species(f, beginning), beginning)
        sweep = _StoreSweep(stream, journal, settings, {**kept, "complete": 0}, progress)
        if first is None:
            journal.empty_store()
        else:
            sweep.resume(first["widths"])
        sweep.run(f, cluster)


def _settings_of_first_sweep(journal: Journal, settings: dict[str, Any]) -> Entry | None:
    """Read the settings that the store was begun with, if it was. **Raises:** `ReadError` if it cannot be resumed."""
    first = journal.read(SETTINGS)
    if first is None:
        if journal.numbers:
            raise ReadError(f"{journal.store} is damaged: its settings cannot be read; {REMEDY}.")
        return None
    if "attributes" not in first:
        raise ReadError(f"{journal.store} was begun by an older jaxfeat, which wrote less of what made it; {REMEDY}.")
    if "classify" not in first["compared"]:
        settings["classify"] = None
    if settings["chunk"] is None:
        settings["chunk"] = first["compared"]["chunk"]
    check_same(journal.store, NOT_IN_FORMER_STORES | first["compared"], NOT_IN_FORMER_STORES | settings)
    return first


@contextmanager
def _start_executor(f: AbstractFeaturizer, cluster: Any, n_done: int, show: Show) -> Iterator[Executor]:
    """Start an executor, which is stopped in the end. `n_done` environments are done before."""
    with ExitStack() as stack:
        if cluster is None:
            executor: Executor = LocalExecutor(f, n_done, show)
        else:
            # Imported here because dask is an extra.
            from jaxfeat.store.cluster import ClusterExecutor, connected

            executor = ClusterExecutor(stack.enter_context(connected(cluster)), n_done, show)
        stack.callback(executor.stop)
        yield executor


@dataclass
class _StoreSweep:
    """One sweep into one store, whose journal this process has locked. `attributes` are those of the first sweep.
    `opened`, the plan and the arrays, is `None` until the first chunk, which decides how wide a chunk is. `done` holds
    the entries of the finished, intact chunks, and `end` the last entry of a journal whose sweep was complete."""

    stream: Stream
    journal: Journal
    settings: dict[str, Any]
    attributes: dict[str, Any]
    progress: Progress
    opened: tuple[Plan, ZarrArrays] | None = None
    done: dict[int, Entry] = field(default_factory=dict)
    end: Entry | None = None

    @property
    def path(self) -> Path:
        return self.journal.store

    @property
    def length(self) -> int:
        """Environments of a full chunk."""
        return int(self.settings["chunk"])

    def resume(self, widths: Mapping[str, int]) -> None:
        """Open the arrays, and find the chunks that are done."""
        self._open(widths)
        self.end = self.journal.read(END)
        self.done = {k: entry for k, entry in self.journal.entries().items() if self._is_done(k, entry)}

    def _is_done(self, k: int, entry: Entry) -> bool:
        # A short chunk is the last one, or ends where the stream broke off, and then it is not done.
        full = entry["n"] == self.length or (self.end is not None and k == self.end["chunks"] - 1)
        return full and self.journal.is_intact(entry)

    def _open(self, widths: Mapping[str, int]) -> tuple[Plan, ZarrArrays]:
        plan = Plan(str(self.path.absolute()), self.settings, dict(widths), versions())
        arrays = plan.arrays()
        arrays.create(self.attributes)
        arrays.open()
        self.opened = plan, arrays
        return self.opened

    @property
    def n_done(self) -> int:
        return sum(entry["n"] for entry in self.done.values())

    def run(self, f: AbstractFeaturizer, cluster: Any) -> None:
        """Compute the missing chunks and finish the store."""
        if self.end is not None and len(self.done) == self.end["chunks"]:
            self._finish()
            return
        if self.opened is not None:
            # A complete store may be opened by any version, because nothing is computed.
            check_versions(self.path, {name: str(self.attributes.get(name)) for name in PACKAGES})
            if not self.opened[1].has_all_causes:
                fault = "was begun by an older jaxfeat, which knew fewer causes of null directions"
                raise ReadError(f"{self.path} {fault}; {REMEDY}.")
        with _start_executor(f, cluster, self.n_done, self._show) as executor:
            try:
                self._compute_missing(executor)
                self._finish()
            except (ClusterError, GeometryError, OSError, ReadError, KeyboardInterrupt) as error:
                self._settle(executor)
                if isinstance(error, (GeometryError, ReadError)) and not self.done:
                    raise
                raise self._with_remedy(error) from (error if isinstance(error, Exception) else None)

    def _compute_missing(self, executor: Executor) -> None:
        self._show(self.n_done)
        for k, chunk in self._missing():
            environments, m = chunk.environments, chunk.environments.max_neighbors
            plan, arrays = self.opened or self._begin(environments)
            self._grow(arrays, k * self.length + len(environments), {"value": 3 * m, "neighbor": m})
            executor.submit(plan, k, environments, partial(self._enter, k, chunk.after))
        executor.finish()

    def _show(self, n: int) -> None:
        self.progress(n, self.stream.total)

    def _missing(self) -> Iterator[tuple[int, Chunk]]:
        """Yield numbers and environments of the chunks not done. A stream that cannot seek is compared with those
        done."""
        k, position = 0, StreamPosition()
        while True:
            while self.stream.seekable and k in self.done:
                k, position = k + 1, StreamPosition(*self.done[k]["after"])
            if self.end is not None and k >= self.end["chunks"]:
                return
            chunks = cut_chunks(self.stream, position, self.length)
            for chunk in prefetch(chunks) if self.stream.seekable else chunks:
                if k not in self.done:
                    yield k, chunk
                elif self.stream.seekable:
                    break
                elif self.done[k]["inputs"] != content_hash(chunk.environments):
                    raise ReadError(f"{self.path} holds a sweep of other environments; {REMEDY}.")
                k, position = k + 1, chunk.after
            else:
                return

    def _begin(self, environments: Environment) -> tuple[Plan, ZarrArrays]:
        """Create the arrays of an empty store, in chunks as wide as the first one."""
        m = environments.max_neighbors
        if self.stream.total is not None:
            # Two spectra, positions with species, and some 60 bytes of single numbers.
            each = 8 * (2 * 3 * m + (4 * m if self.settings["positions"] else 0)) + 60
            need, free = self.stream.total * each, shutil.disk_usage(self.path).free
            if need > free:
                fault = f"{self.path} will take about {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
                raise ReadError(f"{fault}; make room.")
        widths = {"value": 3 * m, "neighbor": m}
        with _refusing_unwritable(self.path):
            opened = self._open(widths)
            # The attributes of the group would be lost with its metadata.
            self.journal.write(SETTINGS, {"compared": self.settings, "widths": widths, "attributes": self.attributes})
        return opened

    def _grow(self, arrays: ZarrArrays, n: int, widths: Mapping[str, int]) -> None:
        lengths = arrays.lengths
        if n > lengths["environment"]:
            # Each resizing writes the metadata of all arrays, so the length is doubled, and cut in the end.
            n = max(n, self.stream.total or 2 * lengths["environment"])
        arrays.resize({axis: max(lengths[axis], want) for axis, want in {"environment": n, **widths}.items()})

    def _enter(self, k: int, after: StreamPosition, entry: Entry) -> None:
        complete = {**entry, "after": list(after)}
        self.journal.write(k, complete)
        self.done[k] = complete

    def _settle(self, executor: Executor) -> None:
        """Keep the finished chunks, and cut the arrays behind them."""
        executor.stop()
        if self.opened is not None:
            plan, arrays = self.opened
            remove_handed_over(plan)
            with suppress(OSError):
                self._cut(arrays)
                arrays.finish({})

    def _cut(self, arrays: ZarrArrays) -> None:
        n = max((k * self.length + entry["n"] for k, entry in self.done.items()), default=0)
        widest = {axis: max((entry[axis] for entry in self.done.values()), default=0) for axis in GROWING}
        arrays.resize({"environment": n, **widest})

    def _finish(self) -> None:
        if self.opened is None or not self.done:
            raise GeometryError(f"{self.stream.name} holds no environments of these centers; choose others.")
        plan, arrays = self.opened
        self._cut(arrays)
        remove_handed_over(plan)
        arrays.finish({"complete": 1})
        self.journal.sync(self.path.glob("*/zarr.json"))
        self.journal.write(END, {"chunks": len(self.done), "environments": self.n_done})

    def _with_remedy(self, error: BaseException) -> BaseException:
        """Add to an error how much is kept in the store and, unless the input is at fault, how to resume the sweep."""
        kept = f"{self.n_done} environments are kept in {self.path}"
        if self.settings["featurizer"] is None:
            again = f"but cannot be resumed, because nothing tells this featurizer from others; {IDENTIFY} next time"
        else:
            again = "and the same sweep without overwriting resumes there"
        if isinstance(error, OSError):
            return OSError(error.errno, f"{error.strerror}; {kept} {again}.")
        if isinstance(error, KeyboardInterrupt):
            return KeyboardInterrupt(f"interrupted; {kept} {again}.")
        if isinstance(error, ClusterError):
            return ClusterError(f"{error}; {kept} {again}.")
        return type(error)(f"{str(error).removesuffix('.')}; {kept}.")


@contextmanager
def _refusing_unwritable(path: Path) -> Iterator[None]:
    """Turn an `OSError` of a store that has not begun into a `ReadError`."""
    try:
        yield
    except OSError as error:
        raise ReadError(f"{path} cannot be written: {error.strerror}.") from error
