import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matrices import graded_matrices

from jaxfeat.linalg.svd import right_svd


@pytest.mark.parametrize("c", [1, 6, 9, 18])
def test_errors_are_rounding_errors_of_the_largest_value(c):
    matrices = graded_matrices((4, c + 3, c))
    matrices[3] = 0
    valid = np.ones((4, c), bool)
    valid[1, [0, c // 2]] = False
    for vectors in (False, True):
        values, axes = jax.jit(jax.vmap(lambda a, v, vectors=vectors: right_svd(a, v, vectors)))(matrices, valid)
        wanted = np.linalg.svd(np.where(valid[:, None], matrices, 0), compute_uv=False)
        np.testing.assert_allclose(values, wanted, atol=5e-15)
        assert axes.shape == (4, c, c if vectors else 0)
    for matrix, s, v, is_valid in zip(matrices, np.asarray(values), np.asarray(axes), valid, strict=True):
        n = is_valid.sum()
        # Even the directions of zero values lie in the valid columns.
        assert np.abs(v[~is_valid]).max(initial=0) < 1e-14 and not v[:, n:].any()
        np.testing.assert_allclose(v[:, :n].T @ v[:, :n], np.eye(n), atol=1e-13)
        np.testing.assert_allclose(np.linalg.norm(matrix @ v, axis=0), s, atol=1e-14)


def test_an_item_does_not_depend_on_the_rest_of_its_batch():
    matrices = graded_matrices((9, 8, 6))
    svd = jax.jit(jax.vmap(lambda a: right_svd(a, jnp.ones(6, bool), True)))
    for one, other in zip(svd(matrices), svd(matrices[[4, 4, 4]]), strict=True):
        np.testing.assert_allclose(one[4], other[0], atol=1e-15)
