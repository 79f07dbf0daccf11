"""Draw the distribution of sensitivity ratios, set by set and group by group."""

import numpy as np
from common import BLUE, GREY, ORANGE, PINK, SKY, VERMILION, new_figure
from matplotlib.patches import Patch

from jaxfeat.report.sensitivity import sensitivity

CAUSES = {"symmetry": BLUE, "incompleteness": VERMILION, "truncation": ORANGE, "ambiguous": PINK}
FLOOR = 1e-13
"""The floor of all spectra here relative to σ_max, roughly. Ratios below it are drawn as bars by cause."""
EDGES = np.geomspace(1e-13, 1, 53)


def cause(record):
    """Return the cause of the null directions of an environment, spurious causes first, or `None` if it has none."""
    if record["status"] != "ok":
        return "ambiguous"
    return next((name for name in ("truncation", "incompleteness", "symmetry") if record["null"][name]), None)


def ratios(records, *, equilibrated):
    """Return σ_min/σ_max of records with a spectrum, with the floor in place of null values, and a mask of the
    others."""
    found = [r for record in records if (r := sensitivity(record, equilibrated=equilibrated)) is not None]
    return np.array([r.value for r in found]), np.array([r.known for r in found], bool)


def draw(found):
    """Draw one panel for each set. `found` holds records by set, basis and group."""
    n_columns = 2 if len(found) < 5 else 3
    n_rows = -(-len(found) // n_columns)
    figure = new_figure(8.6, 0.7 + 2.6 * n_rows)
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False).ravel()
    for axes, (name, by_basis) in zip(panels, found.items(), strict=False):
        _panel(axes, by_basis)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7.5)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    for axes in panels[::n_columns]:
        axes.set_ylabel("σ$_\\mathrm{min}$/σ$_\\mathrm{max}$", fontsize=9)
    handles = [Patch(color=GREY, label="raw"), Patch(color=SKY, label="equilibrated")]
    handles += panels[0].plot([], [], color="black", lw=0.9, label="equilibrated, small basis")
    handles += [Patch(color=color, label=name) for name, color in CAUSES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=7, fontsize=7.5, frameon=False)
    return figure


def _panel(axes, by_basis):
    default, *others = by_basis.values()
    bars = FLOOR / 10.0 ** (0.8 + 1.4 * np.arange(len(by_basis)))
    axes.set_yscale("log")
    axes.set_ylim(bars[-1] / 10**0.8, 2)
    axes.set_yticks([*bars, 1e-12, 1e-9, 1e-6, 1e-3, 1], [*(f"null, {basis}" for basis in by_basis),
                    *(f"10$^{{{k}}}$" for k in (-12, -9, -6, -3)), "1"])  # fmt: skip
    axes.axhline(FLOOR, color="black", lw=0.6, ls=(0, (4, 3)))
    for k, (name, records) in enumerate(default.items()):
        _half(axes, k, records, -1, equilibrated=False, fill=True, color=GREY)
        _half(axes, k, records, 1, equilibrated=True, fill=True, color=SKY)
        for other in others:
            _half(axes, k, other[name], 1, equilibrated=True, fill=False, color="black", lw=0.7)
        for bar, groups in zip(bars, by_basis.values(), strict=True):
            _shares(axes, k, bar, groups[name])
    axes.set_xticks(range(len(default)), [f"{name}\n{len(records)}" for name, records in default.items()])
    axes.set_xlim(-0.6, len(default) - 0.4)
    axes.tick_params(axis="x", length=0)


def _half(axes, k, records, side, *, equilibrated, **style):
    """Draw a histogram to one side of a group's position. A quarter of the group in one bin fills the width."""
    values, known = ratios(records, equilibrated=equilibrated)
    counts = np.histogram(values[known], EDGES)[0]
    heights = k + side * 0.44 * np.minimum(4 * counts / len(values), 1)
    # Empty bins draw no line.
    heights = np.where(counts > 0, heights, np.nan)
    axes.stairs(heights, EDGES, baseline=k, orientation="horizontal", **({"lw": 0} | style))


def _shares(axes, k, middle, records):
    """Draw a bar that is as wide as the share of environments with null directions, by cause."""
    found = [cause(record) for record in records]
    start, low, high = k - 0.44, middle / 10**0.5, middle * 10**0.5
    for name, color in CAUSES.items():
        width = 0.88 * found.count(name) / len(found)
        axes.fill_between([start, start + width], low, high, color=color, lw=0)
        start += width
    axes.plot([k - 0.44, k + 0.44, k + 0.44, k - 0.44, k - 0.44], [low, low, high, high, low], color="#777777", lw=0.3)
