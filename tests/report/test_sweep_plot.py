"""The picture of a sweep has its parameters on the axes, in their units."""

import pytest
from records import sweep_data_set

from jaxfeat.report.sweep_plot import plot_sweep


@pytest.mark.parametrize("names", [("F",), ("F", "z")])
@pytest.mark.parametrize("n_zeros", [0, 3])
def test_sweeps_are_drawn(names, n_zeros):
    axes = plot_sweep(sweep_data_set(names, n_zeros), "title").axes[0]
    assert axes.get_xlabel() == "F (π)"
    assert len(names) == 1 or axes.get_ylabel() == "z (Å)"
