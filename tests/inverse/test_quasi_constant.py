"""Quasi-constant paths whose course is known, and the ends of paths."""

import numpy as np
import pytest
from toy_features import COMPLETE, C, coordinates_of, polynomials, two_neighbors

import jaxfeat
from jaxfeat import Environment, trace_quasi_constant
from jaxfeat.errors import GeometryError

RADIUS = 0.2
"""Radius (Å) of the ring and of the orbit."""

WEAK = 1e-5

ORBIT = polynomials({"pp": 1.0, "qq": 1.0}, C, {"p": WEAK})
"""Constant around circles in (p, q), but for a weak feature."""


def largest(f, found):
    """The largest singular value along a path."""
    jacobian = np.asarray(jaxfeat.jacobian(f, found.environments))
    return np.linalg.norm(jacobian.reshape(*jacobian.shape[:2], -1), 2, axis=(1, 2))


@pytest.mark.parametrize("sign", [1, -1])
def test_an_orbit_closes(sign):
    found = trace_quasi_constant(ORBIT, two_neighbors(RADIUS, 0.0, 0.3), 3.0, sign=sign)
    assert found.status == "closed" and found.held.all() and (found.rank == 0).all()
    p, q, c = coordinates_of(found.environments)
    np.testing.assert_allclose(np.hypot(p, q), RADIUS, atol=1e-8)
    np.testing.assert_allclose(c, 0.3, atol=1e-8)
    turns = np.diff(np.unwrap(np.arctan2(q, p)))
    assert (turns > 0).all() or (turns < 0).all()
    np.testing.assert_allclose(abs(turns.sum()), 2 * np.pi, atol=1e-3)
    assert 0.99 * 2 * np.pi * RADIUS < found.path[-1] < 2 * np.pi * RADIUS
    # What no displacement across the path can undo is the weak feature.
    np.testing.assert_allclose(found.change, WEAK * np.abs(p - RADIUS), atol=1e-3 * WEAK)
    size = np.linalg.norm(ORBIT(two_neighbors(RADIUS, 0.0, 0.3)))
    np.testing.assert_allclose(found.relative_change, found.change / size, rtol=1e-12)
    # Along the circle it changes with the sine of the angle; σ_min/σ_max is a ratio.
    np.testing.assert_allclose(found.sigma_ratio * largest(ORBIT, found), WEAK * np.abs(q) / RADIUS, atol=1e-2 * WEAK)


def test_the_two_signs_are_two_ways():
    f, start = ORBIT, two_neighbors(0.1, 0.15, 0.3)
    ways = [trace_quasi_constant(f, start, 0.1, sign=sign) for sign in (1, -1)]
    first = [np.asarray(way.directions)[0] for way in ways]
    np.testing.assert_allclose(first[0], -first[1], atol=1e-12)
    assert first[0].flat[np.abs(first[0]).argmax()] > 0
    ends = [np.asarray(way.environments.positions)[-1] for way in ways]
    assert np.linalg.norm(ends[0] - ends[1]) > 0.15
    assert all(way.status == "length" and abs(way.path[-1] - 0.1) < 2e-4 for way in ways)


def test_like_atoms_close_an_orbit_sooner():
    """Features that do not tell the neighbors apart: from (p, q) to (q, p), not all the way around."""
    start = two_neighbors(0.15, -0.02, 0.3, ("H", "H"))
    around = 2 * abs(np.pi / 4 - np.arctan2(-0.02, 0.15))
    f = polynomials({"pp": 1.0, "qq": 1.0}, C)
    found = [trace_quasi_constant(f, start, 3.0, sign=sign) for sign in (1, -1)]
    assert [way.status for way in found] == ["closed", "closed"]
    angles = sorted(way.path[-1] / np.hypot(0.15, 0.02) for way in found)
    np.testing.assert_allclose(angles, (around, 2 * np.pi - around), rtol=5e-3)
    assert max(way.relative_change.max() for way in found) < 1e-9


def test_a_direction_goes_on_where_another_becomes_the_smallest():
    f = polynomials({"p": 0.1}, {"q": 0.15, "pq": -1.0}, C)
    start = two_neighbors(0.0, 0.0, 0.0)
    found = trace_quasi_constant(f, start, 0.1)
    p, q, _ = coordinates_of(found.environments)
    assert found.status == "length"
    np.testing.assert_allclose(np.abs(p), found.path, atol=1e-6)
    np.testing.assert_allclose(q, 0, atol=1e-6)
    if p[-1] < 0:
        found = trace_quasi_constant(f, start, 0.1, sign=-1)
        p = coordinates_of(found.environments)[0]
    assert found.rank.tolist() == (p > 0.05).astype(int).tolist()
    past = p > 0.051
    np.testing.assert_allclose((found.sigma * largest(f, found))[past], 0.1, rtol=1e-3)
    np.testing.assert_allclose((found.sigma_ratio * largest(f, found))[past], 0.15 - p[past], rtol=1e-3)


def test_where_features_cannot_be_held_the_direction_is_followed():
    f = polynomials({"p": 0.05, "qq": -1.0}, {"q": 0.06}, C)
    found = trace_quasi_constant(f, two_neighbors(0.0, 0.002, 0.0), 0.3)
    assert found.status == "length" and abs(found.path[-1] - 0.3) < 2e-5
    assert found.held[0] and not found.held[-1]


def test_an_orbit_of_methane_round_a_point_blind_twice():
    """Three hydrogens in a plane with the carbon, at one distance, and one above: two spurious null directions."""
    azimuths = np.asarray([0.0, 2.38, 5.03])
    flat = np.column_stack([np.cos(azimuths), np.sin(azimuths), 0 * azimuths])
    center = 1.09 * np.concatenate([flat, [[0, 0, 1.0]]])
    lifted = center + 0.03 * np.asarray([[0, 0, 1.0], [0, 0, -0.6], [0, 0, -0.4], [0, 0, 0]])
    env = Environment.from_neighbors(lifted, ["H"] * 4, "C")
    found = trace_quasi_constant(COMPLETE, env, 1.0)
    assert found.status == "closed" and found.held.all()
    x = np.asarray(found.environments.positions)
    again = np.asarray(COMPLETE(found.environments))
    change = np.linalg.norm(again - again[0], axis=1)
    np.testing.assert_allclose(found.change, change, atol=1e-12)
    assert np.linalg.norm(x - x[0], axis=(1, 2)).max() > 0.04 and found.relative_change.max() < 1e-4
    assert found.change[-1] < 1e-6 * found.change.max()


def test_a_sign_is_1_or_minus_1():
    start = two_neighbors(0.1, 0.2, 0.3)
    with pytest.raises(GeometryError, match="1 or -1"):
        trace_quasi_constant(ORBIT, start, 0.1, sign=0)
