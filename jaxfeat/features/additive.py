"""Featurizers of a density to which every neighbor adds its share."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment


class AbstractAdditiveFeaturizer(AbstractFeaturizer):
    """A featurizer with F = contract(center density + Σ_j neighbor density of j).

    Its Jacobian needs only three tangents per neighbor through the density, however many neighbors there are.
    """

    @abstractmethod
    def neighbor_density(
        self, position: Float[Array, "3"], species: Int[Array, ""], mask: Bool[Array, ""]
    ) -> Float[Array, "*density"]:
        """Compute the share of one neighbor; zero if `mask` is False."""

    @abstractmethod
    def center_density(self, species: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, "*density"]:
        """Compute the share of the atom at the center."""

    @abstractmethod
    def contract(self, density: Float[Array, "*density"]) -> Float[Array, " n_features"]:
        """Compute the features from the density."""

    def density(self, env: Environment) -> Float[Array, "*density"]:
        """Compute the density of one environment."""
        neighbors = jax.vmap(self.neighbor_density)(env.positions, env.species, env.mask)
        # The sum runs along the leading axis in order, so trailing zeros of padding change no bit.
        return self.center_density(env.center_species, env.positions.dtype) + jnp.sum(neighbors, 0)

    def features(self, env: Environment) -> Float[Array, " n_features"]:
        return self.contract(self.density(env))

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        # Only the contraction, which is linear in its tangent, sees all 3n coordinates.
        _, push = jax.linearize(self.contract, self.density(env))
        slopes = jax.vmap(jax.jacfwd(self.neighbor_density))(env.positions, env.species, env.mask)
        columns = jax.vmap(jax.vmap(push, in_axes=-1, out_axes=-1))(slopes)
        return jnp.moveaxis(columns, 1, 0)
