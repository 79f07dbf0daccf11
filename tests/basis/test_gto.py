import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from references import lowdin_coefficients

from jaxfeat.basis.gto import GTO


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
