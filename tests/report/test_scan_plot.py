"""A scan draws distributions, spectra and the most blind environment."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from records import many, record

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
    figure = plot_scan(CASES[name], "a title")
    figure.savefig(path)
    pixels = imread(path)
    assert pixels.shape[:2] == (800, 1400)
    assert np.ptp(pixels[..., :3]) > 0.5
    texts = "".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "nan" not in texts


def test_null_environments_are_counted():
    records = [record(k, 0, sigma=(1.0, 1e-17 if k < 3 else 1e-2), n_neighbors=2 + k % 2) for k in range(10)]
    texts = " ".join(text.get_text() for text in plot_scan(records).findobj(matplotlib.text.Text))
    assert "3 of 10 have null directions" in texts
    assert "C0 of CH4" in texts
    assert "left half: raw" in texts


def test_pyplot_is_left_alone():
    import matplotlib.pyplot as plt

    plot_scan(many(5))
    assert plt.get_fignums() == []


def test_the_same_records_make_the_same_picture(tmp_path):
    for name in "ab":
        plot_scan(many(20)).savefig(tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
