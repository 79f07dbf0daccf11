"""Linear algebra on the host that must not fail."""

import numpy as np
import pytest

from jaxfeat.linalg.subspaces import least_norm_solutions, robust_svd


@pytest.fixture
def given_up(monkeypatch):
    """NumPy's SVD gives up on matrices that begin with 7, and on batches that hold one."""
    whole = np.linalg.svd

    def partial(matrices, **options):
        if (matrices[..., 0, 0] == 7).any():
            raise np.linalg.LinAlgError("SVD did not converge")
        return whole(matrices, **options)

    monkeypatch.setattr(np.linalg, "svd", partial)


@pytest.mark.parametrize("full", [False, True])
def test_what_numpy_gives_up_on_is_decomposed(given_up, full):
    matrices = np.random.default_rng(0).normal(size=(3, 5, 4))
    matrices[1, 0, 0] = 7
    for some in (matrices, matrices[1]):
        u, values, vt = robust_svd(some, full_matrices=full)
        assert u.shape[-1] == (5 if full else 4)
        np.testing.assert_allclose((u[..., :4] * values[..., None, :]) @ vt, some, atol=1e-14)
        assert (np.diff(values, axis=-1) <= 0).all()


def test_the_shortest_solution(given_up):
    rng = np.random.default_rng(1)
    matrices, right = rng.normal(size=(3, 6, 4)), rng.normal(size=(3, 6))
    matrices[1, 0, 0] = 7
    matrices[2, :, 3] = matrices[2, :, 0] + 1e-12
    found = least_norm_solutions(matrices, right, 1e-9)
    for i in range(3):
        np.testing.assert_allclose(found[i], np.linalg.lstsq(matrices[i], right[i], rcond=1e-9)[0], atol=1e-8)
    np.testing.assert_array_equal(least_norm_solutions(np.zeros((1, 2, 3)), np.ones((1, 2)), 1e-9), 0)
