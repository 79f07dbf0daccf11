"""Every default change makes a featurizer, and a space can be restricted."""

import pytest

import jaxfeat
from jaxfeat import PowerSpectrum, cutoffs
from jaxfeat.choose.space import (
    build,
    changes_between,
    count_features,
    default_space,
    format_change,
    restrict_space,
    searched_space,
)
from jaxfeat.errors import BasisError

F = PowerSpectrum(("C", "H"), n_max=3, l_max=2)
OWN = jaxfeat.spec(F)
SPACE = default_space(F, 4.6)


def test_every_change_makes_a_featurizer_with_this_change_alone():
    for name, values in SPACE.items():
        for value in values if name != "nu" else ():
            spec = {**OWN, name: value}
            assert jaxfeat.spec(build(spec)) == spec
            assert changes_between(OWN, spec) == {name: value}
            assert count_features(F, spec) == build(spec).n_features
    assert SPACE["nu"] == [3] and set(SPACE["n_max"]) == {1, 2, 4, 5, 7} and SPACE["r_cut"] == [3.0, 3.5, 4.5]


def test_the_radial_spectrum_has_no_l_max_to_change():
    assert default_space(jaxfeat.RadialSpectrum(("H",)), 4.0)["l_max"] == []


def test_impossible_sizes_have_no_features():
    assert count_features(F, {**OWN, "n_max": 0}) == count_features(F, {**OWN, "l_max": 99}) == 0


def test_a_recommendation_keeps_the_radius_the_window_and_the_center_unless_told():
    searched = searched_space(SPACE, ())
    assert searched["r_cut"] == [] and "nu" not in searched and searched["include_center"] == [0.5]
    assert {"kind": "NoCutoff"} in SPACE["cutoff"] and {"kind": "NoCutoff"} not in searched["cutoff"]
    named = searched_space(SPACE, ("r_cut", "cutoff", "include_center"))
    assert named == {name: values for name, values in SPACE.items() if name != "nu"}


def test_a_space_is_restricted_by_lists():
    given = {
        "sigma": [0.3, 0.4],
        "r_cut": [4, 3],
        "radial": [],
        "cutoff": [cutoffs.NoCutoff(), cutoffs.ShiftedCosine(0.5)],
    }
    space = restrict_space(SPACE, given, OWN)
    assert space["sigma"] == [0.4] and space["r_cut"] == [3] and space["radial"] == []  # the own value is no change
    assert space["cutoff"] == [{"kind": "NoCutoff"}, {"kind": "ShiftedCosine", "width": 0.5}]
    assert space["n_max"] == SPACE["n_max"]


@pytest.mark.parametrize("given, message", [({"nmax": [2]}, "axis 'nmax'"), ({"radial": "gto"}, "give a list")])
def test_wrong_spaces_are_refused(given, message):
    with pytest.raises(BasisError, match=message):
        restrict_space(SPACE, given, OWN)


def test_changes_are_words():
    assert format_change("sigma", 0.25) == "σ 0.25 Å"
    assert format_change("cutoff", {"kind": "Smoothstep", "width": 2.0}) == "cutoff Smoothstep(2)"
    assert format_change("cutoff", {"kind": "NoCutoff"}) == "cutoff NoCutoff"
    assert format_change("include_center", False) == "weight of the center 0"
    assert format_change("radial_scaling", None) == "scaling none"
    assert format_change("weights", [0.5, 1.0]) == "weights 0.5 1"
