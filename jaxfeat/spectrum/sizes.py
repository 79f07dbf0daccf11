"""The memory that Jacobians and spectra take, computed from their sizes before anything is traced.

The numbers of copies are measured: the peak memory of a process over the size of the array, for arrays of 0.1 to 1 GB.
"""

from __future__ import annotations

from math import prod

from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item
from jaxfeat.memory import check_memory
from jaxfeat.spectrum.plan import Plan

JACOBIAN_COPIES = 1.5
"""Jacobians in memory while one is computed or reduced to a triangle."""

NULL_SPACE_COPIES = 6
"""Jacobians in memory while a null space is computed, on the device and on the host."""

GRAM_COPIES = 6
"""Matrices of the size of JᵀJ in memory while their spectrum is computed."""

LOWER_SIZES = "lower n_max, l_max, ν or r_cut"
FEWER_CENTERS = "take a smaller structure or fewer centers, or describe environments (jaxfeat.environments)"


def check_jacobian(f: FeatureMap, at: Item) -> None:
    """Raise `SizeError` if the Jacobians of an item or a batch do not fit into memory."""
    n_features = f.environment_featurizer.n_features_if_known
    if n_features is not None:
        n_items = prod(at.batch_shape)
        cure = f"{LOWER_SIZES}, or take fewer at a time" if isinstance(at, Environment) else FEWER_CENTERS
        _check_rows(n_items * JACOBIAN_COPIES, n_items, _n_rows(at, n_features), at, "Jacobians", cure)


def check_null_space(f: FeatureMap, at: Item) -> None:
    """Raise `SizeError` if the null space of one item does not fit into memory."""
    n_features = f.environment_featurizer.n_features_if_known
    if n_features is not None:
        cure = LOWER_SIZES if isinstance(at, Environment) else FEWER_CENTERS
        _check_rows(NULL_SPACE_COPIES, 1, _n_rows(at, n_features), at, "null spaces", cure)


def check_spectra(
    f: FeatureMap,
    at: Item,
    plan: Plan,
) -> None:
    """Raise `SizeError` if the spectra of an item or a batch, computed as planned, do not fit into memory."""
    featurizer, n_items, by_gram = f.environment_featurizer, prod(at.batch_shape), plan.route != "rows"
    size, side = at.positions.dtype.itemsize, 3 * at.positions.shape[-2]
    n_together = min(n_items, plan.n_together)
    n_squares = n_together * (GRAM_COPIES if by_gram else 1) + (n_items if plan.directions else 0)
    what = f"spectra in {side:,} coordinates, {n_together:,} at a time,"
    cure = "take fewer at a time, or a smaller r_cut" if isinstance(at, Environment) else FEWER_CENTERS
    if n_items > 1 and plan.directions:
        what = f"spectra in {side:,} coordinates with directions of {n_items:,} items"
        cure = f"{cure}; or directions=False"
    check_memory(n_squares * size * side**2, what, cure)
    adds_centers = isinstance(f, AbstractStructureMap) and f.adds_centers
    if featurizer.n_features_if_known is None or (by_gram and featurizer.has_fast_gram and not adds_centers):
        return
    cure = LOWER_SIZES if isinstance(at, Environment) else FEWER_CENTERS
    rows = _n_compact_rows(f, at)
    _check_rows(n_together * JACOBIAN_COPIES, n_together, rows, at, "spectra, by way of Jacobians", cure)


def _n_rows(at: Item, n_features: int) -> int:
    return n_features if isinstance(at, Environment) else at.center.shape[-1] * n_features


def _n_compact_rows(f: FeatureMap, at: Item) -> int:
    """Count the rows from which a spectrum is computed."""
    if isinstance(at, Environment):
        return f.environment_featurizer.n_compact_rows(at.max_neighbors)
    n_centers, n_neighbors = at.neighbor.shape[-2:]
    if isinstance(f, AbstractStructureMap) and f.adds_centers:
        return n_centers * f.featurizer.n_features
    # Each center's rows are reduced to a triangle first.
    return n_centers * min(f.environment_featurizer.n_compact_rows(n_neighbors), 3 * n_neighbors)


def _check_rows(copies: float, n_items: int, n_rows: int, at: Item, what: str, cure: str) -> None:
    side = 3 * at.positions.shape[-2]
    needed = copies * n_rows * side * at.positions.dtype.itemsize
    check_memory(needed, f"{what} of {n_rows:,} rows by {side:,} coordinates, {n_items:,} at a time,", cure)
