"""The benchmark: packages compute the same workloads in processes of their own that take turns."""

import datetime
import itertools
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.bench.peers import PEERS
from jaxfeat.bench.timing import time_in_turns
from jaxfeat.bench.worker import WorkerProcess
from jaxfeat.bench.workloads import (
    DATA,
    MILLION,
    MILLION_TITLE,
    NO_DATA,
    WITHOUT_PEERS,
    WORKLOAD_NAMES,
    WORKLOADS,
    Workload,
)
from jaxfeat.errors import ReadError
from jaxfeat.progress import Progress

TURNS = (("features",), ("jacobian",), ("values", "screened"), ("vectors",))  # compared, so timed in turns
ONE_CALL: dict[str, Any] = {"min_calls": 1, "min_seconds": 0.0}
COMPARED = 1e-6  # singular values above this share of the largest are compared relative to themselves


def compare_packages(
    names: Sequence[str], smoke: bool = False, data: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Time workloads among `WORKLOAD_NAMES` with jaxfeat and every peer that is installed. W6 needs its file as `data`.

    A smoke run computes a few structures in a small basis, times each call once, and keeps one process for each
    package. Otherwise each workload has new processes, so that its memory is counted from nothing. JSON can hold the
    result. Each of its `works` has a `title`, `n` items in `unit`, and `packages`. A peer has `stages` as
    `time_in_turns` returns them; jaxfeat has them for each variant, with `differences` of singular values. A workload
    or package that was left out has a sentence, `skipped` or `failed`.
    """
    unknown = [name for name in names if name not in WORKLOAD_NAMES]
    if unknown:
        raise ReadError(f"there is no workload {unknown[0]}; choose among {', '.join(WORKLOAD_NAMES)}.")
    data = data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    if "W6" in names and data is not None and not data.is_file():
        raise ReadError(f"{data}: there is no such file of structures.")
    results: dict[str, dict[str, Any]] = {name: {"packages": {}} for name in dict.fromkeys(names)}
    if "W6" in results and data is None:
        results["W6"]["skipped"] = NO_DATA
    timed = [name for name in results if "skipped" not in results[name]]
    total = sum(2 if name == MILLION else len(TURNS) for name in timed)
    done = itertools.count(1)

    def step() -> None:
        if progress is not None:
            progress(next(done), total)

    pool: dict[tuple[str, str], WorkerProcess] = {}
    with ExitStack() as running:
        for name in timed:
            if not smoke:
                running.close()
                pool.clear()
            workload, result = None if name == MILLION else WORKLOADS[name](smoke, data), results[name]
            result["title"] = MILLION_TITLE if workload is None else workload.title
            if workload is not None:
                result |= {"n": workload.n_items, "unit": workload.unit}
            beside: dict[str, list[str]] = {"gto": []}
            if workload is None or name in WITHOUT_PEERS:
                result["alone"] = WITHOUT_PEERS[name]
            else:
                missing = {key: peer.missing() for key, peer in PEERS.items() if peer.missing()}
                result["packages"] |= {key: {"skipped": sentence} for key, sentence in missing.items()}
                beside = _choose_variants(workload, [key for key in PEERS if key not in missing])
            keys = [("jaxfeat", variant) for variant in beside]
            keys += [(peer, "") for others in beside.values() for peer in others]
            for key in keys:
                if key not in pool:
                    process = WorkerProcess(*key, smoke, None if data is None else str(data))
                    pool[key] = running.enter_context(process)
            _measure(name, result, [pool[key] for key in keys], beside, smoke, step)
    return {"machine": _machine(), "versions": _versions(), "smoke": smoke, "works": results}


def failure_messages(results: dict[str, Any]) -> list[str]:
    """List the packages that failed, each with the workload and the reason."""
    return [
        f"{package} at {name}: {found['failed']}"
        for name, result in results["works"].items()
        for package, found in result["packages"].items()
        if "failed" in found
    ]


def _choose_variants(workload: Workload, peers: Sequence[str]) -> dict[str, list[str]]:
    """Return the variants of jaxfeat to time, at least one, each with the peers to time beside it."""
    beside: dict[str, list[str]] = {}
    for peer in peers:
        variant = PEERS[peer].variant
        # The variant with a window takes minutes. It is worth them only in crystals, where DScribe's reach beyond r_cut
        # includes half as many neighbors again.
        beside.setdefault("gto" if variant == "gto, window" and not workload.periodic else variant, []).append(peer)
    return beside or {"gto": []}


def _measure(
    name: str,
    result: dict[str, Any],
    processes: list[WorkerProcess],
    beside: dict[str, list[str]],
    smoke: bool,
    step: Callable[[], None],
) -> None:
    opened = [process.ask(open=name) or {"stages": []} for process in processes]
    stages = _time_stages(name, processes, [answer["stages"] for answer in opened], smoke, step)
    values, variants, packages = {}, {}, result["packages"]
    for process, answer, times in zip(processes, opened, stages, strict=True):
        package, variant = process.package, process.variant
        # Without a peer of the same basis, values are compared with those of the reference path.
        alone = package == "jaxfeat" and not any(PEERS[peer].comparable for peer in beside[variant])
        found = process.ask(results={"reference": alone})
        if process.failed:
            packages[package] = {"failed": process.failed}
        elif name == MILLION:
            packages[package] = {"runs": {n: times[n] | {"decades": found["decades"][n]} for n in times}}
        elif package == "jaxfeat":
            variants[variant] = found | {"stages": times, "lists": answer["lists"], "beside": beside[variant]}
        else:
            packages[package], values[package] = {"stages": times}, found["values"]
        result["core"] = answer.get("core")
    if variants:
        for found in variants.values():
            found["differences"] = _compare_values(found, values)
        packages["jaxfeat"] = packages.get("jaxfeat", {}) | {"variants": variants}


def _time_stages(
    name: str,
    processes: Sequence[WorkerProcess],
    offered: Sequence[Sequence[str]],
    smoke: bool,
    step: Callable[[], None],
) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = [{} for _ in processes]
    for turn in [(stage,) for stage in offered[0]] if name == MILLION else TURNS:
        calls = [(k, stage) for stage in turn for k, own in enumerate(offered) if stage in own]
        options = ONE_CALL if smoke else {}
        if name == MILLION and turn[0] != offered[0][0]:
            # The million takes long enough to be timed once, and the stage before it has compiled the program.
            options = {**ONE_CALL, "compiled": True}
        timed = time_in_turns([partial(processes[k].time_stage, stage) for k, stage in calls], **options)
        for (k, stage), times in zip(calls, timed, strict=True):
            stages[k][stage] = times
        step()
    return stages


def _compare_values(variant: dict[str, Any], values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Take the singular values out of a variant of jaxfeat, and compute their differences from those of the peers."""
    screened, certified, reference = (variant.pop(key) for key in ("screened", "values", "reference"))
    others = {peer: values[peer] for peer in variant["beside"] if values.get(peer)}
    if reference is not None:
        others = {"reference": reference}
    kinds = {"certified": certified, "screened": screened}
    return {key: {kind: value_differences(own, other) for kind, own in kinds.items()} for key, other in others.items()}


def value_differences(ours: list[list[float]], others: list[list[float]]) -> dict[str, float]:
    """Compute the largest differences, relative to σ_max and, of values above `COMPARED` of that, to themselves."""
    pairs = [(np.asarray(a), np.asarray(b[: len(a)])) for a, b in zip(ours, others, strict=True) if b]
    of_largest = [np.max(np.abs(a - b)) / a[0] for a, b in pairs]
    each = [np.max(np.abs(a - b)[compared] / a[compared]) for a, b in pairs for compared in [a > COMPARED * a[0]]]
    return {"of_largest": float(max(of_largest, default=0.0)), "each": float(max(each, default=0.0))}


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


def _versions() -> dict[str, str]:
    peers = [peer.distribution for peer in PEERS.values() if not peer.missing()]
    found = {"python": platform.python_version()}
    for name in ("jaxfeat", "jax", "jaxlib", "numpy", "scipy", *peers):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "from a folder"
    return found
