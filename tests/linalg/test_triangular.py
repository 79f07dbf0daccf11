import jax
import numpy as np
import pytest

from jaxfeat.linalg.triangular import r_factor


@pytest.mark.parametrize("shape", [(5, 30, 7), (5, 4, 7), (3, 40, 20), (3, 80, 70), (3, 40, 70), (2, 5, 0)])
def test_r_has_the_gram_matrix_of_its_matrix(shape):
    matrices = np.random.default_rng(1).normal(size=shape)
    if shape[2]:
        matrices[0, :, 1] = matrices[0, :, 0]
    matrices[1] = 0
    r = np.asarray(jax.jit(jax.vmap(r_factor))(matrices))
    assert r.shape[1:] == (min(shape[1:]), shape[2])
    np.testing.assert_array_equal(r, np.triu(r))
    np.testing.assert_allclose(r.swapaxes(1, 2) @ r, matrices.swapaxes(1, 2) @ matrices, atol=1e-13)
