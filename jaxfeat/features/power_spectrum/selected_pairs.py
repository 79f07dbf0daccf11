"""Some features of a power spectrum and their derivatives, by the pairs of channels and the l that occur in them."""

from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.factorized_density import factorize_density, repeat_by_coordinate
from jaxfeat.features.power_spectrum.host import (
    host_coefficients,
    host_density,
    scaled_harmonics_on_host,
    stacked_rows_of_pairs,
)
from jaxfeat.features.power_spectrum.jacobian import harmonics_scale, pair_weights
from jaxfeat.geometry.environment import Environment


class SelectedPairs(NamedTuple):
    """Features F = Σ_m c_{i l m} c_{j l m} of a power spectrum, each by its l and its two channels i <= j."""

    l: Int[np.ndarray, " k"]
    i: Int[np.ndarray, " k"]
    j: Int[np.ndarray, " k"]


@lru_cache(maxsize=64)
def list_selected_pairs(n_channels: int, kept: tuple[int, ...]) -> SelectedPairs:
    """List the pairs of the features with the indices `kept` among those of a power spectrum of so many channels."""
    i, j = np.triu_indices(n_channels)
    l, pair = np.divmod(np.asarray(kept, int), len(i))
    return SelectedPairs(l, i[pair], j[pair])


def selected_power_spectrum(f: DensityFeaturizer, pairs: SelectedPairs, env: Environment) -> Float[Array, " k"]:
    """Compute the features of one environment."""
    found = []
    for l, c in enumerate(f.coefficients_by_l(f.density(env))):
        of_l = pairs.l == l
        if of_l.any():
            # XLA is faster at a product of all channels than at gathering the factors of each feature.
            i, j = pairs.i[of_l], pairs.j[of_l]
            products = jnp.matmul(c, c.T, precision="highest")[i, j]
            found.append(products * jnp.asarray(pair_weights(i, j) / sqrt(2 * l + 1), c.dtype))
    return jnp.concatenate(found)[np.argsort(np.argsort(pairs.l, kind="stable"))]


def selected_jacobian(f: DensityFeaturizer, pairs: SelectedPairs, env: Environment) -> Float[Array, "k n 3"]:
    """Compute the rows of `power_spectrum_jacobian` for these pairs."""
    l, i, j = pairs
    density = factorize_density(f, env, harmonics_scale(f.l_max))
    h = jnp.matmul(density.coefficients, density.harmonics, precision="highest")
    dh = jnp.matmul(density.coefficients, density.gradients, precision="highest")
    (g, dg), h = density.radial_by_coordinate(env.positions), repeat_by_coordinate(h)
    rows = dg[l, i] * h[l, j] + g[l, i] * dh[l, j] + dg[l, j] * h[l, i] + g[l, j] * dh[l, i]
    rows = rows * jnp.asarray(pair_weights(i, j), g.dtype)[:, None]
    return rows.reshape(len(l), *env.positions.shape)


def selected_power_spectrum_on_host(
    f: DensityFeaturizer, pairs: SelectedPairs, batch: Environment, present: Int[np.ndarray, "b s"]
) -> Float[np.ndarray, "b k"]:
    """Compute the features of environments `(b,)` that have no padding, in NumPy."""
    species, pairs, rows = _among_present(f, pairs, present)
    density = host_density(f, batch, species)
    found = np.zeros((len(batch), len(rows)))
    for l in np.unique(pairs.l[rows]):
        of_l = np.flatnonzero(rows & (pairs.l == l))
        i, j = pairs.i[of_l], pairs.j[of_l]
        c = host_coefficients(density, l, scaled_harmonics_on_host(density, l)[0])
        found[:, of_l] = pair_weights(i, j) * (c @ c.swapaxes(1, 2))[:, i, j]
    return found


def selected_jacobian_on_host(
    f: DensityFeaturizer, pairs: SelectedPairs, batch: Environment, present: Int[np.ndarray, "b s"]
) -> Float[np.ndarray, "b k n 3"]:
    """Compute the Jacobians of environments `(b,)` that have no padding, in NumPy."""
    species, pairs, rows = _among_present(f, pairs, present)
    density = host_density(f, batch, species)
    b, n = batch.mask.shape
    found = np.zeros((b, len(rows), n, 3))
    for l in np.unique(pairs.l[rows]):
        of_l = np.flatnonzero(rows & (pairs.l == l))
        harmonics, gradients = scaled_harmonics_on_host(density, l)
        c = host_coefficients(density, l, harmonics)
        h, dh = c @ harmonics.swapaxes(1, 2), (c @ gradients).reshape(*c.shape[:2], n, 3)
        factors = density.radial[l], density.slopes[l], h, dh, 2 * np.asarray(batch.positions)
        found[:, of_l] = stacked_rows_of_pairs(*factors, pairs.i[of_l], pairs.j[of_l])
    return found


def _among_present(
    f: DensityFeaturizer, pairs: SelectedPairs, present: Int[np.ndarray, "b s"]
) -> tuple[Int[np.ndarray, "b s"], SelectedPairs, Bool[np.ndarray, " k"]]:
    """List the species that any of the environments holds, for each of them; number the channels among these; and tell
    which features are made of such channels. The others are zero."""
    held = np.isin(np.asarray(f.species), present)
    place = np.cumsum(held) - 1
    (a, n), (b, m) = (np.divmod(channel, f.n_max) for channel in (pairs.i, pairs.j))
    among = SelectedPairs(pairs.l, place[a] * f.n_max + n, place[b] * f.n_max + m)
    species = np.asarray(f.species)[held]
    return np.broadcast_to(species, (len(present), len(species))), among, held[a] & held[b]
