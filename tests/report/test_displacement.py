"""Atoms with arrows are looked at from a side that shows them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxfeat.report.displacement import choose_view, find_bonds, make_scene

TURNS = Rotation.random(4, random_state=0).as_matrix()
WATER = np.asarray([[0.0, 0.76, 0.59], [0.0, -0.76, 0.59]])


@pytest.mark.parametrize("turn", TURNS, ids=range(4))
def test_atoms_of_a_plane_are_seen_from_above_and_arrows_out_of_it_from_the_side(turn):
    ring = np.asarray([[np.cos(a), np.sin(a), 0.0] for a in np.linspace(0, 2 * np.pi, 6, endpoint=False)]) * 1.4
    still = choose_view(ring @ turn.T, np.zeros((6, 3)))
    np.testing.assert_allclose(still @ still.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(still) > 0
    assert abs((still @ turn)[2, 2]) > 0.9  # the plane's normal points to the reader
    out = np.tile([0.0, 0.0, 1.0], (6, 1)) @ turn.T
    seen = np.linalg.norm((out @ choose_view(ring @ turn.T, out).T)[:, :2], axis=1)
    assert (seen > 0.6).all()


def test_a_scene_keeps_distances_and_centers_the_picture():
    moved = np.asarray([[0.0, 0.0, 0.1], [0.0, 0.0, -0.2]])
    scene = make_scene(WATER, ["H", "H"], "O", moved)
    places = np.concatenate([np.zeros((1, 3)), WATER])
    apart = [np.linalg.norm(one[:, None] - one, axis=-1) for one in (places, scene.places)]
    np.testing.assert_allclose(*apart, atol=1e-12)
    assert scene.symbols == ["O", "H", "H"] and scene.bonds == [(0, 1), (0, 2)] and not scene.threads
    lengths = np.linalg.norm(scene.arrows, axis=1)
    np.testing.assert_allclose(lengths / lengths.max(), [0, 0.5, 1], atol=1e-12)
    ends = np.concatenate([scene.places, scene.tips])[:, :2]
    np.testing.assert_allclose(ends.min(0), -ends.max(0), atol=1e-12)


def test_neighbors_without_a_bond_hang_on_threads_and_structures_have_no_center():
    far = make_scene(3 * WATER, ["H", "H"], "C")
    assert not far.bonds and far.threads == [(0, 1), (0, 2)] and far.has_center
    alone = make_scene(np.concatenate([[[0, 0, 0]], WATER]), ["O", "H", "H"], None)
    assert alone.symbols == ["O", "H", "H"] and not alone.has_center and not alone.threads
    assert find_bonds(np.asarray([[0, 0, 0], [0, 0, 0.3]]), ["H", "H"]) == []
    assert make_scene(np.zeros((0, 3)), [], "C").reach[0] > 0
