"""Lemmas follow from the conditions of every known stratum, as far as the proof needs them."""

from itertools import combinations

import numpy as np
import pytest

from jaxfeat.singular.bracket_algebra import Relations, find_changing_class, make_polynomial, sum_derivatives
from jaxfeat.singular.certificate import evaluate
from jaxfeat.singular.factor_lemmas import find_lemmas_of_sum
from jaxfeat.singular.lemmas import find_lemmas
from jaxfeat.singular.strata import strata

STRATA = [
    (n, nu, chiral, name)
    for n in range(4, 7)
    for nu, chiral in ((2, False), (3, False), (3, True))
    for name in strata(n, nu, chiral)
    if name != "planar"
]
STRATA += [(7, 3, False, "rings"), (7, 3, True, "rings"), (7, 2, False, "twofold 2")]


@pytest.mark.parametrize(("n", "nu", "chiral", "name"), STRATA)
def test_every_stratum_implies_its_displacement(n, nu, chiral, name):
    """This is the proof for the whole family. A random member only helps to guess the lemmas."""
    stratum = strata(n, nu, chiral)[name]
    species = [f"X{i}" for i in range(n)]
    for group in stratum.like:
        for i in group:
            species[i] = species[group[0]]
    relations = Relations(make_polynomial(condition.terms) for condition in stratum.conditions)
    if find_changing_class(species, nu, chiral, relations, stratum.displacement) is not None:
        rational = stratum.draw is not None
        rows = stratum.rational_member(2) if rational else stratum.member(2).positions.tolist()
        for lemma in find_lemmas(relations, np.asarray(rows, float), combinations(range(n), 3)):
            zero = evaluate(make_polynomial(lemma["zero"]), rows)
            assert zero == 0 if rational else abs(zero) < 1e-12
            assert evaluate(make_polynomial(lemma["multiplier"]), rows) != 0
        while changing := find_changing_class(species, nu, chiral, relations, stratum.displacement):
            total = sum_derivatives(*changing, stratum.displacement)
            assert list(find_lemmas_of_sum(relations, np.asarray(rows, float), total))
    assert find_changing_class(species, nu, chiral, relations, stratum.displacement) is None
    # Any other condition less, and something would change.
    weaker = Relations(make_polynomial(condition.terms) for condition in stratum.conditions[1:])
    assert find_changing_class(species, nu, chiral, weaker, stratum.displacement) is not None
