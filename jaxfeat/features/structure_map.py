"""Features of whole structures from the features of their centers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError, GeometryError, SpeciesError
from jaxfeat.features.base import AbstractFeaturizer, features_in_blocks
from jaxfeat.features.host_work import map_items
from jaxfeat.features.joint import AbstractJointFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.arrays import array_namespace, einsum


class AbstractStructureMap(eqx.Module):
    """A map from a structure to features that is linear in the features of its centers' environments.

    **Attributes:**

    - `featurizer`: The featurizer of each center's environment.
    - `adds_centers`: True if the features of centers of one species are added up.
    """

    featurizer: eqx.AbstractVar[AbstractFeaturizer]
    adds_centers: ClassVar[bool] = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.featurizer!r})"

    @abstractmethod
    def collect(self, rows: Float[Array, "c d *rest"], structure: Structure) -> Float[Array, "n_features *rest"]:
        """Make the structure's features, or their derivatives, from those of each center."""

    def __call__(self, structure: Structure) -> Float[Array, "*batch n_features"]:
        """Compute the features of a structure, or of a batch of any shape, `(*batch, n_features)`. **Raises:**
        `GeometryError` if the input is no structure; otherwise the errors of the featurizer."""
        self.check(structure)
        self.featurizer.check_feature_memory(structure, structure.center.shape[-1])
        f = self.prepared()
        if f.featurizer.takes_on_host(structure):
            of_centers: Any = f.featurizer.structure_features_on_host
            return jax.device_put(map_items(lambda one: np.asarray(f.collect(of_centers(one), one)), structure))
        return _features(f, structure)

    def joint_features(self, structure: Structure) -> Float[Array, " n_features"]:
        """Compute the features of one structure with a featurizer that describes all centers at once."""
        assert isinstance(self.featurizer, AbstractJointFeaturizer)
        return self.collect(self.featurizer.structure_features(structure), structure)

    def prepared(self) -> AbstractStructureMap:
        """Return the same map with a prepared featurizer."""
        return self.with_environment_featurizer(self.featurizer.prepared())

    def check(self, structure: Any) -> None:
        """Raise an error if `structure` is no structure that the map describes correctly (outside jit and vmap)."""
        if not isinstance(structure, Structure):
            cure = "make structures of it with jaxfeat.structures"
            if isinstance(structure, Environment):
                cure = "give the structure that holds this environment, or take the map's featurizer"
            name, given = type(self).__name__, type(structure).__name__
            raise GeometryError(f"{name} describes structures, and the input is of type {given}; {cure}.")
        self.featurizer.check_atoms(structure)

    @property
    def environment_featurizer(self) -> AbstractFeaturizer:
        """The featurizer of each center's environment."""
        return self.featurizer

    def with_environment_featurizer(self, featurizer: AbstractFeaturizer) -> AbstractStructureMap:
        """Return the same map with another featurizer."""
        return eqx.tree_at(lambda f: f.featurizer, self, featurizer)


FeatureMap = AbstractFeaturizer | AbstractStructureMap  # it describes environments or structures


class Stacked(AbstractStructureMap):
    """The features of every center, one after the other."""

    featurizer: AbstractFeaturizer

    def collect(self, rows: Float[Array, "c d *rest"], structure: Structure) -> Float[Array, "n_features *rest"]:
        mask: Any = structure.center_mask
        # Large Jacobians are copied in vain if no center is padding.
        if not (isinstance(mask, np.ndarray) and mask.all()):
            rows = array_namespace(rows).where(mask.reshape(-1, *([1] * (rows.ndim - 1))), rows, 0)
        return rows.reshape(-1, *rows.shape[2:])


class Summed(AbstractStructureMap):
    """The sum of the features of all centers of each species."""

    featurizer: AbstractFeaturizer
    adds_centers: ClassVar[bool] = True

    def __check_init__(self) -> None:
        if self.featurizer.species is None:
            raise SpeciesError(
                "this featurizer declares no species; pass `species` to it so that centers can be summed."
            )

    def collect(self, rows: Float[Array, "c d *rest"], structure: Structure) -> Float[Array, "n_features *rest"]:
        of_center = structure.species[structure.center]
        declared = array_namespace(rows).asarray(self.featurizer.species, of_center.dtype)
        member = (of_center[None] == declared[:, None]) & structure.center_mask[None]
        sums = einsum("sc,c...->s...", member.astype(rows.dtype), rows)
        return sums.reshape(-1, *rows.shape[2:])


def stacked(featurizer: AbstractFeaturizer) -> Stacked:
    """Make a structure map that lists the features of every center, center by center.

    A center moves with its atom: derivatives are taken with respect to all atoms of the structure, and the
    derivatives by periodic images of one atom add up.

    **Arguments:**

    - `featurizer`: The featurizer of each center's environment.

    **Returns:** a map from a structure to `n_centers * n_features` numbers; the features of padded centers are zero.
    """
    return Stacked(featurizer)


def summed(featurizer: AbstractFeaturizer) -> Summed:
    """Make a structure map that adds up the features of all centers of one species.

    Derivatives are those of `jaxfeat.stacked`.

    **Arguments:**

    - `featurizer`: The featurizer of each center's environment; it must declare its species.

    **Returns:** a map from a structure to `n_species * n_features` numbers, in the order of the featurizer's species.

    **Raises:** `SpeciesError` if the featurizer has no `species` by which to tell centers apart.
    """
    return Summed(featurizer)


def resolve_map(f: Any, at: Any, center: int | None = None) -> tuple[Any, Any]:
    """Return the map and the item that a caller means, after `check_compatible`. A featurizer that describes structures
    stands for `stacked` of it, and so does every featurizer if one `center`, the index of an atom, is named."""
    if (
        isinstance(f, AbstractFeaturizer)
        and isinstance(at, Structure)
        and (f.describes_structures or center is not None)
    ):
        f = Stacked(f)
    if center is not None:
        if not isinstance(at, Structure):
            raise GeometryError("center names an atom of a structure; leave it out, or give a structure.")
        at = at.centered_on(center)
    check_compatible(f, at)
    return f, at


def check_compatible(f: Any, at: Any) -> None:
    """Raise an error if `f` cannot describe `at` (outside jit and vmap).

    **Raises:** `BasisError` if `f` is no featurizer and no structure map. `GeometryError` if `at` is no environment
    (for a featurizer) or no structure (for a structure map), or was cut at a radius that does not suit `f`.
    `SpeciesError` if `at` holds an element that `f` does not know.
    """
    if isinstance(f, type):
        raise BasisError(f"{f.__name__} is a class; make a featurizer of it, as in {f.__name__}(species=...).")
    if not isinstance(f, (AbstractFeaturizer, AbstractStructureMap)):
        raise BasisError(f"{type(f).__name__} is no featurizer; make one of a function with jaxfeat.function.")
    f.check(at)


@eqx.filter_jit
def _features(f: AbstractStructureMap, structure: Structure) -> Float[Array, "*batch n_features"]:
    if isinstance(f.featurizer, AbstractJointFeaturizer):
        call: Any = f.joint_features
        for _ in structure.batch_shape:
            call = jax.vmap(call)
        return call(structure)
    collect: Any = f.collect
    for _ in structure.batch_shape:
        collect = jax.vmap(collect)
    return collect(features_in_blocks(f.featurizer, structure.environments()), structure)
