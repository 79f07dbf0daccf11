"""All works: packages in processes of their own that take turns, and what comes of them."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.bench.peer import PEERS
from jaxfeat.bench.process import Process
from jaxfeat.bench.timing import in_turns
from jaxfeat.bench.works import ALONE, DATA, MILLION, MILLION_TITLE, NO_DATA, WORKS, Work
from jaxfeat.errors import ReadError

NAMES = (*WORKS, MILLION)

TURNS = (("features",), ("jacobian",), ("values", "screened"), ("vectors",))
"""Stages that are timed in turns: those whose times are compared."""

ONCE: dict[str, Any] = {"repeats": 1, "least": 0.0}

LISTED = 1e-6
"""Singular values below this share of the largest are compared with the largest alone, not each with its own."""

Progress = Callable[[int, int], None]


def run(
    names: Sequence[str], smoke: bool = False, data: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Time works, and return plain numbers.

    **Arguments:**

    - `names`: among `NAMES`.
    - `smoke`: a few configurations in a small basis, each call once; one process a package instead of one a work.
    - `data`: the file of W6.
    - `progress`: called with the number of stages done and their total.

    **Returns:** `machine`, `versions`, `smoke`, and `works`: for each its `title`, `n` items in `unit`, `packages` with
    their `stages` as `timing.in_turns` has them (those of jaxfeat by variant), and `differences` of singular values.
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
    done, total = 0, sum(2 if name == MILLION else len(TURNS) for name in open_works)

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    pool: dict[tuple[str, str], Process] = {}
    with ExitStack() as running:
        for name in open_works:
            if not smoke:
                # Memory is counted from nothing.
                running.close()
                pool.clear()
            work = None if name == MILLION else WORKS[name](smoke, data)
            beside = _variants(work, peers)
            keys = [("jaxfeat", variant) for variant in beside]
            keys += [(peer, "") for others in beside.values() for peer in others]
            for key in keys:
                if key not in pool:
                    pool[key] = running.enter_context(Process(*key, smoke, None if data is None else str(data)))
            _measure(name, works[name], [pool[key] for key in keys], beside, smoke, step)
            if work is None:
                works[name]["title"] = MILLION_TITLE
            else:
                works[name] |= {"title": work.title, "n": work.n_items, "unit": work.unit}
    return {"machine": _machine(), "versions": _versions(peers), "smoke": smoke, "works": works}


def failures(results: dict[str, Any]) -> list[str]:
    """What went wrong, in a few words each."""
    return [
        f"{package} at {name}: {found['failed']}"
        for name, work in results["works"].items()
        for package, found in work["packages"].items()
        if "failed" in found
    ]


def _variants(work: Work | None, peers: Sequence[str]) -> dict[str, list[str]]:
    """The variants to time a work in, each with the peers that stand beside it; one at least."""
    beside: dict[str, list[str]] = {}
    if work is not None and work.name not in ALONE:
        for peer in peers:
            beside.setdefault(PEERS[peer].beside(work), []).append(peer)
    return beside or {"gto": []}


def _measure(
    name: str,
    result: dict[str, Any],
    processes: list[Process],
    beside: dict[str, list[str]],
    smoke: bool,
    step: Callable[[], None],
) -> None:
    """Have processes do a work, and put into its result what they found."""
    opened = [process.ask(open=name) or {"stages": []} for process in processes]
    stages = _timed(name, processes, [at["stages"] for at in opened], smoke, step)
    values, variants, packages = {}, {}, result["packages"]
    for process, at, times in zip(processes, opened, stages, strict=True):
        # A peer's values are the measure where it has the same basis.
        alone = process.package == "jaxfeat" and not any(PEERS[peer].same for peer in beside[process.variant])
        found = process.ask(found={"reference": alone})
        if process.failed:
            packages[process.package] = {"failed": process.failed}
        elif name == MILLION:
            packages["jaxfeat"] = {"runs": {n: times[n] | {"decades": found["decades"][n]} for n in times}}
        elif process.package == "jaxfeat":
            variants[process.variant] = found | {
                "stages": times,
                "lists": at["lists"],
                "beside": beside[process.variant],
            }
        else:
            packages[process.package], values[process.package] = {"stages": times}, found["values"]
        result["core"] = at.get("core")
    if variants:
        packages["jaxfeat"] = packages.get("jaxfeat", {}) | {"variants": _compared(variants, values)}


def _timed(
    name: str,
    processes: Sequence[Process],
    offered: Sequence[Sequence[str]],
    smoke: bool,
    step: Callable[[], None],
) -> list[dict[str, Any]]:
    """What each process took for the stages that it offers."""
    stages: list[dict[str, Any]] = [{} for _ in processes]
    for turn in [(stage,) for stage in offered[0]] if name == MILLION else TURNS:
        pairs = [(k, stage) for stage in turn for k, own in enumerate(offered) if stage in own]
        options = ONCE if smoke else {}
        if name == MILLION and turn[0] != offered[0][0]:
            # A million takes long enough to be timed once; the stage before it has compiled everything.
            options = {**ONCE, "warm": True}
        timed = in_turns([partial(processes[k].lap, stage) for k, stage in pairs], **options)
        for (k, stage), times in zip(pairs, timed, strict=True):
            stages[k][stage] = times
        step()
    return stages


def _compared(variants: dict[str, dict[str, Any]], values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """jaxfeat's variants with the differences of their singular values from the peers', in the place of them all."""
    for variant in variants.values():
        screened, certified, reference = (variant.pop(key) for key in ("screened", "values", "reference"))
        against = {peer: values[peer] for peer in variant["beside"] if values.get(peer)}
        if reference is not None:
            against = {"reference": reference}
        variant["differences"] = {
            key: {"certified": difference(certified, other), "screened": screened and difference(screened, other)}
            for key, other in against.items()
        }
    return variants


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
