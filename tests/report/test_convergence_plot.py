"""The records of a grid are shown in a heat map."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from records import GRID, NO_NEIGHBORS, ORDERS, basis_record

from jaxfeat.report.convergence_plot import plot_convergence

CASES = {
    "usual": GRID,
    "orders": ORDERS,
    "one basis": [basis_record(8, 6)],
    "nothing": [NO_NEIGHBORS],
    "large": [basis_record(n, l, truncated=1999 if n == 1 else 0) for n in range(1, 11) for l in range(11)],
}


@pytest.mark.parametrize("name", CASES)
def test_heat_maps_are_drawn(tmp_path, name):
    figure = plot_convergence(CASES[name], "a title")[0].figure
    figure.savefig(tmp_path / "picture.png")
    assert np.ptp(imread(tmp_path / "picture.png")[..., :3]) > 0.5
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    assert "nan" not in " ".join(texts)
    if name == "usual":
        assert {"20.0", "+5.0", "+0.1", "<−13.0", "−2.2", "(−3.2)"} <= set(texts)
    if name == "large":
        assert ">99.9" in texts and "100" not in texts
