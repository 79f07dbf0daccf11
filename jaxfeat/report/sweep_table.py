"""Where σ_min vanishes, in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.sweep_data import of_others, sweep_sensitivity, unit


def print_sweep(ds: Any, console: Console | None = None) -> None:
    """Print what is null everywhere, and the list of zeros."""
    console = console or Console()
    names = [str(name) for name in ds["parameter"].values]
    ratios, status = sweep_sensitivity(ds, "sigma_equilibrated"), ds["status"].values
    n_generic = int(ds.attrs["n_generic"])
    known = ratios[np.isfinite(ratios)]
    console.print(f"{status.size} environments over {' and '.join(names)}", highlight=False)
    for name in np.unique(status[(status != "ok")]):
        console.print(f"  {name}: {(status == name).sum()}", highlight=False)
    if n_generic:
        console.print(f"null everywhere: {n_generic}, at most points {_everywhere(ds)}", highlight=False)
    if known.size:
        console.print(
            f"σ_min/σ_max, equilibrated{of_others(ds)}: "
            f"{known.min():.1e} to {known.max():.1e}, median {np.median(known):.1e}",
            highlight=False,
        )
    if not ds.sizes["zero"]:
        console.print("σ_min vanishes nowhere on the grid.", highlight=False)
        return
    table = Table(title="where σ_min vanishes", title_justify="left", box=None, padding=(0, 1))
    for name in names:
        head = f"{name} ({unit(ds, name)})" if unit(ds, name) else name
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("null directions", no_wrap=True)
    cures: dict[str, list[int]] = {}
    for k in range(ds.sizes["zero"]):
        error, ratio = float(ds["zero_error"][k]), float(ds["zero_ratio"][k])
        table.add_row(*_place(ds, k, names), f"{error:.0e}", f"{ratio:.0e}", _counted(ds["zero_null"].values[k], ds))
        for cure in filter(None, str(ds["zero_cause"].values[k]).split("; ")):
            cures.setdefault(cure, []).append(k + 1)
    console.print(table)
    for cure, rows in cures.items():
        many = len(rows) == ds.sizes["zero"]
        where = "all" if many and len(rows) > 1 else "row " + ", ".join(map(str, rows))
        console.print(f"{escape(cure)} ({where})", highlight=False)


def _counted(counts: np.ndarray, ds: Any) -> str:
    found = zip(ds["cause"].values.tolist(), counts.tolist(), strict=True)
    return ", ".join(f"{cause} {n}" for cause, n in found if n and cause != "rigid") or "unclassified"


def _place(ds: Any, k: int, names: Sequence[str]) -> list[str]:
    """Ten decimals of a point, and of what is the same all along a curve; of the rest, from where to where."""
    low, high, at = (ds[f"zero_{what}"].values[k] for what in ("low", "high", "at"))
    words = []
    for axis, name in enumerate(names):
        scale = np.pi if unit(ds, name) == "π" else 1.0
        if high[axis] - low[axis] < 1e-9:
            # Adding zero to what rounds to zero takes its sign away.
            words.append(f"{round(float(at[axis] / scale), 10) + 0.0:.10f}")
        else:
            words.append(f"{low[axis] / scale:.4f} … {high[axis] / scale:.4f}")
    return words


def _everywhere(ds: Any) -> str:
    """What most points have in common."""
    counts = ds["null"].values.reshape(-1, ds.sizes["cause"])[ds["status"].values.ravel() == "ok"]
    return _counted(np.median(counts, axis=0).astype(int), ds) if len(counts) else "of unknown cause"
