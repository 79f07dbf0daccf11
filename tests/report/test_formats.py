"""Counts and shares are written in few characters, and a share never rounds to none or all."""

import pytest

from jaxfeat.report.formats import format_causes, format_percent, format_short


def test_causes_without_directions_are_left_out():
    assert format_causes({"rigid": 3, "symmetry": 0, "truncation": 2, "other": 1}) == "truncation 2, other 1"
    assert format_causes({"rigid": 3}) == ""


@pytest.mark.parametrize(
    "n, total, text",
    [
        (0, 0, "0"),
        (0, 5, "0"),
        (5, 5, "100"),
        (1, 2000, "<0.1"),
        (1999, 2000, ">99.9"),
        (1, 1000, "0.1"),
        (1, 3, "33.3"),
    ],
)
def test_percentages_are_0_only_for_none_and_100_only_for_all(n, total, text):
    assert format_percent(n, total) == text


@pytest.mark.parametrize("n, text", [(9999, "9999"), (10_000, "10k"), (9_999_000, "9999k"), (12_000_000, "12M")])
def test_large_counts_are_rounded(n, text):
    assert format_short(n) == text
