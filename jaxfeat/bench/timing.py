"""Seconds and bytes of calls, of one alone or of several that take turns."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPEATS = 5
LEAST = 1.0
"""Seconds to go on measuring for, where `REPEATS` calls take less."""
MOST = 50

THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
"""Environment variables of a process that is to have one thread in its libraries."""


def pin() -> int | None:
    """Keep this process on the first core it may use; `None` where the system cannot. Threads made later inherit it,
    and XLA then makes one worker."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def resident() -> float:
    """MB in use by this process; NaN where Linux's /proc is missing."""
    return _from_status("VmRSS")


class Lap(NamedTuple):
    """One call: its `seconds`, those that its process had of the core, and the most MB that this has held."""

    seconds: float
    busy: float
    memory: float


def lap(call: Callable[[], Any], anew: bool) -> Lap:
    """Call, which returns when its work is done. `anew`: count the most memory from now on."""
    if anew:
        _forget_peak()
    busy, start = time.process_time(), time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    return Lap(seconds, time.process_time() - busy, _from_status("VmHWM"))


def in_turns(
    calls: Sequence[Callable[[bool], Lap]], repeats: int = REPEATS, least: float = LEAST, warm: bool = False
) -> list[dict[str, Any]]:
    """Each of `calls` once, then one after the other for the clock, again and again: what slows the machine down for a
    minute slows all of them.

    **Arguments:** a call is told whether it is to count memory anew. `warm`: whether all is compiled already, so that
    first calls count.

    **Returns:** of each `seconds`, the median of at least `repeats` calls; `fastest`; `calls`; `compile`, seconds of
    the first call less the median; `memory`, the most MB that its process held during all of them; `share` of the core
    that it had while the clock ran, below one where it had to wait for others.
    """
    first = [None if warm else call(True) for call in calls]
    laps: list[list[Lap]] = [[] for _ in calls]

    def short(done: list[Lap]) -> bool:
        return len(done) < repeats or (sum(one.seconds for one in done) < least and len(done) < MOST)

    while any(map(short, laps)):
        for call, done in zip(calls, laps, strict=True):
            if short(done):
                done.append(call(warm and not done))
    return [_summary(*both) for both in zip(first, laps, strict=True)]


def _summary(first: Lap | None, laps: list[Lap]) -> dict[str, Any]:
    seconds = [one.seconds for one in laps]
    median = statistics.median(seconds)
    return {
        "seconds": median,
        "fastest": min(seconds),
        "calls": len(laps),
        "compile": max(first.seconds - median, 0.0) if first else 0.0,
        "memory": laps[-1].memory,
        "share": sum(one.busy for one in laps) / sum(seconds),
    }


def _forget_peak() -> None:
    """Have the kernel count the peak from now on. Where it refuses, the peak is that of the process so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def _from_status(field: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))
