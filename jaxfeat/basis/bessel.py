"""Spherical Bessel functions over powers of their argument, in NumPy's long doubles.

Backward recurrences in (2l+1)!! j_l(x) / x^l, and likewise for i_l, need no division by x, so they hold at x = 0.
"""

from math import ceil, sqrt

import numpy as np
from jaxtyping import Float


def bessel_j(x2: Float[np.ndarray, "*batch"], l_max: int) -> Float[np.ndarray, "*batch l"]:
    """j_l(x) / x^l, l = 0 ... l_max, from x²."""
    # Miller's algorithm. The norm is a plane wave's value seen sideways, Σ (2l+1) (l-1)!!/l!! j_l = 1 over even l:
    # a single j_l would vanish somewhere.
    x2 = np.asarray(x2, np.longdouble)
    start = 2 * ceil((1.1 * sqrt(x2.max()) + l_max + 50) / 2)
    sideways = np.cumprod(np.asarray([1, *((l - 1) / np.longdouble(l) for l in range(2, start + 1, 2))]))
    two_behind, behind = np.zeros_like(x2), np.ones_like(x2)
    norm_two_behind, norm_behind = np.zeros_like(x2), np.zeros_like(x2)
    orders = []
    for l in range(start, -1, -1):
        step = x2 / ((2 * l + 3) * (2 * l + 5))
        current = behind - step * two_behind
        norm = (sideways[l // 2] * (2 * l + 1) * current if l % 2 == 0 else 0) + step * norm_two_behind
        two_behind, behind, norm_two_behind, norm_behind = behind, current, norm_behind, norm
        if l <= l_max:
            orders.append(current)
    double_factorials = np.cumprod(2 * np.arange(l_max + 1, dtype=np.longdouble) + 1)
    return np.stack(orders[::-1], -1) / (double_factorials * norm_behind[..., None])


def smeared_shell(
    s: Float[np.ndarray, " j"], r: Float[np.ndarray, " q"], a: float, l_max: int
) -> Float[np.ndarray, "j q l"]:
    """exp(-a (r² + s)) i_l(2 a r √s) / √s^l, l = 0 ... l_max: a Gaussian at distance √s, seen on shells r."""
    r = np.asarray(r, np.longdouble)
    root = np.sqrt(np.asarray(s, np.longdouble))[:, None]
    x = 2 * a * r * root
    # Ratios of neighboring orders cannot overflow; started far enough out, what they were started with is forgotten.
    start = l_max + ceil(sqrt(46 * max(x.max(), 1))) + 2
    ratio, ratios = np.ones_like(x), []
    for l in range(start, 0, -1):
        ratio = 1 / (1 + x * x / ((2 * l + 1) * (2 * l + 3)) * ratio)
        ratios.append(ratio)
    positive = np.where(x > 0, x, 1)
    orders = [np.where(x > 0, -np.expm1(-2 * positive) / (2 * positive), 1) * np.exp(-a * (r - root) ** 2)]
    for l in range(1, l_max + 1):
        orders.append(orders[-1] * ratios[start - l] * (2 * a * r / (2 * l + 1)))
    return np.stack(orders, -1)
