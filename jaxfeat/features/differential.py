"""The power spectrum's derivatives along a few displacements of an environment, without its Jacobian.

With C_l = G_l S_lᵀ, radial functions of the neighbors times their solid harmonics (`condensed`), a displacement changes
C_l by D = dG_l S_lᵀ + G_l dS_lᵀ and F_l by D C_lᵀ + C_l Dᵀ. All displacements stand side by side in two products for
each l, and what does not depend on them is worked out once.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.features.atoms import Y_00, atoms_of, center_in_channels, in_channels, radial_factors
from jaxfeat.features.condensed import harmonics_and_gradients
from jaxfeat.geometry.environment import Environment

if TYPE_CHECKING:
    from jaxfeat.features.density import DensityFeaturizer


class PowerSpectrumDifferential(eqx.Module):
    """dF at one environment.

    **Attributes:**

    - `density`: `(l, q, m)`, C_l.
    - `factors`: `(l, q, 2n)`, the neighbors' radial functions and their derivatives by squared distance.
    - `harmonics`: `(l, n, m)`. `gradients`: `(l, n, m, 3)`. `vectors`: `(n, 3)`, half the gradients of |r|².
    """

    density: Float[Array, "l q m"]
    factors: Float[Array, "l q k"]
    harmonics: Float[Array, "l n m"]
    gradients: Float[Array, "l n m 3"]
    vectors: Float[Array, "n 3"]

    def __call__(self, displacements: Float[Array, "k n 3"]) -> Float[Array, "k d"]:
        """Derivatives of the features along `displacements`, up to an orthogonal matrix and rows of zeros."""
        n_l, q, _ = self.density.shape
        m, k = self.density.shape[2], displacements.shape[0]
        by_neighbor = displacements.swapaxes(0, 1)
        turned = jnp.einsum("lnmx,nkx->lnkm", self.gradients, by_neighbor, precision="highest")
        stretched = 2 * jnp.einsum("nx,nkx->nk", self.vectors, by_neighbor, precision="highest")
        stretched = stretched[None, :, :, None] * self.harmonics[:, :, None]
        changes = jnp.concatenate([turned, stretched], 1).reshape(n_l, self.factors.shape[2], k * m)
        changes = jnp.matmul(self.factors, changes, precision="highest").reshape(n_l, q * k, m)
        half = jnp.matmul(changes, self.density.swapaxes(1, 2), precision="highest").reshape(n_l, q, k, q)
        whole = half.transpose(2, 0, 1, 3) + half.transpose(2, 0, 3, 1)
        # Of a symmetric matrix three quarters are enough, with one of them counted twice.
        a, b = whole[:, :, : q // 2], whole[:, :, q // 2 :]
        parts = a[..., : q // 2], sqrt(2) * a[..., q // 2 :], b[..., q // 2 :]
        return jnp.concatenate([part.reshape(k, -1) for part in parts], 1)


def power_spectrum_differential(f: DensityFeaturizer, env: Environment) -> PowerSpectrumDifferential:
    """As `AbstractFeaturizer.differential` has it."""
    shared, at = atoms_of(f, env)
    radial, slope = (in_channels(at, x).swapaxes(0, 1) for x in radial_factors(shared, at))
    n = env.max_neighbors
    values, slopes = harmonics_and_gradients(f.radial.l_max, env.positions)
    lowest = jnp.zeros((1, *values.shape[1:]), values.dtype).at[0, 0].set(Y_00)
    harmonics = jnp.concatenate([lowest, values]).swapaxes(1, 2)
    slopes = slopes.reshape(*values.shape[:2], n, 3)
    gradients = jnp.concatenate([jnp.zeros((1, *slopes.shape[1:]), values.dtype), slopes]).swapaxes(1, 2)
    density = jnp.matmul(radial, harmonics, precision="highest")
    density = density.at[0, :, 0].add(Y_00 * center_in_channels(shared, at))
    return PowerSpectrumDifferential(density, jnp.concatenate([radial, slope], 2), harmonics, gradients, env.positions)
