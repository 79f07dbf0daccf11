"""Displacements are drawn as arrows in the colors of causes."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from jaxfeat.report.displacement_plot import plot_families
from jaxfeat.report.palette import CAUSE_COLORS

EXAMPLE = {
    "positions": np.random.default_rng(0).normal(size=(4, 3)), "displacement": np.ones((4, 3)),
    "symbols": ["H", "H", "O", "Xe"], "center": "C",
}  # fmt: skip
COUNTS = {"rigid": 3, "symmetry": 2, "incompleteness": 1, "truncation": 0}
FAMILY = {"cause": COUNTS, "symmetry": "C_s", "points": 1, "example": EXAMPLE}


def test_up_to_six_kinds_are_drawn():
    panels = plot_families([FAMILY] * 5 + [{**FAMILY, "symmetry": "C_1", "points": 7}] * 3, "title")
    titles = [axes.get_title(loc="left") for axes in panels]
    assert [title.split(":")[0] for title in titles] == list("123456")
    assert titles[0].endswith(r"1 point, $C_{\mathrm{s}}$") and titles[5].endswith("7 points, no symmetry")
    arrows = panels[0].findobj(FancyArrowPatch)
    assert len(arrows) == 4
    assert {to_hex(arrow.get_edgecolor()) for arrow in arrows} == {CAUSE_COLORS["incompleteness"].lower()}


@pytest.mark.parametrize("n", [1, 2])
def test_given_axes_decide_how_many_kinds_are_drawn(n):
    axes = Figure().subplots(1, n, squeeze=False)
    assert plot_families([FAMILY] * 4, ax=axes) == list(axes.flat)


def test_a_search_that_landed_nowhere_says_so():
    (axes,) = plot_families([])
    assert axes.texts[0].get_text() == "no start landed on a singular point"
