"""The colors of causes can be told apart by every kind of eye, and words in red can be read."""

import itertools

import numpy as np
import pytest

from jaxfeat.report.palette import CAUSE_COLORS, FAULT, LEAST, color_cause, write_css_variables
from jaxfeat.report.store_summary import GROUPS

# Linear RGB as eyes without one kind of cone see it: Machado, Oliveira and Fernandes, IEEE TVCG 15, 1291 (2009).
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}
XYZ = np.asarray([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(color):
    share = np.asarray([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x, y, z = np.cbrt(np.clip(XYZ @ rgb, 0, 1) / XYZ.sum(1))
    return np.asarray([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", EYES)
def test_colors_differ_for_every_eye(eye):
    seen = {cause: lab(np.asarray(EYES[eye]) @ linear(color)) for cause, color in CAUSE_COLORS.items()}
    pairs = {pair: np.linalg.norm(seen[pair[0]] - seen[pair[1]]) for pair in itertools.combinations(seen, 2)}
    closest = min(pairs, key=pairs.get)
    assert pairs[closest] > 12, (closest, pairs[closest])


def test_red_words_can_be_read():
    assert 1.05 / (XYZ[1] @ linear(FAULT) + 0.05) >= 4.5


def test_every_group_has_a_color_and_a_variable():
    assert {*GROUPS, "rigid"} == {*CAUSE_COLORS}
    assert "--cause-symmetry: #0072B2;" in write_css_variables() and f"--fault: {FAULT};" in write_css_variables()
    assert color_cause("truncation within 5e-05 Å") == CAUSE_COLORS["truncation"]
    assert color_cause("least") == LEAST
