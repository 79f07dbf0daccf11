"""Polynomials in brackets: rules keep values, derivatives are those of differences, and classes are those
of exact fractions."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from jaxfeat.singular.bracket_algebra import (
    Relations,
    add_to,
    differentiate,
    divides,
    find_changing_class,
    make_classes,
    make_polynomial,
    minor_identity,
    multiply,
)
from jaxfeat.singular.certificate import bracket_value, evaluate
from jaxfeat.singular.strata import strata
from jaxfeat.singular.stratum import displacement_rows


def random_polynomial(rng, size, terms=6):
    brackets = [tuple(rng.choice(size, length, replace=False).tolist()) for length in rng.choice((2, 3), 3 * terms)]
    return make_polynomial([(int(rng.integers(-3, 4)), brackets[3 * k : 3 * k + 3]) for k in range(terms)])


@pytest.mark.parametrize(("name", "n"), [("A_2", 5), ("D", 4), ("twofold 1", 5), ("equal angles", 4)])
def test_reducing_keeps_the_value_on_the_stratum(name, n):
    """In fractions at a rational member, so that equal means equal."""
    stratum, rng = strata(n)[name], np.random.default_rng(n)
    rows = stratum.rational_member(1)
    relations = Relations(make_polynomial(condition.terms) for condition in stratum.conditions)
    shortened = 0
    for _ in range(20):
        polynomial = random_polynomial(rng, n)
        reduced = relations.reduce(polynomial)
        assert evaluate(reduced, rows) == evaluate(polynomial, rows)
        # No determinant is left beside another one.
        assert all(sum(len(bracket) == 3 for bracket in monomial) < 2 for monomial in reduced)
        shortened += reduced != polynomial
    assert shortened > 10


def test_what_does_not_follow_does_not_vanish():
    relations = Relations([make_polynomial([(1, [(0, 0)]), (-1, [(1, 1)])])])
    assert relations.vanishes(make_polynomial([(2, [(1, 1), (0, 2)]), (-2, [(0, 2), (0, 0)])]))
    assert not relations.vanishes(make_polynomial([(1, [(0, 0)]), (-2, [(1, 1)])]))
    assert not relations.vanishes(make_polynomial([(1, [(0, 1, 2)])]))
    # Determinants change their sign with the order of their slots.
    assert relations.vanishes(make_polynomial([(1, [(0, 1, 2)]), (1, [(1, 0, 2)])]))
    assert not relations.vanishes(make_polynomial([(1, [(0, 1, 2)]), (-1, [(1, 0, 2)])]))


def test_multiples_are_told_from_other_polynomials():
    rng = np.random.default_rng(0)
    for _ in range(10):
        first, second = random_polynomial(rng, 4, 3), random_polynomial(rng, 4, 3)
        product = multiply(first, second)
        assert divides(first, product) and divides(second, product)
        add_to(product, {((0, 0),): 1})
        assert not divides(first, product)
    assert not divides({}, product)


def test_minors_are_zero_in_three_dimensions():
    rows = [[Fraction(int(x)) for x in row] for row in np.random.default_rng(0).integers(-9, 10, (6, 3))]
    sizes = ((3, 3), (4, 4), (4, 1))
    for members in [m for r, c in sizes for m in product(combinations(range(6), r), combinations(range(6), c))][::7]:
        assert evaluate(minor_identity(*members), rows) == 0


@pytest.mark.parametrize(("name", "n", "nu"), [("A_1", 4, 2), ("D", 4, 2), ("equal angles", 4, 2), ("rings", 7, 3)])
def test_derivatives_are_those_of_differences(name, n, nu):
    """A formula of differences is exact for polynomials of degree four, and fractions do not round."""
    displacement = strata(n, nu)[name].displacement
    rows = [[Fraction(int(x), 4) for x in row] for row in np.random.default_rng(0).integers(-9, 10, (n, 3))]
    moves = displacement_rows(displacement, rows)
    moved = {
        h: [[x + h * u for x, u in zip(row, move, strict=True)] for row, move in zip(rows, moves, strict=True)]
        for h in (-2, -1, 1, 2)
    }
    for bracket in [*product(range(n), repeat=2), *combinations(range(n), 3)]:
        value = {h: bracket_value(bracket, moved[h]) for h in moved}
        expected = Fraction(8 * (value[1] - value[-1]) - (value[2] - value[-2]), 12)
        assert evaluate(differentiate(bracket, displacement), rows) == expected


@pytest.mark.parametrize(("name", "n"), [("A_2", 5), ("D crossed", 5), ("opposite heights", 5)])
def test_classes_are_those_of_a_rational_member(name, n):
    """The conditions of these families imply all coincidences of a random member."""
    stratum = strata(n)[name]
    rows, species = stratum.rational_member(3), stratum.random_species(3)
    values = {}
    for t in product(range(n), repeat=2):
        invariants = [sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) for i, j in (t[:1] * 2, t, t[1:] * 2)]
        values.setdefault((*(species[i] for i in t), *invariants), []).append(t)
    relations = Relations(make_polynomial(condition.terms) for condition in stratum.conditions)
    found = make_classes(species, 2, False, relations)
    assert sorted(map(sorted, found)) == sorted(map(sorted, values.values()))
    assert find_changing_class(species, 2, False, relations, stratum.displacement) is None
    # Unlike neighbors do not stand for each other.
    b, other = stratum.like[0]
    species[b] = "N"
    assert find_changing_class(species, 2, False, relations, stratum.displacement) is not None
    assert other != b
