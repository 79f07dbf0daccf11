"""A picture of the blind spots that a scan found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory

from jaxfeat.report.sensitivity import Record, Sensitivity, blindness, group_by, select_seen, sensitivity

# The colors of Okabe and Ito, which every kind of eye tells apart. Each has its own marker.
STYLES = [
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
]
OTHERS = ("#555555", "X")
RAW = "#B8B8B8"
MOST_SPECIES = 14
"""Columns of the left panel; the rarest species share one."""
PLOT_BINS_PER_DECADE = 4


def plot_scan(records: Sequence[Record], title: str | None = None) -> Figure:
    """Draw distributions of σ_min/σ_max by species, and the same against the number of neighbors.

    If all environments have the same number of neighbors, the right panel shows whole spectra. Environments with null
    directions are in a band below the floor.

    **Arguments:**

    - `records`: One record for each environment. Records without a spectrum are skipped.
    - `title`: The title of the figure.

    **Returns:** a figure 7 in wide, without global state: `figure.savefig(path)`.
    """
    seen = select_seen(records)
    figure = Figure(figsize=(7.0, 4.0), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    if title is not None:
        figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    if not seen:
        left.set_axis_off()
        right.set_axis_off()
        figure.text(0.5, 0.5, "no environment has a direction that is not rigid", ha="center")
        return figure
    groups = _groups(seen)
    one_size = len({record["n_neighbors"] for record in seen}) == 1
    # Whole spectra begin at one, but all ratios may be small.
    band = _scale(left, seen, top=1.0 if one_size else None)
    _distributions(left, groups, band)
    if not one_size:
        _neighbors(right, groups, band)
    else:
        _spectra(right, seen, band)
    for axes in (left, right):
        axes.axhspan(*band, color="#000000", alpha=0.07, lw=0)
        axes.axhline(band[1], color="#000000", lw=0.6, ls=(0, (4, 3)))
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _groups(seen: Sequence[Record]) -> dict[str, list[Record]]:
    """Group records by species, the most frequent first; the rarest share a group."""
    groups = group_by(seen, "species")
    names = sorted(groups, key=lambda name: -len(groups[name]))
    if len(names) > MOST_SPECIES:
        rare = [record for name in names[MOST_SPECIES - 1 :] for record in groups[name]]
        return {name: groups[name] for name in names[: MOST_SPECIES - 1]} | {"other": rare}
    return {name: groups[name] for name in names}


def _style(k: int) -> tuple[str, str]:
    return STYLES[k] if k < len(STYLES) else OTHERS


def _scale(axes: Axes, seen: Sequence[Record], top: float | None) -> tuple[float, float]:
    """Set up the shared axis of ratios, and return the band of null environments, whose upper end is the floor."""
    both = [sensitivity(record, equilibrated=equilibrated) for record in seen for equilibrated in (True, False)]
    floors = [record["floor_equilibrated"] / record["sigma_equilibrated"][0] for record in seen]
    known = [r.value for r in both if r is not None and r.known]
    floor = float(np.median(floors))
    top = max(known, default=1.0) if top is None else top
    band = (floor / 10**1.6, floor)
    axes.set_yscale("log")
    if len(known) == len(both) and min(known) > 1e3 * floor:
        # Without null directions the axis need not reach down to the floor.
        axes.set_ylim(min(known) / 2, 2 * top)
    else:
        axes.set_ylim(band[0], 2 * top)
        first, last = np.ceil(np.log10(floor)), np.floor(np.log10(2 * top))
        step = max(1, round((last - first) / 7))
        axes.yaxis.set_major_locator(FixedLocator(list(10.0 ** np.arange(last, first - 0.1, -step))))
        axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("sensitivity ratio  σ$_\\mathrm{min}$/σ$_\\mathrm{max}$", fontsize=9)
    return band


def _distributions(axes: Axes, groups: dict[str, list[Record]], band: tuple[float, float]) -> None:
    """Draw two histograms back to back for each species, and the share of null environments below them."""
    low, high = np.log10(axes.get_ylim())
    width = 1 / PLOT_BINS_PER_DECADE
    edges = 10.0 ** np.arange(np.floor(low * PLOT_BINS_PER_DECADE) / PLOT_BINS_PER_DECADE, high + width, width)
    show_band = axes.get_ylim()[0] <= band[0] * 1.001
    for k, (_, group) in enumerate(groups.items()):
        for equilibrated, side in ((False, -1), (True, 1)):
            color = _style(k)[0] if equilibrated else RAW
            found = [r for record in group if (r := sensitivity(record, equilibrated=equilibrated))]
            known = np.asarray([r.value for r in found if r.known])
            counts = np.histogram(known, edges)[0]
            widths = 0.44 * side * counts / max(int(counts.max()), 1)
            axes.stairs(k + widths, edges, baseline=k, orientation="horizontal", fill=True, color=color, lw=0)
            if len(known) and len(known) >= len(found) / 2:
                middle = float(np.median([r.value for r in found]))
                axes.plot([k, k + 0.44 * side], [middle, middle], color="black", lw=1.0, solid_capstyle="butt")
            share = 1 - len(known) / len(found)
            if share:
                axes.fill_between([k, k + 0.44 * side * share], *band, color=color, lw=0)
        axes.plot([k, k], [band[1] if show_band else axes.get_ylim()[0], axes.get_ylim()[1]], color="#777777", lw=0.4)
    labels = [f"{name}\n{_short(len(group))}" for name, group in groups.items()]
    axes.set_xticks(range(len(groups)), labels)
    margin = 0.6 if len(groups) > 1 else 0.9
    axes.set_xlim(-margin, len(groups) - 1 + margin)
    axes.set_xlabel("species of the center, environments", fontsize=9)
    axes.tick_params(axis="x", length=0)
    axes.text(0.02, 1.01, "left half: raw", transform=axes.transAxes, fontsize=7.5, color="#777777", va="bottom")
    axes.text(
        0.98,
        1.01,
        "right half: equilibrated; black: median",
        transform=axes.transAxes,
        fontsize=7.5,
        va="bottom",
        ha="right",
    )


def _neighbors(axes: Axes, groups: dict[str, list[Record]], band: tuple[float, float]) -> None:
    """Draw equilibrated ratios against the number of neighbors, and name the smallest known ratio."""
    rng = np.random.default_rng(0)
    n = sum(map(len, groups.values()))
    worst: tuple[float, float, str] | None = None
    for k, (species, group) in enumerate(groups.items()):
        color, marker = _style(k)
        found = [_equilibrated(record) for record in group]
        known = np.asarray([r.known for r in found])
        x = np.asarray([record["n_neighbors"] for record in group]) + rng.uniform(-0.3, 0.3, len(group))
        inside = band[0] * (band[1] / band[0]) ** rng.uniform(0.1, 0.9, len(group))
        y = np.where(known, [r.value for r in found], inside)
        size = float(np.clip(2500 / n, 3, 22))
        axes.scatter(x, y, size, color=color, marker=marker, alpha=0.55, lw=0, rasterized=n > 2000)
        if k <= len(STYLES):
            label = species if k < len(STYLES) or k == len(groups) - 1 else "other"
            axes.scatter([], [], 18, color=color, marker=marker, lw=0, label=label)
        if known.any():
            least = int(np.argmin(np.where(known, y, np.inf)))
            here = float(x[least]), float(y[least]), _name(group[least])
            worst = here if worst is None or here[1] < worst[1] else worst
    axes.set_xlabel("number of neighbors", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(axis="y", length=0)
    if worst is not None:
        _label_point(axes, *worst, above=worst[1] < 1e3 * band[1])
    if axes.get_ylim()[0] <= band[0] * 1.001:
        n_null = sum(not _equilibrated(record).known for group in groups.values() for record in group)
        _label_floor(axes, band, f"{n_null} of {n} have null directions")
    if len(groups) > 1:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.02, 0.985),
            ncols=len(STYLES) + 1,
            fontsize=7.5,
            frameon=False,
            handletextpad=-0.2,
            columnspacing=0.5,
            borderpad=0,
        )


def _spectra(axes: Axes, seen: Sequence[Record], band: tuple[float, float]) -> None:
    """Draw equilibrated spectra over their largest values: quantiles, and the most blind environment."""
    longest = max(len(record["sigma_equilibrated"]) for record in seen)
    values = np.full((len(seen), longest), np.nan)
    for row, record in zip(values, seen, strict=True):
        sigma = np.asarray(record["sigma_equilibrated"])
        known = np.where(sigma > record["floor_equilibrated"], sigma / sigma[0], (band[0] * band[1]) ** 0.5)
        row[: len(sigma)] = known
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
    if axes.get_ylim()[0] <= band[0] * 1.001:
        _label_floor(axes, band, f"{sum(not _equilibrated(r).known for r in seen)} of {len(seen)} have null directions")


def _label_floor(axes: Axes, band: tuple[float, float], text: str) -> None:
    where = blended_transform_factory(axes.transAxes, axes.transData)
    box = {"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1.0}
    axes.text(
        1.0,
        band[1] * 1.3,
        f"floor {band[1]:.0e}: {text}",
        transform=where,
        fontsize=7,
        ha="right",
        va="bottom",
        bbox=box,
    )


def _label_point(axes: Axes, x: float, y: float, name: str, *, above: bool) -> None:
    side = "left" if x < np.mean(axes.get_xlim()) else "right"
    offset = 8 if side == "left" else -8
    line = {"arrowstyle": "-", "lw": 0.5, "color": "#555555"}
    axes.annotate(
        name, (x, y), (offset, 12 if above else -14), textcoords="offset points", fontsize=7, ha=side, arrowprops=line
    )


def _name(record: Record) -> str:
    name = f"{record['species']}{record['center']} of {record['name']}"
    return name if len(name) <= 40 else f"{name[:39]}…"


def _equilibrated(record: Record) -> Sensitivity:
    found = sensitivity(record, equilibrated=True)
    assert found is not None
    return found


def _short(n: int) -> str:
    return str(n) if n < 10000 else f"{n / 1000:.0f}k"
