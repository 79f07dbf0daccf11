"""A table and a picture of the singular points that a search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Family = dict[str, Any]
"""Singular points of one kind: `cause` (counts by cause), `symmetry` (point group), `dimension`, `cure`, `points` (a
count), `distinct` (a count up to congruence), `example` (`positions`, `direction`, `symbols`, `sigma_ratio`)."""

ELEMENT_COLORS = {"H": "#BBBBBB", "C": "#444444", "N": "#0072B2", "O": "#D55E00"}
PANELS = 6
"""Kinds that a picture shows."""


def print_families(families: Sequence[Family], status: Sequence[str], console: Console | None = None) -> None:
    """Print the statuses of the starts, and a table of the kinds of singular points, the most frequent first."""
    console = console or Console()
    names, counts = np.unique(np.asarray(status, str), return_counts=True)
    fared = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    console.print(f"{len(status)} starts: {fared}", highlight=False)
    if not families:
        return
    table = Table(title="Kinds of singular points", title_justify="left", box=None, padding=(0, 1))
    for head in ("", "points", "distinct", "dimension"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("null directions", "symmetry"):
        table.add_column(head, no_wrap=True)
    for number, family in enumerate(families, 1):
        found = ", ".join(f"{cause} {n}" for cause, n in family["cause"].items() if n and cause != "rigid")
        row = (number, family["points"], family["distinct"], family["dimension"], found, family["symmetry"])
        table.add_row(*map(str, row))
    console.print(table)
    cures: dict[str, list[str]] = {}
    for number, family in enumerate(families, 1):
        for cure in family["cure"]:
            cures.setdefault(cure, []).append(str(number))
    for cure, rows in cures.items():
        console.print(f"{escape(cure)} (row {', '.join(rows)})", highlight=False)


def plot_families(families: Sequence[Family], title: str | None = None) -> Figure:
    """Draw one example of each of the most frequent kinds, with its null displacement as arrows."""
    shown = families[:PANELS]
    figure = Figure(figsize=(7.0, 2.5 * max(1, -(-len(shown) // 3)) + 0.3), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    if title is not None:
        figure.suptitle(title, fontsize=8.5, x=0.01, ha="left")
    if not shown:
        figure.text(0.5, 0.5, "no start landed on a singular point", ha="center")
    for number, family in enumerate(shown, 1):
        axes: Any = figure.add_subplot(-(-len(shown) // 3), 3, number, projection="3d")
        _draw(axes, family["example"])
        found = ", ".join(f"{cause} {n}" for cause, n in family["cause"].items() if n and cause != "rigid")
        axes.set_title(f"{number}: {found}\n{family['symmetry']}, {family['points']} points", fontsize=7.5, y=1.0)
    return figure


def _draw(axes: Any, example: dict[str, Any]) -> None:
    positions, arrows = np.asarray(example["positions"]), np.asarray(example["direction"])
    # Look along the direction in which the atoms extend least.
    frame = np.linalg.svd(positions, full_matrices=True)[2]
    frame[2] *= np.sign(np.linalg.det(frame))
    positions, arrows = positions @ frame.T, 0.9 * arrows @ frame.T
    for atom in positions:
        axes.plot(*np.stack([np.zeros(3), atom]).T, color="#999999", lw=1.4, zorder=1)
    colors = [ELEMENT_COLORS.get(symbol, "#CC79A7") for symbol in example["symbols"]]
    axes.scatter(*positions.T, s=70, c=colors, edgecolors="black", linewidths=0.6, depthshade=False)
    axes.scatter([0.0], [0.0], [0.0], s=110, c="#444444", edgecolors="black", linewidths=0.6, depthshade=False)
    axes.quiver(*positions.T, *arrows.T, color="#E69F00", lw=1.8, arrow_length_ratio=0.3)
    reach = 0.72 * float(np.abs(np.concatenate([positions, positions + arrows])).max())
    for limit in (axes.set_xlim, axes.set_ylim, axes.set_zlim):
        limit(-reach, reach)
    axes.set_box_aspect((1, 1, 1))
    axes.view_init(elev=62, azim=-70)
    axes.set_axis_off()
