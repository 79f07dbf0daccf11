"""A picture for a page: distributions of the sensitivity by species."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullFormatter

from jaxfeat.report.store_summary import GROUPS, LOWEST_EXPONENT, Distribution, StoreSummary

GROUP_COLORS = {
    "incompleteness": "#D55E00",
    "truncation": "#E69F00",
    "locality": "#CC79A7",
    "other": "#000000",
    "ambiguous": "#8C8C8C",
    "symmetry": "#56B4E9",
    "none": "#0072B2",
}
"""Colors of groups, from the palette of Okabe and Ito, which every kind of eye tells apart."""

MOST_SPECIES = 8
"""Rows of the picture; the rarest species share one."""

PAGE_BINS_PER_DECADE = 5
"""Bins of a drawn histogram in a factor of ten."""


def plot_distributions(summary: StoreSummary, symbols: Sequence[str]) -> Figure | None:
    """Draw the share of environments below their floor, and histograms of σ_min/σ_max of the others, by species.

    Colors show the group of the environments. The histogram of raw ratios is an outline.

    **Arguments:** `symbols`: chemical symbols by atomic number.

    **Returns:** a figure 9 in wide, or `None` without any sensitivity.
    """
    species = [n for n, _ in summary.environments.most_common() if any((n, g) in summary.equilibrated for g in GROUPS)]
    rows = {name_species(n, symbols): [n] for n in species[:MOST_SPECIES]}
    if len(species) > MOST_SPECIES:
        rows = {**dict(list(rows.items())[:-1]), "other": species[MOST_SPECIES - 1 :]}
    if not rows:
        return None
    low, high = _range(summary)
    figure = Figure(figsize=(9.0, 1.3 + 0.72 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), 2, squeeze=False, sharex="col", width_ratios=(1, 4.2))
    for (left, right), (name, numbers) in zip(panels, rows.items(), strict=True):
        parts = {g: _add_up(summary.equilibrated, numbers, g) for g in GROUPS}
        total = sum(part.total for part in parts.values())
        _below(left, parts, total)
        left.set_ylabel(f"{name}\n{_short(total)}", rotation=0, ha="right", va="center", fontsize=9)
        raw = sum((_add_up(summary.raw, numbers, g) for g in GROUPS), Distribution())
        _histogram(right, parts, raw, (low, high))
    panels[-1][0].set_xlabel("% below the floor", fontsize=9)
    panels[-1][1].set_xlabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ of the others", fontsize=9)
    handles: dict[str, Artist] = {
        group: Patch(color=GROUP_COLORS[group])
        for group in GROUPS
        if any((n, group) in summary.equilibrated for n in species)
    }
    names = ["no null direction" if group == "none" else group for group in handles]
    outline = panels[0][1].plot([], [], color="#444444", lw=0.8)
    figure.legend(
        [*handles.values(), *outline],
        [*names, "raw, all causes"],
        loc="outside upper center",
        ncols=len(names) + 1,
        fontsize=8.5,
        frameon=False,
        handlelength=1.1,
        columnspacing=1.3,
    )
    return figure


def to_svg(figure: Figure, described: str) -> str:
    """Convert a picture to an SVG element. Text stays text, and the element refers to nothing outside.

    **Arguments:** `described`: a description for readers who do not see the picture; safe for HTML.
    """
    text = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "jaxfeat", "font.family": ["DejaVu Sans", "sans-serif"]}):
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    return drawn.replace("<svg", f'<svg role="img" aria-label="{described}"', 1)


def _below(axes: Axes, parts: Mapping[str, Distribution], total: int) -> None:
    start = 0.0
    for group, part in parts.items():
        share = 100 * part.below / total
        if not share:
            continue
        axes.barh(0, share, left=start, color=GROUP_COLORS[group], height=0.7)
        start += share
    axes.text(start + 3, 0, _percent(start), va="center", fontsize=8.5, color="#333333")
    axes.set_xlim(0, 130)
    axes.set_xticks([0, 50, 100])
    axes.set_ylim(-0.8, 0.8)
    axes.set_yticks([])
    _plain(axes)


def _histogram(axes: Axes, parts: Mapping[str, Distribution], raw: Distribution, ends: tuple[int, int]) -> None:
    edges = 10.0 ** (np.arange((ends[1] - ends[0]) * PAGE_BINS_PER_DECADE + 1) / PAGE_BINS_PER_DECADE + ends[0])
    bottom = np.zeros(len(edges) - 1)
    for group, part in parts.items():
        counts = part.coarse(*ends, PAGE_BINS_PER_DECADE)
        if not counts.any():
            continue
        axes.stairs(bottom + counts, edges, baseline=bottom, fill=True, color=GROUP_COLORS[group], lw=0)
        bottom = bottom + counts
    outline = raw.coarse(*ends, PAGE_BINS_PER_DECADE)
    if not bottom.any() and not outline.any():
        axes.text(0.5, 0.5, "all below the floor", transform=axes.transAxes, ha="center", va="center", fontsize=9)
    axes.stairs(outline, edges, color="#444444", lw=0.8)
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.08 * max(bottom.max(), outline.max(), 1))
    step = max(1, round((ends[1] - ends[0]) / 8))
    axes.xaxis.set_major_locator(FixedLocator([10.0**k for k in range(ends[1], ends[0] - 1, -step)]))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks([])
    axes.grid(axis="x", lw=0.3, color="#DDDDDD")
    axes.set_axisbelow(True)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#AAAAAA")
    axes.tick_params(labelsize=8.5, length=2.5, color="#AAAAAA")


def _add_up(kept: Mapping[tuple[int, str], Distribution], numbers: Sequence[int], group: str) -> Distribution:
    return sum((kept[n, group] for n in numbers if (n, group) in kept), Distribution())


def _range(summary: StoreSummary) -> tuple[int, int]:
    """Find the exponents of ten between which all ratios lie."""
    every = sum((*summary.equilibrated.values(), *summary.raw.values()), Distribution()).coarse
    held = np.flatnonzero(every(LOWEST_EXPONENT, 0, 1))
    return (LOWEST_EXPONENT + int(held[0]), LOWEST_EXPONENT + int(held[-1]) + 1) if held.size else (-2, 0)


def name_species(number: int, symbols: Sequence[str]) -> str:
    """Name a species by its atomic number, 0 for an empty center."""
    return symbols[number] if number else "no atom"


def _percent(share: float) -> str:
    """Write a percentage that is 0 only for none and 100 only for all."""
    if share in (0, 100):
        return f"{share:.0f} %"
    return f"{min(max(share, 0.1), 99.9):.1f} %" if share < 1 or share > 99 else f"{share:.0f} %"


def _short(n: int) -> str:
    return str(n) if n < 10000 else f"{n / 1000:.0f}k" if n < 10_000_000 else f"{n / 1e6:.0f}M"
