"""A picture of the descriptors that were tried: sensitivity over the number of features."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from jaxfeat.report.figures import new_figure

TRIED: dict[str, Any] = {"s": 10, "color": "#B8B8B8", "lw": 0, "label": "tried"}
FRONT: dict[str, Any] = {"color": "#0072B2", "lw": 1.2, "marker": "o", "ms": 3.5, "label": "front"}
OWN: dict[str, Any] = {"s": 60, "marker": "s", "facecolor": "none", "edgecolor": "#000000", "lw": 1.4, "label": "f"}
RECOMMENDED: dict[str, Any] = {
    "s": 110, "marker": "o", "facecolor": "none", "edgecolor": "#D81B60", "lw": 1.8, "label": "recommended",
}  # fmt: skip
ASCENT: dict[str, Any] = {"color": "#D81B60", "lw": 1.6, "marker": "^", "ms": 4, "markevery": [1], "label": "gradient"}


def plot_tuning(tuning: Mapping[str, Any], title: str | None = None) -> Figure:
    """Draw a result of `jaxfeat.tune`, given as plain values: every descriptor that was tried on the whole sample, with
    the front, the descriptor at the beginning, the recommended one, and what the gradient gained marked."""
    figure = new_figure(6.4, 4.4, title, 8)
    axes = figure.subplots()
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
    ratio = f"{kind}σ$_\\mathrm{{vis}}$/σ$_\\mathrm{{max}}$"
    axes.set_ylabel(f"{ratio}, median of the lowest {100 * sample['share']:g} %", fontsize=9)
    axes.set_xlabel("number of features", fontsize=9)
    axes.tick_params(which="both", labelsize=8)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure
