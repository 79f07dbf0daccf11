"""The Jacobian of the power spectrum."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.factorized_density import factorize_density, repeat_by_coordinate
from jaxfeat.features.power_spectrum.contraction import harmonics_scale, pair_weights
from jaxfeat.geometry.environment import Environment


def power_spectrum_jacobian(f: DensityFeaturizer, env: Environment) -> Float[Array, "n_features n 3"]:
    """Compute dF/dr of one environment, by l and then by pairs of channels.

    A displacement of neighbor k changes C_l by dg S_kᵀ + g dS_kᵀ, of its radial functions g and harmonics S_k, and
    F_l = C_l C_lᵀ by dg hᵀ + g dhᵀ and the transpose, where h = C_l S_k: no sum over m is left for pairs of channels.
    """
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
