"""What a store of environments says, in tables: read a chunk at a time, however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from jaxfeat.report.ratio import Ratio, Record
from jaxfeat.report.table import CAUSES, MOST_BLIND_ENVIRONMENTS, blind_table, count, listed, plain_table

BLOCK = 1 << 16
"""Environments that are read at a time."""

BINS = np.linspace(-20, 0, 10_001)
"""Of log10 σ_min/σ_max, for medians: they are right to half a percent."""


class Tally:
    """Counts over some environments: how many, their ratios (equilibrated and raw), null directions by cause."""

    def __init__(self) -> None:
        self.n = 0
        self.histograms = np.zeros((2, len(BINS) + 1), int)
        self.least: list[Ratio | None] = [None, None]
        self.null: Counter[str] = Counter()

    def add(self, known: np.ndarray, values: np.ndarray, null: Mapping[str, int]) -> None:
        """`known` and `values`, `(2, m)`: ratios, or the floors above those that are not known."""
        self.n += values.shape[1]
        self.null.update(null)
        for kind in range(2):
            seen = np.isfinite(values[kind])
            sure, some = known[kind][seen], values[kind][seen]
            if some.size:
                self.histograms[kind] += np.bincount(
                    np.where(sure, np.digitize(np.log10(some), BINS), 0), minlength=len(BINS) + 1
                )
                k = np.lexsort((some, sure))[0]
                least, before = Ratio(bool(sure[k]), float(some[k])), self.least[kind]
                self.least[kind] = least if before is None else min(least, before)

    def median(self, kind: int) -> str:
        counts = self.histograms[kind].cumsum()
        if not counts[-1]:
            return "-"
        k = int(np.searchsorted(counts, (counts[-1] + 1) // 2))
        return str(self.least[kind]) if k == 0 else f"{10 ** BINS[k - 1]:.1e}"


class Summary:
    """Of a data set with the axis `environment`: tallies by atomic number of the center, how many environments have
    which status, and the places of the most blind ones, worst first."""

    def __init__(self, ds: Any) -> None:
        self.n = ds.sizes["environment"]
        self.by_center: dict[int, Tally] = {}
        self.status: Counter[str] = Counter()
        self.doubtful: Counter[str] = Counter()
        self.n_seen = 0
        worst: list[tuple[Any, ...]] = []
        names = ("sigma", "sigma_equilibrated", "floor", "floor_equilibrated", "n_values", "null", "status")
        for start in range(0, self.n, BLOCK):
            block = ds[[*names, "center_species"]].isel(environment=slice(start, start + BLOCK)).load()
            status = block["status"].values.astype(object)
            self.status.update(status.tolist())
            pairs = [_ratios(block, suffix) for suffix in ("_equilibrated", "")]
            known, values = (np.stack(part) for part in zip(*pairs, strict=True))
            seen = np.isfinite(values).all(0)
            self.n_seen += int(seen.sum())
            self.doubtful.update(name for name in status[seen].tolist() if name != "ok")
            null, centers = block["null"].values, block["center_species"].values
            causes = block["cause"].values.tolist()
            for number in np.unique(centers).tolist():
                own = centers == number
                total = dict(zip(causes, null[own].sum(0).tolist(), strict=True))
                self.by_center.setdefault(number, Tally()).add(known[:, own], values[:, own], total)
            spurious = null[:, [cause != "rigid" for cause in causes]].sum(-1)
            # As in `ratio.blindness`: of two ratios below the floor the number of null directions decides.
            keys = (values[1], known[1], -spurious, np.where(known[0], values[0], 0), known[0])
            order = np.lexsort(keys)
            for k in order[seen[order]][:MOST_BLIND_ENVIRONMENTS].tolist():
                worst.append((*(key[k] for key in reversed(keys)), start + k))
        self.most_blind: list[int] = [int(one[-1]) for one in sorted(worst)[:MOST_BLIND_ENVIRONMENTS]]


def _ratios(block: Any, suffix: str) -> tuple[np.ndarray, np.ndarray]:
    """Whether σ_min/σ_max is known, and it or the floor above it; NaN where there is no spectrum."""
    sigma, floor = block[f"sigma{suffix}"].values, block[f"floor{suffix}"].values
    n = block["n_values"].values
    if not sigma.shape[1]:
        return np.zeros(len(n), bool), np.full(len(n), np.nan)
    smallest = np.take_along_axis(sigma, np.maximum(n - 1, 0)[:, None], 1)[:, 0]
    largest = np.where((n > 0) & (sigma[:, 0] > 0), sigma[:, 0], np.nan)
    return smallest > floor, np.fmax(smallest, floor) / largest


def records(ds: Any, indices: Sequence[int], symbols: Sequence[str]) -> list[Record]:
    """Some environments of a store as a scan has them. `symbols`: by atomic number."""
    found = []
    for k in indices:
        one = ds.isel(environment=k).load()
        values = {name: one[name].values[()] for name in one.variables}
        listed = slice(int(values["n_values"]) if np.isfinite(values["floor"]) else 0)
        found.append(
            {
                "structure": int(values["structure_index"]),
                "center": int(values["center_index"]),
                "species": symbols[int(values["center_species"])],
                "n_neighbors": int(values["n_neighbors"]),
                "sigma": values["sigma"][listed].tolist(),
                "sigma_equilibrated": values["sigma_equilibrated"][listed].tolist(),
                "floor": float(values["floor"]),
                "floor_equilibrated": float(values["floor_equilibrated"]),
                "null": dict(zip(values["cause"].tolist(), values["null"].tolist(), strict=True)),
                "status": str(values["status"]),
            }
        )
    return found


def print_store(
    summary: Summary,
    blind: Sequence[Record],
    causes: Mapping[int, str],
    symbols: Sequence[str],
    console: Console | None = None,
) -> None:
    """Print a summary, and the records of the most blind environments with why they are."""
    console = Console() if console is None else console
    headers = ("environ-\nments", "equili-\nbrated\nmedian", "least", "raw\nmedian", "least", *CAUSES.values())
    table = plain_table("By species of the center: σ_min/σ_max, null directions by cause", "Center", headers)
    for number, tally in sorted(summary.by_center.items(), key=lambda item: -item[1].n):
        cells = [str(tally.n)]
        for kind in range(2):
            cells += [tally.median(kind), str(tally.least[kind] or "-")]
        table.add_row(symbols[number], *cells, *(count(tally.null[cause]) for cause in CAUSES))
    console.print(table)
    console.print(blind_table(blind, causes, summary.n_seen))
    if summary.doubtful:
        console.print(f"Causes of null directions are not certain: {listed(summary.doubtful)}.")
    left_out = summary.status - summary.doubtful - Counter(ok=summary.status["ok"])
    if left_out:
        console.print(f"Without a spectrum: {listed(left_out)}.")
