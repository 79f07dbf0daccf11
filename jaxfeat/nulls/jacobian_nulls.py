"""The Jacobian of one item, and the displacements that it does not see."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import equal_sizes, take_equal_sizes
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure, species_present
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import Gap, leading_directions
from jaxfeat.spectrum.blocks import restrict_species
from jaxfeat.spectrum.host import (
    HostRows,
    add_axis,
    decompose_on_host,
    reduce_on_host,
    reduce_structure_on_host,
    row_bytes,
    without_padding,
)
from jaxfeat.spectrum.plan import check_null_space
from jaxfeat.spectrum.spectrum import Spectrum

ITEMS_TOGETHER = 256  # environments whose decomposed Jacobians are in memory together


@dataclass(frozen=True, eq=False)
class DecomposedJacobian:
    """The Jacobian of one environment or structure with its equilibrated spectrum, on the host.

    - `matrix`: `(d, n, 3)`, features per Å, perhaps multiplied by an orthogonal matrix from the left.
    - `n_rows`: the number of features.
    - `raw_values`: all singular values of J, descending. Those of rigid motions are zeros at the end. `raw_floor`: the
        value up to which they are rounding, known for structures only.
    - `rounding`: the norm of a neighbor's columns, relative to the largest, below which it is rounding.
    - `reacting`: the neighbors that features react to, `(n,)`, or `(c, k)` for the centers of a structure.
    - `weights_gap`: the largest column norm of a neighbor that J does not react to, and the smallest other one.
    """

    matrix: np.ndarray
    n_rows: int
    spectrum: Spectrum
    raw_values: np.ndarray
    raw_floor: float
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
        both = np.concatenate([rigid, self._displacements(self.null)])
        return leading_directions(both, len(both))

    def doubtful(self, ratio: float) -> np.ndarray:
        """Return the scaled directions, `(k, 3 n)`, of singular values from the floor up to a multiple of it."""
        return self._scaled_directions(~self.null & (self.values <= ratio * float(self.spectrum.floor)))

    def scaled(self, space: np.ndarray) -> np.ndarray:
        """Span displacements, `(k, 3 n)`, in the coordinates of the equilibrated spectrum. In a neighbor's own
        coordinates, displacements of hardly any weight would be nearly parallel to all others."""
        return leading_directions(space * np.repeat(self.spectrum.scale, 3), len(space))

    def least_seen_beyond(self, space: np.ndarray, local: np.ndarray, ratio: float, gap: float) -> list[np.ndarray]:
        """List candidates for scaled directions that vanish together at a singular point nearby, `(k, 3 n)` each: those
        of the smallest singular values that are not null, up to each gap below `ratio` times the largest value, the
        widest first. A gap is a ratio of neighboring values above `gap`. Left out are directions that lie by more than
        half in a space of displacements, or in one with those that move neighbors out of reach."""
        order = np.flatnonzero(~self.null & (self.values <= ratio * self.values.max(initial=0.0)))[::-1]
        rows = self._scaled_directions(order)
        both = self.scaled(np.concatenate([space, local]))
        # Scaled, displacements of neighbors of hardly any weight are known to few digits, and local ones hold the most
        # of any displacement that is not scaled.
        in_space = np.linalg.norm(self._displacements(order) @ space.T, axis=1)
        outside = np.maximum(np.linalg.norm(rows @ both.T, axis=1), in_space) < 0.5**0.5
        rows, order = rows[outside], order[outside]
        # The value that follows the last small one is the next larger one of all.
        larger = np.append(self.values[order[1:]], self.values[order[-1:] - 1] if len(order) and order[-1] else [])
        gaps = larger / self.values[order][: len(larger)]
        return [rows[: k + 1] for k in np.argsort(-gaps, kind="stable") if gaps[k] > gap]

    def _scaled_directions(self, chosen: np.ndarray) -> np.ndarray:
        rows = np.asarray(self.spectrum.directions[: len(self.values)])[chosen]
        return rows.reshape(len(rows), -1) if len(rows) else np.zeros((0, 3 * rows.shape[1]))

    def _displacements(self, chosen: np.ndarray) -> np.ndarray:
        rows = self._scaled_directions(chosen) / np.repeat(self.spectrum.scale, 3)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)

    def sensitivity(self) -> tuple[float, float]:
        """Divide the smallest non-null singular value by the largest: of `raw_values`, and equilibrated."""
        seen, raw = self.values[~self.null], self.raw_values
        return (float(raw[len(seen) - 1] / raw[0]), float(seen[-1] / seen[0])) if len(seen) else (np.nan, np.nan)


def decompose_jacobian(f: FeatureMap, at: Item) -> DecomposedJacobian:
    """Decompose the Jacobian of one item, described in the species that the item holds."""
    return next(decompose_jacobians(f, add_axis(at)))


def decompose_jacobians(f: FeatureMap, batch: Item) -> Iterator[DecomposedJacobian]:
    """Decompose the Jacobian of each item of a batch `(b,)`."""
    whole = getattr(f.environment_featurizer, "whole", None)
    for index, found in enumerate(_decompose_in_blocks(f, batch)):
        if whole is None or (found.reacting == _neighbor_mask(batch[index])).all():
            yield found
        else:
            # A selection may have no features of a neighbor that is within reach.
            of_whole = decompose_jacobian(f.with_environment_featurizer(whole), batch[index])
            yield dataclasses.replace(found, reacting=of_whole.reacting, weights_gap=of_whole.weights_gap)


def _decompose_in_blocks(f: FeatureMap, batch: Item) -> Iterator[DecomposedJacobian]:
    host = jax.tree.map(np.asarray, batch)
    narrow = restrict_species(f, host)
    if isinstance(host, Environment):
        check_null_space(narrow, host[0].trimmed())
        for start in range(0, len(host), ITEMS_TOGETHER):
            yield from _decompose_on_host(narrow, host[start : start + ITEMS_TOGETHER])
    else:
        for structure in host:
            check_null_space(narrow, structure)
            yield _decompose_structure_on_host(narrow, structure)


def _decompose_on_host(f: AbstractFeaturizer, batch: Environment) -> list[DecomposedJacobian]:
    found: dict[int, DecomposedJacobian] = {}
    present = species_present(f.species, batch)
    with one_blas_thread():
        for indices in equal_sizes(batch, present, partial(row_bytes, f)):
            group, described = take_equal_sizes(batch, present, indices)
            reduced = reduce_on_host(f, group, described, batch.max_neighbors)
            room = (0, batch.max_neighbors - group.max_neighbors)
            weights = np.pad(np.nan_to_num(reduced.contributions), [(0, 0), room])
            found |= zip(indices.tolist(), _decompose_reduced(reduced, group, batch[indices], weights), strict=True)
    return [found[i] for i in range(len(batch))]


def _decompose_structure_on_host(f: AbstractStructureMap, structure: Structure) -> DecomposedJacobian:
    one = without_padding(structure)
    with one_blas_thread():
        reduced, weights = reduce_structure_on_host(f, one)
        weights = np.nan_to_num(weights)[None]
        return next(_decompose_reduced(reduced, add_axis(one), add_axis(structure), weights))


def _decompose_reduced(
    reduced: HostRows, group: Item, padded: Item, weights: np.ndarray
) -> Iterator[DecomposedJacobian]:
    """Decompose reduced Jacobians of items `(b,)` without padding. The results have the room of the `padded` items.
    `weights` are the norms of the columns of each center's neighbors."""
    n, room = group.positions.shape[1], (0, padded.positions.shape[1] - group.positions.shape[1])
    rounding = reduced.rounding()
    # Columns that move features by less than rounding are taken for zero.
    blind = reduced.contributions <= rounding * np.nan_to_num(reduced.contributions).max(1, keepdims=True, initial=0)
    matrix = np.where(np.repeat(blind, 3, 1)[:, None], 0, reduced.matrix)
    reduced = reduced._replace(matrix=matrix, contributions=np.where(blind, 0, reduced.contributions))
    spectra = decompose_on_host(reduced, group, equilibrated=True, directions=True)
    raw_values, raw_floors = np.linalg.svd(matrix, compute_uv=False), np.full(len(matrix), np.nan)
    if isinstance(group, Structure):
        # Scans of environments have the floor already, and this would take a third of their time.
        raw_floors = decompose_on_host(reduced, group, equilibrated=False, directions=False).floor
    matrix = np.pad(matrix.reshape(*matrix.shape[:2], n, 3), [(0, 0), (0, 0), room, (0, 0)])
    directions = np.pad(spectra.directions, [(0, 0), (0, 0), room, (0, 0)])
    scale = np.pad(spectra.scale, [(0, 0), room], constant_values=1)
    spectra = dataclasses.replace(spectra, directions=directions, scale=scale)
    for k in range(len(matrix)):
        spectrum = jax.tree.map(lambda leaf, k=k: leaf[k], spectra)
        raw_part = raw_values[k], float(raw_floors[k])
        reacting = _reacting(weights[k], rounding, padded[k])
        yield DecomposedJacobian(matrix[k], reduced.n_features, spectrum, *raw_part, rounding, *reacting)


def _reacting(weights: np.ndarray, rounding: float, at: Item) -> tuple[np.ndarray, Gap]:
    mask = _neighbor_mask(at)
    largest = weights.max(-1, keepdims=True, initial=0)
    relative = np.where(largest > 0, weights / np.where(largest > 0, largest, 1), 0)
    reacting = mask & (relative > rounding)
    unseen = relative[mask & ~reacting].max(initial=0)
    return reacting, (float(unseen), float(relative[reacting].min(initial=np.inf)))


def _neighbor_mask(at: Item) -> np.ndarray:
    return np.asarray(at.mask if isinstance(at, Environment) else at.environments().mask)
