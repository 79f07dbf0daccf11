"""The records of a grid are shown in a table."""

from io import StringIO

import pytest
from records import GRID, NO_NEIGHBORS, ORDERS, basis_record
from rich.console import Console

from jaxfeat.report.advice import recommend_basis
from jaxfeat.report.convergence import BASIS_LEGEND, print_convergence


def printed(records, width=80):
    console = Console(width=width, file=StringIO())
    print_convergence(records, "2000 environments", console)
    return console.file.getvalue()


WIDE = [basis_record(10, 10, n_features=1234567, truncated=0, ambiguous=1000, median=2e-13, known=False)]


@pytest.mark.parametrize("records", [ORDERS, WIDE, [NO_NEIGHBORS]])
def test_a_terminal_of_80_columns_shows_everything(records):
    narrow, wide = printed(records), printed(records, width=300)
    assert narrow.replace("─", "").split() == wide.replace("─", "").split()
    assert recommend_basis(records) in " ".join(narrow.split())


def test_tables_mark_the_two_bases():
    lines = [line.split() for line in printed(GRID).splitlines()]
    rows = {(line[0], line[1]): line[2:] for line in lines if len(line) > 8 and line[0].isdecimal()}
    assert len(rows) == len(GRID)
    assert rows["2", "4"][:2] == ["20", "*"] and rows["4", "4"][:2] == ["80", "+"]
    assert rows["2", "2"] == ["12", "400", "100", "<1e-13", "<1e-14", "<1e-14", "1.4e-14", "1.4e-15"]
    assert BASIS_LEGEND.split("Ambiguous")[0].count("fewest") == 2
