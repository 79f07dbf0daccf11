"""The power spectrum, its Jacobian and the Jacobian in few rows, in NumPy, with the density's factors and derivatives.
A compiled program takes seconds to make and microseconds to run. NumPy takes about a millisecond for each environment
and needs no compilation, so it answers first up to some hundred environments. Both are tested against each other."""

from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxfeat.features.density import Y_00, DensityFeaturizer
from jaxfeat.features.factorized_density import gradient_tensors
from jaxfeat.features.power_spectrum.jacobian import harmonics_scale, pair_weights
from jaxfeat.geometry.environment import Environment
from jaxfeat.so3.harmonics import solid_harmonics_on_host


class HostDensity(NamedTuple):
    """The factors of b densities of n neighbors each, without padding, as in `FactorizedDensity`. Harmonics are ordered
    as by `solid_harmonics`, and `center` is the share of the center in c_{q 0 0}, divided by Y_00."""

    radial: Float[np.ndarray, "l b q n"]
    slopes: Float[np.ndarray, "l b q n"]
    center: Float[np.ndarray, "b q"]
    harmonics: Float[np.ndarray, "b n l m"]
    gradients: Float[np.ndarray, "b n l m 3"]


def host_density(f: DensityFeaturizer, batch: Environment, present: np.ndarray) -> HostDensity:
    """Compute the factors of the densities of environments `(b,)` of NumPy arrays that have no padding. Row i of
    `present` lists the species that item i is described in, then -1."""
    positions, l_max, known = np.asarray(batch.positions), f.l_max, np.asarray(f.species)
    weights = ((present[..., None] == known) * np.asarray(f.weights)).sum(-1)
    values, slopes = host_radial_factors(f, (positions**2).sum(-1))
    of_neighbor = np.where(batch.species[..., None] == present[:, None], weights[:, None], 0)
    of_center = np.where(batch.center_species[:, None] == present, weights, 0)
    at_origin = float(f.center_weight) * f.radial_series().at_origin_on_host()
    center = (of_center[..., None] * at_origin).reshape(len(of_center), -1)

    def in_channels(factor: np.ndarray) -> np.ndarray:
        # (n_max, l, b, k) and (b, k, a) make (l, b, a, n_max, k).
        placed = np.einsum("nlbk,bka->lbank", factor, of_neighbor)
        return placed.reshape(*placed.shape[:2], center.shape[1], placed.shape[-1])

    harmonics = solid_harmonics_on_host(l_max, positions)
    gradients = np.zeros((*harmonics.shape, 3))
    for l, tensor in enumerate(gradient_tensors(l_max), 1):
        first, last = l_max - l, l_max + l + 1
        below = harmonics[..., l - 1, :] @ tensor[:, : 2 * l + 1].reshape(-1, 2 * l_max + 1).T
        gradients[..., l, first:last, :] = below.reshape(*below.shape[:-1], 3, 2 * l + 1).swapaxes(-1, -2)
    return HostDensity(in_channels(values), in_channels(slopes), center, harmonics, gradients)


def host_radial_factors(f: DensityFeaturizer, s: Float[np.ndarray, "*batch"]) -> tuple[np.ndarray, np.ndarray]:
    """Compute `DensityFeaturizer.radial_factor` at squared distances `s`, and its derivative by `s`."""
    r, r_cut = np.sqrt(s), float(f.r_cut)
    weight, slope = f.cutoff.with_slope(r, r_cut)
    if f.radial_scaling is not None:
        scaling, scaling_slope = f.radial_scaling.with_slope(r)
        weight, slope = weight * scaling, slope * scaling + weight * scaling_slope
    functions, of_functions = f.radial_series().with_slopes_on_host(s / r_cut**2)
    # d/ds = d/dr / (2 r). At the origin the functions of s are flat.
    by_s = np.where(r > 0, slope / np.where(r > 0, 2 * r, 1), 0)
    return weight * functions, by_s * functions + weight * of_functions / r_cut**2


def power_spectrum_on_host(
    f: DensityFeaturizer, batch: Environment, present: Int[np.ndarray, "b s"]
) -> Float[np.ndarray, "b n_features"]:
    """Compute the features of environments `(b,)` that have no padding, from the species `present` in each."""
    density = host_density(f, batch, present)
    i, j = np.triu_indices(density.radial.shape[2])
    found = np.empty((len(present), f.l_max + 1, len(i)))
    for l in range(f.l_max + 1):
        c = host_coefficients(density, l, scaled_harmonics_on_host(density, l)[0])
        found[:, l] = pair_weights(i, j) * (c @ c.swapaxes(1, 2))[:, i, j]
    return _among_all_pairs(f, found, present)


def power_spectrum_jacobian_on_host(
    f: DensityFeaturizer, batch: Environment, present: Int[np.ndarray, "b s"]
) -> Float[np.ndarray, "b n_features n 3"]:
    """Compute the Jacobians of environments `(b,)` that have no padding, as `power_spectrum_jacobian` does."""
    density = host_density(f, batch, present)
    i, j = np.triu_indices(density.radial.shape[2])
    b, n = batch.mask.shape
    found = np.empty((b, f.l_max + 1, len(i), n, 3))
    for l in range(f.l_max + 1):
        harmonics, gradients = scaled_harmonics_on_host(density, l)
        c = host_coefficients(density, l, harmonics)
        h, dh = c @ harmonics.swapaxes(1, 2), (c @ gradients).reshape(*c.shape[:2], n, 3)
        found[:, l] = stacked_rows_of_pairs(
            density.radial[l], density.slopes[l], h, dh, 2 * np.asarray(batch.positions), i, j
        )
    return _among_all_pairs(f, found, present)


def _among_all_pairs(
    f: DensityFeaturizer, rows: Float[np.ndarray, "b l pairs *rest"], present: Int[np.ndarray, "b s"]
) -> Float[np.ndarray, "b n_features *rest"]:
    """Put rows of pairs of the present species' channels among those of all species. The others are zero."""
    b, n_l, _, *rest = rows.shape
    known, n_species = np.asarray(f.species), present.shape[1]
    if n_species < len(known):
        number = np.zeros((f.n_channels, f.n_channels), int)
        n_pairs = len(np.triu_indices(f.n_channels)[0])
        number[np.triu_indices(f.n_channels)] = np.arange(n_pairs)
        places = (present[..., None] == known).argmax(-1)
        channels = (places[..., None] * f.n_max + np.arange(f.n_max)).reshape(b, -1)
        i, j = np.triu_indices(n_species * f.n_max)
        placed = np.zeros((b, n_l, n_pairs, *rest))
        for item, pairs in enumerate(number[channels[:, i], channels[:, j]]):
            placed[item][:, pairs] = rows[item]
        rows = placed
    return rows.reshape(b, rows.shape[1] * rows.shape[2], *rest)


def power_spectrum_rows_on_host(
    f: DensityFeaturizer, batch: Environment, present: np.ndarray
) -> Float[np.ndarray, "b k m"]:
    """Compute the rows of `compact_power_spectrum_jacobian`, with 2l + 1 columns for each l, without padding."""
    density = host_density(f, batch, present)
    b, n = batch.mask.shape
    # d/dr = 2 r d/ds with s = |r|².
    ds = 2 * np.asarray(batch.positions)
    by_distance, rows = [_rows_of_l0(density)], []
    for l in range(1, f.l_max + 1):
        g, slope = density.radial[l], density.slopes[l]
        kept = min(g.shape[1], n)
        if g.shape[1] > n:
            g, slope = np.split(_r_factor(np.concatenate([g, slope], 2)), 2, axis=2)
        g, slope, far_slope = g[:, :kept], slope[:, :kept], slope[:, kept:]
        harmonics, gradients = scaled_harmonics_on_host(density, l)
        c = g @ harmonics
        first = min(2 * l + 1, kept)
        if first < kept:
            c, g, slope = np.split(_r_factor(np.concatenate([c, g, slope], 2)), (2 * l + 1, 2 * l + 1 + n), axis=2)
        # h = Σ_m c_m S_m of each neighbor, and its derivatives.
        h, dh = c @ harmonics.swapaxes(1, 2), (c @ gradients).reshape(b, kept, n, 3)
        j, i = np.asarray([(j, i) for j in range(first) for i in range(j, kept)]).T
        rows.append(stacked_rows_of_pairs(g, slope, h, dh, ds, i, j).reshape(b, len(i), 3 * n))
        by_distance.append((sqrt(2) * far_slope[:, None] * h[:, :first, None]).reshape(b, -1, n))
    stretched = np.concatenate(by_distance, 1)
    if stretched.shape[1] > n:
        stretched = _r_factor(stretched)
    rows.append((stretched[..., None] * ds[:, None]).reshape(b, -1, 3 * n))
    return np.concatenate(rows, 1)


def scaled_harmonics_on_host(
    density: HostDensity, l: int
) -> tuple[Float[np.ndarray, "b n m"], Float[np.ndarray, "b m k"]]:
    """Return the scaled harmonics of degree l, and their derivatives by all k = 3n coordinates."""
    b, n, l_max = *density.harmonics.shape[:2], density.harmonics.shape[2] - 1
    columns, scale = slice(l_max - l, l_max + l + 1), harmonics_scale(l_max)[l]
    gradients = scale * density.gradients[:, :, l, columns]
    return scale * density.harmonics[:, :, l, columns], gradients.swapaxes(1, 2).reshape(b, 2 * l + 1, 3 * n)


def host_coefficients(density: HostDensity, l: int, harmonics: np.ndarray) -> Float[np.ndarray, "b q m"]:
    c = density.radial[l] @ harmonics
    return c + Y_00 * density.center[..., None] if l == 0 else c


def stacked_rows_of_pairs(
    g: np.ndarray, slope: np.ndarray, h: np.ndarray, dh: np.ndarray, ds: np.ndarray, i: np.ndarray, j: np.ndarray
) -> Float[np.ndarray, "b pairs n 3"]:
    """Compute the weighted rows dg_i h_j + g_i dh_j + dg_j h_i + g_j dh_i for pairs i, j of channels."""
    stretch = slope[:, i] * h[:, j] + slope[:, j] * h[:, i]
    found = stretch[..., None] * ds[:, None]
    found += g[:, i, :, None] * dh[:, j]
    found += g[:, j, :, None] * dh[:, i]
    found *= pair_weights(i, j)[:, None, None]
    return found


def _rows_of_l0(density: HostDensity) -> Float[np.ndarray, "b q n"]:
    """Compute the rows of l = 0, in derivatives by squared distances."""
    # d(c cᵀ) = dc cᵀ + c dcᵀ is a linear map of dc: along c it multiplies by 2|c|, and across c by √2|c|.
    slopes = density.slopes[0]
    c = Y_00 * (density.radial[0].sum(2) + density.center)
    length = np.linalg.norm(c, axis=1)[:, None, None]
    u = c[..., None] / np.where(length > 0, length, 1)
    return sqrt(2) * Y_00 * length * (slopes + (sqrt(2) - 1) * u * (u * slopes).sum(1, keepdims=True))


def _r_factor(matrices: Float[np.ndarray, "b r c"]) -> Float[np.ndarray, "b k c"]:
    return np.asarray(np.linalg.qr(matrices, mode="r"))
