"""Time and memory of calls: of a single call, or of several that take turns."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

MIN_CALLS = 5
MAX_CALLS = 50
MIN_SECONDS = 1.0  # CPU seconds for which a call is repeated, between `MIN_CALLS` and `MAX_CALLS` times

LEAST_SHARE = 0.9
"""Share of a core below which a lap is dropped. On a busy machine, CPU seconds grow as well as those of the clock,
because processes empty each other's caches: ratios of CPU time alone have doubled."""

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
"""Environment variables that limit the libraries of a process to one thread."""


def pin_to_core() -> int | None:
    """Pin this process, and threads that start later, to its first core. Return the core, or `None` if it cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


class Lap(NamedTuple):
    """One timed call: its seconds by the clock, its CPU seconds, and the most MB that the process has held."""

    seconds: float
    busy: float
    megabytes: float

    @property
    def disturbed(self) -> bool:
        """True if other processes had more of the core than a lap that counts may leave to them."""
        return self.busy < LEAST_SHARE * self.seconds


def time_call(call: Callable[[], Any], reset_peak: bool) -> Lap:
    """Time a call that returns when its work is done. `reset_peak` starts a new count of the most memory."""
    if reset_peak:
        # If the kernel refuses, the count goes on from the start of the process.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    busy, start = time.process_time(), time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    return Lap(seconds, time.process_time() - busy, process_megabytes("VmHWM"))


def time_in_turns(
    calls: Sequence[Callable[[bool], Lap]],
    min_calls: int = MIN_CALLS,
    min_seconds: float = MIN_SECONDS,
    compiled: bool = False,
) -> list[dict[str, Any]]:
    """Time calls in turns, so that a minute in which the machine is slow slows all of them.

    Each call takes whether to start a new count of memory, and is repeated until it has had `min_calls` and
    `min_seconds`. Unless `compiled`, its first lap includes compilation and is not part of the medians. Disturbed laps
    are dropped, and further ones are timed in their place, up to `min_calls`, unless all are disturbed. `compile` are
    the CPU seconds of the first lap above the median, `memory` the most MB that the process held, and `share` the part
    of the core that the process had in the laps kept.
    """
    first = [None if compiled else call(True) for call in calls]
    laps: list[list[Lap]] = [[] for _ in calls]

    def unfinished(done: list[Lap]) -> bool:
        kept = [lap.busy for lap in done if not lap.disturbed]
        if len(kept) < min_calls:
            return len(done) < 2 * min_calls
        return sum(kept) < min_seconds and len(done) < MAX_CALLS

    while any(map(unfinished, laps)):
        for call, done in zip(calls, laps, strict=True):
            if unfinished(done):
                done.append(call(compiled and not done))
    return [_summarize(*both) for both in zip(first, laps, strict=True)]


def _summarize(first: Lap | None, laps: list[Lap]) -> dict[str, Any]:
    kept = [lap for lap in laps if not lap.disturbed] or laps
    median = statistics.median(lap.busy for lap in kept)
    return {
        "seconds": median,
        "wall": statistics.median(lap.seconds for lap in kept),
        "fastest": min(lap.busy for lap in kept),
        "calls": len(kept),
        "dropped": len(laps) - len(kept),
        "compile": max(first.busy - median, 0.0) if first else 0.0,
        "memory": laps[-1].megabytes,
        "share": sum(lap.busy for lap in kept) / sum(lap.seconds for lap in kept),
    }


def process_megabytes(field: str) -> float:
    """Return the memory of this process in MB, now ("VmRSS") or at most ("VmHWM"), or NaN without Linux's /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))
