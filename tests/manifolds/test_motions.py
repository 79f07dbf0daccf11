"""Motions of given atoms."""

import numpy as np
import pytest
from cases import wobbling_methanols

from jaxfeat import Environment, manifolds
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.neighbors import follow_center

WATER = [[0.0, 0.76, 0.59], [0.0, -0.76, 0.59]]


def environment(positions, species=None):
    return Environment.from_neighbors(np.asarray(positions, float), species or ["H"] * len(positions), "C")


def test_directions_are_scaled_to_one_angstrom():
    env = environment(WATER)
    way = manifolds.displacement(env, {"q": 7 * np.ones((2, 3))})
    assert np.isclose(np.linalg.norm(way(0.4).positions - env.positions), 0.4)
    with pytest.raises(GeometryError, match="direction 'q' has length 0"):
        manifolds.displacement(env, {"q": np.zeros((2, 3))})
    with pytest.raises(GeometryError, match=r"shape \(3, 3\); the environment's is \(2, 3\)"):
        manifolds.displacement(env, {"q": np.ones((3, 3))})


def test_interpolation_goes_from_one_to_the_other():
    rng = np.random.default_rng(1)
    first, last = environment(rng.normal(size=(4, 3))), environment(rng.normal(size=(4, 3)))
    way = manifolds.interpolation(first, last)
    np.testing.assert_allclose(way(0.0).positions, first.positions, atol=1e-14)
    gram = lambda x: np.sort((x @ x.T).ravel())  # noqa: E731
    np.testing.assert_allclose(gram(way(1.0).positions), gram(last.positions), atol=1e-12)
    with pytest.raises(GeometryError, match="hold different atoms"):
        manifolds.interpolation(first, environment(rng.normal(size=(4, 3)), ["H", "H", "H", "O"]))


def test_a_trajectory_passes_through_its_frames():
    frames = wobbling_methanols(5, seed=2)
    found = follow_center(frames, 1.6, 0)
    way = manifolds.trajectory(found.environments)
    for k in range(5):
        expected = frames[k].positions[found.neighbors] - frames[k].positions[0]
        np.testing.assert_allclose(way(float(k)).positions, expected, atol=1e-14)
    with pytest.raises(GeometryError, match="one frame is no trajectory"):
        manifolds.trajectory(found.environments[:1])
    with pytest.raises(GeometryError, match="frames have different neighbors"):
        manifolds.trajectory(Environment.stack([environment(WATER), environment(WATER, ["H", "O"])]))
