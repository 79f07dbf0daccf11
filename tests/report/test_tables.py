"""Tables of the terminal share a form, and each cure is printed once."""

import io

from records import printed
from rich.console import Console

from jaxfeat.report.tables import highlight_count, plain_table, print_cures


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
