"""The records of a grid are shown in a table and a heat map."""

from io import StringIO

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from records import GRID, NO_NEIGHBORS, ORDERS, basis_record
from rich.console import Console

from jaxfeat.report.advice import recommend_basis
from jaxfeat.report.convergence import BASIS_LEGEND, plot_convergence, print_convergence


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


CASES = {
    "usual": GRID,
    "orders": ORDERS,
    "one basis": [basis_record(8, 6)],
    "nothing": [NO_NEIGHBORS],
    "large": [basis_record(n, l, truncated=1999 if n == 1 else 0) for n in range(1, 11) for l in range(11)],
}


@pytest.mark.parametrize("name", CASES)
def test_heat_maps_are_drawn(tmp_path, name):
    figure = plot_convergence(CASES[name], "a title")
    figure.savefig(tmp_path / "picture.png")
    assert np.ptp(imread(tmp_path / "picture.png")[..., :3]) > 0.5
    texts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    assert "nan" not in " ".join(texts)
    if name == "usual":
        assert {"20.0", "+5.0", "+0.1", "<−13.0", "−2.2", "(−3.2)"} <= set(texts)
    if name == "large":
        assert ">99.9" in texts and "100" not in texts
