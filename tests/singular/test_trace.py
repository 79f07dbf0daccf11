"""Singular sets of known course: circles, lines, families in closed form; and the ends of paths."""

import numpy as np
import pytest
from toy_features import CC, COMPLETE, C, P, Q, coordinates_of, pairs, polynomials, two_neighbors

import jaxfeat
from jaxfeat import Environment, trace_singular_set
from jaxfeat.errors import GeometryError
from jaxfeat.singular.search_space import Free

RADIUS = 0.2
"""Radius (Å) of the ring and of the orbit."""

RING = polynomials(P, Q, CC, {"ppc": 1.0, "qqc": 1.0, "c": -(RADIUS**2)})
"""Singular where c = 0 and p² + q² = RADIUS²."""


def chords(batch):
    return np.linalg.norm(np.diff(np.asarray(batch.positions), axis=0), axis=(1, 2))


def test_a_ring_of_singular_points_is_followed_around():
    found = trace_singular_set(RING, two_neighbors(0.21, 0.01, 0.02), 3.0)
    assert found.status == "closed"
    p, q, c = coordinates_of(found.environments)
    np.testing.assert_allclose(np.hypot(p, q), RADIUS, atol=1e-12)
    np.testing.assert_allclose(c, 0, atol=1e-12)
    np.testing.assert_allclose((p[-1], q[-1]), (p[0], q[0]), atol=1e-6)
    # Once around, without turning back; chords are shorter than arcs by (angle)²/24.
    turns = np.diff(np.unwrap(np.arctan2(q, p)))
    assert (turns > 0).all() or (turns < 0).all()
    np.testing.assert_allclose(abs(turns.sum()), 2 * np.pi, atol=1e-5)
    np.testing.assert_allclose(found.path[1:], np.cumsum(chords(found.environments)), atol=1e-14)
    assert np.abs(turns).max() < 0.26 and 0.99 * 2 * np.pi * RADIUS < found.path[-1] < 2 * np.pi * RADIUS
    assert (found.sigma_ratio <= 1e-12).all() and (found.accuracy <= 1e-10).all()
    assert found.dimension.tolist() == [1] * len(found.path)


def test_the_other_way_and_the_bounds():
    f, start = RING, two_neighbors(RADIUS, 0.0, 0.0)
    away = np.zeros((2, 3))
    away[1] = np.asarray(start.positions)[1]
    ways = [trace_singular_set(f, start, 0.1, tangent=sign * away) for sign in (1, -1)]
    for sign, way in zip((1, -1), ways, strict=True):
        assert way.status == "length" and abs(way.path[-1] - 0.1) < 2e-4
        assert (np.diff(sign * coordinates_of(way.environments)[1]) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(way.tangents, axis=(1, 2)), 1, atol=1e-12)
    bounded = trace_singular_set(f, start, 3.0, tangent=-away, constraints=Free((0.9, 1.3)))
    assert bounded.status == "left-bounds"
    np.testing.assert_allclose(coordinates_of(bounded.environments)[1][-1], -0.1, atol=2e-5)


def test_padding_is_trimmed_from_what_is_fixed_too():
    start = two_neighbors(RADIUS, 0.0, 0.0)
    fixed = np.asarray([0, 0, 0, 1], bool)
    found = trace_singular_set(RING, start.padded(4), 0.02, constraints=Free((0.8, 1.3), fixed=fixed))
    assert found.status == "length" and found.environments.max_neighbors == 2
    np.testing.assert_allclose(np.hypot(*coordinates_of(found.environments)[:2]), RADIUS, atol=1e-12)
    for env, n in ((start, 4), (start.padded(4), 2)):
        with pytest.raises(GeometryError, match=rf"fixed has shape \({n},\)"):
            trace_singular_set(RING, env, 0.02, constraints=Free((0.8, 1.3), fixed=np.zeros(n, bool)))


def test_in_a_surface_the_tangent_chooses():
    f, start = polynomials(P, Q, CC), two_neighbors(0.0, 0.05, 0.01)
    along = np.zeros((2, 3))
    along[0] = 3 * np.asarray(start.positions)[0]
    found = trace_singular_set(f, start, 0.15, tangent=along)
    p, q, c = coordinates_of(found.environments)
    assert found.status == "length" and found.dimension.tolist() == [2] * len(p)
    # Straight, to the square of a step.
    np.testing.assert_allclose(p - p[0], found.path, rtol=1e-4)
    np.testing.assert_allclose(q, q[0], atol=1e-3)
    np.testing.assert_allclose(c, 0, atol=1e-12)
    landed = start.with_positions(found.environments.positions[0])
    with pytest.raises(GeometryError, match="across the singular set"):
        trace_singular_set(f, landed, 0.1, tangent=np.asarray(found.directions[0]))
    with pytest.raises(GeometryError, match=r"of shape \(2, 3\)"):
        trace_singular_set(f, start, 0.1, tangent=np.ones(3))


def test_no_set_to_follow():
    with pytest.raises(GeometryError, match="isolated"):
        trace_singular_set(polynomials(P, Q, CC, {"pc": 1.0}, {"qc": 1.0}), two_neighbors(0.01, 0.02, 0.01), 0.1)
    with pytest.raises(GeometryError, match="no singular point next to the start: σ_min does not vanish"):
        trace_singular_set(polynomials(P, Q, C), two_neighbors(0.1, 0.2, 0.3), 0.1)


def test_where_pairs_coalesce_the_family_is_not_left():
    """Two neighbors at one distance, whose sum is in line with a third: six parameters, whatever the features."""
    env = Environment.from_neighbors(pairs(0.01, b=1)[0], ["H"] * 4, "C")
    found = trace_singular_set(COMPLETE, env, 0.4, constraints=Free((0.3, 3.0)))
    assert found.status == "length" and len(found.path) >= 9
    assert found.dimension.tolist() == [6] * len(found.path)
    x = np.asarray(found.environments.positions)
    assert np.linalg.norm(x[-1] - x[0]) > 0.3
    lengths = np.linalg.norm(x, axis=-1)
    np.testing.assert_allclose(lengths[:, 1], lengths[:, 2], atol=1e-11)
    np.testing.assert_allclose(np.cross(x[:, 1] + x[:, 2], x[:, 3]), 0, atol=1e-11)
    assert (found.sigma_ratio <= 1e-12).all()


def test_equal_opposite_angles_stay_equal():
    """Four neighbors at one distance, with the same angle between the first and third as between the other two."""
    u = np.asarray([[0.3, -0.5, 0.8], [0.9, 0.4, 0.1], [-0.7, 0.6, 0.4]])
    first, second, third = u / np.linalg.norm(u, axis=1, keepdims=True)
    beside = np.cross(second, [0.2, -0.3, -0.9])
    cosine = first @ third
    fourth = cosine * second + np.sqrt(1 - cosine**2) * beside / np.linalg.norm(beside)
    env = Environment.from_neighbors(1.1 * np.stack([first, second, third, fourth]), ["H"] * 4, "C")
    found = trace_singular_set(COMPLETE, env, 0.3, constraints=Free((0.3, 3.0)))
    assert found.status == "length" and found.dimension.tolist() == [5] * len(found.path)
    x = np.asarray(found.environments.positions)
    lengths = np.linalg.norm(x, axis=-1)
    np.testing.assert_allclose(lengths - lengths[:, :1], 0, atol=1e-11)
    opposite = np.sum(x[:, [0, 1]] * x[:, [2, 3]], -1)
    np.testing.assert_allclose(opposite[:, 0], opposite[:, 1], atol=1e-11)
    assert np.linalg.norm(x[-1] - x[0]) > 0.2 and (found.sigma_ratio <= 1e-12).all()


def test_constraints_that_cannot_be_followed_are_refused():
    start = two_neighbors(0.1, 0.2, 0.3)
    with pytest.raises(GeometryError, match="must be a Free"):
        trace_singular_set(RING, start, 0.1, constraints=jaxfeat.manifolds.prl_methane(1))
    with pytest.raises(GeometryError, match="violates the constraints"):
        trace_singular_set(RING, start, 0.1, constraints=Free((0.5, 0.9)))
