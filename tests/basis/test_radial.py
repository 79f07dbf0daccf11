from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from references import bessel_zeros as reference_zeros
from references import lowdin_coefficients, radial_integrals

from jaxfeat.basis.radial import RADIAL_BASES, bessel_zeros
from jaxfeat.errors import BasisError

KINDS = [("gto", 0.5), ("gto-rascal", 0.5), ("laplacian", 0.5), ("laplacian", 0.0)]
SIZES = [(5.0, 6, 6, 0.3), (2.2, 1, 0, 0.8)]
"""r_cut (Å), n_max, l_max, sigma (Å)."""


def _amplitude(kind, sigma):
    """Return the amplitude of the Gaussian of one atom, or 1 for a delta function."""
    if sigma == 0:
        return 1.0
    return (8 * np.pi**2) ** 0.25 if kind == "gto" else (np.pi * sigma**2) ** -0.75


def _basis(kind, r_cut, n_max, l_max, sigma):
    """Return G_nl as a function of the squared distance in Å²."""
    series = RADIAL_BASES[kind](n_max, l_max).series(r_cut, sigma)
    return lambda s: series(s / r_cut**2)


def _values(basis, s):
    return np.asarray(jax.jit(jax.vmap(basis))(jnp.asarray(s)))


@pytest.mark.parametrize("r_cut, n_max, l_max, sigma", SIZES)
@pytest.mark.parametrize("kind, smearing", KINDS)
def test_coefficients_are_those_of_direct_quadrature(kind, smearing, r_cut, n_max, l_max, sigma):
    sigma = sigma if smearing else 0.0
    basis = _basis(kind, r_cut, n_max, l_max, sigma)
    radii = np.concatenate([[0.0, 1e-8], np.linspace(0.03, r_cut, 17)])
    found = _values(basis, radii**2)
    assert found.shape == (len(radii), n_max, l_max + 1)
    for l in range(l_max + 1):
        expected = np.array([radial_integrals((kind, n_max, r_cut), l, r, sigma) for r in radii])
        error = found[..., l] * radii[:, None] ** l - _amplitude(kind, sigma) * expected
        assert np.abs(error).max() < 1e-12 * np.abs(_amplitude(kind, sigma) * expected).max(), l


TOLERANCES = np.array([2e-14, 2e-14, 2e-13, 2e-12])
"""Tolerances of the value and three derivatives, relative to the largest."""

BASIS = {kind: (kind, 3, 3.0) for kind, _ in KINDS}
L_MAX = 3


@cache
def _laplacian_norm(n, l, r_cut):
    zero = mpmath.besseljzero(l + mpmath.mpf(1) / 2, n + 1)
    return zero, mpmath.sqrt(2 / mpmath.mpf(r_cut) ** 3) / abs(_spherical_j(l + 1, zero))


def _spherical_j(l, x):
    return mpmath.sqrt(mpmath.pi / (2 * x)) * mpmath.besselj(l + mpmath.mpf(1) / 2, x)


@cache
def _wave(n, l, r):
    zero, norm = _laplacian_norm(n, l, 3.0)
    return norm * _spherical_j(l, zero * r / 3.0)


@cache
def _nodes(r_cut):
    """Nodes in float64 have errors of 1e-16. The integral has the same error for every s, so its derivatives hold."""
    x, w = np.polynomial.legendre.leggauss(60)
    return tuple((mpmath.mpf(r_cut * (1 + u) / 2), mpmath.mpf(r_cut * v / 2)) for u, v in zip(x, w, strict=True))


def _exact(kind, n, l, sigma, s):
    """Compute G_nl(s) in closed form (gto, gto-rascal, delta) or by a fine quadrature, in the precision of mpmath.

    x^-l j_l(x) and x^-l i_l(x) are 0F1(l + 3/2; -+x²/4) / (2l+1)!!, whose integrals with Gaussians are 1F1.
    """
    _, n_max, r_cut = BASIS[kind]
    mp, half = mpmath, mpmath.mpf(1) / 2
    odd = mp.fac2(2 * l + 1)
    if sigma == 0:
        zero, norm = _laplacian_norm(n, l, r_cut)
        k = zero / r_cut
        return norm * k**l * mp.hyp0f1(l + 3 * half, -(k**2) * s / 4) / odd
    a = 1 / (2 * mp.mpf(sigma) ** 2)
    if kind == "laplacian":
        shell = lambda r: (2 * a * r) ** l * mp.hyp0f1(l + 3 * half, (a * r) ** 2 * s) / odd  # noqa: E731
        integral = sum(w * r**2 * _wave(n, l, r) * mp.exp(-a * (r**2 + s)) * shell(r) for r, w in _nodes(r_cut))
        return 4 * mp.pi * (mp.pi * mp.mpf(sigma) ** 2) ** (-3 * half / 2) * integral
    beta = lowdin_coefficients(BASIS[kind], l)
    total = mp.mpf(0)
    for i in range(n_max):
        if kind == "gto":
            reach = 1 + (mp.mpf(r_cut) - 1) * i / (n_max - 1)
            power, alpha = l, -mp.log(mp.mpf("1e-3") / reach**l) / reach**2
        else:
            power, alpha = i, (n_max / mp.mpf(r_cut)) ** 2 / (2 * max(i, 1))
        p, q = a + alpha, mp.mpf(power + l + 3) / 2
        prefactor = mp.sqrt(mp.pi) / 4 * mp.gamma(q) / mp.gamma(l + 3 * half) * a**l * p**-q
        total += beta[n, i] * prefactor * mp.exp(-a * s) * mp.hyp1f1(q, l + 3 * half, a**2 * s / p)
    amplitude = (8 * mp.pi**2) ** (half / 2) if kind == "gto" else (mp.pi * mp.mpf(sigma) ** 2) ** (-3 * half / 2)
    return 4 * mp.pi * amplitude * total


def _exact_derivatives(kind, n, l, sigma, s):
    with mpmath.workdps(40):
        # The step causes errors of 1e-16, and so do forty digits in the third derivative.
        step = mpmath.mpf(10) ** -8
        f = [_exact(kind, n, l, sigma, s + k * step) for k in range(-2, 3)]
        first = (f[3] - f[1]) / (2 * step)
        second = (f[3] - 2 * f[2] + f[1]) / step**2
        third = (f[4] - 2 * f[3] + 2 * f[1] - f[0]) / (2 * step**3)
        return [float(x) for x in (f[2], first, second, third)]


@pytest.mark.parametrize("kind, sigma", KINDS)
def test_derivatives_in_squared_distance_are_right_to_third_order(kind, sigma):
    basis = _basis(kind, 3.0, 3, L_MAX, sigma)
    slope = jax.jacfwd(basis)
    curvature = jax.jacfwd(slope)
    orders = jax.jit(jax.vmap(lambda s: (basis(s), slope(s), curvature(s), jax.jacfwd(curvature)(s))))
    points = np.array([0.0, 1e-14, 2.3, 9 - 1e-9])
    found = np.array(orders(jnp.asarray(points)))
    assert np.isfinite(found).all()
    for n, l in [(0, 0), (2, 1), (1, 3)]:
        expected = np.array([_exact_derivatives(kind, n, l, sigma, s) for s in points]).T
        error = np.abs(found[:, :, n, l] - expected).max(-1) / np.abs(expected).max(-1)
        assert (error < TOLERANCES).all(), (n, l, error)


@pytest.mark.parametrize(
    "kind, parameters, message",
    [
        ("gto", (0.0, 2, 2, 0.5), "r_cut is 0.0; it must be a positive distance"),
        ("laplacian", (np.nan, 2, 2, 0.5), "r_cut is nan"),
        ("gto-rascal", (3.0, 0, 2, 0.5), "n_max is 0; .* at least 1"),
        ("gto", (3.0, 2, -1, 0.5), "l_max is -1; .* at least 0"),
        ("laplacian", (3.0, 2, 31, 0.5), "l_max is 31; float64 holds up to l_max = 30"),
        ("gto", (3.0, 2, 2, 0.0), "sigma is 0.0; .* only radial='laplacian' takes the delta density"),
        ("gto-rascal", (3.0, 2, 2, -0.1), "sigma is -0.1"),
        ("laplacian", (3.0, 2, 2, np.inf), "sigma is inf"),
        ("gto", (0.9, 2, 2, 0.5), "r_cut is 0.9 Å; .* from 1 Å to r_cut"),
        ("gto", (3.0, 256, 2, 0.5), "256 radial functions are linearly dependent"),
        ("laplacian", (3.0, 257, 2, 0.5), "n_max is 257; a basis has up to 256 radial functions"),
        ("gto", (1.5, 24, 0, 0.5), "24 radial functions are linearly dependent"),
    ],
)
def test_parameters_that_define_no_basis_are_refused(kind, parameters, message):
    with pytest.raises(BasisError, match=message):
        _basis(kind, *parameters)


@pytest.mark.parametrize("kind, sigma", KINDS)
def test_float32_stays_float32(kind, sigma):
    basis = _basis(kind, 3.0, 2, 2, sigma)
    call = eqx.filter_jit(basis)
    single = call(jnp.asarray(2.3, jnp.float32))
    assert single.dtype == jnp.float32
    double = np.asarray(call(jnp.asarray(2.3)))
    assert np.abs(np.asarray(single) - double).max() < 1e-4 * np.abs(double).max()


def test_zeros_of_bessel_functions():
    found = bessel_zeros(5, 8)
    assert found.shape == (5, 9)
    for l in range(9):
        assert np.allclose(found[:, l], reference_zeros(l, 5), rtol=1e-14, atol=0)
        assert found[4, l] == pytest.approx(float(mpmath.besseljzero(l + 0.5, 5)), rel=1e-14)
