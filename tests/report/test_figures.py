"""Figures have their size in inches and one style, and ticks at powers of ten."""

import matplotlib
import numpy as np
import pytest

from jaxfeat.report.figures import format_symbol, new_figure, open_axes, set_decades, style


def test_decades_are_ticked_from_the_highest_downwards():
    axes = new_figure(2.0, 3.0, "a title").subplots()
    axes.set_xscale("log")
    axes.set_xlim(1e-9, 1e1)
    set_decades(axes.xaxis, -8, 0, 4)
    np.testing.assert_allclose(axes.get_xticks(), [1e0, 1e-2, 1e-4, 1e-6, 1e-8])
    assert not len(axes.get_xticks(minor=True))
    assert axes.figure.get_size_inches().tolist() == [2, 3] and axes.figure.get_suptitle() == "a title"


def test_the_style_leaves_settings_alone():
    with matplotlib.rc_context({"font.size": 30, "axes.spines.top": True}):
        before = dict(matplotlib.rcParams)
        with style():
            assert matplotlib.rcParams["font.size"] == 9 and matplotlib.rcParams["svg.fonttype"] == "none"
        assert dict(matplotlib.rcParams) == before


def test_given_axes_are_used_and_counted():
    axes = new_figure(4.0, 3.0).subplots(2, 2)
    assert open_axes(axes, (1, 1), "a title", shape=(2, 2)) == list(axes.flat)
    assert axes[0, 0].get_title(loc="left") == "a title" and not axes[1, 1].spines["top"].get_visible()
    with pytest.raises(ValueError, match="ax holds 4 axes, and the picture has 1"):
        open_axes(axes, (1, 1))


@pytest.mark.parametrize(
    "symbol, formula",
    [
        ("Cs", r"$C_{\mathrm{s}}$"), ("C_2v", r"$C_{\mathrm{2v}}$"), ("D_∞h", r"$D_{\mathrm{\infty h}}$"),
        ("D*h", r"$D_{\mathrm{\infty h}}$"), ("Pm-3m", "Pm-3m"), ("", ""),
    ],
)  # fmt: skip
def test_point_groups_are_formulas(symbol, formula):
    assert format_symbol(symbol) == formula
