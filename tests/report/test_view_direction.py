"""The chosen side shows an arrow at its length, and no atom covers it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxfeat.report.view_direction import choose_view

RADIUS = 0.28
TURNS = Rotation.random(4, random_state=0).as_matrix()


def covered(places, arrows, radii, view):
    """Tell which points of the longest arrow lie behind an atom, after a rotation of everything."""
    k = int(np.argmax(np.linalg.norm(arrows, axis=1)))
    points = (
        places[k] + (radii[k] / np.linalg.norm(arrows[k]) + np.linspace(0.2, 1, 30))[:, None] * arrows[k]
    ) @ view.T
    turned = places @ view.T
    flat = np.linalg.norm(points[:, None, :2] - turned[None, :, :2], axis=-1)
    return ((flat < radii) & (turned[:, 2] > points[:, None, 2])).any(-1)


@pytest.mark.parametrize("seed", range(6))
def test_an_arrow_is_seen_at_its_length_with_nothing_before_it(seed):
    rng = np.random.default_rng(seed)
    # A crowd of atoms around the one that moves, as in a liquid.
    places = np.concatenate([np.zeros((1, 3)), rng.normal(size=(24, 3)) * 1.6])
    arrows = np.zeros_like(places)
    arrows[1] = rng.normal(size=3)
    arrows[1] /= np.linalg.norm(arrows[1])
    radii = np.full(len(places), RADIUS)
    view = choose_view(places, arrows, radii)
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(view) == pytest.approx(1)
    assert np.linalg.norm((view @ arrows[1])[:2]) > 0.8
    assert covered(places, arrows, radii, view).mean() < 0.2


@pytest.mark.parametrize("turn", TURNS, ids=range(4))
def test_a_plane_is_seen_from_above_unless_arrows_leave_it(turn):
    angles = np.arange(6) * np.pi / 3
    ring = 1.4 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1)
    radii = np.full(6, RADIUS)
    still = choose_view(ring @ turn.T, np.zeros((6, 3)), radii)
    assert abs((still @ turn)[2, 2]) > 0.95
    for moving in ([0], range(6)):
        out = np.zeros((6, 3))
        out[moving, 2] = 1.0
        assert abs((choose_view(ring @ turn.T, out @ turn.T, radii) @ turn)[2, 2]) < 0.5


def test_the_longest_extent_lies_along_x():
    line = np.asarray([[0.0, 0, 0], [0, 0, 2.0], [0, 0, 4.0]])
    view = choose_view(line, np.zeros((3, 3)), np.full(3, RADIUS))
    assert abs(view[0, 2]) == pytest.approx(1, abs=0.1)


def test_one_atom_is_seen_from_somewhere():
    view = choose_view(np.zeros((1, 3)), np.zeros((1, 3)), np.full(1, RADIUS))
    np.testing.assert_allclose(view @ view.T, np.eye(3), atol=1e-12)
