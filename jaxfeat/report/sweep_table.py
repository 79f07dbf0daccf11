"""A table of the zeros of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.sweep_data import label_parameter, note_omitted, sweep_sensitivity, unit_of


def print_sweep(ds: Any, console: Console | None = None) -> None:
    """Print the statuses, the directions that are null at every point, and the list of zeros."""
    console = console or Console()
    names = [str(name) for name in ds["parameter"].values]
    ratios, status = sweep_sensitivity(ds, "sigma_equilibrated"), ds["status"].values
    n_generic = int(ds.attrs["n_generic"])
    known = ratios[np.isfinite(ratios)]
    console.print(f"{status.size} environments over {' and '.join(names)}", highlight=False)
    for name in np.unique(status[(status != "ok")]):
        console.print(f"  {name}: {(status == name).sum()}", highlight=False)
    if n_generic:
        console.print(f"null at every point: {n_generic}; causes in the median: {_median_causes(ds)}", highlight=False)
    if known.size:
        console.print(
            f"σ_min/σ_max, equilibrated{note_omitted(ds)}: "
            f"{known.min():.1e} to {known.max():.1e}, median {np.median(known):.1e}",
            highlight=False,
        )
    if not ds.sizes["zero"]:
        console.print("σ_min vanishes nowhere on the grid.", highlight=False)
        return
    table = Table(title="Zeros of σ_min", title_justify="left", box=None, padding=(0, 1))
    for name in names:
        table.add_column(label_parameter(ds, name), justify="right", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("null directions", no_wrap=True)
    cures: dict[str, list[int]] = {}
    for k in range(ds.sizes["zero"]):
        error, ratio = float(ds["zero_error"][k]), float(ds["zero_ratio"][k])
        table.add_row(
            *_format_place(ds, k, names), f"{error:.0e}", f"{ratio:.0e}", _format_counts(ds["zero_null"].values[k], ds)
        )
        for cure in filter(None, str(ds["zero_cause"].values[k]).split("; ")):
            cures.setdefault(cure, []).append(k + 1)
    console.print(table)
    for cure, rows in cures.items():
        many = len(rows) == ds.sizes["zero"]
        where = "all" if many and len(rows) > 1 else "row " + ", ".join(map(str, rows))
        console.print(f"{escape(cure)} ({where})", highlight=False)


def _format_counts(counts: np.ndarray, ds: Any) -> str:
    found = zip(ds["cause"].values.tolist(), counts.tolist(), strict=True)
    return ", ".join(f"{cause} {n}" for cause, n in found if n and cause != "rigid") or "unclassified"


def _format_place(ds: Any, k: int, names: Sequence[str]) -> list[str]:
    """Write each parameter of a zero with ten decimals, or its range with four if it changes along a curve."""
    low, high, at = (ds[f"zero_{name}"].values[k] for name in ("low", "high", "at"))
    words = []
    for axis, name in enumerate(names):
        scale = np.pi if unit_of(ds, name) == "π" else 1.0
        if high[axis] - low[axis] < 1e-9:
            # A negative number that rounds to zero keeps its sign; adding zero removes it.
            words.append(f"{round(float(at[axis] / scale), 10) + 0.0:.10f}")
        else:
            words.append(f"{low[axis] / scale:.4f} … {high[axis] / scale:.4f}")
    return words


def _median_causes(ds: Any) -> str:
    counts = ds["null"].values.reshape(-1, ds.sizes["cause"])[ds["status"].values.ravel() == "ok"]
    return _format_counts(np.median(counts, axis=0).astype(int), ds) if len(counts) else "unknown"
