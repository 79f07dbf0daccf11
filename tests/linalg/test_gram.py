import jax
import numpy as np
import pytest

from jaxfeat.linalg.gram import gram_matrix


@pytest.mark.parametrize("shape", [(3, 30, 5), (3, 30, 20), (3, 4, 0)])
def test_gram_matrices_are_those_of_numpy_and_symmetric(shape):
    matrices = np.random.default_rng(1).normal(size=shape)
    found = np.asarray(jax.vmap(gram_matrix)(matrices))
    np.testing.assert_allclose(found, matrices.swapaxes(1, 2) @ matrices, atol=1e-13)
    np.testing.assert_array_equal(found, found.swapaxes(1, 2))
