import jax
import numpy as np
import pytest
from derivatives import with_derivatives
from matrices import psd_matrices
from references import richardson_derivative

from jaxfeat.linalg.eigen import gram_matrix, psd_eigenvalues, psd_eigh, smooth_eigh


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


SIZES = [(c, np.float64) for c in (0, 1, 2, 3, 9, 16, 20)] + [(c, np.float32) for c in (1, 3, 16, 20)]


@pytest.mark.parametrize(("c", "dtype"), SIZES)
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


def symmetric(seed, c=5):
    matrix = np.random.default_rng(seed).normal(size=(c, c))
    return matrix + matrix.T


def test_smooth_eigh_has_derivatives_of_every_order():
    start, change = symmetric(0), symmetric(1)
    every = with_derivatives(lambda t: smooth_eigh(start + t * change)[0], 3)
    values = every(0)
    for order in (1, 2, 3):
        exact = richardson_derivative(lambda t, order=order: every(t)[order - 1], 0.0, 1.0, step=0.02)
        np.testing.assert_allclose(values[order], exact, atol=1e-8 * np.abs(exact).max())
    np.testing.assert_allclose(values[0], np.linalg.eigvalsh(start)[::-1], rtol=1e-13)


def test_eigenvalues_that_cross_share_their_mean_slope():
    turn, change = np.linalg.qr(symmetric(2))[0], symmetric(3)
    crossing = turn @ np.diag([3.0, 2.0, 2.0, 2.0, -1.0]) @ turn.T
    _, slopes, twice = with_derivatives(lambda t: smooth_eigh(crossing + t * change)[0], 2)(0)
    inside = turn.T @ change @ turn
    np.testing.assert_allclose(slopes, [inside[0, 0], *[np.trace(inside[1:4, 1:4]) / 3] * 3, inside[4, 4]], rtol=1e-12)
    assert np.isfinite(twice).all()
