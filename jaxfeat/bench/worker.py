"""The program of a process that benchmarks one package.

    python -m jaxfeat.bench.worker '{"package": "dscribe", "variant": "", "smoke": false, "data": null}'

The program reads a question from each line and writes an answer to one line, both in JSON:

- `{"open": "W1"}` sets up a workload. The answer lists its stages.
- `{"stage": "values", "reset_peak": true}` calls a stage once. The answer is its time and memory.
- `{"results": {"reference": false}}` asks for the singular values.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from jaxfeat.bench import million
from jaxfeat.bench.peer import PEERS, Stages
from jaxfeat.bench.timing import pin_to_core, resident_megabytes, time_call
from jaxfeat.bench.workloads import MILLION, WORKLOADS, Workload


class Opened(NamedTuple):
    """A workload that a package is ready to time.

    **Attributes:**

    - `stages`: The calls to time, by name.
    - `results`: Computes the singular values. Its argument asks jaxfeat for the reference values, too.
    - `note`: Further facts for the answer.
    """

    stages: Stages
    results: Callable[[bool], dict[str, Any]]
    note: dict[str, Any]


def main(words: list[str]) -> int:
    job, answers, core = json.loads(words[0]), _redirect_output(), pin_to_core()
    opened, held = Opened({}, lambda _: {}, {}), 0.0
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any
        if "open" in question:
            opened, held = _open(question["open"], job), resident_megabytes()
            answer = opened.note | {"stages": list(opened.stages), "core": core}
        elif "stage" in question:
            seconds, busy, megabytes = time_call(opened.stages[question["stage"]], question["reset_peak"])
            answer = [seconds, busy, megabytes - held]
        else:
            answer = opened.results(question["results"]["reference"])
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _redirect_output() -> TextIO:
    """Return the standard output, and send all other output to the standard error, because packages print there."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _open(name: str, job: dict[str, Any]) -> Opened:
    if name == MILLION:
        return _open_million(job["smoke"])
    workload = WORKLOADS[name](job["smoke"], None if job["data"] is None else Path(job["data"]))
    if job["package"] == "jaxfeat":
        return _open_jaxfeat(workload, job["variant"])
    return _open_peer(workload, job["package"])


def _open_peer(workload: Workload, package: str) -> Opened:
    peer, comparable = PEERS[package].prepare(workload), PEERS[package].comparable
    return Opened(peer.stages(), lambda _: {"values": peer.values() if comparable else None}, {})


def _open_jaxfeat(workload: Workload, variant: str) -> Opened:
    # Imported here, because the memory of a peer's process must not include JAX.
    from jaxfeat.bench.jaxfeat import Jaxfeat

    start = time.perf_counter()
    package = Jaxfeat(workload, variant)
    lists = time.perf_counter() - start

    def results(reference: bool) -> dict[str, Any]:
        every = {"values": package.values(), "screened": package.values(screened=True)}
        return every | {"reference": package.reference_values() if reference else None}

    return Opened(package.stages(), results, {"lists": lists})


def _open_million(smoke: bool) -> Opened:
    decades: dict[str, list[int]] = {}

    def counted(n: int) -> Callable[[], None]:
        count = million.decade_counter(n, smoke)
        return lambda: decades.update({str(n): count().tolist()})

    return Opened({str(n): counted(n) for n in million.sizes(smoke)}, lambda _: {"decades": decades}, {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
