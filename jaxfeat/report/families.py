"""A table and a picture of the singular points that a search found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from jaxfeat.report.tables import format_causes, plain_table, print_cures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Family = dict[str, Any]
"""Singular points of one kind: `cause` (counts by cause), `symmetry` (point group), `dimension`, `cure`, `points` (a
count), `distinct` (a count up to congruence), `example` (`positions`, `direction`, `symbols`, `sigma_ratio`)."""

ELEMENT_COLORS = {"H": "#BBBBBB", "C": "#444444", "N": "#0072B2", "O": "#D55E00"}
PANELS = 6  # kinds that a picture shows


def print_families(families: Sequence[Family], status: Sequence[str], console: Console | None = None) -> None:
    """Print the statuses of the starts, and a table of the kinds of singular points, the most frequent first."""
    console = console or Console(highlight=False)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(Counter(status).items()))
    console.print(f"{len(status)} starts: {listed}")
    if not families:
        return
    counted = ("points", "distinct", "dimension")
    table = plain_table("Kinds of singular points", "", counted, ("null directions", "symmetry"))
    for number, family in enumerate(families, 1):
        counts = [str(family[name]) for name in counted]
        table.add_row(str(number), *counts, format_causes(family["cause"]), family["symmetry"])
    console.print(table)
    print_cures([family["cure"] for family in families], console)


def plot_families(families: Sequence[Family], title: str | None = None) -> Figure:
    """Draw one example of each of the most frequent kinds, with its null displacement as arrows."""
    # Matplotlib takes 0.6 s to load, and tables do without.
    from jaxfeat.report.figures import new_figure

    shown = families[:PANELS]
    n_rows = max(1, -(-len(shown) // 3))
    figure = new_figure(7.0, 2.5 * n_rows + 0.3, title, title_size=8.5)
    if not shown:
        figure.text(0.5, 0.5, "no start landed on a singular point", ha="center")
    for number, family in enumerate(shown, 1):
        axes: Any = figure.add_subplot(n_rows, 3, number, projection="3d")
        _draw(axes, family["example"])
        first = f"{number}: {format_causes(family['cause'])}"
        axes.set_title(f"{first}\n{family['symmetry']}, {family['points']} points", fontsize=7.5, y=1.0)
    return figure


def _draw(axes: Any, example: dict[str, Any]) -> None:
    positions, arrows = np.asarray(example["positions"]), np.asarray(example["direction"])
    # Look along the direction in which the atoms extend least.
    frame = np.linalg.svd(positions, full_matrices=True)[2]
    frame[2] *= np.sign(np.linalg.det(frame))
    positions, arrows = positions @ frame.T, 0.9 * arrows @ frame.T
    for atom in positions:
        axes.plot(*zip(np.zeros(3), atom, strict=True), color="#999999", lw=1.4, zorder=1)
    atoms: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.6, "depthshade": False}
    colors = [ELEMENT_COLORS.get(symbol, "#CC79A7") for symbol in example["symbols"]]
    axes.scatter(*positions.T, s=70, c=colors, **atoms)
    axes.scatter([0.0], [0.0], [0.0], s=110, c="#444444", **atoms)
    axes.quiver(*positions.T, *arrows.T, color="#E69F00", lw=1.8, arrow_length_ratio=0.3)
    reach = 0.72 * float(np.abs(np.concatenate([positions, positions + arrows])).max())
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), box_aspect=(1, 1, 1))
    axes.view_init(elev=62, azim=-70)
    axes.set_axis_off()
