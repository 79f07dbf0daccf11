"""All works and packages, one process after the other, and what comes of them."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.bench.peer import PEERS
from jaxfeat.bench.timing import THREADS
from jaxfeat.bench.works import ALONE, DATA, MILLION, NO_DATA, WORKS
from jaxfeat.errors import ReadError

NAMES = (*WORKS, MILLION)

LISTED = 1e-6
"""Singular values below this share of the largest are compared with the largest alone, not each with its own."""

ENVIRONMENT = {
    **THREADS,
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "true",
    # What is compiled is compiled here, not found on disk.
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}

SMOKE = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
"""XLA's flags in a smoke run, nearly all of which is compilation."""

Progress = Callable[[int, int], None]


def run(
    names: Sequence[str], smoke: bool = False, data: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Time works, and return plain numbers.

    **Arguments:**

    - `names`: among `NAMES`.
    - `smoke`: a few configurations in a small basis, each call once; one process a package instead of one a work.
    - `data`: the file of W6.
    - `progress`: called with the number of processes done and their total.

    **Returns:** `machine`, `versions`, `smoke`, and `works`: for each its `title`, `n` items in `unit`, `packages` with
    their `stages` as `timing.measure` has them (those of jaxfeat by variant), and `differences` of singular values.
    What was left out has a sentence in its place, `skipped` or `failed`.

    **Raises:** `ReadError` for a name that is none, and for data that are not there.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ReadError(f"there is no work {unknown[0]}; choose among {', '.join(NAMES)}.")
    data = data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    if "W6" in names and data is not None and not data.is_file():
        raise ReadError(f"{data}: there is no such file of structures.")
    works: dict[str, dict[str, Any]] = {name: {"packages": {}} for name in dict.fromkeys(names)}
    if "W6" in works and data is None:
        works["W6"]["skipped"] = NO_DATA
    open_works = [name for name, work in works.items() if "skipped" not in work]
    peers = _peers(works, open_works)
    jobs = _jobs(open_works, peers, together=smoke)
    for done, (package, group) in enumerate(jobs):
        job = {
            "package": package,
            "works": group,
            "smoke": smoke,
            "data": None if data is None else str(data),
            "peers": peers,
        }
        for name, found in _results(job):
            works[name]["packages"][package] = found
        if progress is not None:
            progress(done + 1, len(jobs))
    for name in open_works:
        _tidy(works[name])
    return {"machine": _machine(), "versions": _versions(peers), "smoke": smoke, "works": works}


def failures(results: dict[str, Any]) -> list[str]:
    """What went wrong, in a few words each."""
    return [
        f"{package} at {name}: {found['failed']}"
        for name, work in results["works"].items()
        for package, found in work["packages"].items()
        if "failed" in found
    ]


def _jobs(names: Sequence[str], peers: Sequence[str], together: bool) -> list[tuple[str, list[str]]]:
    """Packages and the works that each does in one process."""
    packages = [("jaxfeat", list(names)), *((peer, [name for name in names if name not in ALONE]) for peer in peers)]
    if together:
        return [(package, mine) for package, mine in packages if mine]
    return [(package, [name]) for name in names for package, mine in packages if name in mine]


def _peers(works: dict[str, dict[str, Any]], names: Sequence[str]) -> list[str]:
    """Peers that are installed. Works have a note of why others are not there."""
    for name in names:
        if name in ALONE:
            works[name]["alone"] = ALONE[name]
            continue
        for key, package in PEERS.items():
            if not package.installed:
                works[name]["packages"][key] = {"skipped": package.missing}
    return [key for key, package in PEERS.items() if package.installed]


def _results(job: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each work of a job with what its process found, or why it failed."""
    command = [sys.executable, "-m", "jaxfeat.bench.worker", json.dumps(job)]
    variables = {**os.environ, **ENVIRONMENT} | ({"XLA_FLAGS": SMOKE} if job["smoke"] else {})
    finished = subprocess.run(command, capture_output=True, text=True, env=variables)
    found = {}
    for line in finished.stdout.splitlines():
        # Packages print what they like; results are whole lines of JSON.
        if line.startswith("{") and line.endswith("}"):
            result = json.loads(line)
            found[result.pop("work")] = result
    reason = (finished.stderr.strip().splitlines() or ["no word"])[-1]
    for name in job["works"]:
        yield name, found.get(name, {"failed": f"status {finished.returncode}: {reason[:300]}"})


def _tidy(work: dict[str, Any]) -> None:
    """Singular values become their largest differences; what packages agree on moves up."""
    packages = work["packages"]
    for found in packages.values():
        for key in ("title", "n", "unit", "core"):
            if key in found:
                work[key] = found.pop(key)
    variants = packages["jaxfeat"].get("variants", {})
    values = {key: found.pop("values", None) for key, found in packages.items()}
    for variant in variants.values():
        screened, reference = variant.pop("screened"), variant.pop("reference")
        certified = variant.pop("values")
        against = {key: values[key] for key in variant["beside"] if values.get(key)}
        if reference is not None:
            against = {"reference": reference}
        variant["differences"] = {
            key: {"certified": difference(certified, other), "screened": screened and difference(screened, other)}
            for key, other in against.items()
        }


def difference(ours: list[list[float]], others: list[list[float]]) -> dict[str, float]:
    """The largest relative differences of singular values: `of_largest`, relative to the largest value of the item;
    `each`, relative to itself, of values above `LISTED` of the largest. Items without other values are left out."""
    of_largest, each = 0.0, 0.0
    for own, other in zip(ours, others, strict=True):
        if not other:
            continue
        a, b = np.asarray(own), np.asarray(other[: len(own)])
        apart = np.abs(a - b)
        of_largest = max(of_largest, float(apart.max() / a[0]))
        seen = a > LISTED * a[0]
        each = max(each, float((apart[seen] / a[seen]).max()))
    return {"of_largest": of_largest, "each": each}


def _machine() -> dict[str, Any]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": datetime.date.today().isoformat(),
    }


def _versions(peers: Sequence[str]) -> dict[str, str]:
    names = ["jaxfeat", "jax", "jaxlib", "numpy", "scipy", *(PEERS[key].distribution for key in peers)]
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from a folder"
    return found
