"""Seconds and bytes of one call, in a process of its own on one core."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def measure(
    call: Callable[[], Any], baseline: float, repeats: int = REPEATS, least: float = LEAST, warm: bool = False
) -> dict[str, Any]:
    """Call once, then for the clock.

    **Arguments:** `call` returns when its work is done. `baseline`: MB that count as nothing. `warm`: whether all is
    compiled already, so that the first call counts.

    **Returns:** `seconds`, the median of at least `repeats` calls; `fastest`; `calls`; `compile`, seconds of the first
    call less the median; `memory`, the most MB in use during all of them, above the baseline; `share` of the core that
    this process had while the clock ran, below one where it had to wait for others.
    """
    _forget_peak()
    first = 0.0 if warm else _timed(call)
    times: list[float] = []
    busy = time.process_time()
    while len(times) < repeats or (sum(times) < least and len(times) < MOST):
        times.append(_timed(call))
    busy = time.process_time() - busy
    median = statistics.median(times)
    return {
        "seconds": median,
        "fastest": min(times),
        "calls": len(times),
        "compile": max(first - median, 0.0),
        "memory": _from_status("VmHWM") - baseline,
        "share": busy / sum(times),
    }


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


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
