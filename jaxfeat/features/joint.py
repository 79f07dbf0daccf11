"""Featurizers that describe all centers of a structure at once, such as message-passing networks."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import room_for_neighbors
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure

REVERSE_COST = 2.5  # time of a reverse pass over that of a forward pass, about


class AbstractJointFeaturizer(AbstractFeaturizer):
    """A featurizer that takes less time for all centers of a structure at once than for one environment after another.

    The features of a center in a structure are those of its environment.
    """

    @abstractmethod
    def structure_features(self, structure: Structure) -> Float[Array, "c d"]:
        """Compute the features of all centers of one structure."""

    @abstractmethod
    def structure_norms(self, structure: Structure) -> Float[Array, "c n"]:
        """Estimate, for the features of each center, the joint norm of all contributions to the derivatives by each
        atom's position. Contributions may cancel, and rounding errors are in proportion to these norms."""

    def structure_jacobian(self, structure: Structure) -> Float[Array, "c d n 3"]:
        """Compute the derivatives of the features of all centers of one structure by the positions of all atoms."""
        return differentiate(lambda x: self.structure_features(structure.with_positions(x)), structure.positions)

    def joint_norms(self, structure: Structure, jacobian: Float[Array, "d n 3"]) -> Float[Array, " n"]:
        """Estimate the joint norm of all contributions to each atom's columns of one structure's Jacobian, which is at
        least the norm of the columns themselves."""
        squares = jnp.where(structure.center_mask[:, None], self.structure_norms(structure) ** 2, 0)
        return jnp.sqrt(jnp.maximum(jnp.sum(squares, 0), jnp.sum(jacobian**2, (0, 2))))

    def structure_jacobian_on_host(self, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        """Compute the derivatives of the centers' features by all atoms of one structure of NumPy arrays,
        `(c, d, n, 3)`, and the norms of the contributions of each center's neighbors, `(c, k)`, by one program."""
        padded = _in_room(structure)
        jacobian, norms = map(np.asarray, _jacobian_and_norms(self, padded))
        (c, _), n = structure.neighbor.shape, len(structure.positions)
        around = structure.neighbor_mask & structure.center_mask[:, None]
        of_neighbors = np.take_along_axis(norms[:c], np.asarray(structure.neighbor), 1)
        return jacobian[:c, :, :n], np.where(around, of_neighbors, 0)

    def jacobian(self, env: Environment) -> Float[Array, "n_features n 3"]:
        return differentiate(lambda x: self.features(env.with_positions(x)), env.positions)


def differentiate(fn: Callable[[Array], Array], x: Array) -> Array:
    """Compute the Jacobian of a function, in reverse mode if it has so few outputs that this takes less time."""
    return (jax.jacrev if reverse_is_faster(fn, x) else jax.jacfwd)(fn)(x)


def reverse_is_faster(fn: Callable[[Array], Array], x: Array) -> bool:
    """Tell whether one reverse pass for each output takes less time than one forward pass for each input."""
    return REVERSE_COST * jax.eval_shape(fn, x).size < x.size


@eqx.filter_jit
def _jacobian_and_norms(f: AbstractJointFeaturizer, structure: Structure) -> tuple[Array, Array]:
    return f.structure_jacobian(structure), f.structure_norms(structure)


def _in_room(structure: Any) -> Structure:
    """Pad a structure of NumPy arrays to one of few sizes. As many centers as atoms stay as many, and only then."""
    n, (c, k) = len(structure.positions), structure.neighbor.shape
    atoms, neighbors = room_for_neighbors(n), room_for_neighbors(k)
    centers = atoms if (c, structure.center_mask.sum()) == (n, structure.mask.sum()) else c + (c == atoms)
    leaves = {}
    for name in ("positions", "species", "mask"):
        leaves[name] = _pad(getattr(structure, name), atoms)
    for name in ("center", "center_mask", "neighbor", "shift", "neighbor_mask"):
        leaves[name] = _pad(getattr(structure, name), *(centers, neighbors)[: max(getattr(structure, name).ndim, 1)])
    return replace(structure, **leaves)


def _pad(leaf: np.ndarray, *sizes: int) -> np.ndarray:
    room = [size - n for size, n in zip(sizes, leaf.shape, strict=False)]
    return np.pad(leaf, [(0, n) for n in [*room, *[0] * (leaf.ndim - len(room))]])
