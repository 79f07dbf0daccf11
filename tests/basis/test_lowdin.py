import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxfeat.basis.lowdin import lowdin


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
