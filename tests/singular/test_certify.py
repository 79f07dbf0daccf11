"""The verdict of a certificate."""

import numpy as np

from jaxfeat.singular.certify import Certificates


def test_singular_points_within_bounds_have_landed():
    ratio = np.asarray([1e-13, 1e-13, 1e-3, 1e-3, np.nan])
    violation = np.asarray([0, 1e-3, 1e-9, 1e-3, 0])
    status = Certificates(None, None, ratio, None, violation).status
    assert status.tolist() == ["landed", "left-bounds", "not-singular", "left-bounds", "not-singular"]
