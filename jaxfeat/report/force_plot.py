"""A picture of force components against singular values."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxfeat.report.figures import new_figure
from jaxfeat.report.force_table import Record, format_number, select_forced, share_below

POINT, LINE = "#56B4E9", "#0072B2"
DECADES_SHOWN = 8  # decades of components below the whole force
LEVELS = 60  # points of a line over σ/σ_max


def plot_forces(records: Sequence[Record], title: str | None = None) -> Figure:
    """Draw the components of forces against σ/σ_max: one by one, and their share in all directions below σ. Lines of
    equal slope cross the left panel."""
    figure = new_figure(7.0, 3.6, title)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    seen = [record for record in select_forced(records) if record["sigma"]]
    if not seen:
        left.set_axis_off()
        right.set_axis_off()
        figure.text(0.5, 0.5, "no structure has a force in a direction that features see", ha="center")
        return figure
    least = min(record["sigma"][-1] / record["sigma"][0] for record in seen)
    ratios = np.geomspace(min(least / 1.2, 0.5), 1.2, LEVELS)
    _draw_components(left, seen, ratios)
    _draw_shares(right, seen, ratios)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlim(ratios[0], ratios[-1])
        axes.set_xlabel("σ/σ$_\\mathrm{max}$", fontsize=9)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_components(axes: Axes, seen: Sequence[Record], ratios: np.ndarray) -> None:
    x = np.concatenate([np.asarray(record["sigma"]) / record["sigma"][0] for record in seen])
    y = np.concatenate([np.multiply(record["sigma"], record["slopes"]) / record["force_norm"] for record in seen])
    low = 10.0**-DECADES_SHOWN
    axes.scatter(
        x, np.maximum(y, low), 9 if len(x) < 500 else 3, color=POINT, alpha=0.4, lw=0, rasterized=len(x) > 2000
    )
    for decade in range(DECADES_SHOWN):
        # A model needs the same slope along each of these lines.
        label = "" if decade else "equal slopes"
        axes.plot(ratios, ratios * 10.0**decade, color="#000000", lw=0.4, alpha=0.35, zorder=0, label=label)
    edges = np.geomspace(x.min(), x.max() * (1 + 1e-9), 13)
    bins = [np.flatnonzero((x >= lower) & (x <= upper)) for lower, upper in pairwise(edges)]
    filled = [chosen for chosen in bins if len(chosen) > 2]
    if len(filled) > 1:
        middle = [np.exp(np.log(x[chosen]).mean()) for chosen in filled]
        squares = [np.sqrt((y[chosen] ** 2).mean()) for chosen in filled]
        axes.plot(middle, squares, color=LINE, lw=1.4, label="root mean square")
    axes.legend(fontsize=7.5, frameon=False, loc="lower right")
    axes.set_yscale("log")
    axes.set_ylim(max(low, float(np.quantile(y, 0.005)) / 2), 1.5)
    axes.set_ylabel("force component |v·f| / |f|", fontsize=9)


def _draw_shares(axes: Axes, seen: Sequence[Record], ratios: np.ndarray) -> None:
    shares = np.asarray([[share_below(record, ratio) for ratio in ratios] for record in seen])
    low, middle, high = np.quantile(shares, (0.1, 0.5, 0.9), axis=0, method="nearest")
    if len(seen) > 1:
        axes.fill_between(ratios, low, high, color=POINT, alpha=0.35, lw=0, label="eight in ten")
    axes.plot(ratios, middle, color=LINE, lw=1.4, label=f"median of {len(seen)}")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of the force below σ", fontsize=9)
    numbers = [record["scale_free"] for record in seen if np.isfinite(record["scale_free"])]
    invisible = float(np.median([record["invisible_share"] for record in seen]))
    text = f"invisible: {format_number(invisible)}"
    if numbers:
        text += f"\nscale-free: {format_number(float(np.median(numbers)))}"
    axes.text(0.03, 0.78, text, transform=axes.transAxes, fontsize=7.5, va="top")
    axes.legend(fontsize=7.5, frameon=False, loc="upper left")
