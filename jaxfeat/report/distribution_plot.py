"""A picture for a page: distributions of the sensitivity by species."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jaxfeat.report.figures import RATIO, new_figure, set_decades
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.store_summary import GROUPS, LOWEST_EXPONENT, Distribution, StoreSummary
from jaxfeat.report.tables import format_percent, format_short

MOST_ROWS = 8  # rows of the picture; the rarest species share one
WIDE, NARROW = 9.0, 4.2  # widths of the picture in inches
PAGE_BINS_PER_DECADE = 5  # bins of a drawn histogram in a factor of ten


def plot_distributions(summary: StoreSummary, symbols: Sequence[str], *, narrow: bool = False) -> Figure | None:
    """Draw the share of environments below their floor, and histograms of σ_min/σ_max of the others, by species. Colors
    show the group of the environments. The histogram of raw ratios is an outline. A `narrow` figure has the width of a
    phone and the same size of text. `None` if there is no ratio."""
    species = [n for n, _ in summary.environments.most_common() if any((n, g) in summary.equilibrated for g in GROUPS)]
    if not species:
        return None
    n_own = len(species) if len(species) <= MOST_ROWS else MOST_ROWS - 1
    rows = {name_species(n, symbols): [n] for n in species[:n_own]}
    if rare := species[n_own:]:
        rows["other"] = rare
    ends = _find_exponents(summary)
    figure = new_figure(NARROW if narrow else WIDE, 1.3 + 0.72 * len(rows))
    # Without environments below the floor there are no shares to draw.
    widths = (1, 1.9 if narrow else 4.2) if any(part.below for part in summary.equilibrated.values()) else (1,)
    panels = figure.subplots(len(rows), len(widths), squeeze=False, sharex="col", width_ratios=widths)
    for row, (name, numbers) in zip(panels, rows.items(), strict=True):
        parts = {group: _add_up(summary.equilibrated, numbers, [group]) for group in GROUPS}
        total = sum(part.total for part in parts.values())
        if len(row) > 1:
            _draw_shares(row[0], parts, total)
        row[0].set_ylabel(f"{name}\n{format_short(total)}", rotation=0, ha="right", va="center", fontsize=9)
        _draw_histogram(row[-1], parts, _add_up(summary.raw, numbers, GROUPS), ends, 3 if narrow else 8)
    panels[-1][0].set_xlabel("% below the floor", fontsize=9)
    panels[-1][-1].set_xlabel(RATIO if len(widths) == 1 else f"{RATIO} of the others", fontsize=9)
    found = [g for g in GROUPS if any((n, g) in summary.equilibrated for n in species)]
    handles: list[Artist] = [Patch(color=CAUSE_COLORS[group]) for group in found]
    handles += panels[0][-1].plot([], [], color="#444444", lw=0.8)
    names = ["no null direction" if group == "none" else group for group in found] + ["raw, all causes"]
    figure.legend(
        handles, names, loc="outside upper center", ncols=2 if narrow else len(names), fontsize=8.5, frameon=False,
        handlelength=1.1, columnspacing=1.3,
    )  # fmt: skip
    return figure


def to_svg(figure: Figure, described: str, prefix: str) -> str:
    """Convert a picture to an SVG element that refers to nothing outside; text stays text. `described` is safe HTML.
    The names of parts begin with the `prefix`, because names are unique in a page."""
    text = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "jaxfeat", "font.family": ["DejaVu Sans", "sans-serif"]}):
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    drawn = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{prefix}-", text.getvalue())
    return f'<svg role="img" aria-label="{described}"{drawn[drawn.index("<svg") + 4 :]}'


def _draw_shares(axes: Axes, parts: Mapping[str, Distribution], total: int) -> None:
    """Draw the share of environments below their floor as bars, one beside the other."""
    below = 0
    for group, part in parts.items():
        if part.below:
            axes.barh(0, 100 * part.below / total, left=100 * below / total, color=CAUSE_COLORS[group], height=0.7)
            below += part.below
    share = f"{format_percent(below, total)} %"
    axes.text(100 * below / total + 3, 0, share, va="center", fontsize=8.5, color="#333333")
    axes.set(xlim=(0, 130), xticks=[0, 50, 100], ylim=(-0.8, 0.8))
    _simplify(axes)


def _draw_histogram(
    axes: Axes, parts: Mapping[str, Distribution], raw: Distribution, ends: tuple[int, int], ticks: int
) -> None:
    edges = 10.0 ** (np.arange((ends[1] - ends[0]) * PAGE_BINS_PER_DECADE + 1) / PAGE_BINS_PER_DECADE + ends[0])
    bottom = np.zeros(len(edges) - 1)
    for group, part in parts.items():
        counts = part.coarse(*ends, PAGE_BINS_PER_DECADE)
        if counts.any():
            axes.stairs(bottom + counts, edges, baseline=bottom, fill=True, color=CAUSE_COLORS[group], lw=0)
            bottom = bottom + counts
    outline = raw.coarse(*ends, PAGE_BINS_PER_DECADE)
    if not bottom.any() and not outline.any():
        axes.text(0.5, 0.5, "all below the floor", transform=axes.transAxes, ha="center", va="center", fontsize=9)
    axes.stairs(outline, edges, color="#444444", lw=0.8)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), ylim=(0, 1.08 * max(bottom.max(), outline.max(), 1)))
    set_decades(axes.xaxis, *ends, ticks)
    axes.grid(axis="x", lw=0.3, color="#DDDDDD")
    axes.set_axisbelow(True)
    _simplify(axes)


def _simplify(axes: Axes) -> None:
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#AAAAAA")
    axes.tick_params(labelsize=8.5, length=2.5, color="#AAAAAA")


def _add_up(
    kept: Mapping[tuple[int, str], Distribution], numbers: Sequence[int], groups: Sequence[str]
) -> Distribution:
    return sum((part for (n, group), part in kept.items() if n in numbers and group in groups), Distribution())


def _find_exponents(summary: StoreSummary) -> tuple[int, int]:
    held = np.flatnonzero(sum(summary.distributions(), Distribution()).coarse(LOWEST_EXPONENT, 0, 1))
    return (LOWEST_EXPONENT + int(held[0]), LOWEST_EXPONENT + int(held[-1]) + 1) if held.size else (-2, 0)


def name_species(number: int, symbols: Sequence[str]) -> str:
    """Name a species by its atomic number, 0 for an empty center."""
    return symbols[number] if number else "no atom"
