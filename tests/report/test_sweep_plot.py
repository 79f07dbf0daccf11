"""The picture of a sweep has its parameters on the axes, in their units."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from records import sweep_data_set

from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.sweep_plot import plot_sweep


@pytest.mark.parametrize("names", [("F",), ("F", "z")])
@pytest.mark.parametrize("n_zeros", [0, 3])
def test_sweeps_are_drawn(names, n_zeros):
    (axes,) = plot_sweep(sweep_data_set(names, n_zeros), "title")
    assert axes.get_xlabel() == "F (π)"
    assert len(names) == 1 or axes.get_ylabel() == "z (Å)"


def test_zeros_have_the_colors_of_their_causes():
    ds = sweep_data_set(("F",), 3)
    ds["sigma"].values[1, 1] = 1e-17
    (axes,) = plot_sweep(ds)
    shown = {handle.get_label(): handle for handle in axes.collections if handle.get_label() in CAUSE_COLORS}
    assert list(shown) == ["incompleteness", "truncation", "symmetry"]
    assert all(to_hex(mark.get_facecolor()[0]) == CAUSE_COLORS[cause].lower() for cause, mark in shown.items())
    # Rounding errors below the floor are not drawn.
    raw, equilibrated, floor = (np.asarray(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) > 2)
    assert raw.min() == equilibrated.min() == floor.min() == 1e-13
    assert raw.max() == equilibrated.max() > 0.1
