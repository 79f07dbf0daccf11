"""The power spectrum's derivatives along a few displacements of an environment, without its Jacobian.

With C_l = G_l S_lᵀ, radial functions of the neighbors times their solid harmonics (`condensed`), a displacement changes
C_l by D = dG_l S_lᵀ + G_l dS_lᵀ and F_l by D C_lᵀ + C_l Dᵀ. All displacements stand side by side in two products for
each l, and what does not depend on them is worked out once.
"""

from __future__ import annotations

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

    def __call__(self, displacements: Float[Array, "k n 3"]) -> Float[Array, "k k"]:
        """Inner products of the derivatives along `displacements`, k at a time."""
        n_l = len(self.density)
        by_neighbor = displacements.swapaxes(0, 1)
        stretch = 2 * jnp.einsum("nx,nkx->nk", self.vectors, by_neighbor, precision="highest")

        def of_some(some: slice) -> Array:
            """Of some l, which have the same room for m."""
            n_m = 2 * some.stop - 1
            harmonics, density = self.harmonics[some, :, :n_m], self.density[some, :, :n_m]
            turned = jnp.einsum("lnmx,nkx->lnkm", self.gradients[some, :, :n_m], by_neighbor, precision="highest")
            changes = jnp.concatenate([turned, stretch[None, :, :, None] * harmonics[:, :, None]], 1)
            size, (_, q, n_factors), k = len(density), self.factors.shape, len(displacements)
            changes = changes.reshape(size, n_factors, k * n_m)
            changes = jnp.matmul(self.factors[some], changes, precision="highest").reshape(size, q * k, n_m)
            half = jnp.matmul(changes, density.swapaxes(1, 2), precision="highest").reshape(size, q, k, q)
            whole = (half.transpose(2, 0, 1, 3) + half.transpose(2, 0, 3, 1)).reshape(k, size * q * q)
            return jnp.matmul(whole, whole.T, precision="highest")

        middle = (n_l + 1) // 2
        found = of_some(slice(0, middle))
        return found + of_some(slice(middle, n_l)) if middle < n_l else found


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
