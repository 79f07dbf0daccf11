"""A picture of a sweep: the sensitivity over the parameters of a manifold, and its zeros."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxfeat.report.figures import (
    FLOOR_LINE,
    INK,
    RATIO,
    RAW,
    SENSITIVE_MAP,
    Maker,
    add_legend,
    open_axes,
    style,
)
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.sweep_table import in_unit, label_parameter, note_omitted, sweep_sensitivity

ZERO: dict[str, Any] = {"edgecolor": "white", "lw": 0.7}  # style of the points that mark zeros
MOST_DECADES = 6  # decades of a map, below its largest value


@style()
def plot_sweep(ds: Any, title: str | None = None, ax: Any = None, make: Maker = Figure) -> list[Axes]:
    """Draw equilibrated σ_min/σ_max of a manifold over one or two parameters, and its zeros in the colors of causes."""
    names = [str(name) for name in ds["sigma"].dims if name != "value"]
    (axes,) = open_axes(ax, (6.4, 4.2), title, make)
    causes = [_worst_cause(ds, k) for k in range(ds.sizes["zero"])]
    colors = [CAUSE_COLORS[cause] for cause in causes]
    if len(names) == 1:
        _draw_line(axes, ds, names[0], colors)
    else:
        _draw_map(axes, ds, names, colors)
    axes.set_xlabel(label_parameter(ds, names[0]))
    found = [cause for cause in CAUSE_COLORS if cause in causes]
    marks = [axes.scatter([], [], 26, color=CAUSE_COLORS[cause], label=cause, **ZERO) for cause in found]
    add_legend(axes, [*(line for line in axes.lines if not str(line.get_label()).startswith("_")), *marks])
    return [axes]


def _worst_cause(ds: Any, k: int) -> str:
    counts = ds["zero_null"].isel(zero=k)
    return next((c for c in CAUSE_COLORS if c != "rigid" and c in counts["cause"] and counts.sel(cause=c)), "other")


def _draw_line(axes: Axes, ds: Any, name: str, colors: Sequence[str]) -> None:
    x, zeros = in_unit(ds, name, ds[name].values), in_unit(ds, name, ds["zero_at"].values[:, 0])
    where = np.searchsorted(x, zeros)
    styles: dict[str, dict[str, Any]] = {
        "": {"color": RAW, "lw": 2.8, "label": "raw"},
        "_equilibrated": {"color": INK, "lw": 1.1, "label": "equilibrated"},
    }
    for suffix, style_ in styles.items():
        floor = ds[f"floor{suffix}"].values / ds[f"sigma{suffix}"].values[:, 0]
        # Values below their floor are rounding errors. The lines reach it at the zeros, between points of the grid.
        known = np.fmax(sweep_sensitivity(ds, f"sigma{suffix}"), floor)
        axes.plot(np.insert(x, where, zeros), np.insert(known, where, np.nanmedian(floor)), **style_)
    axes.plot(x, floor, label="floor", **FLOOR_LINE)
    axes.set_yscale("log")
    axes.set_ylabel(f"{RATIO}{note_omitted(ds)}")
    ends = [in_unit(ds, name, ds[f"zero_{end}"].values[:, 0]) for end in ("low", "high")]
    for at, low, high, color in zip(zeros, *ends, colors, strict=True):
        if high > low:
            axes.axvspan(low, high, color=color, alpha=0.3, lw=0, zorder=0)
        else:
            axes.axvline(at, color=color, lw=0.9, alpha=0.5, zorder=0)
        axes.scatter([at], [np.nanmedian(floor)], 30, color=color, zorder=3, **ZERO)


def _draw_map(axes: Axes, ds: Any, names: Sequence[str], colors: Sequence[str]) -> None:
    x, y = (in_unit(ds, name, ds[name].values) for name in names)
    ratio = np.log10(np.maximum(sweep_sensitivity(ds, "sigma_equilibrated"), 1e-300))
    known = ratio[np.isfinite(ratio)]
    low = max(float(np.quantile(known, 0.002)), float(known.max()) - MOST_DECADES) if known.size else -1.0
    mesh = axes.pcolormesh(x, y, ratio.T, cmap=SENSITIVE_MAP, vmin=low, shading="nearest", rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, extend="min")
    bar.set_label(rf"$\log_{{10}}$ {RATIO}, equilibrated{note_omitted(ds)}", fontsize=8)
    bar.outline.set_linewidth(0.5)
    axes.set_ylabel(label_parameter(ds, names[1]))
    for k, color in enumerate(colors):
        curve = bool(ds["zero_dimension"][k])
        found = ds["zero_point"].values[ds["zero_of_point"].values == k] if curve else ds["zero_at"].values[[k]]
        places = [in_unit(ds, name, found[:, axis]) for axis, name in enumerate(names)]
        if curve:
            axes.plot(places[0], places[1], color="white", lw=3.0)
            axes.plot(places[0], places[1], color=color, lw=1.8)
        else:
            axes.scatter(places[0], places[1], 30, color=color, zorder=3, clip_on=False, **ZERO)
