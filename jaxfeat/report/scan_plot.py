"""A picture of the blind spots that a scan found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory

from jaxfeat.report.figures import FLOOR_LINE, RATIO, new_figure, set_decades
from jaxfeat.report.sensitivity import Record, Sensitivity, blindness, group_by, select_seen, sensitivity
from jaxfeat.report.tables import format_short

# The colors of Okabe and Ito, which every kind of eye tells apart. Each has its own marker.
STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"), ("#56B4E9", "P")]

OTHERS = ("#555555", "X")
"""Color and marker of all species after the first."""

RAW = "#B8B8B8"
MOST_SPECIES = 14  # columns of the left panel; the rarest species share one
PLOT_BINS_PER_DECADE = 4
Band = tuple[float, float]  # The lower and upper end of the stripe of null environments. The upper end is the floor.


def plot_scan(records: Sequence[Record], title: str | None = None) -> Figure:
    """Draw distributions of σ_min/σ_max by species, and the same against the number of neighbors. If all environments
    have the same number of neighbors, the right panel shows whole spectra. Environments with null directions are in a
    band below the floor. Records without a spectrum are skipped."""
    seen = select_seen(records)
    figure = new_figure(7.0, 4.0, title)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    if not seen:
        left.set_axis_off()
        right.set_axis_off()
        figure.text(0.5, 0.5, "no environment has a direction that is not rigid", ha="center")
        return figure
    groups = _group_species(seen)
    one_size = len({record["n_neighbors"] for record in seen}) == 1
    # Whole spectra begin at one, but all ratios may be small.
    band, shown = _scale(left, seen, top=1.0 if one_size else None)
    _draw_distributions(left, groups, band, shown)
    if one_size:
        _draw_spectra(right, seen, band)
    else:
        _draw_neighbors(right, groups, band)
    if shown:
        n_null = sum(not _equilibrated(record).known for record in seen)
        right.text(
            1.0, band[1] * 1.3, f"floor {band[1]:.0e}: {n_null} of {len(seen)} have null directions",
            transform=blended_transform_factory(right.transAxes, right.transData), fontsize=7, ha="right", va="bottom",
            bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1.0},
        )  # fmt: skip
    for axes in (left, right):
        axes.axhspan(*band, color="#000000", alpha=0.07, lw=0)
        axes.axhline(band[1], **FLOOR_LINE)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _group_species(seen: Sequence[Record]) -> dict[str, list[Record]]:
    """Group records by species, the most frequent first; the rarest share a group."""
    groups = dict(sorted(group_by(seen, "species").items(), key=lambda item: -len(item[1])))
    if len(groups) > MOST_SPECIES:
        rare = list(groups)[MOST_SPECIES - 1 :]
        groups["other"] = [record for name in rare for record in groups.pop(name)]
    return groups


def _scale(axes: Axes, seen: Sequence[Record], top: float | None) -> tuple[Band, bool]:
    """Set up the shared axis of ratios. Return the band of null environments, and whether the axis reaches it."""
    both = [sensitivity(record, equilibrated=equilibrated) for record in seen for equilibrated in (True, False)]
    known = [r.value for r in both if r is not None and r.known]
    floor = float(np.median([record["floor_equilibrated"] / record["sigma_equilibrated"][0] for record in seen]))
    top = 2 * (max(known, default=1.0) if top is None else top)
    band = (floor / 10**1.6, floor)
    # Without null directions the axis need not reach down to the floor.
    shown = len(known) < len(both) or min(known) <= 1e3 * floor
    axes.set_yscale("log")
    axes.set_ylim(band[0] if shown else min(known) / 2, top)
    if shown:
        set_decades(axes.yaxis, int(np.ceil(np.log10(floor))), int(np.floor(np.log10(top))), 7)
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(f"sensitivity ratio  {RATIO}", fontsize=9)
    return band, shown


def _draw_distributions(axes: Axes, groups: Mapping[str, Sequence[Record]], band: Band, shown: bool) -> None:
    """Draw two histograms back to back for each species, and the share of null environments below them."""
    low, high = np.log10(axes.get_ylim())
    width = 1 / PLOT_BINS_PER_DECADE
    edges = 10.0 ** np.arange(np.floor(low * PLOT_BINS_PER_DECADE) / PLOT_BINS_PER_DECADE, high + width, width)
    for k, group in enumerate(groups.values()):
        for equilibrated, side in ((False, -0.44), (True, 0.44)):
            color = _style(k)[0] if equilibrated else RAW
            found = [r for record in group if (r := sensitivity(record, equilibrated=equilibrated))]
            known = np.asarray([r.value for r in found if r.known])
            counts = np.histogram(known, edges)[0]
            widths = side * counts / max(int(counts.max()), 1)
            axes.stairs(k + widths, edges, baseline=k, orientation="horizontal", fill=True, color=color, lw=0)
            if len(known) and len(known) >= len(found) / 2:
                middle = float(np.median([r.value for r in found]))
                axes.plot([k, k + side], [middle, middle], color="black", lw=1.0, solid_capstyle="butt")
            if share := 1 - len(known) / len(found):
                axes.fill_between([k, k + side * share], *band, color=color, lw=0)
        bottom, top = axes.get_ylim()
        axes.plot([k, k], [band[1] if shown else bottom, top], color="#777777", lw=0.4)
    labels = [f"{name}\n{format_short(len(group))}" for name, group in groups.items()]
    axes.set_xticks(range(len(groups)), labels)
    margin = 0.6 if len(groups) > 1 else 0.9
    axes.set_xlim(-margin, len(groups) - 1 + margin)
    axes.set_xlabel("species of the center, environments", fontsize=9)
    axes.tick_params(axis="x", length=0)
    place: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 7.5, "va": "bottom"}
    axes.text(0.02, 1.01, "left half: raw", color="#777777", **place)
    axes.text(0.98, 1.01, "right half: equilibrated; black: median", ha="right", **place)


def _draw_neighbors(axes: Axes, groups: Mapping[str, Sequence[Record]], band: Band) -> None:
    """Draw equilibrated ratios against the number of neighbors, and name the smallest known ratio."""
    rng = np.random.default_rng(0)
    n = sum(map(len, groups.values()))
    size = float(np.clip(2500 / n, 3, 22))
    known_points: list[Any] = []
    for k, (species, group) in enumerate(groups.items()):
        color, marker = _style(k)
        found = [_equilibrated(record) for record in group]
        x = np.asarray([record["n_neighbors"] for record in group]) + rng.uniform(-0.3, 0.3, len(group))
        inside = band[0] * (band[1] / band[0]) ** rng.uniform(0.1, 0.9, len(group))
        y = np.where([r.known for r in found], [r.value for r in found], inside)
        axes.scatter(x, y, size, color=color, marker=marker, alpha=0.55, lw=0, rasterized=n > 2000)
        if k <= len(STYLES):
            label = species if k < len(STYLES) or k == len(groups) - 1 else "other"
            axes.scatter([], [], 18, color=color, marker=marker, lw=0, label=label)
        known_points += [point for *point, r in zip(x, y, group, found, strict=True) if r.known]
    axes.set_xlabel("number of neighbors", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(axis="y", length=0)
    if known_points:
        *point, record = min(known_points, key=lambda point: point[1])
        side, offset = ("left", 8) if point[0] < np.mean(axes.get_xlim()) else ("right", -8)
        axes.annotate(
            _name(record), point, (offset, 12 if point[1] < 1e3 * band[1] else -14), textcoords="offset points",
            fontsize=7, ha=side, arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "#555555"},
        )  # fmt: skip
    if len(groups) > 1:
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.02, 0.985), ncols=len(STYLES) + 1, fontsize=7.5, frameon=False,
            handletextpad=-0.2, columnspacing=0.5, borderpad=0,
        )  # fmt: skip


def _draw_spectra(axes: Axes, seen: Sequence[Record], band: Band) -> None:
    """Draw equilibrated spectra over their largest values: quantiles, and the most blind environment."""
    longest = max(len(record["sigma_equilibrated"]) for record in seen)
    values = np.full((len(seen), longest), np.nan)
    for row, record in zip(values, seen, strict=True):
        sigma = np.asarray(record["sigma_equilibrated"])
        row[: len(sigma)] = np.where(sigma > record["floor_equilibrated"], sigma / sigma[0], (band[0] * band[1]) ** 0.5)
    x = np.arange(1, longest + 1)
    low, middle, high = np.nanquantile(values, (0.05, 0.5, 0.95), axis=0, method="nearest")
    axes.fill_between(x, low, high, color=STYLES[5][0], alpha=0.35, lw=0, label="nine in ten")
    axes.plot(x, middle, color=STYLES[0][0], lw=1.2, label="median")
    blind = min(range(len(seen)), key=lambda i: blindness(seen[i]))
    axes.plot(x, values[blind], color=STYLES[1][0], marker="s", ms=3, lw=0.8, label=_name(seen[blind]))
    axes.set_xlabel("k of σ$_k$/σ$_\\mathrm{max}$, equilibrated", fontsize=9)
    axes.set_xlim(0.5, longest + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(fontsize=7, frameon=False, loc="center left")


def _style(k: int) -> tuple[str, str]:
    return STYLES[k] if k < len(STYLES) else OTHERS


def _name(record: Record) -> str:
    name = f"{record['species']}{record['center']} of {record['name']}"
    return name if len(name) <= 40 else f"{name[:39]}…"


def _equilibrated(record: Record) -> Sensitivity:
    found = sensitivity(record, equilibrated=True)
    assert found is not None
    return found
