"""In which metric of feature space a residual is made small.

Whether J(x) v vanishes does not depend on it; the number of iterations does. Radial functions overlap, high angular
momenta are weak, and the raw features of a power spectrum give problems so stiff that a quarter of them is not solved
in 160 iterations. Whitened over the starts and their surroundings, nearly all are solved in a dozen.

Many features are mixed into few rows at random: J has 3n columns, and by transversality a generic linear map into
several times as many dimensions loses no direction. What is landed on is certified with all the features in any case.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxfeat.linalg.subspaces import robust_svd

WHITENING = 1e-3
"""Features that vary less than this, relative to those that vary the most, are amplified no further: their rounding
errors would be."""

ROWS_PER_COLUMN = 5


class FeatureMetric(NamedTuple):
    """Linear maps `(rows, n_features)` of features: to take the way in, and to finish with.

    Where the whitened rows vanish to their rounding errors, which are amplified, the plain ones vanish but for fewer
    digits: a step or two with these gains them.
    """

    whitened: Float[np.ndarray, "r d"]
    plain: Float[np.ndarray, "r d"]


def feature_metric(jacobians: np.ndarray, rng: np.random.Generator) -> FeatureMetric:
    """The metric from an ensemble of Jacobians `(b, n_features, columns)`. On the host.

    Rows are scaled so that a unit displacement moves them by about 1.
    """
    b, d, columns = jacobians.shape
    slopes = np.moveaxis(jacobians, 1, 0).reshape(d, b * columns)
    left, values, _ = robust_svd(slopes)
    whitened = (left / np.sqrt(values**2 + (WHITENING * values.max(initial=0.0)) ** 2)).T if values.any() else left.T
    size = ROWS_PER_COLUMN * columns
    return FeatureMetric(*(_scaled(_mixed(rows, size, rng), slopes, b * columns) for rows in (whitened, np.eye(d))))


def _mixed(rows: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(size, len(rows))) @ rows if len(rows) > size else rows


def _scaled(rows: np.ndarray, slopes: np.ndarray, count: int) -> np.ndarray:
    """Rows such that displacements of length 1 move them by 1 in the mean square."""
    norm = np.linalg.norm(rows @ slopes)
    return rows * (np.sqrt(count) / norm if norm > 0 else 1.0)
