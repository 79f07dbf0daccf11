import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from references import lowdin_coefficients

from jaxfeat.basis.gto import GTO, lowdin


@pytest.mark.parametrize("n_max, l, tolerance", [(4, 0, 1e-15), (8, 3, 1e-14), (12, 6, 1e-12), (15, 0, 1e-9)])
def test_functions_are_lowdins_combinations_of_the_primitives(n_max, l, tolerance):
    r_cut, sigma = 5.0, 0.4
    points = np.array([0.0, 0.4, 3.0, 14.0, 25.0])
    found = np.moveaxis(GTO(n_max, l).series(r_cut, sigma)(jnp.asarray(points / r_cut**2)), -1, 0)[..., l]
    beta = lowdin_coefficients(("gto", n_max, r_cut), l)
    with mpmath.workdps(50):
        a = 1 / (2 * mpmath.mpf(sigma) ** 2)
        reach = [1 + (mpmath.mpf(r_cut) - 1) * i / (n_max - 1) for i in range(n_max)]
        alpha = [-mpmath.log(mpmath.mpf("1e-3") / r**l) / r**2 for r in reach]
        factor = (8 * mpmath.pi**2) ** mpmath.mpf("0.25") * mpmath.pi ** mpmath.mpf("1.5") * a**l
        for k, s in enumerate(points.tolist()):
            smeared = [factor * (a + b) ** -(l + mpmath.mpf("1.5")) * mpmath.exp(-a * b / (a + b) * s) for b in alpha]
            exact = np.array((beta * mpmath.matrix(smeared)).tolist(), float).ravel()
            largest = np.abs(found).max() if l == 0 else np.abs(found).max() * min(1, s ** (-l / 2)) if s else np.inf
            assert np.abs(found[k] - exact).max() <= 8 * max(tolerance, 1e-15) * largest, (k, s)


@pytest.mark.parametrize("xp", [np, jnp])
def test_nearly_dependent_primitives_become_orthonormal(xp):
    """The overlap of powers on (0, 1) is the Hilbert matrix, whose condition number is 1.5e10."""
    n = 8
    x, w = np.polynomial.legendre.leggauss(12)
    nodes, weights = (1 + x) / 2, w / 2
    power = np.arange(n)
    dtype = np.longdouble if xp is np else float
    primitives = (np.sqrt(weights)[:, None] * nodes[:, None] ** power).astype(dtype)[None]
    found = np.asarray(lowdin(xp.asarray(primitives), xp.asarray(primitives)))[0]
    # Errors grow with the condition number of the primitives, which is the square root of that.
    eps = np.finfo(found.dtype).eps
    assert np.abs(found.T @ found - np.eye(n)).max() < 20 * eps
    with mpmath.workdps(40):
        exact = mpmath.matrix(n, n)
        for i in range(n):
            for j in range(n):
                exact[i, j] = mpmath.mpf(1) / (i + j + 1)
        values, vectors = mpmath.eigsy(exact)
        root = np.array((vectors * mpmath.diag([1 / mpmath.sqrt(v) for v in values]) * vectors.T).tolist(), float)
    expected = primitives[0].astype(np.longdouble) @ root
    assert np.abs(found - expected).max() < max(1e5 * 20 * eps, 1e-10)
