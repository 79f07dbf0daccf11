"""The metric of feature space, and moves of the length that the search space gives."""

import numpy as np
from toy_features import batch, pairs

from jaxfeat.singular.search_equations import ROWS_PER_COLUMN, feature_metrics, random_moves
from jaxfeat.singular.search_space import Free

RNG = np.random.default_rng(0)


def test_whitened_features_change_by_the_same_and_see_the_same():
    weights = np.asarray([1e3, 1.0, 1e-1])
    jacobians = weights[:, None] * RNG.normal(size=(40, 3, 4))
    whitened, plain = feature_metrics(jacobians, np.random.default_rng(1))
    slopes = np.moveaxis(jacobians, 1, 0).reshape(3, -1)
    values = np.linalg.svd(whitened @ slopes, compute_uv=False)
    assert values[0] / values[1] < 2 and values[0] / values[-1] < 20
    np.testing.assert_allclose(plain, np.eye(3) * plain[0, 0])
    for metric in (whitened, plain):
        np.testing.assert_allclose(np.linalg.norm(metric @ slopes) ** 2, 40 * 4)


def test_many_features_are_mixed_into_few_rows():
    jacobians = RNG.normal(size=(10, 100, 2))
    for metric in feature_metrics(jacobians, np.random.default_rng(1)):
        assert metric.shape == (2 * ROWS_PER_COLUMN, 100)
        assert np.linalg.matrix_rank(metric @ jacobians[0]) == 2


def test_features_that_do_not_change_have_a_metric():
    assert all(np.isfinite(metric).all() for metric in feature_metrics(np.zeros((2, 3, 4)), RNG))


def test_moves_leave_fixed_coordinates_alone():
    fixed = np.asarray([True, False, False, False])
    moves = random_moves(Free(fixed=fixed), batch(pairs(0.1, b=50)), np.random.default_rng(2)).reshape(50, 4, 3)
    assert (moves[:, 0] == 0).all()
    np.testing.assert_allclose(moves[:, 1:].std(), 0.2, rtol=0.1)
