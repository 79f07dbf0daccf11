"""Computing the chunks of a sweep as tasks of a dask cluster: the only module that knows dask. The memory of the
scheduler and of this process does not grow with the number of chunks, because few are under way at a time and each
returns only a journal entry. Environments pass through the store, because dask keeps its last thousand messages. If a
worker dies, dask gives its chunks to another one."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging import ERROR
from typing import Any
from uuid import uuid4

import jax

from jaxfeat.errors import ClusterError, GeometryError, ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.spectrum.devices import n_cores
from jaxfeat.store.chunk import Enter, Plan, Show, compute_handed_over, hand_over, remove_handed_over
from jaxfeat.store.journal import Entry

try:
    import dask
    import distributed
    from dask.utils import parse_timedelta
    from distributed.scheduler import NoValidWorkerError, NoWorkerError
except ModuleNotFoundError as missing:
    raise ReadError("a cluster needs dask, which is not installed: pip install 'jaxfeat[cluster]'.") from missing

PATIENCE = 60.0  # Seconds without any worker that end a sweep. A nanny replaces a dead worker within a few.
POLL = 1.0  # seconds between looks at whether there are workers
CONNECT = 10.0  # seconds to wait for the answer of a scheduler


def local_processes() -> int:
    """Count the accelerators of this machine or, without any, the cores that this process may use."""
    devices = jax.local_devices()
    return n_cores() if devices[0].platform == "cpu" else len(devices)


@contextmanager
def connected(cluster: int | str | Any) -> Iterator[Any]:
    """Connect to processes started here and ended with the block, a scheduler's address, or a `distributed.Client`."""
    if isinstance(cluster, distributed.Client):
        yield cluster
    elif isinstance(cluster, str):
        try:
            client = distributed.Client(cluster, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ReadError(f"no dask scheduler answers at {cluster}; start one, or name another address.") from error
        try:
            yield client
        finally:
            with suppress(OSError, TimeoutError):
                client.close()
    elif isinstance(cluster, int) and cluster > 0:
        with (
            distributed.SpecCluster(_spec(cluster), _SCHEDULER, silence_logs=ERROR) as processes,
            distributed.Client(processes, set_as_default=False) as client,
        ):
            yield client
    else:
        cure = "give a number of processes, the address of a scheduler or a dask client"
        raise GeometryError(f"cluster is {cluster!r}; {cure}.")


_SCHEDULER = {
    "cls": distributed.Scheduler,
    "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
}


def _spec(n: int) -> dict[int, Any]:
    """Describe `n` processes of one thread to dask. They share this one's compiled programs and its accelerators."""
    cache = "compilation_cache_dir enable_compilation_cache persistent_cache_min_compile_time_secs".split()
    values = {f"JAX_{name.upper()}": jax.config.values[f"jax_{name}"] for name in ["platforms", *cache]}
    shared = {name: str(value) for name, value in values.items() if value is not None}
    devices = jax.local_devices()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    numbers = visible if len(visible) == len(devices) and visible != [""] else [str(i) for i in range(len(devices))]

    def own(i: int) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": numbers[i % len(numbers)]} if devices[0].platform in ("gpu", "cuda") else {}

    # No memory limit, because between chunks workers hold nothing that dask could free.
    options = {
        "nthreads": 1,
        "memory_limit": 0,
        "host": "127.0.0.1",
        "dashboard": False,
        "silence_logs": ERROR,
        # Ctrl-C in a terminal goes to all processes, and this one ends the others.
        "preload": ["import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"],
    }
    return {i: {"cls": distributed.Nanny, "options": {**options, "env": {**shared, **own(i)}}} for i in range(n)}


class ClusterExecutor:
    """Lets the workers of a cluster compute chunks. `n_done` environments of the sweep are done before."""

    def __init__(self, client: Any, n_done: int, show: Show) -> None:
        self.client, self.n_done, self.show = client, n_done, show
        self.under_way: dict[Any, tuple[Plan, int, Enter]] = {}
        self.name = f"jaxfeat-{uuid4().hex}"
        self.none_since: float | None = None

    def submit(self, plan: Plan, k: int, environments: Environment, enter: Enter) -> None:
        # Two chunks for each thread and two beside them, so that no worker waits for this process.
        while len(self.under_way) >= 2 + 2 * self._count_threads():
            self._collect()
        hand_over(plan, k, environments)
        with _naming_a_lost_scheduler():
            future = self.client.submit(compute_handed_over, plan, k, key=(self.name, k), pure=False)
        self.under_way[future] = plan, k, enter

    def finish(self) -> None:
        while self.under_way:
            self._collect()

    def stop(self) -> None:
        for future, (*_, enter) in list(self.under_way.items()):
            if future.status == "finished":
                with suppress(Exception):
                    enter(future.result(timeout=POLL))
        with suppress(Exception):
            self.client.cancel(list(self.under_way))
        self.under_way.clear()

    def _count_threads(self) -> int:
        """Count the threads of all workers. **Raises:** `ClusterError` if there have been none for too long."""
        # A client that cannot connect in time raises an OSError.
        with _naming_a_lost_scheduler(OSError):
            # While a client is not connected, its calls fail with an AttributeError.
            if self.client.scheduler is None:
                raise distributed.comm.CommClosedError("not connected")
            threads = sum(self.client.nthreads().values())
        now = time.monotonic()
        self.none_since = None if threads else self.none_since or now
        patience = parse_timedelta(dask.config.get("distributed.scheduler.no-workers-timeout", None)) or PATIENCE
        if self.none_since is not None and now - self.none_since > patience:
            raise ClusterError(f"there has been no worker for {patience:.0f} s")
        return threads

    def _collect(self) -> None:
        """Wait until a chunk is finished, or for `POLL` seconds, and enter the finished chunks."""
        with _naming_a_lost_scheduler():
            try:
                with self.client.as_current():
                    done = distributed.wait(list(self.under_way), timeout=POLL, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                self._count_threads()
                return
        for future in done:
            plan, k, enter = self.under_way.pop(future)
            entry = _result(future, k)
            enter(entry)
            remove_handed_over(plan, k)
            self.n_done += entry["n"]
            self.show(self.n_done)
            future.release()


def _result(future: Any, k: int) -> Entry:
    with _naming_a_lost_scheduler():
        try:
            entry: Entry = future.result()
        except (NoValidWorkerError, NoWorkerError) as error:
            raise ClusterError(" ".join(str(error).split()).removesuffix(".")) from None
        except distributed.KilledWorker as error:
            fault = f"chunk {k} ended every worker that tried it, the last one at {error.last_worker.address}"
            raise ClusterError(f"{fault}; see its log, and whether it has enough memory") from None
    return entry


@contextmanager
def _naming_a_lost_scheduler(*others: type[Exception]) -> Iterator[None]:
    """Turn the errors of a client whose scheduler has gone, and `others`, into one `ClusterError`."""
    gone: tuple[type[Exception], ...] = (distributed.CancelledError, distributed.comm.CommClosedError, *others)
    try:
        yield
    except (ClusterError, distributed.TimeoutError):
        raise
    except gone as error:
        raise ClusterError("the dask scheduler is gone") from error
