"""The worst cause of a record is its group."""

import pytest
from records import record

from jaxfeat.report.scan_groups import find_group, is_known

NEAR = {"cause": "symmetry", "symbol": "C_s", "distance": 1e-6, "directions": 1, "sigma": [0, 1]}


@pytest.mark.parametrize(
    "changes, group",
    [
        ({"null": {"rigid": 3}}, "none"),
        ({"null": {"rigid": 3, "symmetry": 2}}, "symmetry"),
        ({"null": {"rigid": 3, "symmetry": 2, "truncation": 1, "incompleteness": 1}}, "incompleteness"),
        ({"null": {"rigid": 3}, "near": [NEAR]}, "symmetry"),
        ({"null": {"rigid": 3}, "near": [{**NEAR, "distance": 0.1}]}, "none"),
        ({"null": {"rigid": 3, "symmetry": 2}, "status": "ambiguous"}, "ambiguous"),
        ({"null": {"rigid": 3}, "sigma_equilibrated": [1.0, 1e-17]}, "other"),
    ],
)
def test_blind_spots_are_worse_than_physics(changes, group):
    one = record() | changes
    assert find_group(one) == group
    assert is_known(one) == (changes.get("sigma_equilibrated") is None)
