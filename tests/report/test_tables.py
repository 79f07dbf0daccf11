"""Tables share a form and print each cure once. Counts and shares are short, and no share rounds to none or all."""

import io

import pytest
from records import printed
from rich.console import Console

from jaxfeat.report.tables import (
    format_causes,
    format_percent,
    format_short,
    highlight_count,
    plain_table,
    print_cures,
)


def test_numbers_are_right_justified_and_counts_stand_out():
    table = plain_table("title", "name", ["n"], ["words"])
    table.add_row("a", highlight_count(0), "b c")
    table.add_row("d", highlight_count(12), "")
    assert [line.split() for line in printed(table).splitlines()[4:6]] == [["a", "0", "b", "c"], ["d", "12"]]
    assert "red" in highlight_count(12)


def test_cures_name_their_rows():
    console = Console(file=io.StringIO(), width=80)
    print_cures([["[x]", "y"], ["y"], ["z", "y"]], console)
    assert console.file.getvalue().splitlines() == ["[x] (row 1)", "y (all)", "z (row 3)"]
    print_cures([["y"]], console)
    assert console.file.getvalue().splitlines()[-1] == "y (row 1)"


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
