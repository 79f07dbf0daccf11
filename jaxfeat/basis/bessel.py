"""Spherical Bessel functions j_l and i_l, divided by powers of their argument. Backward recurrences in (2l+1)!! j_l(x)
/ x^l, and likewise in i_l, need no division by x, so they hold at x = 0."""

from collections.abc import Callable
from math import ceil, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxfeat.linalg.arrays import array_namespace


def bessel_j(x2: Float[np.ndarray, "*batch"], l_max: int) -> Float[np.ndarray, "*batch l"]:
    """Compute j_l(x) / x^l for l = 0 ... l_max from x², in long doubles."""
    # Miller's algorithm needs a norm. A single j_l would vanish somewhere. The expansion of a plane wave at a right
    # angle to its direction does not: Σ (2l+1) (l-1)!!/l!! j_l = 1 over even l.
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


def smeared_shell(s: Float[Any, " j"], r: Float[Any, " q"], a: Any, l_max: int) -> Float[Any, "l j q"]:
    """Compute exp(-a (r² + s)) i_l(2 a r √s) / √s^l for l = 0 ... l_max, differentiable in `a` if it is a JAX array. On
    the shell of radius r, a Gaussian exp(-a |r - R|²) with R² = s is the sum over l of these numbers times (2l + 1)
    √s^l P_l. Arguments are NumPy's long doubles or JAX arrays."""
    xp = array_namespace(s)
    root, r = (s**0.5)[:, None], r[None]
    x = 2 * a * r * root
    # From this argument on, recurrences to higher l lose no digits.
    border = float(4 * (l_max + 4) ** 2)
    small, large = xp.where(x < border, x, border), xp.where(x < border, border, x)
    # Ratios of neighboring orders cannot overflow. The backward recurrence forgets its start; the larger x is, the more
    # steps it takes. For large x the forward recurrence is accurate.
    most = float(small.max()) if isinstance(small, np.ndarray) else border
    start = l_max + ceil(sqrt(46 * max(most, 1))) + 2
    ratio = _iterate(
        lambda l, ratio: 1 / (1 + small * small / ((2 * l + 1) * (2 * l + 3)) * ratio), start, l_max, xp.ones_like(x)
    )
    backward = [ratio]
    for l in range(l_max - 1, 0, -1):
        backward.append(1 / (1 + small * small / ((2 * l + 1) * (2 * l + 3)) * backward[-1]))
    tail = xp.exp(-2 * large)
    last, here = (1 - tail) / (2 * large), ((1 + tail) / 2 - (1 - tail) / (2 * large)) / large
    positive = xp.where(x > 0, x, 1)
    orders = [xp.where(x > 0, -xp.expm1(-2 * positive) / (2 * positive), 1) * xp.exp(-a * (r - root) ** 2)]
    for l in range(1, l_max + 1):
        forward = here / last * ((2 * l + 1) / large)
        orders.append(orders[-1] * xp.where(x < border, backward[l_max - l], forward) * (2 * a * r / (2 * l + 1)))
        last, here = here, last - (2 * l + 1) / large * here
    return xp.stack(orders)


def _iterate(step: Callable[[Any, Any], Any], start: int, end: int, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        for l in range(start, end - 1, -1):
            value = step(l, value)
        return value
    each = jnp.arange(start, end - 1, -1, dtype=value.dtype)
    return jax.lax.scan(lambda value, l: (step(l, value), None), value, each)[0]
