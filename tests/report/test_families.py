"""Kinds of singular points are shown in a table."""

import io

import numpy as np
from rich.console import Console

from jaxfeat.report.families import print_families


def test_kinds_of_points_are_printed():
    example = {
        "positions": np.random.default_rng(0).normal(size=(4, 3)),
        "displacement": np.ones((4, 3)),
        "symbols": ["H", "H", "O", "Xe"],
        "sigma_ratio": 1e-16,
    }
    counts = {"rigid": 3, "symmetry": 0, "incompleteness": 2, "truncation": 0}
    family = {
        "cause": counts,
        "symmetry": "C1",
        "dimension": 6,
        "points": 5,
        "distinct": 4,
        "families": {"A_1": 3, "opposite heights": 2},
        "cure": ["incompleteness: ν = 3 lifts it"],
        "example": example,
    }
    file = io.StringIO()
    print_families([family] * 2, ["landed"] * 5 + ["stalled"], Console(file=file, width=100))
    text = file.getvalue()
    assert "6 starts: 5 landed, 1 stalled" in text
    assert "incompleteness 2" in text and "A_1 3, opposite heights 2" in text
    assert "incompleteness: ν = 3 lifts it (all)" in text
