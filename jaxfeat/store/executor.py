"""Executors compute the chunks of a sweep: here in this process, in `jaxfeat.store.cluster` on a dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.store.chunk import Plan, compute_chunk, write_chunk
from jaxfeat.store.journal import Entry
from jaxfeat.store.zarr_arrays import ZarrArrays

Enter = Callable[[Entry], None]
"""Enters a chunk that is on the disk in the journal."""

Show = Callable[[int], None]
"""Shows how many environments of the sweep are done."""


class Executor(Protocol):
    """Computes and writes the chunks of one sweep."""

    def submit(self, plan: Plan, k: int, environments: Environment, enter: Enter) -> None:
        """Start chunk `k`, after waiting while too many chunks are under way.

        `enter` is called in this process when the chunk is on the disk.
        """

    def finish(self) -> None:
        """Wait for all chunks that are under way."""

    def stop(self) -> None:
        """Enter the finished chunks and drop the others."""


class LocalExecutor:
    """Computes chunks in this process. A thread writes one chunk while the next one is computed.

    `n_done` environments of the sweep are done before.
    """

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
        if self.arrays is None:
            self.arrays = plan.arrays()
            self.arrays.open()
        enter(write_chunk(self.arrays, plan.journal, k, environments, values))

    def finish(self) -> None:
        if self.writing is not None:
            self.writing.result()

    def stop(self) -> None:
        self.writer.shutdown()
