"""The way of one chunk of a sweep: cut from the stream, computed and written to the store, here or elsewhere. Any
process that sees the store can compute a chunk, and compute it again. The result depends on the plan and the
environments alone, and each file replaces its predecessor at once."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.spec import from_spec
from jaxfeat.geometry.environment import Environment, concatenate_on_host
from jaxfeat.nulls.scan import scan_arrays
from jaxfeat.store.checks import NOT_IN_FORMER_STORES
from jaxfeat.store.journal import SETTINGS, Entry, Journal
from jaxfeat.store.schema import atom_arrays, spectrum_arrays, variables, versions
from jaxfeat.store.stream import Stream, StreamPosition, content_hash
from jaxfeat.store.zarr_arrays import ZarrArrays


class Plan(NamedTuple):
    """Everything that the chunks of a sweep have in common, in plain values that can be sent to another process. A
    resumed sweep compares `settings`. `widths` are the lengths of a chunk along the axes that grow, and `versions`
    those of the packages that decide how numbers are rounded."""

    store: str
    settings: dict[str, Any]
    widths: dict[str, int]
    versions: dict[str, str]

    @property
    def journal(self) -> Journal:
        return Journal(Path(self.store))

    def arrays(self) -> ZarrArrays:
        """The arrays of the store, not yet created or opened."""
        known = variables(self.settings["positions"])
        return ZarrArrays(Path(self.store), known, self.settings["chunk"], self.widths)


class Chunk(NamedTuple):
    """The environments of one chunk, on the host and trimmed, and the position of the stream behind them."""

    environments: Environment
    after: StreamPosition


def cut_chunks(stream: Stream, position: StreamPosition, length: int) -> Iterator[Chunk]:
    """Cut the stream into chunks of `length` from a position on; the last, also before an error, may be shorter."""
    error: Exception | None = None
    parts: list[Environment] = []
    held, skip = 0, position.skip
    try:
        for frames, batch in stream.batches(position.frame):
            # The position of each environment, and the one behind the last.
            within = np.arange(len(frames)) - np.searchsorted(frames, frames)
            positions = [*map(StreamPosition, frames.tolist(), within.tolist())]
            positions += [StreamPosition(frame + 1) for frame in frames[-1:].tolist()]
            start, skip = min(skip, len(frames)), max(skip - len(frames), 0)
            while start < len(frames):
                stop = min(start + length - held, len(frames))
                parts.append(batch[start:stop])
                held, start = held + stop - start, stop
                if held == length:
                    yield Chunk(concatenate_on_host(parts).trimmed(), positions[stop])
                    parts, held = [], 0
            position = positions[-1] if positions else position
    except (GeometryError, ReadError) as caught:
        error = caught
    if held:
        yield Chunk(concatenate_on_host(parts).trimmed(), position)
    if error is not None:
        raise error


def compute_chunk(
    f: AbstractFeaturizer,
    environments: Environment,
    settings: Mapping[str, Any],
    progress: Callable[[int, Any], None] | None = None,
) -> dict[str, np.ndarray]:
    """Compute the values of all variables of a chunk."""
    given = settings["screened"], settings["classify"], settings["chunk"]
    # Stores have no room for lists of nearly null directions.
    found = scan_arrays(f, environments, progress, *given, near=False)
    values = spectrum_arrays(found) | atom_arrays(environments, settings["positions"])
    types = {name: object if v.dtype is str else v.dtype for name, v in variables(settings["positions"]).items()}
    return {name: values[name].astype(dtype, copy=False) for name, dtype in types.items()}


def write_chunk(
    arrays: ZarrArrays, journal: Journal, k: int, environments: Environment, values: Mapping[str, np.ndarray]
) -> Entry:
    """Write chunk `k` to the disk. Return its entry, which still lacks the position of the stream."""
    return {
        "n": len(environments),
        "inputs": content_hash(environments),
        "value": values["sigma"].shape[1],
        "neighbor": environments.max_neighbors,
        "files": journal.sync(arrays.write(k, values)),
    }


Enter = Callable[[Entry], None]  # enters a chunk that is on the disk in the journal
Show = Callable[[int], None]  # shows how many environments of the sweep are done


class Executor(Protocol):
    """Computes and writes the chunks of one sweep."""

    def submit(self, plan: Plan, k: int, environments: Environment, enter: Enter) -> None:
        """Start chunk `k` when few are under way. `enter` is called in this process when the chunk is on the disk."""

    def finish(self) -> None:
        """Wait for all chunks that are under way."""

    def stop(self) -> None:
        """Enter the finished chunks and drop the others."""


class LocalExecutor:
    """Computes chunks in this process, after `n_done` environments. A thread writes a chunk during the next one."""

    def __init__(self, f: AbstractFeaturizer, n_done: int, show: Show) -> None:
        self.f, self.n_done, self.show = f, n_done, show
        self.arrays: ZarrArrays | None = None
        self.writer = ThreadPoolExecutor(1)
        self.writing: Future[None] | None = None

    def submit(self, plan: Plan, k: int, environments: Environment, enter: Enter) -> None:
        values = compute_chunk(self.f, environments, plan.settings, lambda n, _: self.show(self.n_done + n))
        self.n_done += len(environments)
        self.finish()
        self.writing = self.writer.submit(self._write, plan, k, environments, values, enter)

    def _write(
        self, plan: Plan, k: int, environments: Environment, values: Mapping[str, np.ndarray], enter: Enter
    ) -> None:
        self.arrays = self.arrays or plan.arrays().open()
        enter(write_chunk(self.arrays, plan.journal, k, environments, values))

    def finish(self) -> None:
        if self.writing is not None:
            self.writing.result()

    def stop(self) -> None:
        self.writer.shutdown()


def hand_over(plan: Plan, k: int, environments: Environment) -> None:
    """Write the environments of chunk `k` to the store, for the process that computes the chunk."""
    file = _handed_over(plan, k)
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".part")
    with open(partial, "wb") as handle:
        np.savez(handle, **{field.name: getattr(environments, field.name) for field in fields(environments)})
    partial.replace(file)


def remove_handed_over(plan: Plan, k: int | None = None) -> None:
    """Remove the environments of chunk `k`, or of all chunks, those of earlier sweeps included."""
    if k is not None:
        _handed_over(plan, k).unlink(missing_ok=True)
    else:
        shutil.rmtree(_handed_over(plan, 0).parent, ignore_errors=True)


def _handed_over(plan: Plan, k: int) -> Path:
    return plan.journal.folder / "inputs" / f"{k:08d}.npz"


def compute_handed_over(plan: Plan, k: int) -> Entry:
    """Compute and write chunk `k`, whose environments were handed over. Return its entry, as `write_chunk` does."""
    found = versions()
    for name, theirs in plan.versions.items():
        if found[name] != theirs:
            raise ReadError(f"a worker has {name} {found[name]}, and this process {theirs}; install the same on both.")
    _check_store(plan)
    with np.load(_handed_over(plan, k)) as leaves:
        environments = Environment(**leaves)
    with jax.enable_x64(plan.settings["precision"] == "float64"):
        values = compute_chunk(_featurizer(plan.settings["featurizer"]), environments, plan.settings)
    # Meanwhile the process that made the plan may have ended, and another one begun a different sweep here.
    _check_store(plan)
    return write_chunk(plan.arrays().open(), plan.journal, k, environments, values)


def _check_store(plan: Plan) -> None:
    kept = plan.journal.read(SETTINGS)
    if kept is None:
        from platform import node

        cure = "put the store where all workers read and write"
        raise ReadError(f"a worker on {node()} does not see {plan.store}; {cure}.")
    if NOT_IN_FORMER_STORES | kept["compared"] != NOT_IN_FORMER_STORES | plan.settings:
        raise ReadError(f"a worker sees another sweep at {plan.store}; put the store where all workers read and write.")


@lru_cache(1)
def _featurizer(text: str) -> AbstractFeaturizer:
    # Trusted, because the spec comes from the process that started this worker, not from a store.
    return from_spec(json.loads(text), trust=True)
