"""A table of the zeros of a sweep, and the entries of its data set that the picture shows too."""

from collections import Counter
from typing import Any

import numpy as np
from rich.console import Console

from jaxfeat.report.tables import format_causes, open_console, plain_table, print_cures


def print_sweep(ds: Any, console: Console | None = None) -> None:
    """Print the statuses, the directions that are null at every point, and the list of zeros."""
    console = console or open_console()
    names = [str(name) for name in ds["parameter"].values]
    statuses = Counter(ds["status"].values.ravel().tolist())
    console.print(f"{statuses.total()} environments over {' and '.join(label_parameter(ds, name) for name in names)}")
    for status, n in sorted(statuses.items()):
        if status != "ok":
            console.print(f"  {status}: {n}")
    if n_generic := int(ds.attrs["n_generic"]):
        console.print(f"null at every point: {n_generic}; causes in the median: {_median_causes(ds)}")
    ratios = sweep_sensitivity(ds, "sigma_equilibrated")
    if (known := ratios[np.isfinite(ratios)]).size:
        extent = f"{known.min():.1e} to {known.max():.1e}, median {np.median(known):.1e}"
        console.print(f"σ_min/σ_max, equilibrated{note_omitted(ds)}: {extent}")
    if not ds.sizes["zero"]:
        console.print("σ_min vanishes nowhere on the grid.")
        return
    heads = [label_parameter(ds, name) for name in names]
    table = plain_table("Zeros of σ_min", "", [*heads, "±", "ratio"], ["null directions"])
    for k in range(ds.sizes["zero"]):
        error, ratio = float(ds["zero_error"][k]), float(ds["zero_ratio"][k])
        places = [_format_place(ds, k, axis, name) for axis, name in enumerate(names)]
        table.add_row(str(k + 1), *places, f"{error:.0e}", f"{ratio:.0e}", _format_null(ds, ds["zero_null"].values[k]))
    console.print(table)
    print_cures([filter(None, str(cause).split("; ")) for cause in ds["zero_cause"].values], console)


def sweep_sensitivity(ds: Any, name: str) -> np.ndarray:
    """Compute σ_min/σ_max at each point, without the directions that are null at every point."""
    last = (ds["n_values"] - 1 - int(ds.attrs["n_generic"])).clip(min=0)
    return (ds[name].isel(value=last) / ds[name].isel(value=0)).values


def note_omitted(ds: Any) -> str:
    """Write the words that σ_min/σ_max needs if directions are null at every point; otherwise an empty string."""
    return " (of directions not null everywhere)" if int(ds.attrs["n_generic"]) else ""


def in_unit(ds: Any, name: str, values: Any) -> Any:
    """Convert values of a parameter to the unit that it is shown in: angles to units of π."""
    return values / np.pi if ds[name].attrs.get("units") == "rad" else values


def label_parameter(ds: Any, name: str) -> str:
    """Write the name of a parameter with the unit that it is shown in."""
    unit = {"rad": "π"}.get(shown := str(ds[name].attrs.get("units", "")), shown)
    return f"{name} ({unit})" if unit else name


def _format_place(ds: Any, k: int, axis: int, name: str) -> str:
    """Write a parameter of zero `k` with ten decimals, or its range with four if it changes along a curve."""
    low, high, at = (float(in_unit(ds, name, ds[f"zero_{end}"].values[k, axis])) for end in ("low", "high", "at"))
    if high - low > 1e-9:
        return f"{low:.4f} … {high:.4f}"
    # A negative number that rounds to zero keeps its sign; adding zero removes it.
    return f"{round(at, 10) + 0.0:.10f}"


def _format_null(ds: Any, counts: np.ndarray) -> str:
    return format_causes(dict(zip(ds["cause"].values.tolist(), counts.tolist(), strict=True))) or "unclassified"


def _median_causes(ds: Any) -> str:
    both = ds["null"].values + (ds["near"].values if "near" in ds else 0)
    counts = both[ds["status"].values == "ok"]
    return _format_null(ds, np.median(counts, axis=0).astype(int)) if len(counts) else "unknown"
