"""A picture of a sweep: the sensitivity over the parameters of a manifold, and its zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxfeat.report.sweep_data import in_unit, label_parameter, note_omitted, sweep_sensitivity, worst_cause

CAUSE_COLORS = {
    "symmetry": "#009E73",
    "incompleteness": "#D55E00",
    "truncation": "#CC79A7",
    "other": "#FFFFFF",
}
"""Colors of causes. Every kind of eye tells them apart, also on the color map."""

RATIO = "σ$_\\mathrm{min}$/σ$_\\mathrm{max}$"


def plot_sweep(ds: Any, title: str | None = None) -> Figure:
    """Draw equilibrated σ_min/σ_max over one or two parameters, and its zeros in the colors of their causes.

    **Arguments:** `ds`: the data set of a manifold that `jaxfeat.sweep` returned.

    **Returns:** a figure 6.4 in wide, without global state: `figure.savefig(path)`.
    """
    names = [str(name) for name in ds["sigma"].dims if name != "value"]
    figure = Figure(figsize=(6.4, 4.4), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if title is not None:
        axes.set_title(title, fontsize=8, loc="left")
    draw = _line if len(names) == 1 else _map
    draw(axes, ds, names)
    axes.tick_params(labelsize=8)
    for cause in sorted(set(worst_cause(ds, k) for k in range(ds.sizes["zero"]))):
        axes.scatter([], [], 26, color=CAUSE_COLORS[cause], edgecolor="black", lw=0.6, label=cause)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        figure.legend(loc="outside lower center", ncols=len(handles), fontsize=7.5, frameon=False)
    return figure


def _line(axes: Axes, ds: Any, names: Sequence[str]) -> None:
    x = in_unit(ds, names[0], ds[names[0]].values)
    zeros = in_unit(ds, names[0], ds["zero_at"].values[:, 0])
    where = np.searchsorted(x, zeros)
    styles: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("sigma", {"color": "#B8B8B8", "lw": 2.6}, "raw"),
        ("sigma_equilibrated", {"color": "#0072B2", "lw": 1.2, "marker": ".", "ms": 2.5}, "equilibrated"),
    )
    for kind, style, name in styles:
        floor = ds["floor" if kind == "sigma" else "floor_equilibrated"].values / ds[kind].values[:, 0]
        lowest = np.full(len(zeros), np.nanmedian(floor))
        axes.plot(
            np.insert(x, where, zeros), np.insert(sweep_sensitivity(ds, kind), where, lowest), label=name, **style
        )
    axes.plot(x, floor, color="black", lw=0.6, ls=(0, (4, 3)), label="floor")
    axes.set_yscale("log")
    axes.set_xlabel(label_parameter(ds, names[0]), fontsize=9)
    axes.set_ylabel(f"{RATIO}{note_omitted(ds)}", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    for k in range(ds.sizes["zero"]):
        at = float(in_unit(ds, names[0], ds["zero_at"].values[k])[0])
        axes.axvline(at, color=CAUSE_COLORS[worst_cause(ds, k)], lw=0.9, zorder=0)
        axes.scatter(
            [at], [np.nanmedian(floor)], 26, color=CAUSE_COLORS[worst_cause(ds, k)], edgecolor="black", lw=0.6, zorder=3
        )


def _map(axes: Axes, ds: Any, names: Sequence[str]) -> None:
    x, y = (in_unit(ds, name, ds[name].values) for name in names)
    ratio = np.log10(np.maximum(sweep_sensitivity(ds, "sigma_equilibrated"), 1e-300))
    known = ratio[np.isfinite(ratio)]
    low = max(float(np.quantile(known, 0.002)), float(known.max()) - 6) if known.size else -1.0
    mesh = axes.pcolormesh(x, y, ratio.T, cmap="cividis", vmin=low, shading="nearest", rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, extend="min")
    bar.set_label(f"log$_{{10}}$ {RATIO}, equilibrated{note_omitted(ds)}", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    axes.set_xlabel(label_parameter(ds, names[0]), fontsize=9)
    axes.set_ylabel(label_parameter(ds, names[1]), fontsize=9)
    points, of = ds["zero_point"].values, ds["zero_of_point"].values
    for k in range(ds.sizes["zero"]):
        color = CAUSE_COLORS[worst_cause(ds, k)]
        if int(ds["zero_dimension"][k]):
            along = points[of == k]
            axes.plot(*(in_unit(ds, n, along[:, i]) for i, n in enumerate(names)), color=color, lw=1.6)
        else:
            at = [float(in_unit(ds, n, ds["zero_at"].values[k, i])) for i, n in enumerate(names)]
            axes.scatter(at[0], at[1], 30, color=color, edgecolor="black", lw=0.7, zorder=3, clip_on=False)
