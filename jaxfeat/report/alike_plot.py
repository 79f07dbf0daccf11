"""A picture of look-alikes: the distance of features against the distance of environments."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxfeat.report.figures import new_figure

STYLES: dict[str, dict[str, Any]] = {
    "random": {"s": 9, "color": "#B8B8B8", "lw": 0, "label": "random pairs"},
    "nearest": {"s": 9, "color": "#56B4E9", "lw": 0, "label": "nearest features"},
    "kept": {"s": 9, "color": "#0072B2", "lw": 0, "label": "most alike"},
}
LISTED: dict[str, Any] = {"s": 60, "facecolor": "none", "edgecolor": "#D81B60", "lw": 1.2, "label": "listed"}
FLOOR = 1e-16  # relative feature distance that stands for 0
N_NUMBERED = 5  # of the listed pairs, those that carry their rank


def plot_alike(found: Mapping[str, Any], title: str | None = None) -> Figure:
    """Draw a result of `jaxfeat.alike`, given as plain values: feature distances and ratios against distances (Å)."""
    figure = new_figure(7.4, 3.9, title, 8)
    left, right = figure.subplots(1, 2)
    for axes, name, label in ((left, "feature_distance", "|F - F'|"), (right, "ratio", "ratio")):
        for kind, style in STYLES.items():
            shown = found["compared"][kind]
            _scatter(axes, shown["distance"], shown[name], style)
        pairs = found["pairs"]
        _scatter(axes, [one["distance"] for one in pairs], [one[name] for one in pairs], LISTED)
        for rank, one in enumerate(pairs[:N_NUMBERED], 1):
            at = (one["distance"], max(one[name] or 0, FLOOR))
            axes.annotate(str(rank), at, xytext=(5, 4), textcoords="offset points", fontsize=7)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda length, _: f"{length:g}"))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("distance of the environments (Å)", fontsize=9)
        axes.set_ylabel(label, fontsize=9)
        axes.tick_params(which="both", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    right.axhline(1, color="#000000", lw=0.6, ls=(0, (4, 3)), zorder=0)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _scatter(axes: Axes, x: Any, y: Any, style: dict[str, Any]) -> None:
    x, y = np.asarray(x, float), np.asarray([np.nan if one is None else one for one in y], float)
    seen = (x > 0) & np.isfinite(y)
    axes.scatter(x[seen], np.maximum(y[seen], FLOOR), rasterized=len(x) > 2000, **style)
