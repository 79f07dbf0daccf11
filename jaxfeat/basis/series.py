"""Functions of a squared distance as Chebyshev series, all evaluated by one matrix product.

A Gaussian's integrals with radial functions are entire in the squared distance s, and are needed at many s. Series
worked out when a basis is built replace the integration, to rounding. They are single polynomials, without pieces that
would have to join, so whatever differentiates them finds them infinitely smooth.

G_l(s), which comes with r^l Y_lm, is largest at the origin and falls by orders of magnitude from there on, so
t^l G_l(s) is what is expanded, in t = √(s + c): from √c on about as large as what G_l adds to a density, and entire in
t, as s is t² - c. Errors are 1e-14 of the largest of r^l G_l. With c = 0, t would not be smooth in s at the origin.

The d-th derivative is expanded as t^(l + 2d) d^d G_l/ds^d, from integrals of its own, in the same polynomials.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

N_ORDERS = 4
"""Values and three derivatives have tables: what searches differentiate. Any after those come from differentiating the
polynomials of the third."""

NEGLIGIBLE = max(1e-17, 32 * float(np.finfo(np.longdouble).eps))
"""Of a function's largest value, where series end: below rounding, since derivatives weigh their last terms more."""


class Series(eqx.Module):
    """Functions G_nl(s) for 0 ≤ s ≤ `reach`², and zero beyond.

    **Attributes:**

    - `tables`: `(N_ORDERS, n, l, k)`, Chebyshev coefficients of t^(l + 2d) d^d G_nl/ds^d.
    - `shift`: c, Å². `reach`: Å.
    """

    tables: np.ndarray
    shift: np.ndarray
    reach: np.ndarray

    def __call__(self, s: Float[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        return _derivatives(0, self, s)[0]

    def at_origin(self, dtype: DTypeLike) -> Float[Array, " n"]:
        """G_n0(0), where all T_k are 1 or -1."""
        of_l0 = jnp.asarray(self.tables[0, :, 0], dtype)
        return of_l0 @ jnp.asarray((-1.0) ** np.arange(of_l0.shape[1]), dtype)


def series(
    function: Callable[[Float[np.ndarray, " j"]], Float[np.ndarray, "d j n l"]], reach: float, origin: float
) -> Series:
    """Of functions of s and their derivatives up to the third, which `function` gives in long doubles, up to s =
    `reach`²; c = `origin`².

    A series of its own for each derivative, since differentiating a series multiplies its rounding errors by the square
    of its length.
    """
    shift, n_terms = np.longdouble(origin) ** 2, 48
    start, end = np.sqrt(shift), np.sqrt(np.longdouble(reach) ** 2 + shift)
    while True:
        angles = (np.arange(n_terms, dtype=np.longdouble) + 0.5) * (4 * np.arctan(np.longdouble(1)) / n_terms)
        t = (start + end) / 2 + (end - start) / 2 * np.cos(angles)
        values = function(t**2 - shift)
        order, _, _, l = np.ogrid[tuple(map(slice, values.shape))]
        values = values * t[:, None, None] ** (l + 2 * order)
        cosines = np.cos(np.multiply.outer(np.arange(n_terms), angles))
        tables = np.einsum("djnl,kj->dnlk", values, cosines) * 2 / n_terms
        tables[..., 0] /= 2
        matters = (np.abs(tables[0]) > NEGLIGIBLE * np.abs(values[0]).max(0)[..., None]).any((0, 1))
        length = np.flatnonzero(matters)[-1] + 1
        if length < n_terms - 1:
            return Series(tables[..., :length].astype(float), shift.astype(float), np.asarray(reach, float))
        n_terms += n_terms // 2


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _derivatives(order: int, g: Series, s: Float[Array, "*batch"]) -> Float[Array, "d n l *batch"]:
    """Values and derivatives up to `order`. Differentiable in s alone."""
    return _evaluated(order, g, s)


@_derivatives.defjvp
def _(order: int, primals: tuple[Series, Array], tangents: tuple[Series, Array]) -> tuple[Array, Array]:
    g, s = primals
    if order + 1 == N_ORDERS:
        return jax.jvp(partial(_evaluated, order, g), (s,), (tangents[1],))
    found = _derivatives(order + 1, g, s)
    return found[:-1], found[1:] * tangents[1][None, None, None]


def _evaluated(order: int, g: Series, s: Float[Array, "*batch"]) -> Float[Array, "d n l *batch"]:
    tables, shift, reach = (jnp.asarray(x, s.dtype) for x in (g.tables[: order + 1], g.shift, g.reach))
    l_max = tables.shape[2] - 1
    inside = s <= reach**2
    start, end = jnp.sqrt(shift), jnp.sqrt(reach**2 + shift)
    t = jnp.sqrt(jnp.where(inside, s, 0) + shift)
    terms = _chebyshev((2 * t - start - end) / (end - start), tables.shape[3])
    sums = jnp.tensordot(tables, terms, 1, precision="highest")
    powers = _powers(1 / t, l_max + 2 * order + 1)
    powers = jnp.where(inside[None], powers, 0)
    return sums * jnp.stack([powers[2 * d : 2 * d + l_max + 1] for d in range(order + 1)])[:, None]


def _chebyshev(x: Float[Array, "*batch"], count: int) -> Float[Array, "k *batch"]:
    """T_0 ... T_(count - 1), by T_(m+j) = 2 T_m T_j - T_(m-j)."""
    found = jnp.stack([jnp.ones_like(x), x])
    while len(found) < count:
        further = 2 * found[-1:] * found[1:] - found[-2::-1]
        # Without the barrier XLA works out all that came before once more for each term.
        found = jax.lax.optimization_barrier(jnp.concatenate([found, further])[:count])
    return found[:count]


def _powers(x: Float[Array, "*batch"], count: int) -> Float[Array, "k *batch"]:
    found = jnp.stack([jnp.ones_like(x), x])
    while len(found) < count:
        further = found[-1:] * found[1:]
        found = jax.lax.optimization_barrier(jnp.concatenate([found, further])[:count])
    return found[:count]
