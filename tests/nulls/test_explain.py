"""Cures in sentences."""

import pytest

from jaxfeat import Cure
from jaxfeat.nulls.cure import describe_cure, describe_cures

CURES = {
    "locality: a larger r_cut lifts it": Cure("locality", 3),
    "symmetry (T_d): physics": Cure("symmetry", 8, symbol="T_d"),
    "incompleteness: ν = 3 lifts it": Cure("incompleteness", 1, order=3),
    "incompleteness: ν = 4 lifts it (ν = 3 leaves 1 of 6)": Cure(
        "incompleteness", 6, order=4, reason="ν = 3 leaves 1 of 6"
    ),
    "incompleteness: ν = 4 does not lift it": Cure("incompleteness", 1, reason="ν = 4 does not lift it"),
    "truncation: l_max >= 7 lifts it": Cure("truncation", 1, sizes={"l_max": 7}),
    "truncation: l_max >= 7 with n_max >= 5 lifts it": Cure("truncation", 1, sizes={"l_max": 7, "n_max": 5}),
    "ambiguous: why": Cure("ambiguous", reason="why"),
}


@pytest.mark.parametrize("sentence", CURES)
def test_each_cure_is_one_sentence(sentence):
    assert describe_cure(CURES[sentence]) == sentence


def test_several_cures_are_joined_by_semicolons():
    both = {one.cause: one for one in (Cure("symmetry", 2, symbol="C_s"), Cure("truncation", 1, sizes={"n_max": 9}))}
    assert describe_cures(both) == "symmetry (C_s): physics; truncation: n_max >= 9 lifts it"


def test_reprs_show_the_numbers():
    assert repr(Cure("truncation", 2, sizes={"l_max": 7})) == "Cure(truncation, 2 directions, lifted by l_max >= 7)"
    assert repr(Cure("symmetry", 1, symbol="T_d")) == "Cure(symmetry, 1 direction, T_d)"
    assert repr(Cure("incompleteness", 1, order=3)) == "Cure(incompleteness, 1 direction, lifted by ν = 3)"
