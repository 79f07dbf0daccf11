import mpmath
import numpy as np
import pytest

from jaxfeat.basis.bessel import bessel_j, smeared_shell


def test_spherical_bessel_functions_hold_from_zero_to_their_largest_argument():
    l_max = 30
    x = np.array([0.0, 1e-6, 0.1, 1.0, np.pi, 4.493409457909064, 10.0, 25.5, 60.0, 80.0])
    found = bessel_j(x**2, l_max)
    with mpmath.workdps(40):
        for l in range(l_max + 1):
            scale = 1 / float(mpmath.fac2(2 * l + 1))
            for k, point in enumerate(x):
                exact = float(mpmath.hyp0f1(l + 1.5, -(mpmath.mpf(point) ** 2) / 4) / mpmath.fac2(2 * l + 1))
                envelope = scale if point < 1 else min(scale, point ** -(l + 1.0))
                assert abs(found[k, l] - exact) < 1e-13 * envelope, (l, point)


def test_smeared_shells_neither_overflow_nor_lose_digits():
    l_max, a = 12, 50.0
    r = np.array([0.0, 1e-7, 0.3, 2.0, 5.0, 5.5])
    distances = np.array([0.0, 1e-6, 0.4, 4.9])
    long = np.longdouble
    found = smeared_shell(distances.astype(long) ** 2, r.astype(long), long(a), l_max)
    with mpmath.workdps(40):
        for i, distance in enumerate(distances):
            s = mpmath.mpf(float(distance**2))
            for q, shell in enumerate(map(mpmath.mpf, r)):
                for l in range(l_max + 1):
                    gaussian = mpmath.exp(-a * (shell**2 + s)) * (2 * a * shell) ** l / mpmath.fac2(2 * l + 1)
                    exact = float(gaussian * mpmath.hyp0f1(l + 1.5, (a * shell) ** 2 * s))
                    assert float(found[l, i, q]) == pytest.approx(exact, rel=3e-12, abs=1e-290), (distance, shell, l)
