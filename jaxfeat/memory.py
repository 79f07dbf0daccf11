"""How much memory there is, asked before work starts that could not fit."""

from __future__ import annotations

from pathlib import Path

import jax
import psutil

from jaxfeat.errors import SizeError

ALWAYS = 64e6
"""Bytes that any machine has: nothing is asked for less."""

FILES = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of control groups of the second and of the first kind: their folder, and where limit and use of memory stand."""


def check_memory(needed: float, what: str, cure: str) -> None:
    """Raise an error where work does not fit into the memory that is free.

    **Arguments:**

    - `needed`: bytes, told from sizes.
    - `what`: the work, with the numbers that make it large. `cure`: what to lower.

    **Raises:** `SizeError`.
    """
    if needed <= ALWAYS:
        return
    free = free_bytes()
    if needed > free:
        raise SizeError(f"{what} take about {_gigabytes(needed)} of memory, and {_gigabytes(free)} are free; {cure}.")


def free_bytes() -> float:
    """Return the bytes that arrays may still take: of the accelerator, if JAX uses one, or else of this machine.

    A limit on this process's control group, as queues of clusters and containers set it, counts too.
    """
    on_device = jax.local_devices()[0].memory_stats()
    if on_device and "bytes_limit" in on_device:
        return float(on_device["bytes_limit"] - on_device["bytes_in_use"])
    return min(float(psutil.virtual_memory().available), *_left_in_groups())


def _left_in_groups(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[float]:
    """Return what each control group of this process leaves it. Pages of files that can be dropped are not in use."""
    left = [float("inf")]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return left
    for line in lines:
        _, kind, group = line.split(":", 2)
        if kind not in FILES:
            continue
        folder, limit, use, droppable = FILES[kind]
        innermost = groups / folder / group.lstrip("/")
        for place in (innermost, *innermost.parents):
            try:
                used = float((place / use).read_text())
                dropped = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
                # "max" is no number: there is no limit.
                left.append(float((place / limit).read_text()) - used + float(dropped.get(droppable, 0)))
            except (OSError, ValueError):
                continue
    return left


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.3g} GB"
