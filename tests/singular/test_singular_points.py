"""Landed points are grouped by kind, and become arrays of a data set."""

from types import SimpleNamespace

import numpy as np
import pytest
from toy_features import COMPLETE, batch, pairs

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.symmetry import stabilizer
from jaxfeat.singular.singular_points import SingularPoints


@pytest.fixture(scope="module")
def points():
    """Four landed points, of which the first two are one and the last one could not be classified, and two others."""
    environments = batch(pairs(0.1, b=6))
    group = stabilizer(environments[0])
    nulls = [
        SimpleNamespace(counts={"rigid": 3, "incompleteness": n}, stabilizer=group, status="ok") for n in (1, 1, 2)
    ]
    return SingularPoints(
        f=COMPLETE,
        environments=environments,
        parameters=None,
        directions=np.zeros((6, 4, 3)),
        residual=np.zeros(6),
        sigma_ratio=np.asarray([3e-14, 1e-14, 2e-14, 4e-14, np.nan, 1e-3]),
        accuracy=np.zeros(6),
        null_space=[*nulls, None, None, None],
        dimension=np.asarray([6, 6, 5, 6, -1, -1]),
        iterations=np.full(6, 7),
        restarts=np.zeros(6, int),
        status=np.asarray(["landed"] * 4 + ["coincident", "not-singular"]),
        distinct=(np.asarray([0, 1]), np.asarray([2]), np.asarray([3])),
    )


def test_kinds_have_the_same_causes_and_dimension(points):
    kinds = points.kinds()
    assert [(kind.members.tolist(), kind.dimension, kind.distinct) for kind in kinds] == [
        ([1, 0], 6, 1),
        ([2], 5, 1),
        ([3], 6, 1),
    ]
    assert kinds[0].counts == {"rigid": 3, "incompleteness": 1} and kinds[0].symbol == "C1"
    assert (kinds[2].status, kinds[2].counts, kinds[2].symbol) == ("unclassified", {}, "")
    assert points.counts("incompleteness").tolist() == [1, 1, 2, 0, 0, 0]


def test_what_is_shown_counts_statuses_and_causes(points):
    assert repr(points) == (
        "SingularPoints(4 landed of 6 starts, 1 coincident, 1 not-singular; 3 distinct; 2 by incompleteness 1; "
        "1 by incompleteness 2; 1 by unclassified)"
    )


def test_arrays_name_their_axes(points):
    arrays = points.arrays()
    lengths = {"start": 6, "neighbor": 4, "xyz": 3, "cause": 2}
    for axes, array in arrays.values():
        assert array.shape == tuple(lengths[axis] for axis in axes)
    assert arrays["family"][1].tolist() == [0, 0, 1, 2, -1, -1]
    assert arrays["cause"][1].tolist() == ["incompleteness", "rigid"]
    assert arrays["null"][1].tolist() == [[1, 3], [1, 3], [2, 3], [0, 0], [0, 0], [0, 0]]


def test_only_landed_points_have_a_cure(points):
    with pytest.raises(GeometryError, match="start 4 landed on no singular point: two atoms"):
        points.cure(4)
