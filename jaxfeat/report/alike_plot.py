"""A picture of look-alikes: the distance of features against the distance of environments."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxfeat.report.figures import FLOOR_LINE, HALO, INK, Maker, add_legend, open_axes, style
from jaxfeat.report.palette import color_cause

STYLES: dict[str, dict[str, Any]] = {
    "random": {"s": 8, "color": "#D4D4D4", "label": "random pairs"},
    "nearest": {"s": 8, "color": "#A3A3A3", "label": "nearest features"},
    "kept": {"s": 8, "color": INK, "label": "most alike"},
}
LISTED: dict[str, Any] = {"s": 55, "facecolor": "none", "lw": 1.2}
LABELS = {"feature_distance": r"distance of the features  $|F-F'|$", "ratio": "feature distance over the expected one"}
FLOOR = 1e-16  # relative feature distance that stands for 0
N_NUMBERED = 5  # of the listed pairs, those that carry their rank


@style()
def plot_alike(found: Mapping[str, Any], title: str | None = None, ax: Any = None, make: Maker = Figure) -> list[Axes]:
    """Draw a result of `jaxfeat.alike`, given as plain values: feature distances and ratios against distances (Å). The
    listed pairs have rings in the colors of their causes."""
    panels = open_axes(ax, (7.4, 3.9), title, make, (1, 2))
    pairs = found["pairs"]
    for axes, (name, label) in zip(panels, LABELS.items(), strict=True):
        for kind, look in STYLES.items():
            shown = found["compared"][kind]
            _scatter(axes, shown["distance"], shown[name], {**look, "lw": 0})
        for cause in dict.fromkeys(one["cause"] for one in pairs):
            chosen = [one for one in pairs if one["cause"] == cause]
            words = "listed" if cause == "none" else f"listed, {cause}"
            ring = {**LISTED, "edgecolor": INK if cause == "none" else color_cause(cause), "label": words}
            _scatter(axes, [one["distance"] for one in chosen], [one[name] for one in chosen], ring)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(y=0.08)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("distance of the environments (Å)")
        axes.set_ylabel(label)
        for rank, one in enumerate(pairs[:N_NUMBERED], 1):
            at = (one["distance"], max(one[name] or 0, FLOOR))
            axes.annotate(
                str(rank), at, (0, -5.5), textcoords="offset points", fontsize=7, ha="center", va="top",
                path_effects=HALO,
            )  # fmt: skip
    left, right = panels
    for axis in (left.xaxis, right.xaxis, right.yaxis):
        _set_plain_numbers(axis)
    right.axhline(1, **FLOOR_LINE, zorder=0)
    rings = [one for one in left.collections if str(one.get_label()).startswith("listed")]
    add_legend(left, [one for one in left.collections if one not in rings], handletextpad=0.1)
    add_legend(right, rings, handletextpad=0.1)
    return panels


def _set_plain_numbers(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _scatter(axes: Axes, x: Any, y: Any, style: dict[str, Any]) -> None:
    x, y = np.asarray(x, float), np.asarray([np.nan if one is None else one for one in y], float)
    seen = (x > 0) & np.isfinite(y)
    axes.scatter(x[seen], np.maximum(y[seen], FLOOR), rasterized=len(x) > 2000, **style)
