"""A check that work fits into the free memory, before the work starts."""

from pathlib import Path

import jax

from jaxfeat.errors import SizeError

UNCHECKED_BYTES = 64e6  # Bytes that any machine has free. Smaller work is not checked, because the check takes time.

CGROUP_FILES = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Linux control groups of version 2 and of version 1, by the name of the controller: the folder, the files of the limit
and of the use, and the field of `memory.stat` that counts pages of files, which the kernel can drop."""


def check_memory(n_bytes: float, work: str, advice: str) -> None:
    """Raise `SizeError` if work needs more memory than is free. The message names the `work`, in the plural and with
    the numbers that make it large, and gives `advice` how to make the work smaller."""
    if n_bytes <= UNCHECKED_BYTES:
        return
    free = free_bytes()
    if n_bytes > free:
        needed = f"take about {n_bytes / 1e9:.3g} GB of memory, and {free / 1e9:.3g} GB are free"
        raise SizeError(f"{work} {needed}; {advice}.")


def free_bytes() -> float:
    """Return the bytes that new arrays may take: of the accelerator if JAX uses one, and otherwise of this machine
    within the limits of this process's control groups, which containers and batch queues set."""
    on_device = jax.local_devices()[0].memory_stats()
    if on_device and "bytes_limit" in on_device:
        return float(on_device["bytes_limit"] - on_device["bytes_in_use"])
    import psutil  # which small work need not wait for

    return min(float(psutil.virtual_memory().available), *_free_in_cgroups())


def _free_in_cgroups(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> list[float]:
    """Return the bytes that each control group of this process leaves free, and infinity in case there is none."""
    free = [float("inf")]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return free
    for line in lines:
        _, controller, group = line.split(":", 2)
        if controller not in CGROUP_FILES:
            continue
        folder, limit, use, droppable = CGROUP_FILES[controller]
        innermost = root / folder / group.lstrip("/")
        for level in (innermost, *innermost.parents):
            try:
                used = float((level / use).read_text())
                statistics = dict(line.split() for line in (level / "memory.stat").read_text().splitlines())
                # A group without a limit says "max", which raises a ValueError here.
                free.append(float((level / limit).read_text()) - used + float(statistics.get(droppable, 0)))
            except (OSError, ValueError):
                continue
    return free
