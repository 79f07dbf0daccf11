"""How the sensitivity of many environments is distributed, in a picture for a page."""

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

from jaxfeat.report.store_summary import GROUPS, LOWEST, Distribution, StoreSummary

COLORS = {
    "incompleteness": "#D55E00",
    "truncation": "#E69F00",
    "locality": "#CC79A7",
    "other": "#000000",
    "ambiguous": "#8C8C8C",
    "symmetry": "#56B4E9",
    "none": "#0072B2",
}
"""Okabe and Ito's, told apart by every kind of eye."""

MOST_SPECIES = 8
PER_DECADE = 5


def plot_distributions(tally: StoreSummary, symbols: Sequence[str]) -> Figure | None:
    """For each species of the center, the share of environments below their floor, and a histogram of the equilibrated
    σ_min/σ_max of the others, by cause; the raw one as an outline. `None` where there is nothing to draw.

    **Arguments:** `symbols`: chemical symbols by atomic number.
    """
    species = [n for n, _ in tally.environments.most_common() if any((n, g) in tally.equilibrated for g in GROUPS)]
    rows = {named(n, symbols): [n] for n in species[:MOST_SPECIES]}
    if len(species) > MOST_SPECIES:
        rows = {**dict(list(rows.items())[:-1]), "other": species[MOST_SPECIES - 1 :]}
    if not rows:
        return None
    low, high = _range(tally)
    figure = Figure(figsize=(9.0, 1.3 + 0.72 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), 2, squeeze=False, sharex="col", width_ratios=(1, 4.2))
    for (left, right), (name, numbers) in zip(panels, rows.items(), strict=True):
        parts = {g: _together(tally.equilibrated, numbers, g) for g in GROUPS}
        total = sum(part.total for part in parts.values())
        _below(left, parts, total)
        left.set_ylabel(f"{name}\n{_short(total)}", rotation=0, ha="right", va="center", fontsize=9)
        raw = sum((_together(tally.raw, numbers, g) for g in GROUPS), Distribution())
        _histogram(right, parts, raw, (low, high))
    panels[-1][0].set_xlabel("% below the floor", fontsize=9)
    panels[-1][1].set_xlabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$ of the others", fontsize=9)
    handles: dict[str, Artist] = {
        group: Patch(color=COLORS[group]) for group in GROUPS if any((n, group) in tally.equilibrated for n in species)
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


def svg(figure: Figure, described: str) -> str:
    """The picture as an element of a page: text stays text, and nothing outside is named.

    **Arguments:** `described`: what there is to see, for those who do not see it; safe for HTML.
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
        axes.barh(0, share, left=start, color=COLORS[group], height=0.7)
        start += share
    axes.text(start + 3, 0, _percent(start), va="center", fontsize=8.5, color="#333333")
    axes.set_xlim(0, 130)
    axes.set_xticks([0, 50, 100])
    axes.set_ylim(-0.8, 0.8)
    axes.set_yticks([])
    _plain(axes)


def _histogram(axes: Axes, parts: Mapping[str, Distribution], raw: Distribution, ends: tuple[int, int]) -> None:
    edges = 10.0 ** (np.arange((ends[1] - ends[0]) * PER_DECADE + 1) / PER_DECADE + ends[0])
    bottom = np.zeros(len(edges) - 1)
    for group, part in parts.items():
        counts = part.coarse(*ends, PER_DECADE)
        if not counts.any():
            continue
        axes.stairs(bottom + counts, edges, baseline=bottom, fill=True, color=COLORS[group], lw=0)
        bottom = bottom + counts
    outline = raw.coarse(*ends, PER_DECADE)
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


def _together(kept: Mapping[tuple[int, str], Distribution], numbers: Sequence[int], group: str) -> Distribution:
    return sum((kept[n, group] for n in numbers if (n, group) in kept), Distribution())


def _range(tally: StoreSummary) -> tuple[int, int]:
    """Exponents of ten between which all ratios lie."""
    every = sum((*tally.equilibrated.values(), *tally.raw.values()), Distribution()).coarse
    held = np.flatnonzero(every(LOWEST, 0, 1))
    return (LOWEST + int(held[0]), LOWEST + int(held[-1]) + 1) if held.size else (-2, 0)


def named(number: int, symbols: Sequence[str]) -> str:
    return symbols[number] if number else "no atom"


def _percent(share: float) -> str:
    """Never 0 for what is more than nothing, nor 100 for what is less than all."""
    if share in (0, 100):
        return f"{share:.0f} %"
    return f"{min(max(share, 0.1), 99.9):.1f} %" if share < 1 or share > 99 else f"{share:.0f} %"


def _short(n: int) -> str:
    return str(n) if n < 10000 else f"{n / 1000:.0f}k" if n < 10_000_000 else f"{n / 1e6:.0f}M"
