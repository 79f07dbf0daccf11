"""The power spectrum: features of order ν = 2."""

from itertools import combinations_with_replacement
from typing import ClassVar

import jax
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.base import Label
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.derivative_bounds import bound_bilinear_derivative
from jaxfeat.features.power_spectrum.compact import compact_power_spectrum_jacobian
from jaxfeat.features.power_spectrum.gram import power_spectrum_gram
from jaxfeat.features.power_spectrum.host import (
    power_spectrum_jacobian_on_host,
    power_spectrum_on_host,
    power_spectrum_rows_on_host,
)
from jaxfeat.features.power_spectrum.jacobian import (
    PowerSpectrumDifferential,
    contract_power_spectrum,
    power_spectrum_differential,
    power_spectrum_jacobian,
)
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.arrays import concrete_values


class PowerSpectrum(DensityFeaturizer):
    """The power spectrum (SOAP), ν = 2: F = Σ_m c_{a n l m} c_{a' n' l m} / √(2l+1).

    It sees distances and the angles between two neighbors. Each unordered pair of channels (a, n) is listed once, and
    pairs of different channels have the weight √2, so that the norm of the features is that of the full tensor.

    **Arguments:**

    {density}

    **Labels:** (species, n, species', n', l).

    **Raises:** `BasisError` if the arguments define no basis. `SpeciesError` if `species` names no element, or one
    twice, or if the number of `weights` differs.

    **Source:** Bartók, Kondor, Csányi, Phys. Rev. B 87, 184115 (2013).
    """

    nu: ClassVar[int] = 2  # type: ignore[misc]
    group: ClassVar[str] = "O3"  # type: ignore[misc]
    has_fast_gram: ClassVar[bool] = True

    @property
    def n_features(self) -> int:
        return self.n_channels * (self.n_channels + 1) // 2 * (self.l_max + 1)

    @property
    def labels(self) -> tuple[Label, ...]:
        pairs = list(combinations_with_replacement(self.channels, 2))
        return tuple((*first, *second, l) for l in range(self.l_max + 1) for first, second in pairs)

    def contract(self, density: Float[Array, "q l m"]) -> Float[Array, " n_features"]:
        return contract_power_spectrum(self.coefficients_by_l(density))

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        return power_spectrum_jacobian(self, env)

    def compact_jacobian(self, env: Environment) -> tuple[Float[Array, "k m"], int]:
        return compact_power_spectrum_jacobian(self, env), self.n_features

    @property
    def runs_on_host(self) -> bool:
        quantities = concrete_values(self.r_cut), concrete_values(self.sigma), concrete_values(self.weights)
        scalars = all(x is not None and x.ndim == k for x, k in zip(quantities, (0, 0, 1), strict=True))
        scalars &= all(concrete_values(x) is not None for x in jax.tree.leaves(self.radial))
        # A subclass may have other features.
        return scalars and self.cutoff.has_slope and type(self) is PowerSpectrum

    def features_on_host(self, batch: Environment, present: np.ndarray) -> Float[np.ndarray, "b n_features"]:
        return power_spectrum_on_host(self, batch, present)

    def jacobian_on_host(self, batch: Environment, present: np.ndarray) -> Float[np.ndarray, "b n_features n 3"]:
        if not self.runs_on_host:
            return super().jacobian_on_host(batch, present)
        return power_spectrum_jacobian_on_host(self, batch, present)

    def rows_on_host(self, batch: Environment, present: np.ndarray, room: int) -> tuple[np.ndarray, int]:
        if not self.runs_on_host:
            return super().rows_on_host(batch, present, room)
        n_channels = present.shape[1] * self.n_max
        return power_spectrum_rows_on_host(self, batch, present), n_channels * (n_channels + 1) // 2 * (self.l_max + 1)

    def jacobian_gram(self, env: Environment) -> tuple[Float[Array, "m m"], Float[Array, " n"], int]:
        return *power_spectrum_gram(self, env), self.n_features

    def differential(self, env: Environment) -> PowerSpectrumDifferential:
        return power_spectrum_differential(self, env)

    def derivative_bound(self, env: Environment, order: int, radius: float) -> float | None:
        # By the inequality of Cauchy and Schwarz for each l, F is a bilinear form of a norm of at most one.
        return bound_bilinear_derivative(self, env, order, radius) if type(self) is PowerSpectrum else None
