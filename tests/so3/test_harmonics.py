from itertools import product
from math import comb, factorial, pi, sqrt

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import real_harmonics

from jaxfeat.so3.harmonics import L_LIMIT, solid_harmonics, solid_harmonics_on_host

AXES = np.concatenate([np.eye(3), -np.eye(3)])
POINTS = np.concatenate([np.random.default_rng(0).normal(size=(40, 3)), AXES, 1e-9 * AXES[:3] + AXES[[2, 2, 5]]])


def in_one_row(l_max, r):
    """Take (l, m) from the table in one row, at l² + l + m."""
    table = solid_harmonics(l_max, r)
    return jnp.concatenate([table[..., l, l_max - l : l_max + l + 1] for l in range(l_max + 1)], -1)


def test_the_table_is_zero_beyond_m():
    table = np.asarray(solid_harmonics(3, jnp.asarray(POINTS[:5])))
    assert table.shape == (5, 4, 7)
    beyond = np.abs(np.arange(-3, 4)) > np.arange(4)[:, None]
    assert not table[:, beyond].any() and table[:, ~beyond].all()


def test_the_table_in_numpy_is_that_of_the_compiled_program():
    found, expected = solid_harmonics_on_host(8, POINTS), np.asarray(solid_harmonics(8, jnp.asarray(POINTS)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * np.abs(expected).max())


def test_values_are_scipys_up_to_the_largest_l():
    radii = np.linalg.norm(POINTS, axis=-1)
    found = np.asarray(jax.jit(in_one_row, static_argnums=0)(L_LIMIT, jnp.asarray(POINTS)))
    for l in range(L_LIMIT + 1):
        expected = np.array([real_harmonics(l, m, POINTS) for m in range(-l, l + 1)]).T
        error = np.abs(found[:, l * l : (l + 1) ** 2] / radii[:, None] ** l - expected)
        assert error.max() < 1e-13 * (l + 1)


def test_only_the_constant_survives_at_the_origin():
    values = np.asarray(in_one_row(6, jnp.zeros(3)))
    assert values[0] == pytest.approx(1 / sqrt(4 * pi), rel=1e-15)
    assert not values[1:].any()


def test_leading_axes_are_a_batch():
    batch = jnp.asarray(POINTS[:12].reshape(3, 4, 3))
    values = np.asarray(in_one_row(2, batch))
    assert values.shape == (3, 4, 9)
    expected = np.sqrt(3 / (4 * np.pi)) * np.asarray(batch)[..., [1, 2, 0]]
    assert np.abs(values[..., 1:4] - expected).max() < 1e-14


def test_float32_stays_float32():
    found = jax.jit(in_one_row, static_argnums=0)(8, jnp.asarray(POINTS[:40], jnp.float32))
    assert found.dtype == jnp.float32
    radii = np.linalg.norm(POINTS[:40], axis=-1)
    for l in range(9):
        expected = np.array([real_harmonics(l, m, POINTS[:40]) for m in range(-l, l + 1)]).T * radii[:, None] ** l
        assert np.abs(np.asarray(found)[:, l * l : (l + 1) ** 2] - expected).max() < 1e-5 * np.abs(expected).max()


def _polynomial(l, m):
    """Coefficients of x^i y^j z^k in r^l Y_lm, from the explicit sum for the associated Legendre functions."""
    a = abs(m)
    norm = sqrt((2 * l + 1) / (4 * pi) * factorial(l - a) / factorial(l + a)) * (sqrt(2) if m else 1)
    terms = {}
    for k in range((l - a) // 2 + 1):
        along = (-1) ** k * comb(l, k) * comb(2 * l - 2 * k, l) / 2**l * factorial(l - 2 * k) / factorial(l - 2 * k - a)
        for p, q in product(range(k + 1), repeat=2):  # r^2k, expanded
            if p + q > k:
                continue
            shells = factorial(k) / (factorial(p) * factorial(q) * factorial(k - p - q))
            for t in range(a + 1):  # the real or imaginary part of (x + iy)^|m|
                if t % 2 == (m < 0):
                    sign = (-1) ** (t // 2)
                    powers = (2 * p + a - t, 2 * q + t, l - a - 2 * p - 2 * q)
                    terms[powers] = terms.get(powers, 0.0) + norm * along * shells * sign * comb(a, t)
    return terms


def _derivative(terms, axis):
    found = {}
    for powers, coefficient in terms.items():
        if powers[axis]:
            lower = tuple(p - (k == axis) for k, p in enumerate(powers))
            found[lower] = coefficient * powers[axis]
    return found


def _value(terms, point):
    return sum(c * np.prod(np.asarray(point) ** np.array(powers)) for powers, c in terms.items())


@pytest.fixture(scope="module")
def three_derivatives():
    function = lambda r: in_one_row(4, r)  # noqa: E731
    first = jax.jacfwd(function)
    return jax.jit(lambda r: (function(r), first(r), jax.jacfwd(first)(r), jax.jacfwd(jax.jacfwd(first))(r)))


@pytest.mark.parametrize(
    "point",
    [[0, 0, 0], [0, 0, 1.3], [0, 0, -0.7], [1e-9, 0, 1], [1e-30, 1e-30, -1e-30], [0.4, 0, 0], [0.3, -0.8, 0.5]],
    ids=["origin", "up", "down", "next to the axis", "next to the origin", "x axis", "generic"],
)
def test_derivatives_to_third_order_are_those_of_the_polynomials(three_derivatives, point):
    point = np.array(point, float)
    found = [np.asarray(d) for d in three_derivatives(jnp.asarray(point))]
    for l in range(5):
        for m in range(-l, l + 1):
            index = l * l + l + m
            terms = _polynomial(l, m)
            assert found[0][index] == pytest.approx(_value(terms, point), abs=1e-14)
            for axes in product(range(3), repeat=3):
                derived = terms
                for order, axis in enumerate(axes, start=1):
                    derived = _derivative(derived, axis)
                    value = found[order][index][axes[:order]]
                    assert value == pytest.approx(_value(derived, point), abs=1e-13), (l, m, axes[:order])


def test_harmonics_are_homogeneous_and_harmonic():
    # Euler: r . grad = l. Laplace: the trace of the Hessian vanishes, compared with its entries.
    point = jnp.asarray([0.6, -0.5, 0.7])
    function = lambda r: in_one_row(L_LIMIT, r)  # noqa: E731
    values, euler = jax.jit(lambda r: jax.jvp(function, (r,), (r,)))(point)
    degree = np.repeat(np.arange(L_LIMIT + 1), 2 * np.arange(L_LIMIT + 1) + 1)
    assert np.abs(np.asarray(euler) - degree * np.asarray(values)).max() < 1e-12 * np.abs(euler).max()
    hessian = np.asarray(jax.jit(jax.jacfwd(jax.jacfwd(lambda r: in_one_row(10, r))))(point))
    trace = np.trace(hessian, axis1=-2, axis2=-1)
    assert np.abs(trace).max() < 1e-12 * np.abs(hessian).max()


def test_harmonics_are_orthonormal_on_the_sphere():
    cosines, weights = np.polynomial.legendre.leggauss(9)
    angles = 2 * np.pi * np.arange(18) / 18
    sines = np.sqrt(1 - cosines**2)
    grid = np.stack(
        [np.outer(sines, np.cos(angles)), np.outer(sines, np.sin(angles)), np.outer(cosines, np.ones(18))], -1
    )
    values = np.asarray(in_one_row(8, jnp.asarray(grid)))
    gram = np.einsum("tpa,tpb,t->ab", values, values, weights) * 2 * np.pi / 18
    assert np.abs(gram - np.eye(81)).max() < 1e-13
