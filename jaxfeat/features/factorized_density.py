"""The density as a product of radial and angular factors of the neighbors, with the derivatives of both."""

from functools import cache
from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.atom_lanes import AtomLanes, place_in_channels
from jaxfeat.features.density import Y_00, DensityFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.so3.coupling import coupling_tensor
from jaxfeat.so3.harmonics import solid_harmonics


class FactorizedDensity(NamedTuple):
    """The density of one environment, c_{q l m} = center + Σ_n radial[l, q, n] harmonics[l, m, n].

    Radial functions of each neighbor are in the channels of its species, with `slopes` by the squared distance s (as a
    vector, d/dr = 2 r d/ds). Solid harmonics are scaled and stand for m = -l ... l, then zeros, with their `gradients`
    by all k = 3n coordinates.
    """

    coefficients: Float[Array, "l q m"]
    radial: Float[Array, "l q n"]
    slopes: Float[Array, "l q n"]
    harmonics: Float[Array, "l m n"]
    gradients: Float[Array, "l m k"]

    def radial_by_coordinate(
        self, positions: Float[Array, "n 3"]
    ) -> tuple[Float[Array, "l q k"], Float[Array, "l q k"]]:
        """Return the radial functions of each coordinate's neighbor, and their derivatives by the coordinate."""
        slopes = repeat_by_coordinate(self.slopes) * (2 * positions.reshape(1, 1, positions.size))
        return repeat_by_coordinate(self.radial), slopes


def factorize_density(f: DensityFeaturizer, env: Environment, scale: Float[np.ndarray, " l"]) -> FactorizedDensity:
    """Compute the factors of the density, with harmonics of each l times `scale`, whose first entry must be 1."""
    shared, atoms = f.split_species(env)
    radial, slopes = radial_factors_by_l(shared, atoms)
    values, gradients = harmonics_and_gradients(atoms, scale[1:])
    lowest = jnp.zeros((1, *values.shape[1:]), values.dtype).at[0, 0].set(Y_00)
    harmonics = jnp.concatenate([lowest, values])
    gradients = jnp.concatenate([jnp.zeros((1, *gradients.shape[1:]), values.dtype), gradients])
    coefficients = jnp.matmul(radial, harmonics.swapaxes(1, 2), precision="highest")
    coefficients = coefficients.at[0, :, 0].add(Y_00 * shared.center_factors(atoms))
    return FactorizedDensity(coefficients, radial, slopes, harmonics, gradients)


def radial_factors_by_l(
    f: DensityFeaturizer, atoms: AtomLanes
) -> tuple[Float[Array, "l q n *b"], Float[Array, "l q n *b"]]:
    """Compute the radial factors in the channels of each neighbor's species, and their derivatives by s = |r|²."""
    radial, slopes = (place_in_channels(atoms, factor).swapaxes(0, 1) for factor in f.radial_factors(atoms))
    return radial, slopes


def harmonics_and_gradients(
    atoms: AtomLanes, scale: Float[np.ndarray, " l"]
) -> tuple[Float[Array, "l m n *b"], Float[Array, "l m k *b"]]:
    """Compute harmonics of l = 1 ... len(scale), times `scale`, and gradients, for m = -l ... l, then zeros."""
    n, _, *batch = atoms.positions.shape
    l_max = len(scale)
    points = atoms.positions.swapaxes(0, 1).reshape(3, atoms.positions.size // 3)
    table = jax.vmap(lambda r: solid_harmonics(l_max, r), -1, -1)(points)
    factors = jnp.asarray(scale, table.dtype)[:, None, None]
    m = (np.arange(2 * l_max + 1)[None] + l_max - np.arange(1, l_max + 1)[:, None]) % (2 * l_max + 1)
    values = factors * table[np.arange(1, l_max + 1)[:, None], m]
    tensors = jnp.asarray(gradient_tensors(l_max), table.dtype)
    slopes = factors[..., None] * jnp.einsum("lxmp,lpk->lmkx", tensors, table[:-1], precision="highest")
    slopes = jnp.moveaxis(slopes.reshape(*values.shape[:2], n, *batch, 3), -1, 3)
    return values.reshape(*values.shape[:2], n, *batch), slopes.reshape(*values.shape[:2], 3 * n, *batch)


@cache
def gradient_tensors(l_max: int) -> Float[np.ndarray, "l 3 m p"]:
    """Tabulate ∇(r^l Y_lm) = Σ_p tensor[l - 1, :, m, p] r^(l-1) Y_(l-1)p for l = 1 ... l_max. The columns m are
    -l ... l, then zeros; the columns p are -l_max ... l_max."""
    found = np.zeros((l_max, 3, 2 * l_max + 1, 2 * l_max + 1))
    for l in range(1, l_max + 1):
        tensor = (-1) ** l * sqrt(l) * (2 * l + 1) * coupling_tensor(l - 1, 1, l)
        # The harmonics of l = 1 are in the order y, z, x.
        found[l - 1, :, : 2 * l + 1, l_max - l + 1 : l_max + l] = tensor.transpose(1, 2, 0)[[2, 0, 1]]
    return found


def repeat_by_coordinate(of_neighbors: Float[Array, "l q n *b"]) -> Float[Array, "l q k *b"]:
    """Repeat the entry of each neighbor for its three coordinates."""
    if of_neighbors.ndim > 3:
        return jnp.repeat(of_neighbors, 3, 2)
    # XLA fuses a repetition into its readers, but not a matrix product.
    n = of_neighbors.shape[2]
    return jnp.matmul(of_neighbors, np.repeat(np.eye(n, dtype=of_neighbors.dtype), 3, 1), precision="highest")
