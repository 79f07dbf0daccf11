import jax
import numpy as np
import pytest
from matrices import psd_matrices

from jaxfeat.linalg.eigen import gram_matrix, psd_eigenvalues, psd_eigh


def masked(c, dtype):
    """Each matrix twice: with some rows and columns left out, and whole."""
    matrices = psd_matrices(c) if dtype == np.float64 else np.delete(psd_matrices(c), 4, 0)
    matrices = np.concatenate([matrices, matrices])
    valid = np.ones((len(matrices), c), bool)
    valid[: len(matrices) // 2, c // 3 : c // 2] = False
    return matrices.astype(dtype), valid, np.where(valid[:, :, None] & valid[:, None], matrices, 0)


def assert_eigenvalues(found, kept, dtype):
    wanted = np.linalg.eigvalsh(kept)[:, ::-1]
    assert found.dtype == dtype and (found >= 0).all() and (np.diff(found, axis=1) <= 0).all()
    error = np.abs(found - wanted) / np.maximum(np.trace(kept, axis1=1, axis2=2), 1e-300)[:, None]
    assert error.max(initial=0) < 8 * np.finfo(dtype).eps


@pytest.mark.parametrize("c", [0, 1, 2, 3, 6, 10, 16, 20])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_eigenvalues_are_those_of_numpy(c, dtype):
    matrices, valid, kept = masked(c, dtype)
    assert_eigenvalues(np.asarray(jax.jit(jax.vmap(psd_eigenvalues))(matrices, valid)), kept, dtype)


def test_eigenvectors_lie_in_the_valid_columns():
    matrices, valid, kept = masked(6, np.float64)
    values, vectors = (np.asarray(x) for x in jax.jit(jax.vmap(psd_eigh))(matrices, valid))
    assert_eigenvalues(values, kept, np.float64)
    assert np.abs(np.where(valid[:, :, None], 0, vectors)).max() < 1e-14
    scale = np.maximum(np.trace(kept, axis1=1, axis2=2), 1e-300)[:, None, None]
    assert (np.abs(kept @ vectors - vectors * values[:, None]) / scale).max() < 1e-14
    for v, is_valid in zip(vectors, valid, strict=True):
        n = is_valid.sum()
        np.testing.assert_allclose(v[:, :n].T @ v[:, :n], np.eye(n), atol=1e-14)
        assert not v[:, n:].any()


def test_only_the_wanted_matrices_are_decomposed():
    matrices, valid, _ = masked(6, np.float64)
    wanted = np.arange(len(matrices)) % 2 == 0
    every = jax.jit(jax.vmap(psd_eigh))(matrices, valid)
    for found, one in zip(jax.jit(jax.vmap(psd_eigh))(matrices, valid, wanted), every, strict=True):
        np.testing.assert_array_equal(found, np.where(wanted.reshape(-1, *[1] * (one.ndim - 1)), one, 0))


@pytest.mark.parametrize("shape", [(3, 30, 5), (3, 30, 20), (3, 4, 0)])
def test_gram_matrices_are_those_of_numpy_and_symmetric(shape):
    matrices = np.random.default_rng(1).normal(size=shape)
    found = np.asarray(jax.vmap(gram_matrix)(matrices))
    np.testing.assert_allclose(found, matrices.swapaxes(1, 2) @ matrices, atol=1e-13)
    np.testing.assert_array_equal(found, found.swapaxes(1, 2))
