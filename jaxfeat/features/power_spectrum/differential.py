"""The power spectrum's derivatives along displacements of an environment, without its Jacobian.

With C_l = G_l S_lᵀ, radial functions of the neighbors times their solid harmonics (`condensed`), a displacement changes
C_l by D = dG_l S_lᵀ + G_l dS_lᵀ and F_l by D C_lᵀ + C_l Dᵀ: two products for each l. What does not depend on the
displacement is worked out once.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.features.atoms import Y_00, in_channels
from jaxfeat.features.density import DensityFeaturizer, atoms_of, center_in_channels, radial_factors
from jaxfeat.features.power_spectrum.jacobian import harmonics_and_gradients
from jaxfeat.geometry.environment import Environment


class PowerSpectrumDifferential(eqx.Module):
    """dF at one environment.

    **Attributes:**

    - `density`: `(l, q, m)`, C_l.
    - `factors`: `(l, q, 2n)`, the neighbors' radial functions and their derivatives by squared distance.
    - `harmonics`: `(l, n, m)`. `gradients`: `(l, n, 3, m)`. `vectors`: `(n, 3)`, half the gradients of |r|².
    """

    density: Float[Array, "l q m"]
    factors: Float[Array, "l q k"]
    harmonics: Float[Array, "l n m"]
    gradients: Float[Array, "l n 3 m"]
    vectors: Float[Array, "n 3"]

    def __call__(self, displacement: Float[Array, "n 3"]) -> Float[Array, " d"]:
        """The derivative along `displacement`, with both of two entries that are alike."""
        stretch = 2 * jnp.sum(self.vectors * displacement, 1)
        turned = sum(self.gradients[:, :, x] * displacement[None, :, x, None] for x in range(3))
        changes = jnp.concatenate([turned, stretch[None, :, None] * self.harmonics], 1)
        changes = jnp.matmul(self.factors, changes, precision="highest")
        half = jnp.matmul(changes, self.density.swapaxes(1, 2), precision="highest")
        return (half + half.swapaxes(1, 2)).reshape(-1)


def power_spectrum_differential(f: DensityFeaturizer, env: Environment) -> PowerSpectrumDifferential:
    """As `AbstractFeaturizer.differential` has it."""
    shared, at = atoms_of(f, env)
    radial, slope = (in_channels(at, x).swapaxes(0, 1) for x in radial_factors(shared, at))
    n = env.max_neighbors
    values, slopes = harmonics_and_gradients(f.radial.l_max, env.positions)
    lowest = jnp.zeros((1, *values.shape[1:]), values.dtype).at[0, 0].set(Y_00)
    harmonics = jnp.concatenate([lowest, values]).swapaxes(1, 2)
    slopes = slopes.reshape(*values.shape[:2], n, 3)
    gradients = jnp.concatenate([jnp.zeros((1, *slopes.shape[1:]), values.dtype), slopes]).transpose(0, 2, 3, 1)
    density = jnp.matmul(radial, harmonics, precision="highest")
    density = density.at[0, :, 0].add(Y_00 * center_in_channels(shared, at))
    return PowerSpectrumDifferential(density, jnp.concatenate([radial, slope], 2), harmonics, gradients, env.positions)
