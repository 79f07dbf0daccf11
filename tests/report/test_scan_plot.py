"""A scan draws distributions, spectra and the most blind environment."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from records import many, record

from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.scan_plot import plot_scan

CASES = {
    "usual": many(60),
    "nothing null": many(60, nulls=False),
    "one size": many(60, species=("C",), n_neighbors=(4, 4)),
    "everything null": [record(k, 0, sigma=(1.0, 1e-17), n_neighbors=2 + k % 2) for k in range(9)],
    "one environment": [record()],
    "one value": [record(sigma=(1.0,), n_neighbors=1)],
    "nothing": [record(status="empty")],
    "many species": many(80, species=tuple("HCNOF")) + many(9, species=tuple("KVWYUIPSB")) + many(3, species=["Li"]),
    "many environments": many(1500),
}


@pytest.mark.parametrize("name", CASES)
def test_pictures_are_drawn(tmp_path, name):
    path = tmp_path / "picture.png"
    figure = plot_scan(CASES[name], "a title")[0].figure
    figure.savefig(path)
    pixels = imread(path)
    assert pixels.shape[:2] == (800, 1400)
    assert np.ptp(pixels[..., :3]) > 0.5
    texts = "".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "nan" not in texts


def test_null_environments_are_counted():
    records = [record(k, 0, sigma=(1.0, 1e-17 if k < 3 else 1e-2), n_neighbors=2 + k % 2) for k in range(10)]
    texts = " ".join(text.get_text() for text in plot_scan(records)[0].figure.findobj(matplotlib.text.Text))
    assert "3 of 10 have null directions" in texts
    assert "C0 of CH4" in texts
    assert "symmetry" in texts and "equilibrated" in texts


def test_pyplot_is_left_alone():
    import matplotlib.pyplot as plt

    plot_scan(many(5))
    assert plt.get_fignums() == []


def test_the_same_records_make_the_same_picture(tmp_path):
    for name in "ab":
        plot_scan(many(20))[0].figure.savefig(tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_points_lie_in_the_column_of_their_number_of_neighbors():
    _, right = plot_scan(many(200, species=("C",), nulls=False))
    points = np.concatenate([drawn.get_offsets() for drawn in right.collections])
    apart = points[:, 0] - np.round(points[:, 0])
    assert np.abs(apart).max() <= 0.4 and len(points) == 1000
    # Points of one number and of nearly one ratio are set side by side, around the number.
    assert np.abs([apart[np.round(points[:, 0]) == n].mean() for n in range(3, 12)]).max() < 0.02


def test_causes_have_lanes_and_colors_of_their_own():
    blind = [{"rigid": 3, "symmetry": 1}, {"rigid": 3, "incompleteness": 2}]
    records = [record(k, 0, sigma=(1.0, 1e-17), n_neighbors=2 + k % 3) | {"null": blind[k % 4 == 0]} for k in range(12)]
    records += [record(12 + k, 0, sigma=(1.0, 10.0**-k), n_neighbors=3) for k in range(4)]
    near = {"cause": "symmetry", "symbol": "C_s", "distance": 1e-6, "directions": 1, "sigma": [0, 1]}
    records.append(record(20, 0, sigma=(1.0, 1e-9), n_neighbors=4) | {"near": [near]})
    left, right = plot_scan(records)
    assert [text.get_text() for text in left.get_yticklabels()][-2:] == ["symmetry", "incompleteness"]
    totals = {text.get_text(): text.get_color() for text in right.texts}
    assert totals["9"] == CAUSE_COLORS["symmetry"] and totals["3"] == CAUSE_COLORS["incompleteness"]
    names = [text.get_text() for text in right.get_legend().get_texts()]
    # A value that a symmetric geometry within rounding explains has the color of symmetry, and no lane.
    assert names == ["no null direction", "symmetry (physics)"]
    assert "C0 of CH4" in totals
