"""A table and a heat map of truncation and sensitivity by n_max and l_max."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxfeat.report.advice import explain_bases, plateau_basis, quantile, recommend_basis, untruncated_basis
from jaxfeat.report.sensitivity import Record, group_by
from jaxfeat.report.tables import format_percent, highlight_count, plain_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

SMALLEST, SENSITIVE = "*", "+"  # marks of the smallest basis without truncation, and of the plateau

BASIS_LEGEND = (
    f"{SMALLEST} marks the fewest features without truncation, {SENSITIVE} the fewest that are as sensitive as the "
    "largest basis within a factor of two (median and 1 %). Ambiguous: null values are within a factor of 100 of the "
    "others, so the basis may or may not truncate. σ_vis is the smallest singular value without the directions that no "
    "basis of this order sees; σ_min of a scan includes them."
)

BASIS_HEADERS = (
    "n\nmax", "l\nmax", "fea-\ntures", "", "trun-\ncated", "ambi-\nguous",
    "equili-\nbrated\nmedian", "1 %", "least", "raw\nmedian", "1 %",
)  # fmt: skip

FRAME_STYLES: dict[str, dict[str, Any]] = {
    "smallest without truncation": {"edgecolor": "#000000", "linewidth": 2.2},
    "smallest as sensitive as the largest, within a factor of 2": {"edgecolor": "#D81B60", "linewidth": 2.2},
}


def print_convergence(records: Sequence[Record], whose: str, console: Console | None = None) -> None:
    """Print a table and sentences for each order, and the recommendation. `whose` names the environments."""
    console = console or Console(highlight=False)
    for nu, group in group_by(records, "nu").items():
        console.print(_convergence_table(group, f"ν = {nu}: σ_vis/σ_max by basis, {whose}"))
        console.print(BASIS_LEGEND, style="italic")
        for sentence in explain_bases(group):
            console.print(f"- {sentence}")
        console.print()
    console.print(recommend_basis(records), style="bold")


def _convergence_table(records: Sequence[Record], title: str) -> Table:
    table = plain_table(title, BASIS_HEADERS[0], BASIS_HEADERS[1:])
    l_max = {record["l_max"] for record in records}
    for record, row in zip(records, basis_rows(records), strict=True):
        table.add_row(
            *row.sizes, row.mark, *map(highlight_count, row.counts), *row.ratios, style="bold" if row.mark else None,
            end_section=len(l_max) > 1 and record["l_max"] == max(l_max),
        )  # fmt: skip
    return table


class BasisRow(NamedTuple):
    """A basis in a table: cells in the order of `BASIS_HEADERS`."""

    sizes: list[str]
    mark: str
    counts: list[int]
    ratios: list[str]


def basis_rows(records: Sequence[Record]) -> list[BasisRow]:
    """List the bases of one order, with marks on the smallest without truncation and on the plateau."""
    marks = {SMALLEST: untruncated_basis(records), SENSITIVE: plateau_basis(records)}
    rows = []
    for record in records:
        n = record["n_features"]
        sizes = [str(record["n_max"]), str(record["l_max"]), str(n) if n < 100_000 else f"{n / 1000:.0f}k"]
        found = [quantile(record, name) for name in ("median", "1%", "least")]
        found += [quantile(record, name, equilibrated=False) for name in ("median", "1%")]
        mark = "".join(mark for mark, chosen in marks.items() if chosen is record)
        ratios = [str(ratio or "-").replace("e-0", "e-") for ratio in found]
        rows.append(BasisRow(sizes, mark, [record["truncated"], record["ambiguous"]], ratios))
    return rows


def plot_convergence(records: Sequence[Record], title: str | None = None) -> Figure:
    """Draw the share of truncated environments, and the median of equilibrated σ_vis/σ_max, by n_max and l_max, in a
    row of panels for each order. Frames mark the smallest basis without truncation and the plateau."""
    # Matplotlib takes 0.6 s to load, and tables do without.
    from matplotlib.colors import Normalize, PowerNorm
    from matplotlib.patches import Rectangle

    from jaxfeat.report.figures import new_figure

    orders = group_by(records, "nu")
    heights = [0.8 + 0.42 * len({r["n_max"] for r in group}) for group in orders.values()]
    figure = new_figure(7.0, 0.7 + sum(heights), title)
    panels = figure.subplots(len(orders), 2, squeeze=False, height_ratios=heights)
    medians = [_make_ratio_cell(record).value for record in records]
    known = [median for median in medians if np.isfinite(median)] or [0.0]
    # All orders share one scale of at least a decade, so that nearly equal medians look nearly equal.
    sensitivity = Normalize(min(*known, max(known) - 1), max(known))
    for (left, right), (nu, group) in zip(panels, orders.items(), strict=True):
        # A power well below one makes one in a thousand differ from none.
        _draw_panel(left, group, list(map(_make_share_cell, group)), "OrRd", PowerNorm(0.4, 0, 100))
        _draw_panel(right, group, list(map(_make_ratio_cell, group)), "viridis", sensitivity)
        left.set_title(f"ν = {nu}: environments truncated, %\n(+ too close to the floor to tell)", fontsize=8.5)
        ratio = "σ$_\\mathrm{vis}$/σ$_\\mathrm{max}$"
        right.set_title(f"ν = {nu}: log$_{{10}}$ of equilibrated {ratio}, median\n(1 % quantile)", fontsize=8.5)
    frames = [Rectangle((0, 0), 1, 1, facecolor="none", **style) for style in FRAME_STYLES.values()]
    figure.legend(frames, FRAME_STYLES, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


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


def _draw_panel(axes: Axes, group: Sequence[Record], cells: Sequence[_Cell], colors: str, norm: Normalize) -> None:
    """Draw one cell for each basis, with n_max downwards and l_max to the right."""
    from matplotlib.patches import Rectangle

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
    for basis, style, inset in chosen:
        for (row, column), record in zip(places, group, strict=True):
            if record is basis:
                x, y = inset * len(l_max), inset * len(n_max)
                frame = Rectangle((column - 0.5 + x, row - 0.5 + y), 1 - 2 * x, 1 - 2 * y, fill=False, **style)
                axes.add_patch(frame).set(clip_on=False, zorder=3)
    axes.set_xticks(range(len(l_max)), [str(l) for l in l_max])
    axes.set_yticks(range(len(n_max)), [str(n) for n in n_max])
    axes.set_xlabel("l$_\\mathrm{max}$", fontsize=9)
    axes.set_ylabel("n$_\\mathrm{max}$", fontsize=9)
    axes.tick_params(labelsize=8, length=0)
