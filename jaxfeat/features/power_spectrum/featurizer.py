"""The power spectrum, ν = 2."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import sqrt
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.base import Label
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.power_spectrum.differential import PowerSpectrumDifferential, power_spectrum_differential
from jaxfeat.features.power_spectrum.gram import power_spectrum_gram
from jaxfeat.features.power_spectrum.jacobian import condensed_power_spectrum
from jaxfeat.geometry.environment import Environment


class PowerSpectrum(DensityFeaturizer):
    """ν = 2: Σ_m c_{a n l m} c_{a' n' l m} / √(2l+1), each unordered pair of channels once, those off the diagonal
    times √2 (SOAP: Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013)).

    Labels are (species, n, species', n', l). Sees distances and the angles between two neighbors.
    """

    nu: ClassVar[int] = 2  # type: ignore[misc]
    group: ClassVar[str] = "O3"  # type: ignore[misc]
    has_fast_gram: ClassVar[bool] = True

    @property
    def n_features(self) -> int:
        return self.n_channels * (self.n_channels + 1) // 2 * (self.radial.l_max + 1)

    @property
    def labels(self) -> tuple[Label, ...]:
        channels = [self.channel(q) for q in range(self.n_channels)]
        pairs = list(combinations_with_replacement(channels, 2))
        return tuple((*first, *second, l) for l in range(self.radial.l_max + 1) for first, second in pairs)

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        first, second = np.triu_indices(self.n_channels)
        pairs = jnp.einsum("qlm,plm->lqp", density, density, precision="highest")
        return (pairs[:, first, second] * self._weights(density.dtype)).reshape(-1)

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        # A neighbor adds radial times angular factors, g_n h_m, and so do its derivatives: with Σ_m c_m h_m and
        # Σ_m c_m ∂h_m at hand, no sum over m is left when pairs of channels are formed.
        g, dg, h, dh = self.neighbor_factors(env)
        h, dh = (jnp.einsum("qlm,lmk->lqk", self.density(env), angular, precision="highest") for angular in (h, dh))
        i, j = np.triu_indices(self.n_channels)

        def rows(of_l: tuple[Array, ...]) -> Array:
            g, dg, h, dh, weights = of_l
            return (dg[i] * h[j] + g[i] * dh[j] + dg[j] * h[i] + g[j] * dh[i]) * weights[:, None]

        # A loop, since its result is written out: XLA would fuse these products into whatever reads them, and work
        # them out again for each reader.
        found = jax.lax.map(rows, (g, dg, h, dh, self._weights(g.dtype)))
        return found.reshape(found.shape[0] * found.shape[1], *env.positions.shape)

    def compact_jacobian(self, env: Environment) -> tuple[Float[Array, "k m"], int]:
        return condensed_power_spectrum(self, env), self.n_features

    def jacobian_gram(self, env: Environment) -> tuple[Float[Array, "m m"], Float[Array, " n"], int]:
        return *power_spectrum_gram(self, env), self.n_features

    def differential(self, env: Environment) -> PowerSpectrumDifferential:
        return power_spectrum_differential(self, env)

    def _weights(self, dtype: Any) -> Float[Array, "l pairs"]:
        first, second = np.triu_indices(self.n_channels)
        degree = np.sqrt(2 * np.arange(self.radial.l_max + 1) + 1)
        return jnp.asarray(np.where(first == second, 1, sqrt(2)) / degree[:, None], dtype)
