"""A process that benchmarks one package, and the process that started it.

`WorkerProcess` starts this module as a program. The program reads a question from each line and writes an answer to one
line, both in JSON:

- `{"open": "W1"}` sets up a workload; this comes first. The answer lists its stages.
- `{"stage": "values", "reset_peak": true}` calls a stage once. The answer is its time and memory.
- `{"results": {"reference": false}}` asks for the singular values.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cache, partial
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

from jaxfeat.bench.peer import Stages
from jaxfeat.bench.peers import PEERS
from jaxfeat.bench.timing import ONE_THREAD, Lap, pin_to_core, process_megabytes, time_call
from jaxfeat.bench.workloads import MILLION, WORKLOADS

ENVIRONMENT = {
    **ONE_THREAD,
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "true",
    # Compilation is timed, so no program may come from disk.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}

FAST_COMPILE_FLAGS = ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")
"""Flags of XLA that shorten compilation and make slower programs, for runs that spend nearly all time compiling."""


def accepted_flags(flags: Sequence[str]) -> str:
    """Return the flags that the installed XLA accepts, as one string. XLA ends its process at a flag that it does not
    know, so a process of its own tries all flags at once, and one by one only if XLA refuses them together."""
    if _accepts(*flags):
        return " ".join(flags)
    return " ".join(flag for flag in flags if len(flags) > 1 and _accepts(flag))


@cache
def _accepts(*flags: str) -> bool:
    environment = {**os.environ, "XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}
    # XLA reads its flags when JAX makes the first client.
    words = [sys.executable, "-c", "import jax; jax.devices()"]
    return subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0


class WorkerProcess(AbstractContextManager["WorkerProcess"]):
    """A process that runs this module for one package, until the `with` block ends or it has `failed` for a reason."""

    def __init__(self, package: str, variant: str, smoke: bool, data: str | None) -> None:
        self.package, self.variant, self.failed = package, variant, ""
        job = {"package": package, "variant": variant, "smoke": smoke, "data": data}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jaxfeat.bench.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **ENVIRONMENT} | ({"XLA_FLAGS": accepted_flags(FAST_COMPILE_FLAGS)} if smoke else {}),
        )

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, **question: Any) -> Any:
        """Return the answer to a question, or `None` and a reason in `failed`."""
        assert self._process.stdin is not None and self._process.stdout is not None
        answer = ""
        with suppress(BrokenPipeError):
            print(json.dumps(question), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        if answer:
            return json.loads(answer)
        if not self.failed:
            self._errors.seek(0)
            reason = (self._errors.read().strip().splitlines() or ["no message"])[-1]
            self.failed = f"status {self._process.wait()}: {reason[:300]}"
        return None

    def time_stage(self, stage: str, reset_peak: bool) -> Lap:
        """Time one call of a stage, or return NaN if the process has failed."""
        return Lap(*(self.ask(stage=stage, reset_peak=reset_peak) or (nan, nan, nan)))


class _Opened(NamedTuple):
    """A workload that a package is ready to time. `results` computes the singular values; its argument asks jaxfeat for
    the reference values, too. `lists` are the seconds that the neighbor lists of jaxfeat took."""

    stages: Stages
    results: Callable[[bool], dict[str, Any]]
    lists: float | None = None


def main(words: list[str]) -> int:
    job, core = json.loads(words[0]), pin_to_core()
    # Packages print to the standard output, too. Their words go to the standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any
        if "open" in question:
            opened = _open(question["open"], **job)
            held = process_megabytes("VmRSS")
            answer = {"stages": list(opened.stages), "core": core, "lists": opened.lists}
        elif "stage" in question:
            lap = time_call(opened.stages[question["stage"]], question["reset_peak"])
            answer = lap._replace(megabytes=lap.megabytes - held)
        else:
            answer = opened.results(question["results"]["reference"])
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _open(name: str, package: str, variant: str, smoke: bool, data: str | None) -> _Opened:
    if name != MILLION:
        workload = WORKLOADS[name](smoke, None if data is None else Path(data))
        if package != "jaxfeat":
            peer = PEERS[package](workload)
            return _Opened(peer.stages(), lambda _: {"values": peer.values() if peer.comparable else None})
    # Imported here, because the process of a peer must not load JAX.
    from jaxfeat.bench.jaxfeat import Jaxfeat, count_decades, sizes_of_million
    from jaxfeat.features.host_work import HOST_SECONDS

    # Calls are repeated here, so that small ones are worth a program, too.
    HOST_SECONDS.update({"features": 0.0, "call": 0.0})

    if name == MILLION:
        decades: dict[str, list[int]] = {}

        def count(n: int) -> None:
            decades[str(n)] = count_decades(n, smoke).tolist()

        return _Opened({str(n): partial(count, n) for n in sizes_of_million(smoke)}, lambda _: {"decades": decades})
    start = time.perf_counter()
    ours = Jaxfeat(workload, variant)
    lists = time.perf_counter() - start

    def results(reference: bool) -> dict[str, Any]:
        every = {"values": ours.values(), "screened": ours.values(screened=True)}
        return every | {"reference": ours.reference_values() if reference else None}

    return _Opened(ours.stages(), results, lists)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
