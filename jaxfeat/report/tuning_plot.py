"""A picture of the descriptors that were tried: sensitivity over the number of features."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxfeat.report.figures import CHOSEN, INK, RAW, VISIBLE_RATIO, Maker, add_legend, open_axes, style

TRIED: dict[str, Any] = {"s": 10, "color": RAW, "lw": 0, "label": "tried"}
FRONT: dict[str, Any] = {"color": INK, "lw": 1.1, "marker": "o", "ms": 3.5, "label": "front"}
OWN: dict[str, Any] = {"s": 60, "marker": "s", "facecolor": "none", "edgecolor": "#000000", "lw": 1.4, "label": "own"}
RECOMMENDED: dict[str, Any] = {
    "s": 150, "marker": "*", "facecolor": CHOSEN, "edgecolor": "#000000", "lw": 0.8, "label": "recommended",
}  # fmt: skip
ASCENT: dict[str, Any] = {"color": "#000000", "lw": 1.6, "marker": "^", "ms": 4, "markevery": [1], "label": "gradient"}


@style()
def plot_tuning(
    tuning: Mapping[str, Any], title: str | None = None, ax: Any = None, make: Maker = Figure
) -> list[Axes]:
    """Draw a result of `jaxfeat.tune`, given as plain values: every descriptor that was tried on the whole sample, with
    the front, the descriptor at the beginning, the recommended one, and what the gradient gained marked."""
    (axes,) = open_axes(ax, (6.4, 4.2), title, make)
    tried, front, own = tuning["tried"], tuning["front"], tuning["f"]
    axes.scatter([one["n_features"] for one in tried], [one["level"] for one in tried], **TRIED)
    axes.plot([one["n_features"] for one in front], [one["level"] for one in front], **FRONT)
    axes.scatter([own["n_features"]], [own["level"]], zorder=3, **OWN)
    axes.scatter([tuning["best"]["n_features"]], [tuning["best"]["level"]], zorder=3, **RECOMMENDED)
    ascent = tuning["ascent"]
    if ascent["kept"]:
        ends = ascent["f"], ascent["best"]
        axes.plot([one["n_features"] for one in ends], [one["level"] for one in ends], **ASCENT)
    axes.set_xscale("log")
    axes.set_yscale("log")
    sample = tuning["sample"]
    kind = "equilibrated " if sample["equilibrated"] else ""
    axes.set_ylabel(f"{kind}{VISIBLE_RATIO}, median of the lowest {100 * sample['share']:g} %")
    axes.set_xlabel("number of features")
    add_legend(axes)
    return [axes]
