"""What the records of a grid come to, in words, a table and a picture."""

from io import StringIO

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from jaxfeat.report.advice import explain_bases, growing_sizes, plateau_basis, recommend_basis, untruncated_basis
from jaxfeat.report.convergence import LEGEND, plot_convergence, print_convergence


def record(n_max, l_max, nu=2, median=1e-2, least=None, known=True, **counts):
    least = median / 10 if least is None else least
    ratios = {"least": least, "1%": least, "10%": median, "median": median}
    return {
        "nu": nu, "n_max": n_max, "l_max": l_max, "n_features": n_max**nu * (l_max + 1), "environments": 2000,
        "truncated": 0, "truncation": 0, "ambiguous": 0, "unclassified": 0, "symmetric": 0, "incomplete": 0,
        "nearly": 0, "equilibrated": {name: {"value": value, "known": known} for name, value in ratios.items()},
        "raw": {name: {"value": value / 7, "known": True} for name, value in ratios.items()},
        **counts,
    }  # fmt: skip


GRID = [
    record(2, 2, median=1e-13, known=False, truncated=400, ambiguous=100),
    record(2, 4, median=1e-3),
    record(2, 6, median=2e-3),
    record(4, 2, median=1e-4, truncated=1),
    record(4, 4, median=6e-3),
    record(4, 6, median=9e-3),
    record(6, 2, median=2e-4, ambiguous=3),
    record(6, 4, median=8e-3),
    record(6, 6, median=1e-2),
]
ORDERS = [record(2, 0, nu=1, incomplete=1900), record(4, 0, nu=1, incomplete=1900), *GRID]


def printed(records, width=80):
    console = Console(width=width, file=StringIO())
    print_convergence(records, "2000 environments", console)
    return console.file.getvalue()


def sizes(found):
    return found and (found["n_max"], found["l_max"])


def test_the_smallest_has_the_fewest_features_and_truncates_nothing():
    assert sizes(untruncated_basis(GRID)) == (2, 4)
    assert untruncated_basis([record(2, 2, truncated=1), record(2, 4, ambiguous=1, truncated=1)]) is None
    # What is ambiguous for the largest basis too, no basis of the grid can tell.
    assert sizes(
        untruncated_basis([record(2, 2, ambiguous=3), record(2, 4, ambiguous=2), record(4, 4, ambiguous=2)])
    ) == (2, 4)
    # Of as many features, those of the smaller l_max.
    assert sizes(untruncated_basis([record(2, 3, n_features=9), record(3, 2, n_features=9), record(3, 3)])) == (3, 2)


def test_the_plateau_is_within_a_factor_of_two_of_the_largest():
    assert sizes(plateau_basis(GRID)) == (4, 4)
    blind = [record(4, 4, median=6e-3, least=4e-4), record(4, 6, median=9e-3), record(6, 6)]
    assert sizes(plateau_basis(blind)) == (4, 6)
    assert sizes(plateau_basis([record(4, 4, truncated=1), record(6, 6)])) == (6, 6)
    assert sizes(plateau_basis([record(2, 2, known=False), record(4, 4, known=False)])) == (2, 2)
    assert sizes(plateau_basis([record(2, 2, known=False), record(4, 4)])) == (4, 4)


def test_what_still_grows_is_named():
    assert growing_sizes(GRID) == []
    assert growing_sizes([record(2, 2), record(2, 4), record(4, 2), record(4, 4, median=3e-2)]) == ["n_max", "l_max"]
    assert growing_sizes([record(2, 4, median=1e-3), record(4, 2, median=9e-3), record(4, 4)]) == ["n_max"]


def test_the_verdict_names_the_smallest_basis_and_the_bottleneck():
    first, second = explain_bases(GRID)
    assert first == "The smallest basis that truncates nothing is n_max 2, l_max 4, 20 features."
    assert second == (
        "l_max is the bottleneck: n_max 6, l_max 2 may truncate 3 of 2000 environments, n_max 2, l_max 6 truncates "
        "none."
    )
    grid = [record(2, 2), record(2, 4, median=1e-4), record(4, 2, median=5e-4), record(4, 4)]
    assert (
        "n_max is the bottleneck: the median of σ_vis/σ_max is 1.0e-04 with n_max 2, l_max 4, 5.0e-04"
        in explain_bases(grid)[1]
    )
    assert explain_bases([record(2, 2), record(2, 4), record(4, 2), record(4, 4)])[1].startswith("Neither")
    assert len(explain_bases(GRID[:3])) == 1  # one n_max: nothing to compare with
    worst = [record(2, 2, truncated=9), record(4, 2, truncated=8, ambiguous=1)]
    assert (
        "Every basis of this grid truncates; n_max 2, l_max 2 does so least: it truncates 9 of"
        in explain_bases(worst)[0]
    )


def test_what_no_basis_sees_is_said():
    sentences = explain_bases([record(2, 2, symmetric=5, incomplete=4, nearly=2, unclassified=3)])[1:]
    for sentence, words in zip(sentences, ("5 of 2000", "4 of 2000", "2 of 2000", "3 environments"), strict=True):
        assert sentence.startswith(words)


def test_the_advice_takes_the_lowest_order_that_leaves_least():
    assert recommend_basis(GRID) == (
        "Take n_max 4, l_max 4 (80 features). The largest basis of this grid, n_max 6, l_max 6, has less than twice "
        "its σ_vis/σ_max in the median and for the blindest 1 % of environments."
    )
    assert recommend_basis(ORDERS).startswith("Take ν = 2, n_max 4, l_max 4")
    assert recommend_basis(ORDERS[:2]).startswith("Take n_max 2 (2 features)")
    assert recommend_basis(ORDERS[:2]).endswith(
        "ν = 1 misses directions in 1900 environments; only a higher order sees them."
    )
    rising = [record(2, 2, median=1e-4), record(4, 2, truncated=1)]
    assert "Every smaller basis of this grid truncates more, or has less than half" in recommend_basis(rising)
    assert (
        "It still truncates 1 of 2000 environments. At n_max 4, l_max 2 the sensitivity still grows with n_max"
        in recommend_basis(rising)
    )
    nothing = record(2, 2, environments=0, equilibrated={}, raw={})
    assert recommend_basis([nothing]).startswith("No environment has neighbors")
    assert explain_bases([nothing]) == []


WIDE = [record(10, 10, n_features=1234567, truncated=0, ambiguous=1000, median=2e-13, known=False)]


@pytest.mark.parametrize("records", [ORDERS, WIDE, [record(2, 2, environments=0, equilibrated={}, raw={})]])
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
    assert LEGEND.split("Ambiguous")[0].count("fewest") == 2


CASES = {
    "usual": GRID,
    "orders": ORDERS,
    "one basis": [record(8, 6)],
    "nothing": [record(2, 2, environments=0, equilibrated={}, raw={})],
    "large": [record(n, l, truncated=1999 if n == 1 else 0) for n in range(1, 11) for l in range(11)],
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
        assert "99.9" in texts and "100" not in texts
