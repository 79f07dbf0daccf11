"""A picture of singular spectra."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxfeat.report.figures import BAND, FLOOR_LINE, INK, Maker, add_legend, open_axes, say_nothing_to_draw, style

FEW = 8  # spectra up to which each one is drawn


@style()
def plot_spectra(
    spectra: Sequence[tuple[np.ndarray, float]],
    equilibrated: bool,
    title: str | None = None,
    ax: Any = None,
    make: Maker = Figure,
) -> list[Axes]:
    """Draw singular values over the largest one: each spectrum if there are few, otherwise their quantiles and the
    least sensitive one. Each spectrum comes with its floor. Hollow marks on the floor are null."""
    (axes,) = open_axes(ax, (4.6, 3.2), title, make)
    drawn = [(values / values[0], floor / values[0]) for values, floor in spectra if len(values) and values[0] > 0]
    if not drawn:
        say_nothing_to_draw([axes], "there is no spectrum")
        return [axes]
    if len(drawn) <= FEW:
        for values, floor in drawn:
            _draw_one(axes, values, floor, {"color": INK, "lw": 1.0, "alpha": 1.0 if len(drawn) == 1 else 0.6})
    else:
        rows = np.full((len(drawn), max(len(values) for values, _ in drawn)), np.nan)
        for row, (values, floor) in zip(rows, drawn, strict=True):
            row[: len(values)] = np.maximum(values, floor)
        # The median of fewer than half of the spectra would mislead.
        rows = rows[:, : np.count_nonzero(np.isfinite(rows).sum(0) >= len(rows) / 2)]
        low, middle, high = np.nanquantile(rows, (0.05, 0.5, 0.95), axis=0, method="nearest")
        x = np.arange(1, len(middle) + 1)
        axes.fill_between(x, low, high, color=BAND, lw=0, label="nine in ten")
        axes.plot(x, middle, color=INK, ls="--", lw=1.1, label=f"median of {len(drawn):,}")
        _draw_one(
            axes, *min(drawn, key=lambda one: max(one[0][-1], one[1])), {"color": INK, "label": "least sensitive"}
        )
    axes.axhline(float(np.median([floor for _, floor in drawn])), **FLOOR_LINE, label="floor")
    axes.set_yscale("log")
    axes.set_xlabel("$k$")
    axes.set_ylabel(rf"$\sigma_k/\sigma_\mathrm{{max}}${', equilibrated' if equilibrated else ''}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    add_legend(axes)
    return [axes]


def _draw_one(axes: Axes, values: np.ndarray, floor: float, look: dict[str, Any]) -> None:
    x, null = np.arange(1, len(values) + 1), values <= floor
    axes.plot(x, np.maximum(values, floor), marker="o", ms=3, zorder=3, **look)
    axes.plot(x[null], np.full(null.sum(), floor), ls="", marker="o", ms=4, mfc="white", mec=look["color"], zorder=4)
