"""Scenes hold atoms with bonds and arrows, in the middle of a picture."""

import numpy as np

from jaxfeat.report.displacement import find_bonds, make_scene

WATER = np.asarray([[0.0, 0.76, 0.59], [0.0, -0.76, 0.59]])


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
    assert find_bonds(np.asarray([[0, 0, 0], [0, 0, 1.0]]), ["", "C"]) == []
    assert make_scene(np.zeros((0, 3)), [], "C").reach[0] > 0
