"""One package in a process of its own, which does what it is asked for.

    python -m jaxfeat.bench.worker '{"package": "dscribe", "variant": "", "smoke": false, "data": null}'

reads a question a line and prints an answer a line, both JSON: `{"open": "W1"}` sets a work up and answers with its
stages; `{"stage": "values", "anew": true}` calls one of them; `{"found": {"reference": false}}` asks for singular
values.
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
from jaxfeat.bench.timing import lap, pin, resident
from jaxfeat.bench.works import MILLION, WORKS, Work


class Opened(NamedTuple):
    """A work of one package: its stages, its singular values (of jaxfeat, told whether by the reference path too), and
    what there is to say."""

    stages: Stages
    found: Callable[[bool], dict[str, Any]]
    note: dict[str, Any]


def main(words: list[str]) -> int:
    job, answers, core = json.loads(words[0]), _answers(), pin()
    opened, held = Opened({}, lambda _: {}, {}), 0.0
    for line in sys.stdin:
        question = json.loads(line)
        answer: Any
        if "open" in question:
            opened, held = _opened(question["open"], job), resident()
            answer = opened.note | {"stages": list(opened.stages), "core": core}
        elif "stage" in question:
            seconds, busy, memory = lap(opened.stages[question["stage"]], question["anew"])
            answer = [seconds, busy, memory - held]
        else:
            answer = opened.found(question["found"]["reference"])
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _answers() -> TextIO:
    """Standard output, for answers alone: whatever else is printed goes where errors go. Packages print what they
    like."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _opened(name: str, job: dict[str, Any]) -> Opened:
    if name == MILLION:
        return _million(job["smoke"])
    work = WORKS[name](job["smoke"], None if job["data"] is None else Path(job["data"]))
    return _ours(work, job["variant"]) if job["package"] == "jaxfeat" else _peer(work, job["package"])


def _peer(work: Work, package: str) -> Opened:
    peer, same = PEERS[package].at(work), PEERS[package].same
    return Opened(peer.stages(), lambda _: {"values": peer.values() if same else None}, {})


def _ours(work: Work, variant: str) -> Opened:
    # Only where it is timed: the peers' processes are to hold as little as can be.
    from jaxfeat.bench.ours import Jaxfeat

    start = time.perf_counter()
    ours = Jaxfeat(work, variant)
    lists = time.perf_counter() - start

    def found(reference: bool) -> dict[str, Any]:
        every = {"values": ours.values(), "screened": ours.values(screened=True)}
        return every | {"reference": ours.reference() if reference else None}

    return Opened(ours.stages(), found, {"lists": lists})


def _million(smoke: bool) -> Opened:
    decades: dict[str, list[int]] = {}

    def kept(n: int) -> Callable[[], None]:
        run = million.scan(n, smoke)
        return lambda: decades.update({str(n): run().tolist()})

    return Opened({str(n): kept(n) for n in million.counts(smoke)}, lambda _: {"decades": decades}, {})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
