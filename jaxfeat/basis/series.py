"""Chebyshev series of functions of a squared distance, all evaluated by one matrix product.

The integral of a Gaussian with a radial function is an entire function of the squared distance. A series replaces the
integration, with errors of rounding, and the sum over primitive functions, whose large coefficients cancel. It is one
polynomial without pieces, so it is infinitely smooth.

Distances are in units of the cutoff radius: u = (r / r_cut)². G_l(u), which multiplies r^l Y_lm, is largest at the
origin and falls from there by orders of magnitude. The series therefore expands t^l G_l(u) in t = √(u + c). Beyond √c
this is about as large as the contribution of G_l to a density, and it is entire in t because u = t² - c. Errors are
1e-14 of the largest value of r^l G_l. The constant c must not be zero, because √u is not smooth in u at the origin.

The d-th derivative is expanded as t^(l + 2d) d^d G_l/du^d, from integrals of its own, in the same polynomials.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil, sqrt
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxfeat.linalg.arrays import array_namespace, einsum

N_ORDERS = 4
"""Orders of derivatives with tables: the values and the three that searches need. The others derive the third."""

NEGLIGIBLE = max(1e-17, 32 * float(np.finfo(np.longdouble).eps))  # first term left out; derivatives amplify it
MAX_NOISE = 1e-8  # size up to which the last coefficients count as rounding of the integrals, relative to the largest
BLOCK_DISTANCES = 16  # Distances whose integrals are computed at a time. All at once take memory of the length squared.
TERMS_MULTIPLE = 8  # series are padded to a multiple of these, so that bases of similar width share their programs
N_CELLS = 64  # Cells of distance. The rounding error of a series is known for each cell.
N_TERMS_TRACED = 256  # terms of a traced series, whose length cannot depend on the width of the Gaussians
UNCONVERGED = 1e-9  # size that the last coefficients of a traced series may have, relative to the largest
Functions = Callable[[Float[Any, " j"]], Float[Any, "d j n l"]]  # A function of u: G_nl and three derivatives


class Series(eqx.Module):
    """Functions G_nl(u) for 0 ≤ u ≤ `reach`², and zero beyond.

    `tables` holds Chebyshev coefficients of t^(l + 2d) d^d G_nl/du^d for d < `N_ORDERS`. `origin`, √c, and `reach` are
    in units of the cutoff radius. In `N_CELLS` equal cells of distance up to `reach`, `terms` tells how much larger the
    terms of the sums are than the sums, in the norm over n and l, and `error` what errors of the coefficients cause,
    relative to the functions.
    """

    tables: Float[Any, "d n l k"]
    origin: Float[Any, ""]
    reach: Float[Any, ""]
    terms: Float[Any, " c"]
    error: Float[Any, " c"]

    def __call__(self, u: Float[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        """Evaluate all functions at squared distances `u`, differentiably in `u` and in the tables."""
        tables, origin, reach = (jnp.asarray(x, u.dtype) for x in (self.tables, self.origin, self.reach))
        fixed = jax.lax.stop_gradient((origin, reach))
        return _derivatives(0, tables, fixed, u)[0]

    def with_slopes_on_host(self, u: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "2 n l *batch"]:
        """Evaluate all functions and their derivatives by `u` in NumPy, which needs no compilation."""
        tables, (origin, reach) = self.tables[:2], (float(self.origin), float(self.reach))
        inside, end = u <= reach**2, sqrt(reach**2 + origin**2)
        t = np.sqrt(np.where(inside, u, 0) + origin**2)
        x = ((2 * t - origin - end) / (end - origin)).ravel()
        terms = np.stack([np.ones_like(x), x])
        while len(terms) < tables.shape[3]:
            terms = np.concatenate([terms, 2 * terms[-1:] * terms[1:] - terms[-2::-1]])[: tables.shape[3]]
        sums = (tables @ terms).reshape(*tables.shape[:3], *u.shape)
        powers = np.where(inside, t ** -np.arange(tables.shape[2] + 2.0).reshape(-1, *[1] * u.ndim), 0)
        return sums * np.stack([powers[:-2], powers[2:]])[:, None]

    def at_origin_on_host(self) -> Float[np.ndarray, " n"]:
        """Evaluate G_n0(0) in NumPy."""
        of_l0 = self.tables[0, :, 0]
        return of_l0 @ (-1.0) ** np.arange(of_l0.shape[1])

    def roundings(self, u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Return the error of the functions at squared distances `u`, in units of eps times their norm."""
        xp = array_namespace(u)
        terms, error, reach = (xp.asarray(x, u.dtype) for x in (self.terms, self.error, self.reach))
        cell = xp.clip(xp.sqrt(u) / reach * N_CELLS, 0, N_CELLS - 1).astype(np.int32)
        return (terms + error / xp.finfo(u.dtype).eps)[cell]

    def contracted(self, coefficients: Float[Any, "l n p"]) -> Series:
        """Return the series of combinations of the functions of each l. The rows of `coefficients` are orthonormal."""
        xp = jnp if isinstance(self.tables, jax.Array) else array_namespace(coefficients)
        coefficients = xp.asarray(coefficients, self.tables.dtype)
        tables = einsum("lnp,dplk->dnlk", coefficients, self.tables)
        before, after = (jax.lax.stop_gradient(x[0]) if xp is jnp else x[0] for x in (self.tables, tables))
        terms, _ = _roundings(after, self.origin, self.reach, 0.0)
        # Orthonormal rows do not increase the norm of the errors. Relative to smaller functions they are larger.
        size, smaller = (_powers_and_sizes(x, self.origin, self.reach)[1] for x in (before, after))
        return Series(tables, self.origin, self.reach, terms, self.error * (size / smaller))

    def at_origin(self, dtype: DTypeLike) -> Float[Array, " n"]:
        """Evaluate G_n0(0), where every Chebyshev polynomial is 1 or -1."""
        of_l0 = jnp.asarray(self.tables[0, :, 0], dtype)
        return of_l0 @ jnp.asarray((-1.0) ** np.arange(of_l0.shape[1]), dtype)


def host_series(
    functions: Functions, origin: Float[np.longdouble, ""], reach: Float[np.longdouble, ""], width: float
) -> Series:
    """Expand functions that vary over the distance `width`, in long doubles and as many terms as they need. Derivatives
    have series of their own, because differentiating a series multiplies its errors by its squared length."""
    n_terms = max(48, ceil(1.2 / width))
    while True:
        t, cosines = _nodes(n_terms, origin, reach)
        blocks = np.split(t, range(BLOCK_DISTANCES, n_terms, BLOCK_DISTANCES))
        values = np.concatenate([functions(np.maximum(block**2 - origin**2, 0)) for block in blocks], 1)
        tables = _tables(values, t, cosines)
        length, noise = _count_terms(tables[0])
        if length is not None:
            padded = np.zeros((*tables.shape[:3], -(-length // TERMS_MULTIPLE) * TERMS_MULTIPLE))
            padded[..., :length] = tables[..., :length]
            interval = np.asarray(origin, float), np.asarray(reach, float)
            return Series(padded, *interval, *_roundings(padded[0], *interval, noise))
        n_terms += n_terms // 2


def _count_terms(tables: Float[np.ndarray, "n l k"]) -> tuple[int | None, float]:
    """Count the terms that matter, `None` if more are needed to tell, and estimate the relative error of all terms."""
    largest = np.abs(tables).max(-1, keepdims=True)
    shares = (np.abs(tables) / np.where(largest > 0, largest, 1)).max((0, 1))
    left = np.maximum.accumulate(shares[::-1])[::-1]
    middle, end = left[len(left) // 2], left[3 * len(left) // 4]
    # The coefficients of an entire function fall ever faster. Coefficients that no longer fall are rounding errors,
    # which nearly dependent primitives amplify.
    converged = end <= NEGLIGIBLE or (end < MAX_NOISE and middle < 8 * end)
    length = int(np.flatnonzero(left > max(NEGLIGIBLE, 2 * end))[-1]) + 1 if converged else None
    return length, float(end)


def _roundings(tables: Float[Any, "n l k"], origin: Any, reach: Any, noise: Any) -> tuple[Any, Any]:
    """Compute `terms` and `error` of a series whose coefficients have the relative error `noise`."""
    xp = array_namespace(tables)
    powers, size = _powers_and_sizes(tables, origin, reach)
    added = xp.abs(tables).sum(-1), noise * xp.abs(tables).max(-1)
    return tuple(((x[..., None] * powers[None]) ** 2).sum((0, 1)) ** 0.5 / size for x in added)


def _powers_and_sizes(tables: Float[Any, "n l k"], origin: Any, reach: Any) -> tuple[Any, Any]:
    """Compute (r/t)^l of each l and cell, and the norm of r^l G_nl over n and l in each cell."""
    xp = array_namespace(tables)
    r = reach * ((np.arange(N_CELLS) + 0.5) / N_CELLS).astype(tables.dtype)
    t, end = (r**2 + origin**2) ** 0.5, (reach**2 + origin**2) ** 0.5
    x = xp.clip((2 * t - origin - end) / (end - origin), -1, 1)
    k = np.arange(tables.shape[-1], dtype=tables.dtype)
    values = tables @ xp.cos(k[:, None] * xp.arccos(x)[None])
    powers = (r / t)[None] ** np.arange(tables.shape[1], dtype=tables.dtype)[:, None]
    size = ((values * powers[None]) ** 2).sum((0, 1)) ** 0.5
    return powers, xp.maximum(size, 1e-12 * size.max())


def traced_series(functions: Functions, origin: Float[Array, ""], reach: Float[Array, ""]) -> Series:
    """Expand functions of traced quantities in `N_TERMS_TRACED` terms. The program fails if they need more."""
    origin, reach = jax.lax.stop_gradient((origin, reach))
    t, cosines = _nodes(N_TERMS_TRACED, origin, reach)
    tables = _tables(functions(jnp.maximum(t**2 - origin**2, 0)), t, cosines)
    size = jnp.abs(jax.lax.stop_gradient(tables[0]))
    # Written so that NaN counts as unconverged.
    allowed = max(UNCONVERGED, 64 * float(jnp.finfo(tables.dtype).eps))
    sharp = ~(size[..., -TERMS_MULTIPLE:].max() <= allowed * size.max())
    tables = eqx.error_if(
        tables,
        sharp,
        "The radial functions of a traced `sigma` or `r_cut` are too sharp, or too nearly dependent in this precision, "
        "to be expanded inside jit: keep sigma / r_cut above 1/64, use float64, lower n_max, or build the featurizer "
        "outside of the transformation.",
    )
    noise = 8 * jnp.finfo(tables.dtype).eps
    return Series(tables, origin, reach, *_roundings(jax.lax.stop_gradient(tables[0]), origin, reach, noise))


def _nodes(n_terms: int, origin: Any, reach: Any) -> tuple[Any, Float[np.ndarray, "k j"]]:
    """Return the Chebyshev nodes in t, and the values of the polynomials at the nodes."""
    pi = 4 * np.arctan(np.longdouble(1))
    angles = (np.arange(n_terms, dtype=np.longdouble) + 0.5) * (pi / n_terms)
    cosines = np.cos(np.multiply.outer(np.arange(n_terms), angles))
    end = (reach**2 + origin**2) ** 0.5
    middle = cosines[1].astype(origin.dtype)
    return (origin + end) / 2 + (end - origin) / 2 * middle, cosines.astype(origin.dtype)


def _tables(values: Float[Any, "d j n l"], t: Float[Any, " j"], cosines: np.ndarray) -> Float[Any, "d n l k"]:
    """Compute the Chebyshev coefficients of t^(l + 2d) times the values at the nodes."""
    order, _, _, l = np.ogrid[tuple(map(slice, values.shape))]
    weighed = array_namespace(values).moveaxis(values * t[None, :, None, None] ** (l + 2 * order).astype(t.dtype), 1, 3)
    factors = np.where(np.arange(len(cosines)) > 0, 2, 1).astype(t.dtype) / len(cosines)
    return (weighed @ cosines.T) * factors[None, None, None]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _derivatives(
    order: int, tables: Float[Array, "d n l k"], interval: tuple[Array, Array], u: Float[Array, "*batch"]
) -> Float[Array, "d n l *batch"]:
    """Evaluate the functions and their derivatives by u up to `order`."""
    return _evaluate(order, tables, interval, u)


@partial(_derivatives.defjvp, symbolic_zeros=True)
def _(order: int, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    tables, interval, u = primals
    of_tables, _, of_u = tangents
    moving = not isinstance(of_u, SymbolicZero)
    if moving and order + 1 == N_ORDERS:
        found, change = jax.jvp(partial(_evaluate, order, tables, interval), (u,), (of_u,))
    elif moving:
        more = _derivatives(order + 1, tables, interval, u)
        found, change = more[:-1], more[1:] * of_u[None, None, None]
    else:
        found = _derivatives(order, tables, interval, u)
        change = jnp.zeros_like(found)
    if not isinstance(of_tables, SymbolicZero):
        change = change + _derivatives(order, of_tables, interval, u)
    return found, change


def _evaluate(
    order: int, tables: Float[Array, "d n l k"], interval: tuple[Array, Array], u: Float[Array, "*batch"]
) -> Float[Array, "d n l *batch"]:
    tables, (start, reach) = tables[: order + 1], interval
    l_max = tables.shape[2] - 1
    inside = u <= reach**2
    end = jnp.sqrt(reach**2 + start**2)
    t = jnp.sqrt(jnp.where(inside, u, 0) + start**2)
    x = (2 * t - start - end) / (end - start)
    terms = _sequence(x, tables.shape[3], lambda terms: 2 * terms[-1:] * terms[1:] - terms[-2::-1])
    sums = jnp.tensordot(tables, terms, 1, precision="highest")
    powers = _sequence(1 / t, l_max + 2 * order + 1, lambda powers: powers[-1:] * powers[1:])
    powers = jnp.where(inside[None], powers, 0)
    return sums * jnp.stack([powers[2 * d : 2 * d + l_max + 1] for d in range(order + 1)])[:, None]


def _sequence(x: Float[Array, "*batch"], count: int, following: Callable[[Array], Array]) -> Float[Array, "k *batch"]:
    """Extend 1, x to `count` terms: T_(m+j) = 2 T_m T_j - T_(m-j) for polynomials, and x^(m+j) = x^m x^j for powers."""
    found = jnp.stack([jnp.ones_like(x), x])
    while len(found) < count:
        # Without the barrier XLA would compute all earlier terms once more for each new one.
        found = jax.lax.optimization_barrier(jnp.concatenate([found, following(found)])[:count])
    return found[:count]
