"""Parts that the pictures share: their style, their figures and axes, legends, and formulas."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, NullLocator

RATIO = r"$\sigma_\mathrm{min}/\sigma_\mathrm{max}$"
VISIBLE_RATIO = r"$\sigma_\mathrm{vis}/\sigma_\mathrm{max}$"

INK, RAW, BAND = "#333333", "#B8B8B8", "#DADADA"
"""Grays of the main curve, of one to compare it with, and of a band around it. Colors are those of causes."""

CHOSEN = "#F0E442"
"""Yellow of a recommended thing, with a black edge. No cause has this color."""

SENSITIVE_MAP = LinearSegmentedColormap.from_list("sensitive", ["#222222", "#F7F7F7"])
"""Grays from insensitive to sensitive, on which the colors of causes stand out."""

HALO = [withStroke(linewidth=2, foreground="white")]
"""The effect that makes a text readable on points."""

FLOOR_LINE: dict[str, Any] = {"color": "#000000", "lw": 0.7, "ls": (0, (4, 3))}
DPI = 200  # dots per inch of pictures in files
TITLE_LENGTH = 104  # characters that fit into a line over seven inches
Maker = Callable[..., Figure]  # makes a figure, as `matplotlib.figure.Figure` does


@contextmanager
def style() -> Iterator[None]:
    """Apply the style sheet of all pictures to a block of code, and leave Matplotlib's settings alone after it."""
    with as_file(files("jaxfeat.report").joinpath("pictures.mplstyle")) as sheet, rc_context(fname=sheet):
        yield


def new_figure(width: float, height: float, title: str | None = None, make: Maker = Figure) -> Figure:
    """Make an empty figure with its size in inches. By default it is no part of pyplot, so no global state refers to
    it."""
    figure = make(figsize=(width, height), layout="constrained", **({"dpi": DPI} if make is Figure else {}))
    if title is not None:
        figure.suptitle(title, fontsize=9 if len(title) < TITLE_LENGTH * width / 7 else 7.5, x=0.01, ha="left")
    return figure


def open_axes(
    ax: Any,
    size: tuple[float, float],
    title: str | None = None,
    make: Maker = Figure,
    shape: tuple[int, int] = (1, 1),
    **layout: Any,
) -> list[Axes]:
    """Return the axes to draw in, row by row: those that were given, or those of a new figure with a size in inches.

    **Raises:** `ValueError` if `ax` holds another number of axes than the picture has.
    """
    wanted = shape[0] * shape[1]
    if ax is None:
        return list(new_figure(*size, title, make).subplots(*shape, squeeze=False, **layout).flat)
    given = list(np.ravel(np.asarray(ax, object)))
    if len(given) != wanted:
        raise ValueError(f"ax holds {len(given)} axes, and the picture has {wanted}; pass as many, or leave it out.")
    if title is not None:
        given[0].set_title(title, loc="left", pad=20)
    for axes in given:
        dress(axes)
    return given


def dress(axes: Axes) -> None:
    """Give the style to axes that were made under other settings."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, width=0.7, length=3)
    axes.tick_params(which="minor", width=0.5, length=1.8)


def add_legend(axes: Axes, handles: Sequence[Any] | None = None, **options: Any) -> None:
    """Put a legend above axes, in one row, where it touches no curve."""
    handles = list(axes.get_legend_handles_labels()[0] if handles is None else handles)
    if handles:
        usual: dict[str, Any] = {"ncols": len(handles), "loc": "lower left", "bbox_to_anchor": (0.0, 1.01)}
        axes.legend(handles=handles, borderaxespad=0, fontsize=8, frameon=False, **(usual | options))


def say_nothing_to_draw(axes: Sequence[Axes], reason: str) -> None:
    """Write a reason into the first axes, and hide all of them."""
    for one in axes:
        one.set_axis_off()
    axes[0].text(0.5, 0.5, reason, transform=axes[0].transAxes, ha="center", va="center")


def set_decades(axis: Axis, first: int, last: int, most: int) -> None:
    """Put about `most` ticks at powers of ten between two exponents, and none between the ticks."""
    step = max(1, round((last - first) / most))
    axis.set_major_locator(FixedLocator([10.0**k for k in range(last, first - 1, -step)]))
    axis.set_minor_locator(NullLocator())


def format_symbol(symbol: str) -> str:
    """Write a Schoenflies symbol as a formula: "C2v" and "C_2v" as C with the index 2v. Others stay as they are."""
    head, index = symbol[:1], symbol[1:].removeprefix("_").replace("*", "∞")
    known = head in "CDSTOIK" and index and all(one in "0123456789∞vhdis" for one in index)
    return rf"${head}_{{\mathrm{{{index}}}}}$".replace("∞", r"\infty ") if known else symbol
