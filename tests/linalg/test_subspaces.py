import numpy as np
import pytest

from jaxfeat.linalg.subspaces import (
    common_kernel,
    complement_within,
    joint_gap,
    largest_sine,
    least_norm_solutions,
    orthogonal_complement,
    project_out,
    robust_svd,
    sum_of_subspaces,
)


@pytest.fixture
def numpy_gives_up(monkeypatch):
    """Let NumPy's SVD fail on matrices that begin with 7, and on batches that contain one."""
    svd = np.linalg.svd

    def failing(matrices, **options):
        if (matrices[..., 0, 0] == 7).any():
            raise np.linalg.LinAlgError("SVD did not converge")
        return svd(matrices, **options)

    monkeypatch.setattr(np.linalg, "svd", failing)


@pytest.mark.parametrize("full", [False, True])
def test_matrices_that_numpy_gives_up_on_are_decomposed(numpy_gives_up, full):
    matrices = np.random.default_rng(0).normal(size=(3, 5, 4))
    matrices[1, 0, 0] = 7
    for some in (matrices, matrices[1]):
        u, values, vt = robust_svd(some, full_matrices=full)
        assert u.shape[-1] == (5 if full else 4)
        np.testing.assert_allclose((u[..., :4] * values[..., None, :]) @ vt, some, atol=1e-14)
        assert (np.diff(values, axis=-1) <= 0).all()


def test_solutions_are_the_shortest(numpy_gives_up):
    rng = np.random.default_rng(1)
    matrices, right = rng.normal(size=(3, 6, 4)), rng.normal(size=(3, 6))
    matrices[1, 0, 0] = 7
    matrices[2, :, 3] = matrices[2, :, 0] + 1e-12
    found = least_norm_solutions(matrices, right, 1e-9)
    for i in range(3):
        np.testing.assert_allclose(found[i], np.linalg.lstsq(matrices[i], right[i], rcond=1e-9)[0], atol=1e-8)
    np.testing.assert_array_equal(least_norm_solutions(np.zeros((1, 2, 3)), np.ones((1, 2)), 1e-9), 0)


def test_subspaces_are_added_and_subtracted():
    axes = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    space = axes[:4]
    np.testing.assert_allclose(project_out(axes[2:5], space), [0 * axes[2], 0 * axes[3], axes[4]], atol=1e-15)
    assert largest_sine(orthogonal_complement(space), axes[4:]) < 1e-14
    assert largest_sine(complement_within(space, axes[:1]), axes[1:4]) < 1e-14
    both = sum_of_subspaces(space, axes[3:5])
    assert len(both) == 5 and largest_sine(both, axes[:5]) < 1e-14
    assert largest_sine(axes[3:5], space) == pytest.approx(1)
    # Subspaces of dimension zero.
    none = axes[:0]
    assert orthogonal_complement(none).shape == (6, 6) and sum_of_subspaces(space, none) is space
    assert complement_within(space, space).shape == (0, 6) and largest_sine(none, space) == 0


def test_kernels_have_their_gap():
    axes = np.linalg.qr(np.random.default_rng(3).normal(size=(6, 6)))[0]
    sizes = np.array([4.0, 2.0, 1.0, 1e-12])
    for rows in (sizes[:, None] * axes[:4], np.repeat(sizes[:, None] * axes[:4] / np.sqrt(3), 3, axis=0)):
        kernel, gap = common_kernel(rows, 1e-9)
        assert len(kernel) == 3 and largest_sine(kernel, axes[3:]) < 1e-14
        np.testing.assert_allclose(gap, (2.5e-13, 0.25), rtol=1e-2)
    # Rows that all cancel are rounding errors, not a subspace.
    assert len(common_kernel(1e-16 * axes, 1e-9)[0]) == 6
    assert joint_gap([gap, (1e-11, 0.5)]) == (1e-11, gap[1]) and joint_gap([]) == (0.0, np.inf)
