"""Real coupling tensors of three angular momenta, in exact arithmetic up to the last step."""

from fractions import Fraction
from functools import cache
from math import factorial, prod, sqrt

import numpy as np


def can_couple(l1: int, l2: int, l3: int) -> bool:
    """Tell whether three angular momenta satisfy the triangle inequality."""
    return abs(l1 - l2) <= l3 <= l1 + l2


@cache
def coupling_tensor(l1: int, l2: int, l3: int) -> np.ndarray:
    """Compute the rotation-invariant tensor of three angular momenta in the basis of the real harmonics.

    In this basis the 3j symbols are real for even l1 + l2 + l3 and imaginary for odd. Of imaginary ones the tensor is
    the imaginary part; it is a pseudoscalar, which changes sign under inversion. The array is read-only. It has unit
    norm, or is zero if the three cannot couple.
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
    """Compute the 3j symbol (l1 l2 l3; m1 m2 -m1-m2) by Racah's formula in rational numbers."""
    m3 = -m1 - m2
    if not can_couple(l1, l2, l3) or abs(m1) > l1 or abs(m2) > l2 or abs(m3) > l3:
        return 0.0
    total = Fraction(0)
    for k in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        steps = (k, l3 - l2 + k + m1, l3 - l1 + k - m2, l1 + l2 - l3 - k, l1 - k - m1, l2 - k + m2)
        total += Fraction((-1) ** k, _factorials(steps))
    squared = (
        Fraction(_factorials((l1 + l2 - l3, l1 - l2 + l3, -l1 + l2 + l3)), factorial(l1 + l2 + l3 + 1))
        * _factorials((l1 + m1, l1 - m1, l2 + m2, l2 - m2, l3 + m3, l3 - m3))
        * total**2
    )
    sign = (-1) ** (l1 - l2 - m3) * (1 if total >= 0 else -1)
    return sign * sqrt(squared)


def _factorials(numbers: tuple[int, ...]) -> int:
    return prod(map(factorial, numbers))


@cache
def _to_real(l: int) -> np.ndarray:
    """Write the real harmonics, one a row, in terms of the complex ones."""
    u = np.zeros((2 * l + 1, 2 * l + 1), complex)
    u[l, l] = 1
    for m in range(1, l + 1):
        u[l + m, l - m], u[l + m, l + m] = 1 / sqrt(2), (-1) ** m / sqrt(2)
        u[l - m, l - m], u[l - m, l + m] = 1j / sqrt(2), -1j * (-1) ** m / sqrt(2)
    return u
