"""Paths whose course is known: circles, lines, families in closed form; and what ends them."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import COMPLETE, pairs

import jaxfeat
from jaxfeat import Environment, trace_quasi_constant, trace_singular_set
from jaxfeat.errors import GeometryError, PrecisionError, SpeciesError
from jaxfeat.singular.search_space import Free

RADIUS = 0.2


MONOMIALS = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]


class Polynomials(eqx.Module):
    """Features of two neighbors: polynomials in p and q, their distances from the center less 1 Å, and the cosine c.
    One program for all of them."""

    rows: np.ndarray

    def __call__(self, positions, species, mask):
        r = jnp.sqrt(jnp.sum(positions**2, -1))
        shape = jnp.stack([r[0] - 1, r[1] - 1, positions[0] @ positions[1] / (r[0] * r[1])])
        powers = [shape**0, shape, shape**2, shape**3]
        return jnp.asarray(self.rows) @ jnp.stack([powers[i][0] * powers[j][1] * powers[k][2] for i, j, k in MONOMIALS])


def shape(*features, **options):
    """From polynomials such as {"pp": 1, "c": -2}, at most five."""
    rows = np.zeros((5, len(MONOMIALS)))
    for row, polynomial in zip(rows, features, strict=False):
        for name, factor in polynomial.items():
            row[MONOMIALS.index(tuple(name.count(letter) for letter in "pqc"))] = factor
    return jaxfeat.function(Polynomials(rows), **options)


P, Q, C, CC = {"p": 1.0}, {"q": 1.0}, {"c": 1.0}, {"cc": 1.0}

RING = shape(P, Q, CC, {"ppc": 1.0, "qqc": 1.0, "c": -(RADIUS**2)})
"""Singular where c = 0 and p² + q² is what it is on the ring."""

WEAK = 1e-5

ORBIT = shape({"pp": 1.0, "qq": 1.0}, C, {"p": WEAK})
"""Constant around circles in (p, q), but for a weak feature."""


def two(p, q, c, symbols=("H", "O")):
    """Two neighbors, turned away from all axes."""
    first, second = np.asarray([1.0, 0, 0]), np.asarray([c, np.sqrt(1 - c**2), 0])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return Environment.from_neighbors(np.stack([(1 + p) * first, (1 + q) * second]) @ turn.T, symbols, "C")


def seen(batch):
    """p, q and c of a batch."""
    x = np.asarray(batch.positions)
    r = np.linalg.norm(x, axis=-1)
    return r[:, 0] - 1, r[:, 1] - 1, np.sum(x[:, 0] * x[:, 1], -1) / r.prod(1)


def chords(batch):
    return np.linalg.norm(np.diff(np.asarray(batch.positions), axis=0), axis=(1, 2))


def largest(f, found):
    """The largest singular value along a path."""
    jacobian = np.asarray(jaxfeat.jacobian(f, found.environments))
    return np.linalg.norm(jacobian.reshape(*jacobian.shape[:2], -1), 2, axis=(1, 2))


def test_a_ring_of_singular_points_is_followed_around():
    found = trace_singular_set(RING, two(0.21, 0.01, 0.02), 3.0)
    assert found.status == "closed"
    p, q, c = seen(found.environments)
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
    f, start = RING, two(RADIUS, 0.0, 0.0)
    away = np.zeros((2, 3))
    away[1] = np.asarray(start.positions)[1]
    ways = [trace_singular_set(f, start, 0.1, tangent=sign * away) for sign in (1, -1)]
    for sign, way in zip((1, -1), ways, strict=True):
        assert way.status == "length" and abs(way.path[-1] - 0.1) < 2e-4
        assert (np.diff(sign * seen(way.environments)[1]) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(way.tangents, axis=(1, 2)), 1, atol=1e-12)
    bounded = trace_singular_set(f, start, 3.0, tangent=-away, constraints=Free((0.9, 1.3)))
    assert bounded.status == "left-bounds"
    np.testing.assert_allclose(seen(bounded.environments)[1][-1], -0.1, atol=2e-5)


def test_padding_is_trimmed_from_what_is_fixed_too():
    start = two(RADIUS, 0.0, 0.0)
    fixed = np.asarray([0, 0, 0, 1], bool)
    found = trace_singular_set(RING, start.padded(4), 0.02, constraints=Free((0.8, 1.3), fixed=fixed))
    assert found.status == "length" and found.environments.max_neighbors == 2
    np.testing.assert_allclose(np.hypot(*seen(found.environments)[:2]), RADIUS, atol=1e-12)
    for env, n in ((start, 4), (start.padded(4), 2)):
        with pytest.raises(GeometryError, match=rf"fixed has shape \({n},\)"):
            trace_singular_set(RING, env, 0.02, constraints=Free((0.8, 1.3), fixed=np.zeros(n, bool)))


def test_in_a_surface_the_tangent_chooses():
    f, start = shape(P, Q, CC), two(0.0, 0.05, 0.01)
    along = np.zeros((2, 3))
    along[0] = 3 * np.asarray(start.positions)[0]
    found = trace_singular_set(f, start, 0.15, tangent=along)
    p, q, c = seen(found.environments)
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
        trace_singular_set(shape(P, Q, CC, {"pc": 1.0}, {"qc": 1.0}), two(0.01, 0.02, 0.01), 0.1)
    with pytest.raises(GeometryError, match="no singular point next to the start: σ_min does not vanish"):
        trace_singular_set(shape(P, Q, C), two(0.1, 0.2, 0.3), 0.1)


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


@pytest.mark.parametrize("sign", [1, -1])
def test_an_orbit_closes(sign):
    found = trace_quasi_constant(ORBIT, two(RADIUS, 0.0, 0.3), 3.0, sign=sign)
    assert found.status == "closed" and found.held.all() and (found.rank == 0).all()
    p, q, c = seen(found.environments)
    np.testing.assert_allclose(np.hypot(p, q), RADIUS, atol=1e-8)
    np.testing.assert_allclose(c, 0.3, atol=1e-8)
    turns = np.diff(np.unwrap(np.arctan2(q, p)))
    assert (turns > 0).all() or (turns < 0).all()
    np.testing.assert_allclose(abs(turns.sum()), 2 * np.pi, atol=1e-3)
    assert 0.99 * 2 * np.pi * RADIUS < found.path[-1] < 2 * np.pi * RADIUS
    # What no displacement across the path can undo is the weak feature.
    np.testing.assert_allclose(found.change, WEAK * np.abs(p - RADIUS), atol=1e-3 * WEAK)
    size = np.linalg.norm(ORBIT(two(RADIUS, 0.0, 0.3)))
    np.testing.assert_allclose(found.relative_change, found.change / size, rtol=1e-12)
    # Along the circle it changes with the sine of the angle; σ_min/σ_max is a ratio.
    np.testing.assert_allclose(found.sigma_ratio * largest(ORBIT, found), WEAK * np.abs(q) / RADIUS, atol=1e-2 * WEAK)


def test_the_two_signs_are_two_ways():
    f, start = ORBIT, two(0.1, 0.15, 0.3)
    ways = [trace_quasi_constant(f, start, 0.1, sign=sign) for sign in (1, -1)]
    first = [np.asarray(way.directions)[0] for way in ways]
    np.testing.assert_allclose(first[0], -first[1], atol=1e-12)
    assert first[0].flat[np.abs(first[0]).argmax()] > 0
    ends = [np.asarray(way.environments.positions)[-1] for way in ways]
    assert np.linalg.norm(ends[0] - ends[1]) > 0.15
    assert all(way.status == "length" and abs(way.path[-1] - 0.1) < 2e-4 for way in ways)


def test_like_atoms_close_an_orbit_sooner():
    """Features that do not tell the neighbors apart: from (p, q) to (q, p), not all the way around."""
    start = two(0.15, -0.02, 0.3, ("H", "H"))
    around = 2 * abs(np.pi / 4 - np.arctan2(-0.02, 0.15))
    f = shape({"pp": 1.0, "qq": 1.0}, C)
    found = [trace_quasi_constant(f, start, 3.0, sign=sign) for sign in (1, -1)]
    assert [way.status for way in found] == ["closed", "closed"]
    angles = sorted(way.path[-1] / np.hypot(0.15, 0.02) for way in found)
    np.testing.assert_allclose(angles, (around, 2 * np.pi - around), rtol=5e-3)
    assert max(way.relative_change.max() for way in found) < 1e-9


def test_a_direction_goes_on_where_another_becomes_the_smallest():
    f = shape({"p": 0.1}, {"q": 0.15, "pq": -1.0}, C)
    start = two(0.0, 0.0, 0.0)
    found = trace_quasi_constant(f, start, 0.1)
    p, q, _ = seen(found.environments)
    assert found.status == "length"
    np.testing.assert_allclose(np.abs(p), found.path, atol=1e-6)
    np.testing.assert_allclose(q, 0, atol=1e-6)
    if p[-1] < 0:
        p, found = (lambda way: (seen(way.environments)[0], way))(trace_quasi_constant(f, start, 0.1, sign=-1))
    assert found.rank.tolist() == (p > 0.05).astype(int).tolist()
    past = p > 0.051
    np.testing.assert_allclose((found.sigma * largest(f, found))[past], 0.1, rtol=1e-3)
    np.testing.assert_allclose((found.sigma_ratio * largest(f, found))[past], 0.15 - p[past], rtol=1e-3)


def test_where_features_cannot_be_held_the_direction_is_followed():
    f = shape({"p": 0.05, "qq": -1.0}, {"q": 0.06}, C)
    found = trace_quasi_constant(f, two(0.0, 0.002, 0.0), 0.3)
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


def test_what_cannot_be_followed_says_so():
    start = two(0.1, 0.2, 0.3)
    for trace in (trace_quasi_constant, trace_singular_set):
        f = ORBIT
        with pytest.raises(GeometryError, match="positive length"):
            trace(f, start, 0.0)
        with pytest.raises(GeometryError, match="positive length"):
            trace(f, start, np.nan)
        with pytest.raises(GeometryError, match="one environment"):
            trace(f, Environment.stack([start]), 0.1)
        with pytest.raises(PrecisionError, match="float64"):
            trace(f, start.with_positions(start.positions.astype(jnp.float32)), 0.1)
        with pytest.raises(GeometryError, match="not finite"):
            trace(f, start.with_positions(start.positions.at[0, 1].set(jnp.nan)), 0.1)
        with pytest.raises(GeometryError, match="at the same point"):
            trace(f, start.with_positions(start.positions.at[1].set(start.positions[0])), 0.1)
        with pytest.raises(GeometryError, match="no neighbors"):
            trace(f, Environment.from_neighbors(np.zeros((0, 3)), [], "C"), 0.1)
        with pytest.raises(SpeciesError):
            trace(shape(P, species=("H", "C")), start, 0.1)
    with pytest.raises(GeometryError, match="1 or -1"):
        trace_quasi_constant(ORBIT, start, 0.1, sign=0)
    with pytest.raises(GeometryError, match="must be a Free"):
        trace_singular_set(RING, start, 0.1, constraints=jaxfeat.manifolds.prl_methane(1))
    with pytest.raises(GeometryError, match="violates the constraints"):
        trace_singular_set(RING, start, 0.1, constraints=Free((0.5, 0.9)))
