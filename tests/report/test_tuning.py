"""The result of a tuning is shown in tables of 80 columns and a picture."""

from io import StringIO

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from jaxfeat.report.tuning_plot import plot_tuning
from jaxfeat.report.tuning_table import print_tuning

COST = {"features_seconds": 1.23e-3, "gradients_seconds": 4.5e-3, "route": "numpy"}


def gain(axis, words, note=None, at=None, **changes):
    quantiles = {"median": 2.5, "10%": 0.123, "90%": 12345.0}
    return {"axis": axis, "words": words, "note": note, "at": at, "gain": quantiles, "lowest": 234.0, "level": 1e-4,
            "n_features": 3696, **COST, **changes}  # fmt: skip


def descriptor(words, n, level, **spec):
    return {"words": words, "n_features": n, "level": level, "lowest": level / 1e-4, "spec": spec, **COST}


LONG = "n_max 6, l_max 9, σ 0.1 Å, cutoff ShiftedCosine(0.5), radial laplacian"
TUNING = {
    "gains": [
        gain("radial", "radial laplacian"),
        gain("cutoff", "cutoff NoCutoff", "features jump at the cutoff"),
        gain("nu", "ν 3", at={"n_max": 4, "l_max": 3}, route="compiled"),
        {"axis": "sigma", "words": "σ 0 Å", "note": "no such basis"},
    ],
    "front": [descriptor("n_max 4", 952, 2e-4, a=1), descriptor(LONG, 3000, 2e-3, a=2)],
    "f": descriptor("", 3696, 1e-4),
    "best": descriptor(LONG, 3000, 2e-3, a=2),
    "recommended": {"a": 2},
    "ascent": {
        "f": {"n_features": 3000, "level": 1e-3},
        "best": {"n_features": 3000, "level": 2e-3},
        "kept": True,
        "words": "σ 0.12 Å",
        "sample_gain": 2.0,
        "check_gain": 1.5,
        "n_steps": 18,
        "note": None,
    },
    "tried": [{"n_features": n, "level": 1e-4 * n / 500} for n in (500, 1000, 3000)],
    "sample": {"share": 0.1, "equilibrated": True},
    "reason": "It is the best.",
    "complete": False,
}


def printed(width, **changes):
    console = Console(width=width, file=StringIO())
    print_tuning({**TUNING, "ascent": {**TUNING["ascent"], **changes}}, console)
    return console.file.getvalue()


def test_a_terminal_of_80_columns_shows_everything():
    narrow, wide = printed(80), printed(300)
    assert sorted(narrow.replace("─", "").split()) == sorted(wide.replace("─", "").split())
    row = next(line.split() for line in wide.splitlines() if "radial laplacian" in line)
    assert row == ["radial", "laplacian", "3696", "2.5", "0.12", "1e+04", "234", "1.2", "4.5"]
    assert "4.5*" in wide and "ν 3 is compared with the order below it at n_max 4, l_max 3." in wide
    assert "(recommended)" in wide and "The budget ended the search" in wide and "no such basis" in wide
    assert wide.rstrip().endswith(TUNING["reason"])


@pytest.mark.parametrize(
    "changes, line",
    [
        ({}, "lead to σ 0.12 Å. They gain a factor of 2 on the sample and 1.5 on the check.\n"),
        ({"kept": False, "check_gain": 0.9}, "and 0.9 on the check, so the start is kept.\n"),
        ({"words": ""}, "18 steps along the gradient. They lead to no clearly more sensitive descriptor.\n"),
        ({"n_steps": 0, "note": "the time is over"}, "No step along the gradient: the time is over.\n"),
    ],
)
def test_a_sentence_says_what_the_gradient_gained(changes, line):
    assert line in printed(300, **changes)


def test_nothing_is_said_of_steps_that_nobody_wanted():
    assert "gradient" not in printed(300, n_steps=0)


def test_the_picture_marks_the_front_and_the_recommended_descriptor(tmp_path):
    (axes,) = plot_tuning(TUNING, "title")
    axes.figure.savefig(tmp_path / "picture.png")
    assert np.ptp(imread(tmp_path / "picture.png")[..., :3]) > 0.5
    assert [line.get_xdata().tolist() for line in axes.lines] == [[952, 3000], [3000, 3000]]
    assert axes.collections[-1].get_offsets().tolist() == [[3000, 2e-3]]
