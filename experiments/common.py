"""What all experiments share: their arguments, their tables and the look of their figures."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import jax
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

import jaxfeat

# Okabe and Ito's colors, told apart by every kind of eye.
BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, GREY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#999999",
)


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The arguments of every experiment, explained by its docstring."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--smoke", action="store_true", help="a few seconds of it, in small bases")
    made.add_argument("--out", type=Path, metavar="FOLDER", help="where the figure goes (default: beside run.py)")
    return made


def begin(arguments: argparse.Namespace, script: str) -> Path:
    """Switch to float64 and to the style of jaxfeat's pictures. Return the folder for the figure. A smoke run leaves
    the figure of the full run alone."""
    jax.config.update("jax_enable_x64", True)
    # The style stays for the rest of the script.
    contextlib.ExitStack().enter_context(jaxfeat.plot.style())
    here = Path(script).resolve().parent
    folder = arguments.out or (Path("out") / here.name if arguments.smoke else here)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; the first column is text, the others are numbers."""
    table = Table(title=title, title_style="bold", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(str, row))
    # Wide enough for every table of the experiments: where there is no terminal, rich would fold them at 80.
    Console(width=140, highlight=False).print(table)


def new_figure(width: float, height: float) -> Figure:
    """A figure of this many inches that belongs to nobody's global state."""
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, folder: Path, name: str = "figure.png") -> None:
    """Write a figure of the experiment and say where."""
    path = folder / name
    figure.savefig(path)
    print(f"figure: {path}")
