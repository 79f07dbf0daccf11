"""The power spectrum of a density, its Jacobian, and its differential without the Jacobian. F_l = C_l C_lᵀ and
C_l = G_l S_lᵀ, with one column of radial functions G_l and of solid harmonics S_l for each neighbor."""

from math import sqrt

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.factorized_density import factorize_density, repeat_by_coordinate
from jaxfeat.geometry.environment import Environment


def contract_power_spectrum(coefficients: list[Float[Array, "q m"]]) -> Float[Array, " n_features"]:
    """Compute F = Σ_m c_{q l m} c_{q' l m} / √(2l+1) of each l and each pair of channels q <= q', √2 times for q < q'.
    `coefficients` holds c of each l. One product for each l is up to 2.5 times as fast as one product for all l, which
    multiplies the zeros of |m| > l."""
    i, j = np.triu_indices(len(coefficients[0]))
    found = []
    for l, c in enumerate(coefficients):
        products = jnp.matmul(c, c.T, precision="highest")[i, j]
        found.append(products * jnp.asarray(pair_weights(i, j) / sqrt(2 * l + 1), c.dtype))
    return jnp.concatenate(found)


def pair_weights(i: np.ndarray, j: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """Return √2 for pairs of different channels, which stand for two entries of the tensor, and 1 for equal ones."""
    return np.where(i == j, 1, sqrt(2))


def harmonics_scale(l_max: int) -> Float[np.ndarray, " l"]:
    """Return (2l+1)^(-1/4) for each l, the factor of harmonics with which products of two have weight 1/√(2l+1)."""
    return (2 * np.arange(l_max + 1) + 1) ** -0.25


def power_spectrum_jacobian(f: DensityFeaturizer, env: Environment) -> Float[Array, "n_features n 3"]:
    """Compute dF/dr of one environment, by l and then by pairs of channels. A displacement of neighbor k changes C_l by
    dg S_kᵀ + g dS_kᵀ, of its radial functions g and harmonics S_k, and F_l = C_l C_lᵀ by dg hᵀ + g dhᵀ and the
    transpose, where h = C_l S_k: no sum over m is left for pairs of channels."""
    density = factorize_density(f, env, harmonics_scale(f.l_max))
    h = jnp.matmul(density.coefficients, density.harmonics, precision="highest")
    dh = jnp.matmul(density.coefficients, density.gradients, precision="highest")
    (g, dg), h = density.radial_by_coordinate(env.positions), repeat_by_coordinate(h)
    i, j = np.triu_indices(f.n_channels)
    weights = jnp.asarray(pair_weights(i, j), g.dtype)[:, None]

    def rows(factors: tuple[Array, ...]) -> Array:
        g, dg, h, dh = factors
        return (dg[i] * h[j] + g[i] * dh[j] + dg[j] * h[i] + g[j] * dh[i]) * weights

    # A loop, because XLA would otherwise fuse these products into every reader and repeat them there.
    found = jax.lax.map(rows, (g, dg, h, dh))
    return found.reshape(found.shape[0] * found.shape[1], *env.positions.shape)


class PowerSpectrumDifferential(eqx.Module):
    """The differential of the power spectrum at one environment: everything that displacements have in common.

    With C_l = G_l S_lᵀ, a displacement changes C_l by D = dG_l S_lᵀ + G_l dS_lᵀ, and F_l by D C_lᵀ + C_l Dᵀ: two
    products for each l. Up to about 8 displacements of 20 neighbors take less time than the rows of `compact`.
    `coefficients` are C_l. `factors` are the radial functions, then their derivatives by squared distance. `positions`
    are in Å.
    """

    coefficients: Float[Array, "l q m"]
    factors: Float[Array, "l q k"]
    harmonics: Float[Array, "l n m"]
    gradients: Float[Array, "l n 3 m"]
    positions: Float[Array, "n 3"]

    def __call__(self, displacement: Float[Array, "n 3"]) -> Float[Array, " d"]:
        """Compute the derivative along `displacement`, with both of the equal entries for two channels."""
        stretch = 2 * jnp.sum(self.positions * displacement, 1)
        turned = sum(self.gradients[:, :, x] * displacement[None, :, x, None] for x in range(3))
        changes = jnp.concatenate([turned, stretch[None, :, None] * self.harmonics], 1)
        changes = jnp.matmul(self.factors, changes, precision="highest")
        half = jnp.matmul(changes, self.coefficients.swapaxes(1, 2), precision="highest")
        return (half + half.swapaxes(1, 2)).reshape(-1)


def power_spectrum_differential(f: DensityFeaturizer, env: Environment) -> PowerSpectrumDifferential:
    """Compute the differential, as `AbstractFeaturizer.differential` defines it."""
    density = factorize_density(f, env, harmonics_scale(f.l_max))
    l, m, n = density.harmonics.shape
    gradients = density.gradients.reshape(l, m, n, 3).transpose(0, 2, 3, 1)
    factors = jnp.concatenate([density.radial, density.slopes], 2)
    return PowerSpectrumDifferential(
        density.coefficients, factors, density.harmonics.swapaxes(1, 2), gradients, env.positions
    )
