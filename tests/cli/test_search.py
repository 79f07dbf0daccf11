"""Kinds of singular points, as a search prints them."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxfeat import Cure
from jaxfeat.cli.search import _describe
from jaxfeat.singular.singular_points import SingularKind


@pytest.mark.parametrize(
    "status, counts, null, shown",
    [
        ("ok", {"rigid": 3, "symmetry": 2}, SimpleNamespace(nullity=5, rigid=3), {"rigid": 3, "symmetry": 2}),
        ("ambiguous", {"rigid": 3, "symmetry": 5}, SimpleNamespace(nullity=4, rigid=3), {"ambiguous": 1}),
        ("unclassified", {}, None, {"unclassified": 1}),
    ],
)
def test_null_directions_are_those_of_the_jacobian(status, counts, null, shown):
    """Causes within a tolerance may have more: they are not printed as if they were certain."""
    points = SimpleNamespace(
        null_space=[null], positions=np.zeros((1, 2, 3)), directions=np.zeros((1, 2, 3)), sigma_ratio=[1e-16],
        cure=lambda index: {"truncation": Cure("truncation", 1, sizes={"l_max": 7})},
    )  # fmt: skip
    kind = SingularKind(counts, "C_1", 3, status, np.asarray([0]), 1)
    assert _describe(points, kind, ["H", "H"])["cause"] == shown
