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

from functools import cache, partial
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.atoms import Y_00, Atoms, each_l, in_channels, matrix_product
from jaxfeat.features.density import DensityFeaturizer, atoms_of, center_in_channels, radial_factors
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES, in_lanes
from jaxfeat.linalg.lapack import qr_triangle
from jaxfeat.linalg.triangular import r_factor
from jaxfeat.so3.coupling import coupling_tensor
from jaxfeat.so3.harmonics import solid_harmonics

WORTHWHILE = 0.25
"""Share of the rows that the second QR has to save."""


def condensed_power_spectrum(f: DensityFeaturizer, env: Environment) -> Float[Array, "k m"]:
    """The rows of one environment, as `AbstractFeaturizer.compact_jacobian` has them."""
    if env.max_neighbors == 0:
        return jnp.zeros((0, 0), env.positions.dtype)
    return (_side_by_side if env.max_neighbors <= MAX_NEIGHBORS_IN_LANES else _rows)(*atoms_of(f, env))


def _rows(f: DensityFeaturizer, at: Atoms) -> Float[Array, "k m *b"]:
    n, _, *batch = at.positions.shape
    l_max = f.radial.l_max
    # d/dr = 2 r d/ds with s = |r|².
    radial, slope = (in_channels(at, of_neighbors).swapaxes(0, 1) for of_neighbors in radial_factors(f, at))
    ds = 2 * at.positions
    of_distances, rows = [_spherical(f, at, radial[0], slope[0])], []
    if l_max:
        radial, slope = radial[1:], slope[1:]
        kept = min(radial.shape[1], n)
        if radial.shape[1] > n:
            radial, slope = _split(jax.vmap(_r_factor)(jnp.concatenate([radial, slope], 2)), n, n)
        near, near_slope, far_slope = radial[:, :kept], slope[:, :kept], slope[:, kept:]
        harmonics, gradients = harmonics_and_gradients(l_max, at.positions)
        product = partial(each_l, at, partial(matrix_product, at))
        density = product(near, harmonics.swapaxes(1, 2))
        first = np.full(l_max, kept)
        fewer = np.minimum(2 * np.arange(1, l_max + 1) + 1, kept)
        if len(_pairs(fewer, kept)) < (1 - WORTHWHILE) * len(_pairs(first, kept)):
            every = jax.vmap(_r_factor)(jnp.concatenate([density, near, near_slope], 2))
            density, near, near_slope = _split(every, density.shape[2], n, n)
            first = fewer
        # h = Σ_m c_m S_m of each neighbor, and its derivatives.
        h, dh = product(density, harmonics), product(density, gradients)
        g, dg, h_of_all = (_by_coordinate(x) for x in (near, near_slope, h))
        rows.append(_products(g, dg * ds.reshape(1, 1, 3 * n, *batch), h_of_all, dh, _pairs(first, kept)))
        l, j = np.asarray([(l, j) for l, count in enumerate(first) for j in range(count)]).T
        of_distances.append(sqrt(2) * (far_slope[l] * h[l, j][:, None]).reshape(-1, n, *batch))
    stretched = jnp.concatenate(of_distances)
    if stretched.shape[0] > n:
        stretched = _r_factor(stretched)
    rows.append((stretched[:, :, None] * ds[None]).reshape(-1, 3 * n, *batch))
    return jnp.concatenate(rows)


_side_by_side = in_lanes(_rows)


def _by_coordinate(of_neighbors: Float[Array, "l q n *b"]) -> Float[Array, "l q m *b"]:
    """What belongs to each neighbor, three times."""
    if of_neighbors.ndim > 3:
        return jnp.repeat(of_neighbors, 3, 2)
    # As a matrix product, which XLA does not fuse into whatever reads it.
    n = of_neighbors.shape[2]
    return jnp.matmul(of_neighbors, np.repeat(np.eye(n, dtype=of_neighbors.dtype), 3, 1), precision="highest")


def _products(g: Array, dg: Array, h: Array, dh: Array, pairs: np.ndarray) -> Float[Array, "k m *b"]:
    """dF_ij = dg_i h_j + g_i dh_j and the same with i and j exchanged, for `pairs` (l, i, j); each pair i ≠ j stands
    for two entries of F. Rows of all coordinates are long: XLA gathers those fast."""
    l, i, j = pairs.T
    weights = jnp.asarray(np.where(i == j, 1, sqrt(2)), g.dtype).reshape(-1, *[1] * (g.ndim - 2))
    return weights * (dg[l, i] * h[l, j] + g[l, i] * dh[l, j] + dg[l, j] * h[l, i] + g[l, j] * dh[l, i])


def _pairs(first: np.ndarray, kept: int) -> np.ndarray:
    """(l, i, j) with l counted from 1, j among the `first` channels of that l and i not before j."""
    return np.asarray([(l, i, j) for l, count in enumerate(first) for j in range(count) for i in range(j, kept)])


def _spherical(f: DensityFeaturizer, at: Atoms, radial: Array, slope: Array) -> Float[Array, "q n b"]:
    """The rows of l = 0, in derivatives by squared distances."""
    # d(c cᵀ) = dc cᵀ + c dcᵀ, as a linear map of dc alone: along c it is 2|c|, across √2|c|.
    c = Y_00 * (radial.sum(1) + center_in_channels(f, at))
    length = jnp.sqrt(jnp.sum(c**2, 0))
    u = c / jnp.where(length > 0, length, 1)[None]
    along = jnp.sum(u[:, None] * slope, 0)
    return sqrt(2) * Y_00 * length[None, None] * (slope + (sqrt(2) - 1) * u[:, None] * along[None])


def harmonics_and_gradients(
    l_max: int, positions: Float[Array, "n 3 *b"]
) -> tuple[Float[Array, "l m n *b"], Float[Array, "l m k *b"]]:
    """Solid harmonics for l = 1 ... l_max and their gradients, over (2l + 1)^(1/4), so that products of two have the
    weight of a feature; m = -l ... l, then zeros."""
    n, _, *batch = positions.shape
    points = positions.swapaxes(0, 1).reshape(3, positions.size // 3)
    table = jax.vmap(lambda r: solid_harmonics(l_max, r), -1, -1)(points)
    degree = 2 * np.arange(1, l_max + 1) + 1
    scale = jnp.asarray(degree**-0.25, table.dtype)[:, None, None]
    m = (np.arange(2 * l_max + 1)[None] + l_max - np.arange(1, l_max + 1)[:, None]) % (2 * l_max + 1)
    values = scale * table[np.arange(1, l_max + 1)[:, None], m]
    gradients = jnp.asarray(_gradients(l_max), table.dtype)
    slopes = scale[..., None] * jnp.einsum("lxmp,lpk->lmkx", gradients, table[:-1], precision="highest")
    slopes = jnp.moveaxis(slopes.reshape(*values.shape[:2], n, *batch, 3), -1, 3)
    return values.reshape(*values.shape[:2], n, *batch), slopes.reshape(*values.shape[:2], 3 * n, *batch)


@cache
def _gradients(l_max: int) -> Float[np.ndarray, "l 3 m p"]:
    """∇(r^l Y_lm) = Σ_p (l, :, m, p) r^(l-1) Y_(l-1)p for l = 1 ... l_max; m = -l ... l, then zeros, and
    p = -l_max ... l_max."""
    found = np.zeros((l_max, 3, 2 * l_max + 1, 2 * l_max + 1))
    for l in range(1, l_max + 1):
        tensor = (-1) ** l * sqrt(l) * (2 * l + 1) * coupling_tensor(l - 1, 1, l)
        # Harmonics of l = 1 are y, z, x.
        found[l - 1, :, : 2 * l + 1, l_max - l + 1 : l_max + l] = tensor.transpose(1, 2, 0)[[2, 0, 1]]
    return found


def _r_factor(matrix: Float[Array, "r c *b"]) -> Float[Array, "k c *b"]:
    return qr_triangle(matrix) if matrix.ndim == 2 else jax.vmap(r_factor, -1, -1)(matrix)


def _split(matrices: Float[Array, "l r c *b"], *widths: int) -> list[Array]:
    return jnp.split(matrices, np.cumsum(widths)[:-1], 2)
