"""JᵀJ of the power spectrum, without J.

F_l = C_l C_lᵀ and C_l = Σ_k g_k S_kᵀ over the neighbors k: their radial functions g, in the channels of their species,
times their solid harmonics S. With h_k = C_l S_k, a displacement of k changes F_l by dg_k h_kᵀ + g_k dh_kᵀ and the
transpose of that. Inner products of such changes come down to inner products of g, dg, h and dh, and these to those of
radial functions alone, to T_kk' = S_k · S_k', a Legendre polynomial, and to its gradient: a few n x n matrices for
each l. Neither features nor harmonics appear.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from math import pi

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.atoms import Y_00, Atoms, each_l, in_channels, matrix_product
from jaxfeat.features.density import DensityFeaturizer, atoms_of, center_in_channels, radial_factors
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES, in_lanes


def power_spectrum_gram(f: DensityFeaturizer, env: Environment) -> tuple[Float[Array, "m m"], Float[Array, " n"]]:
    """JᵀJ of one environment and the norms that go with it, as `AbstractFeaturizer.jacobian_gram` has them."""
    if env.max_neighbors == 0:
        return jnp.zeros((0, 0), env.positions.dtype), jnp.zeros(0, env.positions.dtype)
    return (_side_by_side if env.max_neighbors <= MAX_NEIGHBORS_IN_LANES else _gram)(*atoms_of(f, env))


def _gram(f: DensityFeaturizer, at: Atoms) -> tuple[Float[Array, "m m *b"], Float[Array, "n *b"]]:
    n, _, *batch = at.positions.shape
    radial, slope = radial_factors(f, at)
    # d/dr = 2 r d/ds with s = |r|².
    r = at.positions.swapaxes(0, 1)
    ds = 2 * r
    inner = _few if n < f.n_channels else _many
    products = inner(at, radial[:, 1:].swapaxes(0, 1), slope[:, 1:].swapaxes(0, 1), *_legendre(f.radial.l_max, r))
    gg, dgg, dgdg, gh, dgh, gdh, dhg, dgdh, hh, hdh, dhdh = products

    # Sums over l are written out: a loop would write over what it has added up, which takes XLA longer.
    def summed(terms: Iterable[Array], *shape: int) -> Array:
        return sum(terms, jnp.zeros((*shape, *batch), r.dtype))

    each = range(len(gg))
    stretch = summed((dgdg[i] * hh[i] + dgh[i] * dgh[i].swapaxes(0, 1) for i in each), n, n)
    stretch = stretch + _spherical(f, at, radial[:, 0], slope[:, 0])
    mixed = summed((dgg[i][:, None] * hdh[i] + dgdh[i] * gh[i].swapaxes(0, 1)[:, None] for i in each), n, 3, n)
    mixed_across = jnp.moveaxis(mixed, 0, 2)

    def row(k: Array) -> Array:
        def of_atom(x: Array, axis: int) -> Array:
            return jax.lax.dynamic_index_in_dim(x, k, axis, keepdims=False)

        # dhg is gdh turned round: a product of its own takes less time than reading that against its order.
        factors = zip(of_atom(gg, 1), of_atom(dhdh, 2), of_atom(gdh, 1), of_atom(dhg, 2), strict=True)
        turned = summed((gg[None, None] * dhdh + gdh[None] * dhg[:, None] for gg, dhdh, gdh, dhg in factors), 3, 3, n)
        along = of_atom(ds, 1)[:, None, None] * (ds * of_atom(stretch, 0)[None] + of_atom(mixed, 0))[None]
        return 2 * (turned + along + ds[None] * of_atom(mixed_across, 1)[:, None])

    whole = jax.lax.map(row, np.arange(n))
    k, x = np.arange(n)[:, None], np.arange(3)[None]
    added = jnp.sum(whole[k, x, x, k] - 4 * ds.swapaxes(0, 1) * mixed[k, x, k], 1)
    return whole.swapaxes(2, 3).reshape(3 * n, 3 * n, *batch), jnp.sqrt(added)


_side_by_side = in_lanes(_gram)


def _few(at: Atoms, g: Array, dg: Array, t: Array, dt: Array) -> tuple[Array, ...]:
    """Inner products of g, dg, h and dh of each l, by way of those of g and dg: with fewer neighbors than channels."""
    alike = jnp.sum(at.of_neighbors[:, None] * at.of_neighbors[None], 2)
    product = partial(matrix_product, at)
    left = g.swapaxes(1, 2), dg.swapaxes(1, 2)

    def of_radial(*factors: Array) -> tuple[Array, ...]:
        gt, dgt, g, dg = factors
        return alike * product(gt, g), alike * product(dgt, g), alike * product(dgt, dg)

    def with_h(gg: Array, dgg: Array, t: Array, dt: Array, td: Array) -> tuple[Array, ...]:
        return product(gg, t), product(dgg, t), product(gg, dt), product(td, gg), product(dgg, dt)

    def of_h(t: Array, td: Array, gh: Array, gdh: Array) -> tuple[Array, ...]:
        return product(t, gh), product(t, gdh), product(td, gdh)

    td = jnp.moveaxis(dt, 1, 3)
    gg, dgg, dgdg = each_l(at, of_radial, *left, g, dg)
    gh, dgh, gdh, dhg, dgdh = each_l(at, with_h, gg, dgg, t, dt, td)
    return gg, dgg, dgdg, gh, dgh, gdh, dhg, dgdh, *each_l(at, of_h, t, td, gh, gdh)


def _many(at: Atoms, g: Array, dg: Array, t: Array, dt: Array) -> tuple[Array, ...]:
    """The same by way of h and dh themselves, which have as many entries as there are channels."""
    product = partial(matrix_product, at)
    g, dg = each_l(at, lambda g, dg: (in_channels(at, g), in_channels(at, dg)), g, dg)
    h, dh = each_l(at, lambda g, t, dt: (product(g, t), product(g, dt)), g, t, dt)
    left = g.swapaxes(1, 2), dg.swapaxes(1, 2), h.swapaxes(1, 2), jnp.moveaxis(dh, 1, 3)

    def pairs(*factors: Array) -> tuple[Array, ...]:
        gt, dgt, ht, dht, g, dg, h, dh = factors
        of_g, of_h = ((gt, g), (dgt, g), (dgt, dg)), ((ht, h), (ht, dh), (dht, dh))
        of_both = (gt, h), (dgt, h), (gt, dh), (dht, g), (dgt, dh)
        return tuple(product(a, b) for a, b in (*of_g, *of_both, *of_h))

    return each_l(at, pairs, *left, g, dg, h, dh)


def _legendre(l_max: int, r: Float[Array, "3 n *b"]) -> tuple[Float[Array, "l n n *b"], Float[Array, "l n 3 n *b"]]:
    """T of all pairs of neighbors, and its gradient by the position of the second one, for l = 1 ... l_max: Legendre
    polynomials times r^l r'^l (2l + 1)^(1/2) / 4π.

    Both come from derivatives D_l of Q_l = r^l r'^l P_l by u = r · r': l Q_l = u D_l - r² r'² D_(l-1) and
    ∇' Q_l = D_l r - r² D_(l-1) r'.
    """
    s = jnp.sum(r**2, 0)
    ss, u = s[:, None] * s[None], jnp.sum(r[:, :, None] * r[:, None], 0)

    def following(
        carry: tuple[Array, Array], factors: tuple[Array, ...]
    ) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        # All that is read later is worked out in here, in its own shape: outside, XLA puts the reshape for the products
        # into the same loop, and divides to find each entry.
        here, below = carry
        grow, shrink, by_degree, weight = factors
        gradient = here[:, None] * r.swapaxes(0, 1)[:, :, None] - (s[:, None] * below)[:, None] * r[None]
        both = by_degree * (u * here - ss * below), weight * gradient
        return (grow * u * here - shrink * ss * below, here), both

    degrees = np.arange(1, l_max + 1)
    weight = np.sqrt(2 * degrees + 1) / (4 * pi)
    factors = (2 * degrees + 1) / degrees, (degrees + 1) / degrees, weight / degrees, weight
    start = jnp.ones_like(u), jnp.zeros_like(u)
    return jax.lax.scan(following, start, tuple(jnp.asarray(x, r.dtype) for x in factors))[1]


def _spherical(
    f: DensityFeaturizer, at: Atoms, radial: Float[Array, "n_max n *b"], slope: Float[Array, "n_max n *b"]
) -> Float[Array, "n n *b"]:
    """Half of JᵀJ for l = 0, in derivatives by squared distances."""
    radial, slope = in_channels(at, radial), in_channels(at, slope)
    h = Y_00**2 * (radial.sum(1) + center_in_channels(f, at))
    along = jnp.sum(h[:, None] * slope, 0)
    squares = matrix_product(at, slope.swapaxes(0, 1), slope)
    return squares * jnp.sum(h**2, 0)[None, None] + along[:, None] * along[None]
