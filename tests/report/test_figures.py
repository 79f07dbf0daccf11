"""Figures have their size in inches, and ticks at powers of ten."""

import numpy as np

from jaxfeat.report.figures import new_figure, set_decades


def test_decades_are_ticked_from_the_highest_downwards():
    axes = new_figure(2.0, 3.0, "a title").subplots()
    axes.set_xscale("log")
    axes.set_xlim(1e-9, 1e1)
    set_decades(axes.xaxis, -8, 0, 4)
    np.testing.assert_allclose(axes.get_xticks(), [1e0, 1e-2, 1e-4, 1e-6, 1e-8])
    assert not len(axes.get_xticks(minor=True))
    assert axes.figure.get_size_inches().tolist() == [2, 3] and axes.figure.get_suptitle() == "a title"
