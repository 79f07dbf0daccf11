"""A misspelled word is likened to the known one that it stands for, and to no other."""

import pytest

from jaxfeat.spelling import did_you_mean, find_similar

OPTIONS = ("--r-cut", "--radial", "--n-max", "--centers", "--plot")


@pytest.mark.parametrize(
    "word, meant",
    [
        ("--rcut", "--r-cut"),
        ("--r_cut", "--r-cut"),
        ("--NMAX", "--n-max"),
        ("--centres", "--centers"),
        ("--plott", "--plot"),
        ("--frobnicate", None),
    ],
)
def test_a_similar_word_is_proposed(word, meant):
    assert find_similar(word, OPTIONS) == meant
    assert did_you_mean(word, OPTIONS) == ("" if meant is None else f"; did you mean {meant}?")
