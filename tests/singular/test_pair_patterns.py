"""Coincidences of pairs become conditions, and all of them together a stratum with its null direction."""

import numpy as np
import pytest

from jaxfeat import strata
from jaxfeat.singular.conditions import polynomial_value
from jaxfeat.singular.pair_classes import find_pair_classes, planes
from jaxfeat.singular.pair_patterns import list_patterns, pattern_strata
from jaxfeat.singular.polynomials import add, as_terms, bracket, determinant, multiply, without_common_factors

X = np.random.default_rng(0).normal(size=(6, 3))


def value(polynomial, x=X):
    return polynomial_value(as_terms(polynomial), x)


def test_polynomials_are_added_multiplied_and_divided():
    a, b, c = bracket(1, 0), bracket(2, 0, 1), bracket(0, 2, 1)
    np.testing.assert_allclose(value(b), np.linalg.det(X[[2, 0, 1]]), rtol=1e-13)
    assert add([b, c]) == {} and bracket(1, 1, 2) == {} and b == bracket(0, 1, 2)
    np.testing.assert_allclose(value(multiply(add([a, b], [2, -3]), c)), (2 * value(a) - 3 * value(b)) * value(c))
    matrix = [[bracket(i, j) for j in (3, 4, 5)] for i in (0, 1, 2)]
    np.testing.assert_allclose(value(determinant(matrix)), np.linalg.det(X[:3] @ X[3:].T), rtol=1e-12)
    common = multiply(bracket(0, 1, 2), bracket(0, 1, 2))
    divided = without_common_factors([multiply({(): 6}, common, a), multiply({(): 4}, common, b)], {(0, 1, 2)})
    assert divided == [multiply({(): 3}, a), multiply({(): 2}, b)]


def test_pairs_are_sorted_into_shells_and_classes():
    """Neighbors 0 and 1 are images in a mirror plane that holds 2; neighbor 3 has their radius but another species."""
    x = np.asarray([[1.0, 0.4, 0.2], [-1.0, 0.4, 0.2], [0, 0.9, -0.5], [0.0, 0.0, np.sqrt(1.2)]])
    found = find_pair_classes(x, [1, 1, 1, 6], 1e-6)
    assert found.shells == ((2,), (0, 1), (3,))
    assert [set(group) for group in found.classes if len(group) > 1] == [{(2, 0), (2, 1)}, {(0, 3), (1, 3)}]
    assert found.name() == "radii 2, angles 2v + 2v"
    assert [str(c) for c in found.conditions()] == ["|r_0| = |r_1|", "r_2·r_0 = r_2·r_1", "r_0·r_3 = r_1·r_3"]
    assert planes(x, 1e-6) == [] and len(planes(x * [1, 1, 0], 1e-6)) == 4
    assert list_patterns(found, [(0, 2), (1, 2)]) == [{(0, 2): -1, (1, 2): 1}]
    # A radius changes only if all pairs of its neighbor coincide with others, as they do in a mirror plane.
    assert list_patterns(found, [(0, 0), (1, 1)]) == [{(0, 0): -1, (1, 1): 1}]
    moved = find_pair_classes(x + np.outer([0, 0, 1, 0], [0.1, 0, 0]), [1, 1, 1, 6], 1e-6)
    assert list_patterns(moved, [(0, 0), (1, 1)]) == []


@pytest.mark.parametrize("name", ["A_2", "opposite heights", "cones 3 + 1", "twofold 1", "pole 2", "D crossed"])
def test_a_pattern_leads_to_the_same_stratum(name):
    """The conditions that coincidences lead to have the codimension and the null direction of the closed form."""
    known = strata(5)[name]
    env = known.member(0)
    x = np.asarray(env.positions)
    turns = np.linalg.qr(np.asarray([np.cross(axis, x).ravel() for axis in np.eye(3)]).T)[0].T
    hidden = known.direction(x).reshape(1, -1)
    hidden = hidden - hidden @ turns.T @ turns
    classes = find_pair_classes(x, np.asarray(env.species), 1e-9)
    (found,) = pattern_strata(x, classes, hidden.reshape(1, 5, 3))
    direction = found.direction(x).reshape(-1)
    direction = direction - direction @ turns.T @ turns
    cosine = abs(direction @ hidden[0]) / np.linalg.norm(direction) / np.linalg.norm(hidden)
    assert cosine > 1 - 1e-9 and found.residual(x) < 1e-10
    # Where a form is a square or a product, its minors vanish twice, and their differentials say nothing.
    if name in ("cones 3 + 1", "twofold 1", "pole 2"):
        assert found.codimension == known.codimension
