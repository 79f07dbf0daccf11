"""Parts that the pictures share."""

from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

RATIO = "σ$_\\mathrm{min}$/σ$_\\mathrm{max}$"

FLOOR_LINE: dict[str, Any] = {"color": "#000000", "lw": 0.6, "ls": (0, (4, 3))}


def new_figure(width: float, height: float, title: str | None = None, title_size: float = 9) -> Figure:
    """Make an empty figure with its size in inches. It is no part of pyplot, so no global state refers to it."""
    figure = Figure(figsize=(width, height), dpi=200, layout="constrained")
    if title is not None:
        figure.suptitle(title, fontsize=title_size, x=0.01, ha="left")
    return figure


def set_decades(axis: Axis, first: int, last: int, most: int) -> None:
    """Put about `most` ticks at powers of ten between two exponents, and none between the ticks."""
    step = max(1, round((last - first) / most))
    axis.set_major_locator(FixedLocator([10.0**k for k in range(last, first - 1, -step)]))
    axis.set_minor_locator(NullLocator())
