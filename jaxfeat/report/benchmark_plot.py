"""A picture of the speed of jaxfeat beside its peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from jaxfeat.report.benchmark_table import STAGES, list_rows

STAGE_COLORS = {
    "features": "#999999",
    "jacobian": "#0072B2",
    "values": "#D55E00",
    "screened": "#E69F00",
    "vectors": "#009E73",
}


def plot_rates(results: Mapping[str, Any]) -> Figure:
    """Draw the rate of jaxfeat over that of each peer, by work and stage, on a logarithmic axis.

    **Returns:** a figure 7 in wide, without global state: `figure.savefig(path)`.
    """
    pairs = [
        (f"{name}, {row.name}", row.ratios)
        for name, work in results["works"].items()
        if "skipped" not in work
        for row in list_rows(work)
        if row.ratios
    ]
    figure = Figure(figsize=(7.0, 1.2 + 0.32 * max(len(pairs), 2)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if not pairs:
        axes.set_axis_off()
        figure.text(0.5, 0.5, "no peer was timed", ha="center")
        return figure
    for stage, title in STAGES.items():
        points = [(times[stage], k) for k, (_, times) in enumerate(pairs) if stage in times]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", ms=6, color=STAGE_COLORS[stage], label=title)
    axes.axvline(1, color="#000000", lw=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(pairs)), [name for name, _ in pairs], fontsize=8)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.grid(axis="x", which="both", lw=0.3)
    axes.set_axisbelow(True)
    axes.set_xlabel("jaxfeat's rate over the peer's, one core, float64", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return figure
