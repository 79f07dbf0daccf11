from itertools import product
from math import sqrt

import numpy as np
import pytest
from references import real_harmonics, real_wigner_3j
from references import wigner_3j as dense_wigner_3j
from scipy.spatial.transform import Rotation
from sympy.physics.wigner import wigner_3j as sympy_wigner_3j

from jaxfeat.so3.coupling import can_couple, coupling_tensor, wigner_3j

TRIPLES = [ls for ls in product(range(4), repeat=3) if can_couple(*ls)]
LARGE = [(5, 5, 5), (6, 4, 7), (6, 6, 12), (8, 3, 6)]


@pytest.mark.parametrize("ls", [(0, 0, 0), (1, 1, 1), (2, 1, 3), (2, 2, 2), (3, 2, 4), (4, 4, 3)])
def test_3j_symbols_are_sympys(ls):
    l1, l2, l3 = ls
    found = np.array(
        [
            [
                [wigner_3j(*ls, m1, m2) if m1 + m2 + m3 == 0 else 0.0 for m3 in range(-l3, l3 + 1)]
                for m2 in range(-l2, l2 + 1)
            ]
            for m1 in range(-l1, l1 + 1)
        ]
    )
    assert np.abs(found - dense_wigner_3j(*ls)).max() < 1e-15


@pytest.mark.parametrize(
    "symbol", [(30, 30, 30, 1, -30), (30, 25, 18, -7, 3), (12, 30, 29, 12, -5), (20, 20, 39, 9, 7)]
)
def test_large_3j_symbols_are_sympys(symbol):
    expected = float(sympy_wigner_3j(*symbol, -symbol[3] - symbol[4]))
    assert expected != 0
    assert wigner_3j(*symbol) == pytest.approx(expected, rel=1e-14)


def test_symbols_outside_their_range_are_zero():
    assert wigner_3j(1, 1, 3, 0, 0) == 0
    assert wigner_3j(1, 1, 1, 0, 0) == 0
    assert wigner_3j(2, 1, 2, 2, 1) == 0
    assert not coupling_tensor(1, 1, 3).any()
    assert coupling_tensor(1, 1, 3).shape == (3, 3, 7)


@pytest.mark.parametrize("ls", TRIPLES, ids=str)
def test_tensors_are_the_symbols_in_the_real_basis(ls):
    found, expected = coupling_tensor(*ls), real_wigner_3j(*ls)
    # The sign of a pseudoscalar is a convention, that of a scalar is not.
    sign = np.sign(np.sum(found * expected)) if sum(ls) % 2 else 1
    assert np.abs(found - sign * expected).max() < 2e-15


@pytest.mark.parametrize("ls", LARGE, ids=str)
def test_large_tensors_have_unit_norm(ls):
    assert np.sum(coupling_tensor(*ls) ** 2) == pytest.approx(1, rel=1e-14)


def _wigner_d(l, rotation):
    """D with Y(R u) = D Y(u), fitted to SciPy's harmonics."""
    points = np.random.default_rng(l).normal(size=(6 * l + 6, 3))
    before, after = (
        np.array([real_harmonics(l, m, x) for m in range(-l, l + 1)]) for x in (points, points @ rotation.T)
    )
    return np.linalg.lstsq(before.T, after.T, rcond=None)[0].T


@pytest.mark.parametrize("ls", [*TRIPLES[::3], *LARGE], ids=str)
def test_tensors_are_invariant_under_rotations(ls):
    tensor = coupling_tensor(*ls)
    for rotation in Rotation.random(3, rng=np.random.default_rng(3)).as_matrix():
        d1, d2, d3 = (_wigner_d(l, rotation) for l in ls)
        turned = np.einsum("abc,ia,jb,kc->ijk", tensor, d1, d2, d3, optimize=True)
        assert np.abs(turned - tensor).max() < 1e-13


@pytest.mark.parametrize("ls", [(1, 1, 1), (2, 2, 1), (2, 3, 2), (1, 1, 2), (2, 2, 2), (3, 2, 1)], ids=str)
def test_odd_sums_change_sign_under_inversion(ls):
    def contract(points):
        harmonics = [
            np.array([real_harmonics(l, m, x) for m in range(-l, l + 1)]) for l, x in zip(ls, points, strict=True)
        ]
        return np.einsum("abc,a,b,c", coupling_tensor(*ls), *harmonics)

    points = np.random.default_rng(4).normal(size=(3, 3))
    assert abs(contract(points)) > 1e-3
    assert contract(-points) == pytest.approx((-1) ** sum(ls) * contract(points), rel=1e-12)


def test_three_vectors_couple_to_their_determinant():
    epsilon = np.zeros((3, 3, 3))
    for a, b, c in [(0, 1, 2), (1, 2, 0), (2, 0, 1)]:
        epsilon[a, b, c], epsilon[b, a, c] = 1, -1
    tensor = coupling_tensor(1, 1, 1)
    assert np.abs(np.abs(tensor) - np.abs(epsilon) / sqrt(6)).max() < 1e-15
    assert np.abs(np.sum(tensor * epsilon)) == pytest.approx(sqrt(6), rel=1e-14)


@pytest.mark.parametrize("l", range(5))
def test_two_equal_angular_momenta_couple_to_their_dot_product(l):
    assert np.abs(coupling_tensor(l, l, 0)[..., 0] - (-1) ** l * np.eye(2 * l + 1) / sqrt(2 * l + 1)).max() < 1e-15


def test_exchange_of_two_factors_gives_the_parity():
    for l1, l2, l3 in [(1, 2, 2), (1, 2, 3), (3, 3, 1), (2, 2, 2)]:
        swapped = np.swapaxes(coupling_tensor(l2, l1, l3), 0, 1)
        assert np.abs(swapped - (-1) ** (l1 + l2 + l3) * coupling_tensor(l1, l2, l3)).max() < 1e-15


def test_tables_are_shared_and_cannot_be_changed():
    assert coupling_tensor(2, 1, 1) is coupling_tensor(2, 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        coupling_tensor(2, 1, 1)[0, 0, 0] = 1.0
