"""A picture of force components against singular values."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxfeat.report.figures import BAND, HALO, INK, RAW, Maker, add_legend, open_axes, say_nothing_to_draw, style
from jaxfeat.report.force_table import Record, format_number, select_forced, share_below

DECADES_SHOWN = 8  # decades of components below the whole force
LEVELS = 60  # points of a line over σ/σ_max


@style()
def plot_forces(
    records: Sequence[Record], title: str | None = None, ax: Any = None, make: Maker = Figure
) -> list[Axes]:
    """Draw the components of forces against σ/σ_max: one by one, and their share in all directions below σ. Lines of
    equal slope cross the left panel."""
    left, right = open_axes(ax, (7.0, 3.6), title, make, (1, 2), width_ratios=(1.25, 1))
    seen = [record for record in select_forced(records) if record["sigma"]]
    if not seen:
        say_nothing_to_draw([left, right], "no structure has a force in a direction that features see")
        return [left, right]
    least = min(record["sigma"][-1] / record["sigma"][0] for record in seen)
    ratios = np.geomspace(min(least / 1.2, 0.5), 1.2, LEVELS)
    _draw_components(left, seen, ratios)
    _draw_shares(right, seen, ratios)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlim(ratios[0], ratios[-1])
        axes.set_xlabel(r"$\sigma/\sigma_\mathrm{max}$")
    return [left, right]


def _draw_components(axes: Axes, seen: Sequence[Record], ratios: np.ndarray) -> None:
    x = np.concatenate([np.asarray(record["sigma"]) / record["sigma"][0] for record in seen])
    y = np.concatenate([np.multiply(record["sigma"], record["slopes"]) / record["force_norm"] for record in seen])
    low = 10.0**-DECADES_SHOWN
    axes.scatter(x, np.maximum(y, low), 9 if len(x) < 500 else 3, color=RAW, alpha=0.7, lw=0, rasterized=len(x) > 2000)
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
        axes.plot(middle, squares, color=INK, lw=1.4, label="root mean square")
    add_legend(axes)
    axes.set_yscale("log")
    axes.set_ylim(max(low, float(np.quantile(y, 0.005)) / 2), 1.5)
    axes.set_ylabel(r"force component  $|v_k\cdot f|\,/\,|f|$")


def _draw_shares(axes: Axes, seen: Sequence[Record], ratios: np.ndarray) -> None:
    shares = np.asarray([[share_below(record, ratio) for ratio in ratios] for record in seen])
    low, middle, high = np.quantile(shares, (0.1, 0.5, 0.9), axis=0, method="nearest")
    if len(seen) > 1:
        axes.fill_between(ratios, low, high, color=BAND, lw=0, label="eight in ten")
    axes.plot(ratios, middle, color=INK, lw=1.4, label=f"median of {len(seen)}")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel(r"share of the force below $\sigma$")
    numbers = [record["scale_free"] for record in seen if np.isfinite(record["scale_free"])]
    invisible = float(np.median([record["invisible_share"] for record in seen]))
    text = f"invisible {format_number(invisible)}"
    if numbers:
        text += f"\nscale-free {format_number(float(np.median(numbers)))}"
    # The share grows with σ, so this corner lies below the curve.
    axes.text(0.97, 0.06, text, transform=axes.transAxes, fontsize=8, ha="right", path_effects=HALO)
    add_legend(axes)
