"""Functions of a squared distance as Chebyshev series, all evaluated by one matrix product.

A Gaussian's integrals with radial functions are entire in the squared distance, and are needed at many distances. A
series replaces the integration, to rounding, and it replaces the sum over primitive functions, whose large
coefficients cancel. A series is a single polynomial, without pieces that would have to join, so whatever
differentiates it finds it infinitely smooth.

Distances are measured in units of the cutoff radius, u = (r / r_cut)². G_l(u), which comes with r^l Y_lm, is largest at
the origin and falls by orders of magnitude from there on, so t^l G_l(u) is expanded, in t = √(u + c): from √c on it is
about as large as what G_l adds to a density, and it is entire in t, because u is t² - c. Errors are 1e-14 of the
largest of r^l G_l. With c = 0, t would not be smooth in u at the origin.

The d-th derivative is expanded as t^(l + 2d) d^d G_l/du^d, from integrals of its own, in the same polynomials.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxfeat.linalg.arrays import array_namespace

N_ORDERS = 4
"""Values and three derivatives have tables: what searches differentiate. Any after those come from differentiating the
polynomials of the third."""

NEGLIGIBLE = max(1e-17, 32 * float(np.finfo(np.longdouble).eps))
"""Of a function's largest value, where series end: below rounding, since derivatives weigh their last terms more."""

PLATEAU = 1e-8
"""Rounding errors of the integrals are below this share of the largest coefficient."""

BLOCK = 16
"""Distances that are integrated at a time, so that memory does not grow with the square of the series' length."""

LENGTHS = 8
"""Series are padded to a multiple of this many terms, so that bases of similar width share their programs."""

N_CELLS = 64
"""Cells of distance; each has a rounding error of its own."""

LENGTH_TRACED = 256
"""Terms of a series whose length cannot depend on the width of the Gaussians, because that is being traced."""

UNCONVERGED = 1e-9
"""Share of the largest coefficient that the last ones of a traced series may have."""

Functions = Callable[[Float[Any, " j"]], Float[Any, "d j n l"]]
"""G_nl and its first three derivatives at some u."""


class Series(eqx.Module):
    """Functions G_nl(u) for 0 ≤ u ≤ `reach`², and zero beyond.

    **Attributes:**

    - `tables`: `(N_ORDERS, n, l, k)`, Chebyshev coefficients of t^(l + 2d) d^d G_nl/du^d.
    - `origin`: √c. `reach`: the largest distance. Both are in units of the cutoff radius.
    - `terms`: `(N_CELLS,)`, in equal cells of distance from 0 to `reach`: how much larger the added terms are than the
      functions that they add up to, in the norm over n and l. `error`: likewise, the relative error of the functions
      that their coefficients cause.
    """

    tables: Float[Any, "d n l k"]
    origin: Float[Any, ""]
    reach: Float[Any, ""]
    terms: Float[Any, " c"]
    error: Float[Any, " c"]

    def __call__(self, u: Float[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        """Evaluate all functions at squared distances `u`: `(n_max, l_max + 1, ...)`. Differentiable in `u` and in the
        tables."""
        tables, origin, reach = (jnp.asarray(x, u.dtype) for x in (self.tables, self.origin, self.reach))
        fixed = jax.lax.stop_gradient((origin, reach))
        return _derivatives(0, tables, fixed, u)[0]

    def roundings(self, u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """How many rounding errors the functions at squared distances `u` are off by, relative to their norm."""
        terms, error, reach = (jnp.asarray(x, u.dtype) for x in (self.terms, self.error, self.reach))
        cell = jnp.clip(jnp.sqrt(u) / reach * N_CELLS, 0, N_CELLS - 1).astype(jnp.int32)
        return (terms + error / jnp.finfo(u.dtype).eps)[cell]

    def at_origin(self, dtype: DTypeLike) -> Float[Array, " n"]:
        """G_n0(0), where all T_k are 1 or -1."""
        of_l0 = jnp.asarray(self.tables[0, :, 0], dtype)
        return of_l0 @ jnp.asarray((-1.0) ** np.arange(of_l0.shape[1]), dtype)


def host_series(
    functions: Functions, origin: Float[np.longdouble, ""], reach: Float[np.longdouble, ""], width: float
) -> Series:
    """Expand functions, which are given in long doubles and vary on the scale `width`, in as many terms as they need.

    Each derivative has a series of its own, since differentiating a series multiplies its rounding errors by the square
    of its length.
    """
    n_terms = max(48, ceil(1.2 / width))
    while True:
        t, cosines = _nodes(n_terms, origin, reach)
        blocks = np.split(t, range(BLOCK, n_terms, BLOCK))
        values = np.concatenate([functions(np.maximum(block**2 - origin**2, 0)) for block in blocks], 1)
        tables = _tables(values, t, cosines)
        length, noise = _length(tables[0])
        if length is not None:
            padded = -(-length // LENGTHS) * LENGTHS
            room = np.zeros((*tables.shape[:3], padded))
            room[..., :length] = tables[..., :length]
            interval = np.asarray(origin, float), np.asarray(reach, float)
            return Series(room, *interval, *_roundings(room[0], *interval, noise))
        n_terms += n_terms // 2


def _length(tables: Float[np.ndarray, "n l k"]) -> tuple[int | None, float]:
    """How many terms of the series matter, `None` where more of them are needed to tell; and the coefficients' error,
    relative to the largest."""
    largest = np.abs(tables).max(-1, keepdims=True)
    shares = (np.abs(tables) / np.where(largest > 0, largest, 1)).max((0, 1))
    left = np.maximum.accumulate(shares[::-1])[::-1]
    middle, end = left[len(left) // 2], left[3 * len(left) // 4]
    # Coefficients of an entire function fall ever faster. Those that no longer do are rounding errors, which nearly
    # dependent primitives enlarge.
    settled = end <= NEGLIGIBLE or (end < PLATEAU and middle < 8 * end)
    length = int(np.flatnonzero(left > max(NEGLIGIBLE, 2 * end))[-1]) + 1 if settled else None
    return length, float(end)


def _roundings(tables: Float[Any, "n l k"], origin: Any, reach: Any, noise: Any) -> tuple[Any, Any]:
    """`terms` and `error` of a series."""
    xp = array_namespace(tables)
    r = reach * ((np.arange(N_CELLS) + 0.5) / N_CELLS).astype(tables.dtype)
    t, end = (r**2 + origin**2) ** 0.5, (reach**2 + origin**2) ** 0.5
    x = xp.clip((2 * t - origin - end) / (end - origin), -1, 1)
    k = np.arange(tables.shape[-1], dtype=tables.dtype)
    values = tables @ xp.cos(k[:, None] * xp.arccos(x)[None])
    powers = (r / t)[None] ** np.arange(tables.shape[1], dtype=tables.dtype)[:, None]
    size = ((values * powers[None]) ** 2).sum((0, 1)) ** 0.5
    size = xp.maximum(size, 1e-12 * size.max())
    added = xp.abs(tables).sum(-1), noise * xp.abs(tables).max(-1)
    return tuple(((x[..., None] * powers[None]) ** 2).sum((0, 1)) ** 0.5 / size for x in added)


def traced_series(functions: Functions, origin: Float[Array, ""], reach: Float[Array, ""]) -> Series:
    """Expand functions of traced quantities, in `LENGTH_TRACED` terms.

    **Raises:** `EquinoxRuntimeError` when the program runs and the functions are too sharp for that many terms.
    """
    origin, reach = jax.lax.stop_gradient((origin, reach))
    t, cosines = _nodes(LENGTH_TRACED, origin, reach)
    tables = _tables(functions(jnp.maximum(t**2 - origin**2, 0)), t, cosines)
    size = jnp.abs(jax.lax.stop_gradient(tables[0]))
    # Not a number is not converged, either.
    sharp = ~(size[..., -LENGTHS:].max() <= max(UNCONVERGED, 64 * float(jnp.finfo(tables.dtype).eps)) * size.max())
    tables = eqx.error_if(
        tables,
        sharp,
        "A traced `sigma` or `r_cut` makes radial functions that are too sharp, or too nearly dependent for this "
        "precision, to be worked out inside jit: keep sigma / r_cut above 1/64, give float64, lower n_max, or build "
        "the featurizer outside of the transformation.",
    )
    noise = 8 * jnp.finfo(tables.dtype).eps
    return Series(tables, origin, reach, *_roundings(jax.lax.stop_gradient(tables[0]), origin, reach, noise))


def _nodes(n_terms: int, origin: Any, reach: Any) -> tuple[Any, Float[np.ndarray, "k j"]]:
    """Chebyshev's nodes in t, and the polynomials there."""
    pi = 4 * np.arctan(np.longdouble(1))
    angles = (np.arange(n_terms, dtype=np.longdouble) + 0.5) * (pi / n_terms)
    cosines = np.cos(np.multiply.outer(np.arange(n_terms), angles))
    end = (reach**2 + origin**2) ** 0.5
    middle = cosines[1].astype(origin.dtype)
    return (origin + end) / 2 + (end - origin) / 2 * middle, cosines.astype(origin.dtype)


def _tables(values: Float[Any, "d j n l"], t: Float[Any, " j"], cosines: np.ndarray) -> Float[Any, "d n l k"]:
    order, _, _, l = np.ogrid[tuple(map(slice, values.shape))]
    weighed = array_namespace(values).moveaxis(values * t[None, :, None, None] ** (l + 2 * order).astype(t.dtype), 1, 3)
    factors = np.where(np.arange(len(cosines)) > 0, 2, 1).astype(t.dtype) / len(cosines)
    return (weighed @ cosines.T) * factors[None, None, None]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _derivatives(
    order: int, tables: Float[Array, "d n l k"], interval: tuple[Array, Array], u: Float[Array, "*batch"]
) -> Float[Array, "d n l *batch"]:
    """Values and derivatives by u up to `order`."""
    return _evaluated(order, tables, interval, u)


@partial(_derivatives.defjvp, symbolic_zeros=True)
def _(order: int, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    tables, interval, u = primals
    of_tables, _, of_u = tangents
    moving = not isinstance(of_u, SymbolicZero)
    if moving and order + 1 == N_ORDERS:
        found, change = jax.jvp(partial(_evaluated, order, tables, interval), (u,), (of_u,))
    elif moving:
        more = _derivatives(order + 1, tables, interval, u)
        found, change = more[:-1], more[1:] * of_u[None, None, None]
    else:
        found = _derivatives(order, tables, interval, u)
        change = jnp.zeros_like(found)
    if not isinstance(of_tables, SymbolicZero):
        change = change + _derivatives(order, of_tables, interval, u)
    return found, change


def _evaluated(
    order: int, tables: Float[Array, "d n l k"], interval: tuple[Array, Array], u: Float[Array, "*batch"]
) -> Float[Array, "d n l *batch"]:
    tables, (start, reach) = tables[: order + 1], interval
    l_max = tables.shape[2] - 1
    inside = u <= reach**2
    end = jnp.sqrt(reach**2 + start**2)
    t = jnp.sqrt(jnp.where(inside, u, 0) + start**2)
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
