"""The Jacobian of one item, and the displacements that it does not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.subspaces import Gap, leading_directions, robust_svd
from jaxfeat.spectrum.jacobian import assemble_jacobian, center_jacobians, jacobian_and_norms
from jaxfeat.spectrum.plan import check_null_space
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum

Map = TypeVar("Map", bound=FeatureMap)


@dataclass(frozen=True, eq=False)
class DecomposedJacobian:
    """The Jacobian of one environment or structure with its equilibrated spectrum, on the host.

    - `matrix`: `(d, n, 3)`, features per Å.
    - `spectrum`: equilibrated, with every direction.
    - `rounding`: the norm of a neighbor's columns, relative to the largest, below which it is rounding.
    - `reacting`: which neighbors the features of their center react to, `(n,)` for an environment and `(c, k)` for the
        centers of a structure.
    - `weights_gap`: the largest column norm of a neighbor that J does not react to, and the smallest other one.
    """

    matrix: np.ndarray
    spectrum: Spectrum
    rounding: float
    reacting: np.ndarray
    weights_gap: Gap

    @property
    def values(self) -> np.ndarray:
        """The equilibrated singular values, descending."""
        return np.asarray(self.spectrum.values)[: int(self.spectrum.n_values)]

    @property
    def null(self) -> np.ndarray:
        """The equilibrated singular values that are taken for zero, as a mask."""
        return self.values <= float(self.spectrum.floor)

    def gap_and_floor(self) -> tuple[Gap, float]:
        """Return the gap and the floor of the equilibrated singular values, relative to the largest."""
        values, null = self.values, self.null
        largest = values.max(initial=0.0) or 1.0
        gap = values[null].max(initial=0.0) / largest, values[~null].min(initial=np.inf) / largest
        return (float(gap[0]), float(gap[1])), float(self.spectrum.floor) / float(largest)

    def null_space(self, rigid: np.ndarray) -> np.ndarray:
        """Span the null space of J with the rigid motions, `(k, 3 n)`."""
        null = self.null
        scaled = self.spectrum.directions[: len(null)][null] / self.spectrum.scale[:, None]
        rows = np.asarray(scaled).reshape(int(null.sum()), rigid.shape[1])
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
        both = np.concatenate([rigid, rows])
        return leading_directions(both, len(both))

    def raw_values(self) -> np.ndarray:
        """Compute all singular values of J, descending. Those of rigid motions are zeros at the end."""
        matrix = self.matrix.reshape(len(self.matrix), -1)
        return robust_svd(np.asarray(np.linalg.qr(matrix, mode="r")) if len(matrix) > matrix.shape[1] else matrix)[1]

    def sensitivity(self, raw: np.ndarray) -> tuple[float, float]:
        """Divide the smallest non-null singular value by the largest: of `raw_values`, and equilibrated."""
        seen = self.values[~self.null]
        return (float(raw[len(seen) - 1] / raw[0]), float(seen[-1] / seen[0])) if len(seen) else (np.nan, np.nan)


def decompose_jacobian(f: FeatureMap, at: Item) -> DecomposedJacobian:
    """Decompose the Jacobian of one item, described in the species that the item holds."""
    narrow = restrict_species(f, at)
    check_null_space(narrow, at)
    jacobian, added, weights = (np.asarray(x) for x in _jacobian(narrow, at))
    rounding = float(max(jacobian.shape[0], jacobian.shape[1] * 3) * np.finfo(jacobian.dtype).eps)
    # Columns that move features by less than rounding are taken for zero.
    seen = ~(added <= rounding * added.max(initial=0))
    jacobian, added = np.where(seen[:, None], jacobian, 0), np.where(seen, added, 0)
    # Rows of zeros change no singular value. With few heights, featurizers share the program that decomposes them.
    missing = 2 ** int(np.ceil(np.log2(max(len(jacobian), 64)))) - len(jacobian)
    padded = np.pad(jacobian, ((0, missing), (0, 0), (0, 0)))
    spectrum: Any = _spectrum(padded, added, at)
    return DecomposedJacobian(jacobian, jax.tree.map(np.asarray, spectrum), rounding, *_reacting(weights, rounding, at))


def restrict_species(f: Map, at: Item) -> Map:
    """Prepare a map for the species that an item or a batch holds: fewer features, with the same singular values."""
    prepared: Any = f.prepared()
    featurizer = prepared.environment_featurizer
    if featurizer.species is None:
        return prepared
    held = np.asarray(at.species)[np.asarray(at.mask)]
    if isinstance(at, Environment):
        held = np.append(held, np.asarray(at.center_species))
    present = np.asarray(featurizer.species)[np.isin(featurizer.species, held)].astype(np.int32)
    narrow = featurizer.restricted_to_species(present if len(present) else np.asarray([-1], np.int32))
    return prepared.with_environment_featurizer(narrow)


@eqx.filter_jit
def _jacobian(f: FeatureMap, at: Item) -> tuple[Array, Array, Array]:
    """The Jacobian, the norms that add up to each atom's columns, and those of each center's neighbors."""
    if isinstance(f, AbstractStructureMap):
        assert isinstance(at, Structure)
        rows, weights = center_jacobians(f, at)
        return *assemble_jacobian(f, at, rows, weights), weights
    jacobian, added = jacobian_and_norms(f, at)
    return jacobian, added, added


@eqx.filter_jit
def _spectrum(jacobian: Any, added: Any, at: Item) -> Spectrum:
    return decompose(keep_all_rows(jacobian, added), at, equilibrated=True)


def _reacting(weights: np.ndarray, rounding: float, at: Item) -> tuple[np.ndarray, Gap]:
    mask = np.asarray(at.mask if isinstance(at, Environment) else at.environments().mask)
    largest = weights.max(-1, keepdims=True, initial=0)
    relative = np.where(largest > 0, weights / np.where(largest > 0, largest, 1), 0)
    reacting = mask & (relative > rounding)
    unseen = relative[mask & ~reacting].max(initial=0)
    return reacting, (float(unseen), float(relative[reacting].min(initial=np.inf)))
