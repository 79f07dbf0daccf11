"""Spherical Bessel functions over powers of their argument, smooth in its square.

Backward recurrences in (2l+1)!! j_l(x) / x^l, and likewise for i_l, need no division by x, so they hold at x = 0.
Derivatives with respect to squares come from the next order: no square root is ever differentiated.
"""

from functools import partial
from math import ceil, prod, sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def double_factorial(l: int) -> int:
    """(2l+1)!!"""
    return prod(range(1, 2 * l + 2, 2))


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def bessel_j(x2: Float[Array, "*batch"], l_max: int, x_max: float) -> Float[Array, "*batch l"]:
    """j_l(x) / x^l, l = 0 ... l_max, from x²; for x up to `x_max`."""
    # Miller's algorithm. The norm is a plane wave's value seen sideways, Σ (2l+1) (l-1)!!/l!! j_l = 1 over even l:
    # a single j_l would vanish somewhere.
    start = 2 * ceil((1.1 * x_max + l_max + 40) / 2)
    sideways = np.cumprod([1.0, *((l - 1) / l for l in range(2, start + 1, 2))])
    weights = np.zeros(start + 1)
    weights[::2] = sideways * (2 * np.arange(0, start + 1, 2) + 1)
    descending = np.arange(start, -1, -1)

    def step(carry: tuple[Array, Array, Array, Array], order: tuple[Array, Array]) -> tuple[tuple, Array]:
        two_behind, behind, norm_behind, norm_two_behind = carry
        l, weight = order
        current = behind - x2 / ((2 * l + 3) * (2 * l + 5)) * two_behind
        norm = weight * current + x2 / ((2 * l + 3) * (2 * l + 5)) * norm_two_behind
        return (behind, current, norm, norm_behind), jnp.stack([current, norm])

    zero, one = jnp.zeros_like(x2), jnp.ones_like(x2)
    scanned = (jnp.asarray(descending, x2.dtype), jnp.asarray(weights[descending], x2.dtype))
    _, history = jax.lax.scan(step, (zero, one, zero, zero), scanned)
    values, norm = history[::-1, 0][: l_max + 1], history[-1, 1]
    orders = [values[l] / (float(double_factorial(l)) * norm) for l in range(l_max + 1)]
    return jnp.stack(orders, -1)


@bessel_j.defjvp
def _(l_max: int, x_max: float, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    values = bessel_j(primals[0], l_max + 1, x_max)
    return values[..., :-1], -0.5 * values[..., 1:] * tangents[0][..., None]


@partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def smeared_shell(
    s: Float[Array, ""], r: Float[Array, " q"], a: Float[Array, ""], l_max: int, x_max: float
) -> Float[Array, "q l"]:
    """exp(-a (r² + s)) i_l(2 a r √s) / √s^l, l = 0 ... l_max: a Gaussian at distance √s, seen on shells r.

    For 2 a r √s up to `x_max`. Differentiable in s alone.
    """
    root = jnp.sqrt(s)
    x = 2 * a * r * root
    # Ratios of neighboring orders cannot overflow; started far enough out, what they were started with is forgotten.
    start = l_max + ceil(sqrt(37 * max(x_max, 1.0))) + 2

    def step(ratio: Array, l: Array) -> tuple[Array, Array]:
        ratio = 1 / (1 + x * x / ((2 * l + 1) * (2 * l + 3)) * ratio)
        return ratio, ratio

    _, ratios = jax.lax.scan(step, jnp.ones_like(x), jnp.arange(start, 0, -1, dtype=x.dtype))
    positive = jnp.where(x > 0, x, 1)
    lowest = jnp.where(x > 0, -jnp.expm1(-2 * positive) / (2 * positive), 1) * jnp.exp(-a * (r - root) ** 2)
    orders = [lowest]
    for l in range(1, l_max + 1):
        orders.append(orders[-1] * ratios[start - l] * (2 * a * r / (2 * l + 1)))
    return jnp.stack(orders, -1)


@smeared_shell.defjvp
def _(l_max: int, x_max: float, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    s, r, a = primals
    values = smeared_shell(s, r, a, l_max + 1, x_max)
    slope = a * (r[:, None] * values[:, 1:] - values[:, :-1])
    return values[:, :-1], slope * tangents[0]
