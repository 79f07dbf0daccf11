"""Conditions are polynomials in brackets: their values, derivatives and texts, in several kinds of numbers."""

from fractions import Fraction

import jax
import numpy as np
import pytest

from jaxfeat.errors import GeometryError
from jaxfeat.singular.conditions import (
    Condition,
    codimension,
    differential,
    equal_products,
    in_plane,
    independent,
    opposite_heights,
    residuals,
)

X = np.random.default_rng(0).normal(size=(5, 3))
MIXED = Condition(((2, ((0, 1), (2, 3, 4))), (-1, ((0, 0), (1, 3, 4))), (3, ((1, 2, 3), (4, 4)))))
CONDITIONS = [equal_products((0, 0), (1, 1)), equal_products((0, 2), (1, 2)), in_plane(1, 2, 4), MIXED]
CONDITIONS += [opposite_heights(0, 3, 1, 2)]


def test_values_are_those_of_dot_products_and_determinants():
    det = lambda *rows: np.linalg.det(X[list(rows)])  # noqa: E731
    expected = 2 * X[0] @ X[1] * det(2, 3, 4) - X[0] @ X[0] * det(1, 3, 4) + 3 * det(1, 2, 3) * X[4] @ X[4]
    np.testing.assert_allclose(MIXED.value(X), expected, rtol=1e-13)
    np.testing.assert_allclose(residuals(CONDITIONS, X)[2], det(1, 2, 4), rtol=1e-13)
    np.testing.assert_allclose(residuals(CONDITIONS, X)[4], det(0, 1, 2) + det(3, 1, 2), rtol=1e-13)
    assert MIXED.degree == 5 and CONDITIONS[2].neighbors == (1, 2, 4)


def test_gradients_are_derivatives_of_values():
    """Complex steps give derivatives to rounding, because values take sums and products alone."""
    steps = X + 1e-20j * np.eye(15).reshape(15, 5, 3)
    expected = [[condition.value(step).imag / 1e-20 for step in steps] for condition in CONDITIONS]
    np.testing.assert_allclose(differential(CONDITIONS, X), expected, atol=1e-12)


def test_values_are_functions_of_jax_arrays():
    assert jax.eval_shape(MIXED.value, jax.ShapeDtypeStruct((5, 3), np.float64)).shape == ()


def test_fractions_stay_exact():
    rows = [[Fraction(int(100 * v), 100) for v in row] for row in X]
    value = MIXED.value(rows)
    assert isinstance(value, Fraction) and all(
        isinstance(v, (Fraction, int)) for row in MIXED.gradient(rows) for v in row
    )
    np.testing.assert_allclose(float(value), MIXED.value(np.asarray(rows, float)), rtol=1e-12)


def test_relabeling_moves_neighbors():
    order = [3, 0, 4, 1, 2]
    moved = np.empty_like(X)
    moved[order] = X
    np.testing.assert_allclose(MIXED.relabeled(order).value(moved), MIXED.value(X), rtol=1e-13)


def test_texts_name_the_neighbors():
    assert [str(condition) for condition in CONDITIONS[:3]] == [
        "|r_0| = |r_1|",
        "r_0·r_2 = r_1·r_2",
        "r_1, r_2, r_4 lie in a plane with the center",
    ]
    assert str(MIXED) == (
        "2 (r_0·r_1) det(r_2, r_3, r_4) + 3 det(r_1, r_2, r_3) (r_4·r_4) = (r_0·r_0) det(r_1, r_3, r_4)"
    )
    assert str(CONDITIONS[4]) == "det(r_0, r_1, r_2) + det(r_3, r_1, r_2) = 0"


def test_dependent_conditions_do_not_count():
    """In a plane, the third of these follows from the other two."""
    planar = X * [1, 1, 0]
    planes = [in_plane(0, 1, 2), in_plane(0, 1, 3), in_plane(1, 2, 3)]
    found = codimension(planes, planar)
    assert found.rank == 2 and found.gap[0] < 1e-12 and found.gap[1] > 0.01
    assert independent(planes, planar) == tuple(planes[:2])
    assert codimension([], X).rank == 0


def test_a_bracket_of_one_neighbor_is_refused():
    with pytest.raises(GeometryError, match=r"bracket \(1, 2, 2\)"):
        in_plane(1, 2, 2)
