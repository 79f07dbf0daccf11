"""Real coupling tensors of three angular momenta, in exact arithmetic until the last step."""

from fractions import Fraction
from functools import cache
from math import factorial, sqrt

import numpy as np


def is_coupled(l1: int, l2: int, l3: int) -> bool:
    """Whether the three satisfy the triangle inequality."""
    return abs(l1 - l2) <= l3 <= l1 + l2


@cache
def coupling(l1: int, l2: int, l3: int) -> np.ndarray:
    """The invariant in l1 x l2 x l3, `(2 l1 + 1, 2 l2 + 1, 2 l3 + 1)` float64 of unit norm, read-only.

    The 3j symbol in the basis of the real harmonics: real for even l1 + l2 + l3 and imaginary for odd, where its
    imaginary part is taken (a pseudoscalar: it changes sign under inversion). Zero outside the triangle.
    """
    complex_tensor = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1), complex)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(-l2, l2 + 1):
            if abs(m1 + m2) <= l3:
                complex_tensor[l1 + m1, l2 + m2, l3 - m1 - m2] = wigner_3j(l1, l2, l3, m1, m2)
    real_tensor = np.einsum(
        "abc,ia,jb,kc->ijk", complex_tensor, _to_real(l1), _to_real(l2), _to_real(l3), optimize=True
    )
    tensor = np.ascontiguousarray(real_tensor.imag if (l1 + l2 + l3) % 2 else real_tensor.real)
    tensor.flags.writeable = False
    return tensor


@cache
def wigner_3j(l1: int, l2: int, l3: int, m1: int, m2: int) -> float:
    """The 3j symbol (l1 l2 l3; m1 m2 -m1-m2), by Racah's formula in rational numbers."""
    m3 = -m1 - m2
    if not is_coupled(l1, l2, l3) or abs(m1) > l1 or abs(m2) > l2 or abs(m3) > l3:
        return 0.0
    total = Fraction(0)
    for k in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        steps = (k, l3 - l2 + k + m1, l3 - l1 + k - m2, l1 + l2 - l3 - k, l1 - k - m1, l2 - k + m2)
        total += Fraction((-1) ** k, _product(steps))
    squared = (
        Fraction(_product((l1 + l2 - l3, l1 - l2 + l3, -l1 + l2 + l3)), factorial(l1 + l2 + l3 + 1))
        * _product((l1 + m1, l1 - m1, l2 + m2, l2 - m2, l3 + m3, l3 - m3))
        * total**2
    )
    sign = (-1) ** (l1 - l2 - m3) * (1 if total >= 0 else -1)
    return sign * sqrt(squared)


def _product(numbers: tuple[int, ...]) -> int:
    result = 1
    for number in numbers:
        result *= factorial(number)
    return result


@cache
def _to_real(l: int) -> np.ndarray:
    """Rows: the real harmonics in terms of the complex ones, for coupling coefficients of the real basis."""
    u = np.zeros((2 * l + 1, 2 * l + 1), complex)
    u[l, l] = 1
    for m in range(1, l + 1):
        u[l + m, l - m], u[l + m, l + m] = 1 / sqrt(2), (-1) ** m / sqrt(2)
        u[l - m, l - m], u[l - m, l + m] = 1j / sqrt(2), -1j * (-1) ** m / sqrt(2)
    return u
