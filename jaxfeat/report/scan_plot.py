"""A picture of the blind spots that a scan found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from jaxfeat.report.figures import (
    BAND,
    INK,
    Maker,
    add_legend,
    open_axes,
    say_nothing_to_draw,
    style,
)
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.scan_axis import ScanAxis, known_ratios, make_axis, set_up_axis
from jaxfeat.report.scan_groups import find_group, is_known
from jaxfeat.report.sensitivity import Record, group_by, select_seen, sensitivity
from jaxfeat.report.store_summary import GROUPS
from jaxfeat.report.tables import format_short
from jaxfeat.report.verdict import name_record, rank

MARKERS = {
    "incompleteness": "s", "truncation": "^", "locality": "v", "width": "P", "other": "X", "ambiguous": "*",
    "symmetry": "D", "none": "o",
}  # fmt: skip
NAMES = {"none": "no null direction", "symmetry": "symmetry (physics)"}  # in legends
SIZES = {"none": 1.0, "symmetry": 1.3}  # areas of marks; faults are larger
OUTLINE = "#666666"
MOST_SPECIES = 14  # columns of the left panel; the rarest species share one
BINS_PER_DECADE = 4
SWARM_BINS = 90  # rows of points that are set side by side
MOST_STRIPES = 40  # numbers of neighbors up to which each has a stripe
HALF = 0.4  # half of the width of the points of one number of neighbors


@style()
def plot_scan(records: Sequence[Record], title: str | None = None, ax: Any = None, make: Maker = Figure) -> list[Axes]:
    """Draw distributions of σ_min/σ_max by species, and the same against the number of neighbors. If all environments
    have the same number of neighbors, the right panel shows whole spectra. Environments with null directions are in a
    lane for each cause. Records without a spectrum are skipped."""
    left, right = open_axes(ax, (7.0, 4.0), title, make, (1, 2), sharey=True, width_ratios=(1.2, 1))
    seen = [{"n_neighbors": record.get("n_atoms"), **record} for record in select_seen(records)]
    if not seen:
        say_nothing_to_draw([left, right], "no environment has a direction that is not rigid")
        return [left, right]
    one_size = len({record["n_neighbors"] for record in seen}) == 1
    axis = make_axis(seen, one_size)
    set_up_axis(left, axis)
    set_up_axis(right, axis, named=False)
    _draw_distributions(left, _group_species(seen), axis)
    if one_size:
        _draw_spectra(right, seen, axis)
    else:
        _draw_neighbors(right, seen, axis)
    _write_totals(right, seen, axis)
    return [left, right]


def _group_species(seen: Sequence[Record]) -> dict[str, list[Record]]:
    """Group records by species, the most frequent first; the rarest share a group."""
    named = [{"species": "all", **record} for record in seen]
    groups = dict(sorted(group_by(named, "species").items(), key=lambda item: -len(item[1])))
    if len(groups) > MOST_SPECIES:
        rare = list(groups)[MOST_SPECIES - 1 :]
        groups["other"] = [record for name in rare for record in groups.pop(name)]
    return groups


def _draw_distributions(axes: Axes, groups: Mapping[str, Sequence[Record]], axis: ScanAxis) -> None:
    """Draw a histogram for each species in the colors of causes, with the raw one as an outline, and in the lanes the
    share of the environments."""
    low, high = np.log10([axis.low, axis.top])
    edges = 10.0 ** np.arange(low, high + 1 / BINS_PER_DECADE, 1 / BINS_PER_DECADE)
    for k, group in enumerate(groups.values()):
        causes = {cause: [r for r in group if find_group(r) == cause] for cause in GROUPS}
        counts = {cause: np.histogram(known_ratios(causes[cause], True), edges)[0] for cause in GROUPS}
        raw = np.histogram(known_ratios(group, False), edges)[0]
        scale = 0.84 / max(int(sum(counts.values()).max()), int(raw.max()), 1)  # type: ignore[union-attr]
        base, bottom = k - 0.42, np.zeros(len(edges) - 1)
        for cause in reversed(GROUPS):
            if counts[cause].any():
                grown = bottom + counts[cause]
                axes.stairs(
                    base + scale * grown, edges, baseline=base + scale * bottom, orientation="horizontal", fill=True,
                    color=CAUSE_COLORS[cause], lw=0,
                )  # fmt: skip
                bottom = grown
        axes.stairs(base + scale * raw, edges, baseline=base, orientation="horizontal", color=OUTLINE, lw=0.6)
        known = known_ratios(group, True)
        if len(known) > len(group) / 2:
            middle = np.quantile(_all_ratios(group), 0.5, method="lower")
            axes.plot([base, base + 0.84], [middle, middle], color="black", lw=1.0, solid_capstyle="butt")
        for cause in axis.lanes:
            bottom_edge, _, top_edge = axis.lane(cause)
            share = sum(not is_known(record) for record in causes[cause]) / len(group)
            axes.fill_between([base, base + 0.84], bottom_edge, top_edge, color=CAUSE_COLORS[cause], alpha=0.12, lw=0)
            axes.fill_between([base, base + 0.84 * share], bottom_edge, top_edge, color=CAUSE_COLORS[cause], lw=0)
    axes.set_xticks(range(len(groups)), [f"{name}\n{format_short(len(group))}" for name, group in groups.items()])
    axes.tick_params(axis="x", length=0, labelsize=8 if len(groups) < 10 else 7)
    margin = 0.6 if len(groups) > 1 else 0.9
    axes.set_xlim(-margin, len(groups) - 1 + margin)
    axes.set_xlabel("species of the center, environments")
    raw_name = f"raw ({n} lower)" if (n := _count_lower(groups, axis.low)) else "raw"
    filled = Patch(color=CAUSE_COLORS["none"], label="equilibrated")
    outline = Line2D([], [], color=OUTLINE, lw=0.8, label=raw_name)
    add_legend(axes, [filled, outline, Line2D([], [], color="black", lw=1.4, label="median")])


def _all_ratios(group: Sequence[Record]) -> list[float]:
    found = (sensitivity(record, equilibrated=True) for record in group)
    return [one.value if one.known else 0.0 for one in found if one is not None]


def _count_lower(groups: Mapping[str, Sequence[Record]], low: float) -> int:
    return sum(int((known_ratios(group, False) < low).sum()) for group in groups.values())


def _draw_neighbors(axes: Axes, seen: Sequence[Record], axis: ScanAxis) -> None:
    """Draw equilibrated ratios against the number of neighbors, a column for each number, and name the record to look
    at first. In the lanes, the area of a mark is the number of environments."""
    numbers = np.asarray([record["n_neighbors"] for record in seen])
    groups = np.asarray([find_group(record) for record in seen])
    known = np.asarray([is_known(record) for record in seen])
    ratios = np.asarray(_all_ratios(seen))
    axes.set_xlim(numbers.min() - 0.7, numbers.max() + 0.7)
    if np.ptp(numbers) < MOST_STRIPES:
        for n in range(numbers.min(), numbers.max() + 1, 2):
            axes.axvspan(n - 0.5, n + 0.5, color="#000000", alpha=0.035, lw=0, zorder=0)
    x = numbers.astype(float)
    x[known] += _swarm(numbers[known], np.log10(ratios[known]), np.log10(axis.top / axis.low))
    size = float(np.clip(3000 / len(seen), 3, 16))
    for group in reversed(GROUPS):
        chosen = known & (groups == group)
        if chosen.any():
            axes.scatter(
                x[chosen], ratios[chosen], size * SIZES.get(group, 2.5), color=CAUSE_COLORS[group],
                marker=MARKERS[group], alpha=0.75, lw=0, rasterized=len(seen) > 2000, label=NAMES.get(group, group),
                zorder=2,
            )  # fmt: skip
    lanes = {cause: np.unique(numbers[~known & (groups == cause)], return_counts=True) for cause in axis.lanes}
    most = max((counts.max(initial=1) for _, counts in lanes.values()), default=1)
    for cause, (places, counts) in lanes.items():
        middle = np.full(len(places), axis.lane(cause)[1])
        axes.scatter(places, middle, 6 + 74 * counts / most, color=CAUSE_COLORS[cause], marker=MARKERS[cause], lw=0)
    axes.set_xlabel("number of neighbors")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    first = min(range(len(seen)), key=lambda k: rank(seen[k]))
    y = ratios[first] if known[first] else axis.lane(groups[first])[1]
    low, high = axes.get_xlim()
    across = (x[first] - low) / (high - low)
    side, shift = ("left", 8) if across < 0.35 else ("right", -8) if across > 0.65 else ("center", 0)
    drop = 11 if y < 10 * axis.low else -13
    axes.annotate(
        _name(seen[first]), (x[first], y), (shift, drop), textcoords="offset points", fontsize=7, ha=side, va="center",
        arrowprops={"arrowstyle": "-", "lw": 0.6, "color": OUTLINE, "shrinkA": 0, "shrinkB": 2}, zorder=4,
        bbox={"facecolor": "white", "alpha": 0.7, "lw": 0, "pad": 0.5},
    )  # fmt: skip
    add_legend(axes, loc="lower right", bbox_to_anchor=(1.0, 1.01), handletextpad=-0.1, columnspacing=0.6)


def _swarm(numbers: np.ndarray, heights: np.ndarray, reach: float) -> np.ndarray:
    """Set points of one number of neighbors and of nearly one height side by side. Return shifts, symmetric about 0."""
    rows = np.floor(heights / max(reach, 1e-9) * SWARM_BINS).astype(int)
    order = np.lexsort((heights, rows, numbers))
    _, start, counts = np.unique(np.stack([numbers, rows])[:, order], axis=1, return_index=True, return_counts=True)
    places = np.arange(len(order)) - np.repeat(start, counts)
    middle = (np.repeat(counts, counts) - 1) / 2
    step = min(0.14, 2 * HALF / max(counts.max(initial=1), 1))
    shifts = np.empty(len(order))
    shifts[order] = step * (places - middle)
    return shifts


def _draw_spectra(axes: Axes, seen: Sequence[Record], axis: ScanAxis) -> None:
    """Draw equilibrated spectra over their largest values: quantiles, and the record to look at first."""
    longest = max(len(record["sigma_equilibrated"]) for record in seen)
    values = np.full((len(seen), longest), np.nan)
    for row, record in zip(values, seen, strict=True):
        sigma = np.asarray(record["sigma_equilibrated"])
        null = axis.lane(find_group(record))[1] if not is_known(record) else axis.edge
        row[: len(sigma)] = np.where(sigma > record["floor_equilibrated"], sigma / sigma[0], null)
    x = np.arange(1, longest + 1)
    low, middle, high = np.nanquantile(values, (0.05, 0.5, 0.95), axis=0, method="nearest")
    axes.fill_between(x, low, high, color=BAND, lw=0, label="nine in ten")
    axes.plot(x, middle, color=INK, lw=1.2, label="median")
    first = min(range(len(seen)), key=lambda k: rank(seen[k]))
    color = "#000000" if (group := find_group(seen[first])) == "none" else CAUSE_COLORS[group]
    axes.plot(x, values[first], color=color, marker="s", ms=3, lw=0.8, label=_name(seen[first]))
    axes.set_xlabel(r"$k$ of $\sigma_k/\sigma_\mathrm{max}$, equilibrated")
    axes.set_xlim(0.5, longest + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    add_legend(axes, columnspacing=0.8)


def _write_totals(axes: Axes, seen: Sequence[Record], axis: ScanAxis) -> None:
    """Write the floor above the lanes, and the number of environments at the end of each lane."""
    if not axis.lanes:
        return
    text: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 7, "va": "center"}
    for cause in axis.lanes:
        n = sum(not is_known(record) and find_group(record) == cause for record in seen)
        axes.text(1.02, axis.lane(cause)[1], f"{n:,}", color=CAUSE_COLORS[cause], **text)
    n_null = sum(not is_known(record) for record in seen)
    words = f"floor {axis.floor:.0e}: {n_null:,} of {len(seen):,} have null directions"
    axes.text(0.99, axis.edge * 1.1, words, **{**text, "va": "bottom"}, ha="right")


def _name(record: Record) -> str:
    name = name_record(record)
    return name if len(name) <= 40 else f"{name[:39]}…"
