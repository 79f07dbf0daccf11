"""Chunks of a sweep as tasks of a dask cluster: the only module that knows dask.

What the scheduler and this process hold does not grow with the number of chunks: few are under way at a time, and all
that comes back is an entry for the journal. Environments go by the store, since dask keeps the last thousand messages.
A worker that dies costs what it was working on, which dask gives to another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from logging import ERROR
from typing import Any
from uuid import uuid4

import jax

from jaxfeat.errors import ClusterError, GeometryError, ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.spectrum.devices import n_cores
from jaxfeat.store.chunk import Entry, Keep, Order, clear_away, lay_out, work

try:
    import dask
    import distributed
    from dask.utils import parse_timedelta
    from distributed.scheduler import NoValidWorkerError, NoWorkerError
except ModuleNotFoundError as missing:
    raise ReadError("a cluster needs dask, which is not installed: pip install 'jaxfeat[cluster]'.") from missing

AHEAD, SPARE = 2, 2
"""Chunks under way for each thread of the workers, and beside them: nobody waits for this process."""

PATIENCE = 60.0
"""Seconds without any worker after which none is expected, unless dask has a `no-workers-timeout`: a nanny's is back in
a few."""

POLL = 1.0
"""Seconds between looks at whether anybody is there."""

CONNECT = 10.0
"""Seconds to find a scheduler in."""

Cluster = int | str | Any
"""A number of processes on this machine, the address of a scheduler, or a `distributed.Client`."""


def local_processes() -> int:
    """As many as this machine has accelerators, or else cores for this process."""
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return len(devices)
    return n_cores()


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """A client of a cluster. What is begun here also ends here. **Raises:** `ReadError` where there is none."""
    if isinstance(cluster, distributed.Client):
        yield cluster
    elif isinstance(cluster, str):
        try:
            client = distributed.Client(cluster, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ReadError(f"no dask scheduler answers at {cluster}; start one, or name another address.") from error
        with _closed(client):
            yield client
    elif isinstance(cluster, int) and cluster > 0:
        with (
            distributed.SpecCluster(_spec(cluster), _SCHEDULER, silence_logs=ERROR) as processes,
            distributed.Client(processes, set_as_default=False) as client,
        ):
            yield client
    else:
        raise GeometryError(
            f"cluster is {cluster!r}; give a number of processes, the address of a scheduler or a dask client."
        )


_SCHEDULER = {
    "cls": distributed.Scheduler,
    "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
}


def _spec(n: int) -> dict[int, Any]:
    """`n` processes of one thread, which share compiled programs with this one; accelerators are dealt out."""
    shared = {
        "JAX_PLATFORMS": jax.config.values["jax_platforms"],
        "JAX_COMPILATION_CACHE_DIR": jax.config.values["jax_compilation_cache_dir"],
        "JAX_ENABLE_COMPILATION_CACHE": jax.config.values["jax_enable_compilation_cache"],
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": jax.config.values["jax_persistent_cache_min_compile_time_secs"],
    }
    shared = {name: str(value) for name, value in shared.items() if value is not None}
    devices = jax.local_devices()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    numbers = visible if len(visible) == len(devices) and visible != [""] else [str(i) for i in range(len(devices))]

    def own(i: int) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": numbers[i % len(numbers)]} if devices[0].platform in ("gpu", "cuda") else {}

    # Between chunks workers hold nothing that dask could free, and the most that they need is not for it to judge.
    options = {
        "nthreads": 1,
        "memory_limit": 0,
        "host": "127.0.0.1",
        "dashboard": False,
        "silence_logs": ERROR,
        # Ctrl-C in a terminal goes to all processes, and it is for this one to end the others.
        "preload": ["import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"],
    }
    return {i: {"cls": distributed.Nanny, "options": {**options, "env": {**shared, **own(i)}}} for i in range(n)}


@contextmanager
def _closed(client: Any) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError, TimeoutError):
            client.close()


class Workers:
    """The crew of a cluster, for one sweep."""

    def __init__(self, client: Any, kept: Callable[[], None]) -> None:
        """`kept` is called after each chunk that is."""
        self.client, self.kept = client, kept
        self.under_way: dict[Any, tuple[Order, int, Keep]] = {}
        self.name = f"jaxfeat-{uuid4().hex}"
        self.none_since: float | None = None

    def hand(self, order: Order, k: int, environments: Environment, keep: Keep) -> None:
        while len(self.under_way) >= SPARE + AHEAD * self._threads():
            self._collect()
        lay_out(order, k, environments)
        with _answering():
            future = self.client.submit(work, order, k, key=(self.name, k), pure=False)
        self.under_way[future] = order, k, keep

    def finish(self) -> None:
        while self.under_way:
            self._collect()

    def stop(self) -> None:
        for future, (*_, keep) in list(self.under_way.items()):
            if future.status == "finished":
                with suppress(Exception):
                    keep(future.result(timeout=POLL))
        with suppress(Exception):
            self.client.cancel(list(self.under_way))
        self.under_way.clear()

    def _threads(self) -> int:
        with _answering():
            threads = sum(self.client.nthreads().values())
        now = time.monotonic()
        self.none_since = None if threads else self.none_since or now
        patience = parse_timedelta(dask.config.get("distributed.scheduler.no-workers-timeout", None)) or PATIENCE
        if self.none_since is not None and now - self.none_since > patience:
            raise ClusterError(f"there has been no worker for {patience:.0f} s")
        return threads

    def _collect(self) -> None:
        """Keep what is finished, after waiting for something."""
        with _answering():
            try:
                with self.client.as_current():
                    done = distributed.wait(list(self.under_way), timeout=POLL, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                self._threads()
                return
        for future in done:
            order, k, keep = self.under_way.pop(future)
            keep(self._result(future, k))
            clear_away(order, k)
            self.kept()
            future.release()

    def _result(self, future: Any, k: int) -> Entry:
        with _answering():
            try:
                entry: Entry = future.result()
            except (NoValidWorkerError, NoWorkerError) as error:
                raise ClusterError(" ".join(str(error).split()).removesuffix(".")) from None
            except distributed.KilledWorker as error:
                raise ClusterError(
                    f"chunk {k} ended every worker that tried it, the last one at {error.last_worker.address}; see "
                    "its log, and whether it has enough memory"
                ) from None
        return entry


@contextmanager
def _answering() -> Iterator[None]:
    """What comes of a scheduler that has gone, as one error."""
    try:
        yield
    except (ClusterError, distributed.TimeoutError):
        raise
    except (distributed.CancelledError, distributed.comm.CommClosedError) as error:
        raise ClusterError("the dask scheduler is gone") from error
