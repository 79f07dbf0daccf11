"""The memory that Jacobians and spectra take, told from their sizes before anything is traced.

Factors are measured: the peak of a process over the size of the array named, for arrays of 0.1 to 1 GB.
"""

from __future__ import annotations

from math import prod

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.memory import check_memory

COPIES = 1.5
"""Jacobians that are held on the way to one, or to its triangle."""

COPIES_OF_NULL = 6
"""Jacobians that are held on the way to a null space, on the device and on the host."""

COPIES_OF_GRAM = 6
"""Matrices of the size of JᵀJ that are held on the way to its spectrum."""

LOWER = "lower n_max, l_max, ν or r_cut"
FEWER = "take a smaller structure or fewer centers, or describe environments (jaxfeat.environments)"


def check_jacobian(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> None:
    """Raise `SizeError` where the Jacobians of an item or a batch do not fit into memory."""
    n_features = f.environment_featurizer.n_features_if_known
    if n_features is not None:
        n_items = prod(at.batch_shape)
        cure = f"{LOWER}, or take fewer at a time" if isinstance(at, Environment) else FEWER
        _check_rows(n_items * COPIES, n_items, _n_rows(at, n_features), at, "Jacobians", cure)


def check_null_space(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> None:
    """Raise `SizeError` where the null space of one item does not fit into memory."""
    n_features = f.environment_featurizer.n_features_if_known
    if n_features is not None:
        cure = LOWER if isinstance(at, Environment) else FEWER
        _check_rows(COPIES_OF_NULL, 1, _n_rows(at, n_features), at, "null spaces", cure)


def check_spectra(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    *,
    abreast: int,
    directions: bool = False,
    by_gram: bool = False,
) -> None:
    """Raise `SizeError` where the spectra of an item or a batch do not fit into memory.

    **Arguments:**

    - `abreast`: how many items are worked on at a time.
    - `directions`: whether right singular vectors are kept. `by_gram`: whether values come from JᵀJ.
    """
    featurizer, n_items = f.environment_featurizer, prod(at.batch_shape)
    size, side = at.positions.dtype.itemsize, 3 * at.positions.shape[-2]
    side_by_side = min(n_items, abreast)
    squares = side_by_side * COPIES_OF_GRAM if by_gram else side_by_side
    squares += n_items if directions else 0
    what = f"spectra in {side:,} coordinates, {side_by_side:,} at a time,"
    cure = "take fewer at a time, or a smaller r_cut" if isinstance(at, Environment) else FEWER
    if n_items > 1 and directions:
        what, cure = (
            f"spectra in {side:,} coordinates with directions of {n_items:,} items",
            f"{cure}; or directions=False",
        )
    check_memory(squares * size * side**2, what, cure)
    summed = isinstance(f, AbstractStructureMap) and f.adds_centers
    if featurizer.n_features_if_known is None or (by_gram and featurizer.has_fast_gram and not summed):
        return
    cure = LOWER if isinstance(at, Environment) else FEWER
    rows = _n_condensed(f, at)
    _check_rows(side_by_side * COPIES, side_by_side, rows, at, "spectra, by way of Jacobians", cure)


def _n_rows(at: Environment | Structure, n_features: int) -> int:
    return n_features if isinstance(at, Environment) else at.center.shape[-1] * n_features


def _n_condensed(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> int:
    """Rows that a spectrum is worked out from."""
    if isinstance(at, Environment):
        return f.environment_featurizer.n_compact_rows(at.max_neighbors)
    n_centers, n_neighbors = at.neighbor.shape[-2:]
    if isinstance(f, AbstractStructureMap) and f.adds_centers:
        return n_centers * f.featurizer.n_features
    # Each center's rows are reduced to a triangle first.
    return n_centers * min(f.environment_featurizer.n_compact_rows(n_neighbors), 3 * n_neighbors)


def _check_rows(copies: float, n_items: int, n_rows: int, at: Environment | Structure, what: str, cure: str) -> None:
    side = 3 * at.positions.shape[-2]
    needed = copies * n_rows * side * at.positions.dtype.itemsize
    check_memory(needed, f"{what} of {n_rows:,} rows by {side:,} coordinates, {n_items:,} at a time,", cure)
