"""The Jacobian of the power spectrum in few rows: turned by an orthogonal matrix from the left, and zero rows left out.

F_l = C_l C_lᵀ and C_l = G_l S_lᵀ, where a column of G_l has the radial functions of one neighbor, in the channels of
its species, and a column of S_l its solid harmonics. An orthogonal Q that mixes the channels takes F_l to Q F_l Qᵀ,
which keeps all inner products of features. It may differ from l to l, and two choices leave little:

- From QR of G_l with N columns: all but N channels are blind to everything but distances. Their rows, of all l
  together, come down to N by another QR.
- From QR of C_l with 2l + 1 columns: of each pair of channels that is left, one is among the first 2l + 1.

Four neighbors at (n_max, l_max) = (8, 6) in two species have 952 features, and 64 rows here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import pi, sqrt
from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lanes import lanes
from jaxfeat.linalg.triangular import r_factor
from jaxfeat.so3.coupling import coupling
from jaxfeat.so3.harmonics import solid_harmonics_table

if TYPE_CHECKING:
    from jaxfeat.features.density import DensityFeaturizer

Y_00 = 1 / sqrt(4 * pi)

WORTHWHILE = 0.25
"""Share of the rows that the second QR has to save."""


def condensed_power_spectrum(f: DensityFeaturizer, env: Environment) -> Float[Array, "k m"]:
    """The rows of one environment, as `AbstractFeaturizer.condensed_jacobian` has them."""
    if env.max_neighbors == 0:
        return jnp.zeros((0, 0), env.positions.dtype)
    known, dtype = jnp.asarray(f.species, env.species.dtype), env.positions.dtype
    of_neighbors = (env.species[:, None] == known[None]).astype(dtype)
    of_center = (env.center_species[None] == known).astype(dtype)
    # The species have gone into these; each item may have its own.
    shared = eqx.tree_at(lambda f: f.species, f, np.zeros(len(f.species), np.int32))
    return _rows(shared, _Atoms(env.positions, env.mask, of_neighbors, of_center))


class _Atoms(NamedTuple):
    """The neighbors, whether there are such, and which channels' species they and the center are of."""

    positions: Float[Array, "n 3 b"]
    mask: Bool[Array, "n b"]
    of_neighbors: Float[Array, "n a b"]
    of_center: Float[Array, "a b"]


@lanes
def _rows(f: DensityFeaturizer, at: _Atoms) -> Float[Array, "k m b"]:
    n, _, b = at.positions.shape
    l_max = f.radial.l_max
    # d/dr = 2 r d/ds with s = |r|².
    radial, slope = _radial(f, at)
    ds = 2 * at.positions
    of_distances, rows = [_spherical(f, at, radial[0], slope[0])], []
    if l_max:
        radial, slope = radial[1:], slope[1:]
        kept = min(radial.shape[1], n)
        if radial.shape[1] > n:
            radial, slope = _split(_each_l(r_factor, jnp.concatenate([radial, slope], 2)), n, n)
        near, near_slope, far_slope = radial[:, :kept], slope[:, :kept], slope[:, kept:]
        harmonics, gradients = _harmonics(l_max, at.positions)
        density = jnp.sum(near[:, :, None] * harmonics[:, None], 3)
        first = np.full(l_max, kept)
        fewer = np.minimum(2 * np.arange(1, l_max + 1) + 1, kept)
        if len(_pairs(fewer, kept)) < (1 - WORTHWHILE) * len(_pairs(first, kept)):
            every = _each_l(r_factor, jnp.concatenate([density, near, near_slope], 2))
            density, near, near_slope = _split(every, density.shape[2], n, n)
            first = fewer
        # h = Σ_m c_m S_m of each neighbor, and its derivatives.
        h = jnp.sum(density[:, :, :, None] * harmonics[:, None], 2)
        dh = jnp.sum(density[:, :, :, None, None] * gradients[:, None], 2)
        rows.append(_products(near, near_slope, h[:, :, :, None] * ds[None, None], dh, _pairs(first, kept)))
        l, j = np.asarray([(l, j) for l, count in enumerate(first) for j in range(count)]).T
        of_distances.append(sqrt(2) * (far_slope[l] * h[l, j][:, None]).reshape(-1, n, b))
    stretched = jnp.concatenate(of_distances)
    if stretched.shape[0] > n:
        stretched = jax.vmap(r_factor, -1, -1)(stretched)
    rows.append(stretched[:, :, None] * ds[None])
    return jnp.concatenate(rows).reshape(-1, 3 * n, b)


def _products(near: Array, slope: Array, h_ds: Array, dh: Array, pairs: np.ndarray) -> Float[Array, "k n 3 b"]:
    """dF_ij = dg_i h_j + g_i dh_j and the same with i and j exchanged, for `pairs` (l, i, j); each pair i ≠ j stands
    for two entries of F."""
    l, i, j = pairs.T
    weights = jnp.asarray(np.where(i == j, 1, sqrt(2)), near.dtype)[:, None, None, None]

    def half(i: np.ndarray, j: np.ndarray) -> Array:
        return slope[l, i][:, :, None] * h_ds[l, j] + near[l, i][:, :, None] * dh[l, j]

    return weights * (half(i, j) + half(j, i))


def _pairs(first: np.ndarray, kept: int) -> np.ndarray:
    """(l, i, j) with l counted from 1, j among the `first` channels of that l and i not before j."""
    return np.asarray([(l, i, j) for l, count in enumerate(first) for j in range(count) for i in range(j, kept)])


def _spherical(f: DensityFeaturizer, at: _Atoms, radial: Array, slope: Array) -> Float[Array, "q n b"]:
    """The rows of l = 0, in derivatives by squared distances."""
    # d(c cᵀ) = dc cᵀ + c dcᵀ, as a linear map of dc alone: along c it is 2|c|, across √2|c|.
    at_zero = jnp.asarray(f.center_weight, radial.dtype) * f.radial(jnp.zeros((), radial.dtype))[:, 0]
    center = (at.of_center[:, None] * at_zero[None, :, None]).reshape(-1, radial.shape[-1])
    c = Y_00 * (radial.sum(1) + center)
    length = jnp.sqrt(jnp.sum(c**2, 0))
    u = c / jnp.where(length > 0, length, 1)[None]
    along = jnp.sum(u[:, None] * slope, 0)
    return sqrt(2) * Y_00 * length[None, None] * (slope + (sqrt(2) - 1) * u[:, None] * along[None])


def _radial(f: DensityFeaturizer, at: _Atoms) -> tuple[Float[Array, "l q n b"], Float[Array, "l q n b"]]:
    """What neighbors add to c_{q l m} but for their solid harmonics, and its derivative by squared distance."""

    s = jnp.sum(at.positions**2, 1)
    species = at.of_neighbors.transpose(1, 0, 2)[None, :, None]

    def in_channels(of_neighbors: Array) -> Array:
        placed = species * of_neighbors.transpose(1, 0, 2, 3)[:, None]
        return placed.reshape(placed.shape[0], -1, *placed.shape[3:])

    value, slope = jax.jvp(lambda s: f.radial_factor(s, at.mask), (s,), (jnp.ones_like(s),))
    return in_channels(value), in_channels(slope)


def _harmonics(
    l_max: int, positions: Float[Array, "n 3 b"]
) -> tuple[Float[Array, "l m n b"], Float[Array, "l m n 3 b"]]:
    """Solid harmonics for l = 1 ... l_max and their gradients, over (2l + 1)^(1/4), so that products of two have the
    weight of a feature; m = -l ... l, then zeros."""
    table = jax.vmap(jax.vmap(lambda r: solid_harmonics_table(l_max, r), 0, -1), -1, -1)(positions)
    degree = 2 * np.arange(1, l_max + 1) + 1
    scale = jnp.asarray(degree**-0.25, table.dtype)
    m = (np.arange(2 * l_max + 1)[None] + l_max - np.arange(1, l_max + 1)[:, None]) % (2 * l_max + 1)
    values = table[np.arange(1, l_max + 1)[:, None], m]
    gradients = jnp.asarray(_gradients(l_max), table.dtype)
    slopes = jnp.einsum("lxmp,lpnb->lmnxb", gradients, table[:-1], precision="highest")
    return scale[:, None, None, None] * values, scale[:, None, None, None, None] * slopes


@cache
def _gradients(l_max: int) -> Float[np.ndarray, "l 3 m p"]:
    """∇(r^l Y_lm) = Σ_p (l, :, m, p) r^(l-1) Y_(l-1)p for l = 1 ... l_max; m = -l ... l, then zeros, and
    p = -l_max ... l_max."""
    found = np.zeros((l_max, 3, 2 * l_max + 1, 2 * l_max + 1))
    for l in range(1, l_max + 1):
        tensor = (-1) ** l * sqrt(l) * (2 * l + 1) * coupling(l - 1, 1, l)
        # Harmonics of l = 1 are y, z, x.
        found[l - 1, :, : 2 * l + 1, l_max - l + 1 : l_max + l] = tensor.transpose(1, 2, 0)[[2, 0, 1]]
    return found


def _each_l(function: Callable[[Array], Array], matrices: Float[Array, "l r c b"]) -> Float[Array, "l k c b"]:
    return jax.vmap(jax.vmap(function, -1, -1))(matrices)


def _split(matrices: Float[Array, "l r c b"], *widths: int) -> list[Array]:
    return jnp.split(matrices, np.cumsum(widths)[:-1], 2)
