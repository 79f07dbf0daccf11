"""Time features, Jacobians and singular spectra on an accelerator, in float64 and float32, within eight minutes.

    python benchmarks/gpu.py --data 3bpa_train_300K.xyz --json gpu.json
    python benchmarks/gpu.py --smoke                                       # a few items, on a CPU too

The works W1, W2, W5 and W6 of README.md, each repeated to several thousand items and computed in one call for each
shape, and a million random methanes that are drawn and screened on the device. A time ends when the device is done. The
first call of each program compiles; its seconds above those of the others are listed apart. Stages that would begin
after `--seconds` are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from first_contact import rattled_pairs

import jaxfeat
from jaxfeat.bench.jaxfeat import Jaxfeat
from jaxfeat.bench.workloads import DATA, METHANE, SMOKE, WORKLOADS, Workload, w1e
from jaxfeat.features.host_work import HOST_SECONDS

ITEMS = {"W1": 8000, "W2": 8000, "W5": 2000, "W6": 1728}
"""Items to which the works are repeated. Their Jacobians take 1 to 5 GB."""

MILLION = 1_000_000
DRAWN = 50_000
"""Methanes that are drawn at a time."""

CHECKED = 4
"""Items of each work whose singular values are compared with LAPACK's of the same Jacobians."""

MIN_CALLS, MIN_SECONDS = 5, 1.0
DTYPES = ["float64", "float32"]


def workloads(smoke: bool, data: Path | None) -> Iterator[Workload]:
    """Make the works. Without its file, W6 has environments of a rattled pair of molecules instead."""
    for name in ITEMS:
        if name != "W6" or data is not None:
            yield WORKLOADS[name](smoke, data)
            continue
        settings = {"species": ("H", "C", "N", "O"), "r_cut": 5.0, "n_max": 8, "l_max": 6, "sigma": 0.3}
        pairs = replace(w1e(True, None), name="W6", title="environments of adenine-thymine, rattled", centers=None)
        yield replace(pairs, atoms=rattled_pairs(1 if smoke else 8), settings=settings | (SMOKE if smoke else {}))


def batches(ours: Jaxfeat, name: str, dtype: str, smoke: bool) -> list[Any]:
    """Return the batches of a work, one for each room, repeated and in a dtype."""
    repeats = 1 if smoke else -(-ITEMS[name] // sum(len(block.items) for block in ours.large_blocks))

    def repeated(leaf: Any) -> Any:
        leaf = np.asarray(leaf)
        kind = dtype if np.issubdtype(leaf.dtype, np.floating) else leaf.dtype
        return jax.device_put(np.tile(leaf.astype(kind), (repeats, *[1] * (leaf.ndim - 1))))

    return [jax.tree.map(repeated, block.batch) for block in ours.large_blocks]


def stages(f: Any) -> dict[str, Callable[[Any], Any]]:
    return {
        "features": f,
        "Jacobian": lambda batch: jaxfeat.jacobian(f, batch),
        "values": lambda batch: jaxfeat.singular_spectrum(f, batch, directions=False).values,
        "values, screened": lambda batch: jaxfeat.singular_spectrum(f, batch, screened=True).values,
    }


def measure(
    call: Callable[[Any], Any],
    inputs: list[Any],
    stage: str,
    kept: dict[str, np.ndarray],
    min_calls: int = MIN_CALLS,
    min_seconds: float = MIN_SECONDS,
) -> dict[str, Any]:
    """Return the median seconds of a stage and those of its compilation. The first Jacobians are `kept` for values."""
    laps: list[float] = []
    while len(laps) <= min_calls or sum(laps[1:]) < min_seconds:
        start = time.perf_counter()
        found = jax.block_until_ready([call(batch) for batch in inputs])
        laps.append(time.perf_counter() - start)
        first = np.asarray(found[0][:CHECKED], float)
        # Otherwise two results of some GB would be held during the next call.
        del found
    seconds = statistics.median(laps[1:])
    row = {"n": sum(len(batch) for batch in inputs), "seconds": seconds, "compile": max(laps[0] - seconds, 0.0)}
    if stage == "Jacobian":
        kept[stage] = first
    elif stage.startswith("values") and kept:
        row["difference"] = largest_difference(first, kept["Jacobian"], np.asarray(inputs[0].mask[:CHECKED]))
    return row


def largest_difference(values: np.ndarray, matrices: np.ndarray, masks: np.ndarray) -> float:
    """Compare singular values with those that LAPACK finds of the same Jacobians, relative to the largest."""
    worst = 0.0
    for row, matrix, mask in zip(values, matrices, masks, strict=True):
        expected = np.linalg.svd(matrix[:, mask].reshape(len(matrix), -1), compute_uv=False)
        own = row[np.isfinite(row)]
        worst = max(worst, float(np.abs(own - expected[: len(own)]).max() / expected[0]))
    return worst


def million(dtype: str, smoke: bool) -> dict[str, Any]:
    """Draw random methanes and compute their screened spectra, block by block. Return the time and the result."""
    f = jaxfeat.PowerSpectrum(**(METHANE | SMOKE if smoke else METHANE), cutoff=jaxfeat.cutoffs.NoCutoff())
    n, size = (8, 4) if smoke else (MILLION, DRAWN)

    def draw(block: int) -> Any:
        drawn = jaxfeat.manifolds.random_environments(jax.random.key(block), size, ["H"] * 4, min_distance=0.0)
        return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, drawn)

    def smallest(block: int) -> float:
        return float(jnp.nanmin(jaxfeat.singular_spectrum(f, draw(block), screened=True).ratio))

    start = time.perf_counter()
    smallest(n // size)
    first = time.perf_counter() - start
    start = time.perf_counter()
    least = min(smallest(block) for block in range(n // size))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "n": n, "compile": max(first - seconds * size / n, 0.0), "smallest": least}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help=f"3bpa_train_300K.xyz (default: ${DATA}, or a pair made with ASE)")
    parser.add_argument("--works", nargs="+", default=["M", *ITEMS], choices=["M", *ITEMS], help="default: all")
    parser.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES, help="default: both")
    parser.add_argument("--seconds", type=float, default=420, help="no stage begins later (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="a few items in a small basis, once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write one object, anew after each stage")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    # A few items of a smoke run are compiled, too.
    HOST_SECONDS.update({"features": 0.0, "call": 0.0})
    jax.config.update("jax_enable_x64", True)
    # Compilation is timed, so no program may come from disk.
    jax.config.update("jax_enable_compilation_cache", False)
    device = jax.devices()[0]
    named = f"{device.device_kind} ({device.platform}), jax {jax.__version__}, python {platform.python_version()}"
    print(f"device: {named}", flush=True)
    results: dict[str, Any] = {"device": named, "smoke": arguments.smoke, "rows": [], "left_out": [], "failed": []}

    def enter(title: str, measured: Callable[[], dict[str, Any]]) -> None:
        """Measure a row if there is time, print it, and write all rows so far."""
        if time.perf_counter() - begun > arguments.seconds:
            results["left_out"].append(title)
            return
        try:
            found = measured()
        except Exception as error:  # The other stages are to be measured whatever one fails of.
            results["failed"].append(f"{title}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            print(results["failed"][-1], flush=True)
            return
        row = {"title": title, **found, "peak_bytes": (device.memory_stats() or {}).get("peak_bytes_in_use")}
        results["rows"].append(row)
        words = f"{title:36}{row['n'] / row['seconds']:14,.0f} a second, {row['n']:,} in {row['seconds']:.4g} s, "
        words += f"compiled in {row['compile']:.1f} s"
        if "difference" in row:
            words += f", Δσ {row['difference']:.0e} of the largest"
        if row["peak_bytes"] is not None:
            words += f", peak so far {row['peak_bytes'] / 1e9:.1f} GB"
        print(words, flush=True)
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")

    data = arguments.data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    made = workloads(arguments.smoke, data)
    works = [(work, Jaxfeat(work, "gto")) for work in made if work.name in arguments.works]
    calls = {"min_calls": 1, "min_seconds": 0.0} if arguments.smoke else {}
    for dtype in arguments.dtypes:
        if "M" in arguments.works:
            enter(f"M, {dtype}", partial(million, dtype, arguments.smoke))
        for work, ours in works:
            inputs, kept = batches(ours, work.name, dtype, arguments.smoke), {}
            for stage, call in stages(ours.f).items():
                enter(f"{work.name}, {dtype}, {stage}", partial(measure, call, inputs, stage, kept, **calls))
    if results["left_out"]:
        print(f"left out, because {arguments.seconds:g} s were over: {'; '.join(results['left_out'])}")
    if arguments.smoke:
        print("This is a smoke run with few items; its rates mean nothing.")
    return int(bool(results["failed"]))


if __name__ == "__main__":
    sys.exit(main())
