"""From environments to structures."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.errors import SpeciesError
from jaxfeat.features.base import AbstractFeaturizer, AbstractStructureMap
from jaxfeat.geometry.structure import Structure


class Stacked(AbstractStructureMap):
    """See `jaxfeat.stacked`."""

    featurizer: AbstractFeaturizer

    def collect(self, rows: Float[Array, "c d *rest"], structure: Structure) -> Float[Array, "n_features *rest"]:
        present = structure.center_mask.reshape(-1, *([1] * (rows.ndim - 1)))
        return jnp.where(present, rows, 0).reshape(-1, *rows.shape[2:])


class Summed(AbstractStructureMap):
    """See `jaxfeat.summed`."""

    adds_centers: ClassVar[bool] = True
    featurizer: AbstractFeaturizer

    def __check_init__(self) -> None:
        if self.featurizer.species is None:
            raise SpeciesError(
                "this featurizer declares no species; pass `species` to it so that centers can be summed."
            )

    def collect(self, rows: Float[Array, "c d *rest"], structure: Structure) -> Float[Array, "n_features *rest"]:
        of_center = structure.species[structure.center]
        assert self.featurizer.species is not None
        member = (
            of_center[None] == jnp.asarray(self.featurizer.species, of_center.dtype)[:, None]
        ) & structure.center_mask[None]
        sums = jnp.einsum("sc,c...->s...", member.astype(rows.dtype), rows, precision="highest")
        return sums.reshape(-1, *rows.shape[2:])


def stacked(featurizer: AbstractFeaturizer) -> Stacked:
    """The structure map that lists the features of every center: `(n_centers * n_features,)`, center by center.

    A center moves with its atom: derivatives are with respect to all atoms of the structure, and images of one atom
    add up. Rows of padding are zero.
    """
    return Stacked(featurizer)


def summed(featurizer: AbstractFeaturizer) -> Summed:
    """The structure map that adds the features of all centers of a species: `(n_species * n_features,)`, in the order
    of the featurizer's species. A center moves with its atom, and images of one atom add up.

    **Raises:** `SpeciesError` (a featurizer without `species` has no centers to tell apart).
    """
    return Summed(featurizer)
