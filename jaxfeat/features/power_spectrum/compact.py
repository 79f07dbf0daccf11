"""The Jacobian of the power spectrum in few rows: multiplied by an orthogonal matrix from the left, without zero rows.

F_l = C_l C_lᵀ and C_l = G_l S_lᵀ. A column of G_l holds the radial functions of one neighbor, in the channels of its
species; a column of S_l holds its solid harmonics. An orthogonal Q that mixes channels turns F_l into Q F_l Qᵀ, which
keeps all inner products of features. Q may differ from l to l, and two choices leave few rows:

- QR of G_l with N columns: all channels but N respond to distances alone. Their rows, of all l together, are reduced to
  N rows by another QR.
- QR of C_l with 2l + 1 columns: of each remaining pair of channels, one is among the first 2l + 1.

Four neighbors of two species at (n_max, l_max) = (8, 6) have 952 features, and 64 rows here.
"""

from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.atom_lanes import AtomLanes, map_l, multiply
from jaxfeat.features.density import Y_00, DensityFeaturizer
from jaxfeat.features.factorized_density import harmonics_and_gradients, radial_factors_by_l, repeat_by_coordinate
from jaxfeat.features.power_spectrum.jacobian import harmonics_scale, pair_weights
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES, in_lanes
from jaxfeat.linalg.lapack import qr_triangle
from jaxfeat.linalg.triangular import r_factor

MIN_SAVED_ROWS = 0.25  # Share of the rows that the second QR must save to be worth its time. Measured.


def compact_power_spectrum_jacobian(f: DensityFeaturizer, env: Environment) -> Float[Array, "k m"]:
    """Compute the rows of one environment, as `AbstractFeaturizer.compact_jacobian` defines them."""
    if env.max_neighbors == 0:
        return jnp.zeros((0, 0), env.positions.dtype)
    return (_rows_in_lanes if env.max_neighbors <= MAX_NEIGHBORS_IN_LANES else _rows)(*f.split_species(env))


def _rows(f: DensityFeaturizer, atoms: AtomLanes) -> Float[Array, "k m *b"]:
    n, _, *batch = atoms.positions.shape
    l_max = f.radial.l_max
    radial, slope = radial_factors_by_l(f, atoms)
    # d/dr = 2 r d/ds with s = |r|².
    ds = 2 * atoms.positions
    by_distance, rows = [_rows_of_l0(f, atoms, radial[0], slope[0])], []
    if l_max:
        radial, slope = radial[1:], slope[1:]
        kept = min(radial.shape[1], n)
        if radial.shape[1] > n:
            radial, slope = jnp.split(jax.vmap(_r_factor)(jnp.concatenate([radial, slope], 2)), 2, 2)
        near, near_slope, far_slope = radial[:, :kept], slope[:, :kept], slope[:, kept:]
        harmonics, gradients = harmonics_and_gradients(atoms, harmonics_scale(l_max)[1:])
        product = partial(map_l, atoms, partial(multiply, atoms))
        density = product(near, harmonics.swapaxes(1, 2))
        n_first = np.full(l_max, kept)
        fewer = np.minimum(2 * np.arange(1, l_max + 1) + 1, kept)
        if len(_channel_pairs(fewer, kept)) < (1 - MIN_SAVED_ROWS) * len(_channel_pairs(n_first, kept)):
            triangles = jax.vmap(_r_factor)(jnp.concatenate([density, near, near_slope], 2))
            density, near, near_slope = jnp.split(triangles, [density.shape[2], density.shape[2] + n], 2)
            n_first = fewer
        # h = Σ_m c_m S_m of each neighbor, and its derivatives.
        h, dh = product(density, harmonics), product(density, gradients)
        g, dg, h_of_all = (repeat_by_coordinate(x) for x in (near, near_slope, h))
        rows.append(
            _rows_of_pairs(g, dg * ds.reshape(1, 1, 3 * n, *batch), h_of_all, dh, _channel_pairs(n_first, kept))
        )
        l, j = np.asarray([(l, j) for l, count in enumerate(n_first) for j in range(count)]).T
        by_distance.append(sqrt(2) * (far_slope[l] * h[l, j][:, None]).reshape(-1, n, *batch))
    stretched = jnp.concatenate(by_distance)
    if stretched.shape[0] > n:
        stretched = _r_factor(stretched)
    rows.append((stretched[:, :, None] * ds[None]).reshape(-1, 3 * n, *batch))
    return jnp.concatenate(rows)


_rows_in_lanes = in_lanes(_rows)


def _rows_of_pairs(g: Array, dg: Array, h: Array, dh: Array, pairs: np.ndarray) -> Float[Array, "k m *b"]:
    """Compute the weighted rows dg_i h_j + g_i dh_j + dg_j h_i + g_j dh_i for `pairs` (l, i, j) of channels. The three
    coordinates of all neighbors stand side by side, because XLA gathers long rows fast."""
    l, i, j = pairs.T
    weights = jnp.asarray(pair_weights(i, j), g.dtype).reshape(-1, *[1] * (g.ndim - 2))
    return weights * (dg[l, i] * h[l, j] + g[l, i] * dh[l, j] + dg[l, j] * h[l, i] + g[l, j] * dh[l, i])


def _channel_pairs(n_first: np.ndarray, kept: int) -> np.ndarray:
    """List (l - 1, i, j) with j among the first `n_first` channels of that l, and j <= i < kept."""
    return np.asarray([(l, i, j) for l, count in enumerate(n_first) for j in range(count) for i in range(j, kept)])


def _rows_of_l0(f: DensityFeaturizer, atoms: AtomLanes, radial: Array, slope: Array) -> Float[Array, "q n b"]:
    """Compute the rows of l = 0, in derivatives by squared distances."""
    # d(c cᵀ) = dc cᵀ + c dcᵀ is a linear map of dc: along c it multiplies by 2|c|, and across c by √2|c|.
    c = Y_00 * (radial.sum(1) + f.center_factors(atoms))
    length = jnp.sqrt(jnp.sum(c**2, 0))
    u = c / jnp.where(length > 0, length, 1)[None]
    along = jnp.sum(u[:, None] * slope, 0)
    return sqrt(2) * Y_00 * length[None, None] * (slope + (sqrt(2) - 1) * u[:, None] * along[None])


def _r_factor(matrix: Float[Array, "r c *b"]) -> Float[Array, "k c *b"]:
    return qr_triangle(matrix) if matrix.ndim == 2 else jax.vmap(r_factor, -1, -1)(matrix)
