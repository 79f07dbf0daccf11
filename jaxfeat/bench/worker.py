"""One package at some works, in a process of its own.

    python -m jaxfeat.bench.worker '{"package": "dscribe", "works": ["W1"], "smoke": false, "data": null}'

prints one line of JSON for each work.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from jaxfeat.bench import million
from jaxfeat.bench.peer import PEERS, Stages
from jaxfeat.bench.timing import measure, pin, resident
from jaxfeat.bench.works import ALONE, MILLION, WORKS, Work

ONCE: dict[str, Any] = {"repeats": 1, "least": 0.0}


def main(words: list[str]) -> int:
    job = json.loads(words[0])
    core = pin()
    for name in job["works"]:
        print(json.dumps(_done(name, job) | {"work": name, "core": core}), flush=True)
    return 0


def _done(name: str, job: dict[str, Any]) -> dict[str, Any]:
    if name == MILLION:
        return _million(job)
    work = WORKS[name](job["smoke"], None if job["data"] is None else Path(job["data"]))
    found = _ours(work, job) if job["package"] == "jaxfeat" else _peer(work, job)
    return found | {"n": work.n_items, "unit": work.unit, "title": work.title}


def _measured(stages: Stages, smoke: bool) -> dict[str, Any]:
    baseline = resident()
    return {name: measure(call, baseline, **(ONCE if smoke else {})) for name, call in stages.items()}


def _peer(work: Work, job: dict[str, Any]) -> dict[str, Any]:
    package = PEERS[job["package"]]
    peer = package.at(work)
    return {"stages": _measured(peer.stages(), job["smoke"]), "values": peer.values() if package.same else None}


def _ours(work: Work, job: dict[str, Any]) -> dict[str, Any]:
    # Only where it is timed: the peers' processes are to hold as little as can be.
    from jaxfeat.bench.ours import Jaxfeat

    variants = {}
    for variant, beside in _variants(work, job["peers"]).items():
        start = time.perf_counter()
        ours = Jaxfeat(work, variant)
        lists = time.perf_counter() - start
        variants[variant] = {
            "lists": lists,
            "stages": _measured(ours.stages(), job["smoke"]),
            "values": ours.values(),
            "screened": ours.values(screened=True),
            "beside": beside,
            # A peer's values are the measure where it has the same basis.
            "reference": None if any(PEERS[peer].same for peer in beside) else ours.reference(),
        }
    return {"variants": variants}


def _variants(work: Work, peers: list[str]) -> dict[str, list[str]]:
    """The variants to time a work in, each with the peers that stand beside it; one at least."""
    beside: dict[str, list[str]] = {}
    for peer in () if work.name in ALONE else peers:
        beside.setdefault(PEERS[peer].beside(work), []).append(peer)
    return beside or {"gto": []}


def _million(job: dict[str, Any]) -> dict[str, Any]:
    baseline = resident()
    runs = {}
    for n in million.counts(job["smoke"]):
        run = million.scan(n, job["smoke"])
        found: list[Any] = []
        # A million takes long enough to be timed once; the run before it has compiled everything.
        options = {**ONCE, "warm": True} if n > million.BLOCK else ONCE if job["smoke"] else {}
        runs[str(n)] = measure(lambda run=run, found=found: found.append(run()), baseline, **options)  # type: ignore[misc]
        runs[str(n)]["decades"] = found[-1].tolist()
    return {"runs": runs, "title": million.TITLE}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
