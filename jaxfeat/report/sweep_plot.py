"""A picture of a sweep: the sensitivity over the parameters of a manifold, and its zeros."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxfeat.report.figures import FLOOR_LINE, RATIO, new_figure
from jaxfeat.report.sweep_table import in_unit, label_parameter, note_omitted, sweep_sensitivity

CAUSE_COLORS = {
    "incompleteness": "#D55E00", "truncation": "#CC79A7", "width": "#F0E442", "symmetry": "#009E73", "other": "#FFFFFF",
}  # fmt: skip
"""Colors of causes, the worst first: blind spots are worse than physics. Every kind of eye tells the colors apart, also
on the color map."""

ZERO: dict[str, Any] = {"edgecolor": "black", "lw": 0.6}  # style of the points that mark zeros


def plot_sweep(ds: Any, title: str | None = None) -> Figure:
    """Draw equilibrated σ_min/σ_max of a manifold over one or two parameters, and its zeros in the colors of causes."""
    names = [str(name) for name in ds["sigma"].dims if name != "value"]
    figure = new_figure(6.4, 4.4)
    axes = figure.subplots()
    if title is not None:
        axes.set_title(title, fontsize=8, loc="left")
    causes = [_worst_cause(ds, k) for k in range(ds.sizes["zero"])]
    colors = [CAUSE_COLORS[cause] for cause in causes]
    if len(names) == 1:
        _draw_line(axes, ds, names[0], colors)
    else:
        _draw_map(axes, ds, names, colors)
    axes.set_xlabel(label_parameter(ds, names[0]), fontsize=9)
    axes.tick_params(labelsize=8)
    for cause in sorted(set(causes)):
        axes.scatter([], [], 26, color=CAUSE_COLORS[cause], label=cause, **ZERO)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(loc="outside lower center", ncols=len(handles), fontsize=7.5, frameon=False)
    return figure


def _worst_cause(ds: Any, k: int) -> str:
    counts = ds["zero_null"].isel(zero=k)
    return next((cause for cause in CAUSE_COLORS if cause in counts["cause"] and counts.sel(cause=cause)), "other")


def _draw_line(axes: Axes, ds: Any, name: str, colors: Sequence[str]) -> None:
    x, zeros = in_unit(ds, name, ds[name].values), in_unit(ds, name, ds["zero_at"].values[:, 0])
    where = np.searchsorted(x, zeros)
    styles: dict[str, dict[str, Any]] = {
        "": {"color": "#B8B8B8", "lw": 2.6, "label": "raw"},
        "_equilibrated": {"color": "#0072B2", "lw": 1.2, "marker": ".", "ms": 2.5, "label": "equilibrated"},
    }
    for suffix, style in styles.items():
        floor = ds[f"floor{suffix}"].values / ds[f"sigma{suffix}"].values[:, 0]
        # The lines reach their floor at the zeros, which lie between the points of the grid.
        ratios = np.insert(sweep_sensitivity(ds, f"sigma{suffix}"), where, np.nanmedian(floor))
        axes.plot(np.insert(x, where, zeros), ratios, **style)
    axes.plot(x, floor, label="floor", **FLOOR_LINE)
    axes.set_yscale("log")
    axes.set_ylabel(f"{RATIO}{note_omitted(ds)}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    ends = [in_unit(ds, name, ds[f"zero_{end}"].values[:, 0]) for end in ("low", "high")]
    for at, low, high, color in zip(zeros, *ends, colors, strict=True):
        if high > low:
            axes.axvspan(low, high, color=color, alpha=0.25, lw=0, zorder=0)
        else:
            axes.axvline(at, color=color, lw=0.9, zorder=0)
        axes.scatter([at], [np.nanmedian(floor)], 26, color=color, zorder=3, **ZERO)


def _draw_map(axes: Axes, ds: Any, names: Sequence[str], colors: Sequence[str]) -> None:
    x, y = (in_unit(ds, name, ds[name].values) for name in names)
    ratio = np.log10(np.maximum(sweep_sensitivity(ds, "sigma_equilibrated"), 1e-300))
    known = ratio[np.isfinite(ratio)]
    low = max(float(np.quantile(known, 0.002)), float(known.max()) - 6) if known.size else -1.0
    mesh = axes.pcolormesh(x, y, ratio.T, cmap="cividis", vmin=low, shading="nearest", rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, extend="min")
    bar.set_label(f"log$_{{10}}$ {RATIO}, equilibrated{note_omitted(ds)}", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    axes.set_ylabel(label_parameter(ds, names[1]), fontsize=9)
    for k, color in enumerate(colors):
        curve = bool(ds["zero_dimension"][k])
        found = ds["zero_point"].values[ds["zero_of_point"].values == k] if curve else ds["zero_at"].values[[k]]
        places = [in_unit(ds, name, found[:, axis]) for axis, name in enumerate(names)]
        if curve:
            axes.plot(places[0], places[1], color=color, lw=1.6)
        else:
            axes.scatter(places[0], places[1], 30, color=color, zorder=3, clip_on=False, **ZERO)
