"""A heat map of truncation and sensitivity by n_max and l_max."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, withStroke

from jaxfeat.report.advice import plateau_basis, quantile, untruncated_basis
from jaxfeat.report.figures import CHOSEN, SENSITIVE_MAP, VISIBLE_RATIO, Maker, open_axes, style
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.sensitivity import Record, group_by
from jaxfeat.report.tables import format_percent

TRUNCATED_MAP = LinearSegmentedColormap.from_list("truncated", ["#FFFFFF", CAUSE_COLORS["truncation"]])

FRAME_STYLES: dict[str, dict[str, Any]] = {
    "smallest without truncation": {"edgecolor": "#000000", "linewidth": 2.0},
    "smallest as sensitive as the largest, within a factor of 2": {
        "edgecolor": CHOSEN, "linewidth": 2.0,
        "path_effects": [withStroke(linewidth=3.6, foreground="black"), Normal()],
    },
}  # fmt: skip


@style()
def plot_convergence(
    records: Sequence[Record], title: str | None = None, ax: Any = None, make: Maker = Figure
) -> list[Axes]:
    """Draw the share of truncated environments, and the median of equilibrated σ_vis/σ_max, by n_max and l_max, in a
    row of panels for each order. Frames mark the smallest basis without truncation and the plateau."""
    orders = group_by(records, "nu")
    heights = [0.8 + 0.42 * len({r["n_max"] for r in group}) for group in orders.values()]
    panels = open_axes(ax, (7.0, 0.7 + sum(heights)), title, make, (len(orders), 2), height_ratios=heights)
    medians = [_make_ratio_cell(record).value for record in records]
    known = [median for median in medians if np.isfinite(median)] or [0.0]
    # All orders share one scale of at least a decade, so that nearly equal medians look nearly equal.
    sensitivity = Normalize(min(*known, max(known) - 1), max(known))
    for left, right, (nu, group) in zip(panels[::2], panels[1::2], orders.items(), strict=True):
        # A power well below one makes one in a thousand differ from none.
        _draw_panel(left, group, list(map(_make_share_cell, group)), TRUNCATED_MAP, PowerNorm(0.4, 0, 100))
        _draw_panel(right, group, list(map(_make_ratio_cell, group)), SENSITIVE_MAP, sensitivity)
        above = left.get_title(loc="left")  # the title of axes that were given
        lines = [above, rf"$\nu$ = {nu}: environments truncated, %", "(+ too close to the floor to tell)"]
        left.set_title("\n".join(filter(None, lines)), fontsize=8.5)
        ratio = rf"$\nu$ = {nu}: $\log_{{10}}$ of equilibrated {VISIBLE_RATIO}, median"
        right.set_title(f"{ratio}\n(1 % quantile)", fontsize=8.5)
    frames = [Rectangle((0, 0), 1, 1, facecolor="none", label=name, **look) for name, look in FRAME_STYLES.items()]
    if ax is None:
        panels[0].figure.legend(handles=frames, loc="outside lower left", ncols=2)
    else:
        panels[-2].legend(handles=frames, loc="upper left", bbox_to_anchor=(0.0, -0.25)).set_in_layout(False)
    return panels


class _Cell(NamedTuple):
    """A cell of the heat map: a color by `value`, a number, and a smaller number below it."""

    value: float
    text: str
    small: str


def _make_share_cell(record: Record) -> _Cell:
    total, truncated, unclear = record["environments"], record["truncated"], record["ambiguous"]
    small = f"+{format_percent(unclear, total)}" if unclear else ""
    return _Cell(100 * (truncated + unclear) / max(total, 1), format_percent(truncated, total), small)


def _make_ratio_cell(record: Record) -> _Cell:
    median, least = quantile(record, "median"), quantile(record, "1%")
    if median is None or least is None:
        return _Cell(np.nan, "-", "")
    text, small = (f"{'' if q.known else '<'}{np.log10(q.value):.1f}".replace("-", "−") for q in (median, least))
    return _Cell(float(np.log10(median.value)), text, f"({small})")


def _draw_panel(axes: Axes, group: Sequence[Record], cells: Sequence[_Cell], colors: Colormap, norm: Normalize) -> None:
    """Draw one cell for each basis, with n_max downwards and l_max to the right."""
    n_max, l_max = (sorted({record[name] for record in group}) for name in ("n_max", "l_max"))
    places = [(n_max.index(record["n_max"]), l_max.index(record["l_max"])) for record in group]
    values = np.full((len(n_max), len(l_max)), np.nan)
    values[tuple(zip(*places, strict=True))] = [cell.value for cell in cells]
    image = axes.imshow(values, cmap=colors, norm=norm, aspect="auto")
    for (row, column), cell in zip(places, cells, strict=True):
        red, green, blue, alpha = image.cmap(norm(cell.value))
        ink = "white" if alpha and 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "black"
        up = "bottom" if cell.small else "center_baseline"
        axes.text(column, row, cell.text, ha="center", va=up, fontsize=8, color=ink)
        axes.text(column, row + 0.04, cell.small, ha="center", va="top", fontsize=6.5, color=ink)
    # If both frames are around one cell, the second fits into the first.
    chosen = zip((untruncated_basis(group), plateau_basis(group)), FRAME_STYLES.values(), (0.0, 0.0175), strict=True)
    for basis, look, inset in chosen:
        for (row, column), record in zip(places, group, strict=True):
            if record is basis:
                x, y = inset * len(l_max), inset * len(n_max)
                frame = Rectangle((column - 0.5 + x, row - 0.5 + y), 1 - 2 * x, 1 - 2 * y, fill=False, **look)
                axes.add_patch(frame).set(clip_on=False, zorder=3)
    axes.set_xticks(range(len(l_max)), [str(l) for l in l_max])
    axes.set_yticks(range(len(n_max)), [str(n) for n in n_max])
    axes.set_xlabel(r"$l_\mathrm{max}$")
    axes.set_ylabel(r"$n_\mathrm{max}$")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
