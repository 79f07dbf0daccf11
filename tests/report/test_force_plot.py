"""The picture of forces draws components and shares, for one structure and for many."""

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from records import force_record

from jaxfeat.report.force_plot import plot_forces

RNG = np.random.default_rng(0)
MANY = [
    force_record(k, sigma=np.sort(10 ** RNG.uniform(-4, 0, 75))[::-1], components=RNG.normal(size=75))
    for k in range(40)
]
CASES = {
    "many": MANY,
    "one direction": [force_record(sigma=(2.0,), components=(1.0,))],
    "partly invisible": [force_record(components=(1.0, 0.0, 1.0), null=1.0), *MANY[:2]],
    "nothing visible": [force_record(sigma=(), components=(), null=1.0)],
}


@pytest.mark.parametrize("name", CASES)
def test_pictures_are_drawn(tmp_path, name):
    figure = plot_forces(CASES[name], "a title")[0].figure
    figure.savefig(tmp_path / "picture.png")
    pixels = imread(tmp_path / "picture.png")
    assert pixels.shape[:2] == (720, 1400) and np.ptp(pixels[..., :3]) > 0.5
    texts = "".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "nan" not in texts
    assert ("no structure has a force" in texts) == (name == "nothing visible")
    assert ("median of 40" in texts) == (name == "many")
