"""The way in which a block is computed, and the memory that it takes, from sizes alone and before anything is traced.
Numbers of copies are measured: the peak memory of a process over the size of the array, for arrays of 0.1 to 1 GB."""

from math import prod
from typing import Literal, NamedTuple

import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import Work, is_small
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.batching import BLOCK_ITEMS, on_cpu, together
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.memory import check_memory

MAX_NEIGHBORS_BY_ROWS = {1: MAX_NEIGHBORS_IN_LANES, 2: 16}
"""Neighbors up to which one or two spectra take less time from rows of J than from JᵀJ. Two spectra, raw and
equilibrated, share the rows. Measured."""

ROWS_TOGETHER_BYTES = 2_000_000  # Bytes of rows that are reduced together, for the caches of a core. Measured.
ROWS_ALONE_BYTES = 32_000_000  # bytes of rows from which on one Jacobian is reduced alone, to save memory
JACOBIAN_COPIES = 1.5  # Jacobians in memory while one is computed or reduced to a triangle
NULL_SPACE_COPIES = 6  # Jacobians in memory while a null space is computed, on the device and on the host
GRAM_COPIES = 6  # matrices of the size of JᵀJ in memory while their spectrum is computed
LOWER_SIZES = "lower n_max, l_max, ν or r_cut"
FEWER_CENTERS = "take a smaller structure or fewer centers, or describe environments (jaxfeat.environments)"
CHUNK_SECONDS = 10.0  # CPU seconds that the spectra of a chunk take. An interrupted sweep loses no more on each core.
CHUNK_LENGTHS = (8, 16384)  # bounds of the number of environments of a chunk
MAX_NEIGHBORS_COMPILED = 32  # beyond this a compiled program is no faster than NumPy: both wait for LAPACK


def runs_on_host(f: FeatureMap, at: Item, room: int, n_items: int, work: Work) -> bool:
    """Tell whether NumPy computes the spectra of `n_items` of up to `room` neighbors before a program is compiled. `at`
    is one of these items, or a batch of them; `n_items` counts the centers of structures. A small program may compute
    the Jacobian."""
    if f.environment_featurizer.only_on_host:
        return True
    if at.positions.dtype != np.float64:
        return False
    by_lapack = f.environment_featurizer.runs_on_host and isinstance(at, Environment) and room > MAX_NEIGHBORS_COMPILED
    return by_lapack or is_small(room, n_items, work)


def choose_chunk_length(f: AbstractFeaturizer, batch: Environment) -> int:
    """Choose how many environments like those of a batch a store writes together: about `CHUNK_SECONDS` of work. `f` is
    restricted to the species of the batch. The length is a power of two."""
    counts, share = np.unique(np.asarray(batch.mask).sum(-1), return_counts=True)
    least, most = CHUNK_LENGTHS
    fitting = CHUNK_SECONDS / float(np.average([_estimate_seconds(f, int(n)) for n in counts], weights=share))
    return int(np.clip(2 ** round(np.log2(fitting)), least, most))


def _estimate_seconds(f: AbstractFeaturizer, n_neighbors: int) -> float:
    """Estimate the CPU seconds that NumPy or a compiled program takes for the spectra of one environment. The estimate
    was right within a factor of two for 4 to 55 neighbors and 84 to 2100 features of order 2 or 3."""
    n_rows = min(f.n_compact_rows(n_neighbors), f.n_features_if_known or np.inf)
    return 5e-5 + n_neighbors**2 * (1e-6 + 3.6e-9 * n_rows)


class Plan(NamedTuple):
    """The way in which the spectra of one block are computed. It is hashable, so that it selects a compiled program.

    Routes are "rows": QR of the rows of J, then an SVD; "gram": the eigenvalues of JᵀJ, which certify nothing; and
    "refined": the eigenvalues of JᵀJ, and the small ones again from derivatives along their directions. An item has one
    spectrum for each of `scalings`, equilibrated if True. `n_together` Jacobians are reduced together. If `screened`,
    certified values are wanted only for items that have a value below the floor of JᵀJ. `collinear` leaves room for the
    additional direction of atoms on a line.
    """

    route: Literal["rows", "gram", "refined"]
    scalings: tuple[bool, ...]
    n_together: int
    directions: bool = False
    screened: bool = False
    collinear: bool = True


def make_plan(
    f: FeatureMap,
    at: Item,
    scalings: tuple[bool, ...],
    *,
    directions: bool = False,
    screened: bool = False,
    refine: bool = True,
    collinear: bool = True,
) -> Plan:
    """Choose the fastest way to the spectra of a block. `at` is the block, or one of its items. If `refine` is False,
    small values are not computed again."""
    if refine and not directions and _gram_is_faster(f, at, len(scalings)):
        n_together = BLOCK_ITEMS if on_cpu() else _n_together(f, at, True)
        return Plan("refined", scalings, n_together, directions, screened, collinear)
    n_together = _n_together(f, at, screened)
    return Plan("gram" if screened else "rows", scalings, n_together, directions, screened, collinear)


def _gram_is_faster(f: FeatureMap, at: Item, n_scalings: int) -> bool:
    n = at.max_neighbors if isinstance(at, Environment) else min(at.neighbor.shape[-1], at.positions.shape[-2] - 1)
    fast = f.environment_featurizer.has_fast_gram and not f.adds_centers
    return fast and n > MAX_NEIGHBORS_BY_ROWS[n_scalings]


def _n_together(f: FeatureMap, at: Item, gram: bool) -> int:
    n, centers = (at.max_neighbors, 1) if isinstance(at, Environment) else (at.neighbor.shape[-1], at.center.shape[-1])
    if isinstance(at, Structure) and n > MAX_NEIGHBORS_IN_LANES and on_cpu():
        # CPUs compute the centers of large structures one by one.
        return 1
    # JᵀJ needs a few matrices of its own size.
    rows, most = (24 * n, 64) if gram else (f.environment_featurizer.n_compact_rows(n), 32)
    one = max(at.positions.dtype.itemsize * rows * 3 * n, 1)
    n_items = max(together(ROWS_TOGETHER_BYTES) // one, 8 if one < ROWS_ALONE_BYTES else 1)
    return max(min(n_items, together(most)) // centers, 1)


def check_jacobian(f: FeatureMap, at: Item) -> None:
    """Raise `SizeError` if the Jacobians of an item or a batch do not fit into memory."""
    n_items = prod(at.batch_shape)
    _check_whole_rows(f, at, n_items * JACOBIAN_COPIES, n_items, "Jacobians", ", or take fewer at a time")


def check_null_space(f: FeatureMap, at: Item) -> None:
    """Raise `SizeError` if the null space of one item does not fit into memory."""
    _check_whole_rows(f, at, NULL_SPACE_COPIES, 1, "null spaces")


def check_spectra(f: FeatureMap, at: Item, plan: Plan) -> None:
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
    if featurizer.n_features_if_known is None or (by_gram and featurizer.has_fast_gram and not f.adds_centers):
        return
    copies = n_together * JACOBIAN_COPIES
    _check_rows(copies, n_together, _n_compact_rows(f, at), at, "spectra, by way of Jacobians")


def _n_compact_rows(f: FeatureMap, at: Item) -> int:
    featurizer = f.environment_featurizer
    if isinstance(at, Environment):
        return featurizer.n_compact_rows(at.max_neighbors)
    n_centers, n_neighbors = at.neighbor.shape[-2:]
    if f.adds_centers:
        return n_centers * featurizer.n_features
    # Each center's rows are reduced to a triangle first.
    return n_centers * min(featurizer.n_compact_rows(n_neighbors), 3 * n_neighbors)


def _check_whole_rows(f: FeatureMap, at: Item, copies: float, n_items: int, what: str, or_else: str = "") -> None:
    n_features = f.environment_featurizer.n_features_if_known
    if n_features is not None:
        n_rows = n_features if isinstance(at, Environment) else at.center.shape[-1] * n_features
        _check_rows(copies, n_items, n_rows, at, what, or_else)


def _check_rows(copies: float, n_items: int, n_rows: int, at: Item, what: str, or_else: str = "") -> None:
    cure = LOWER_SIZES + or_else if isinstance(at, Environment) else FEWER_CENTERS
    side = 3 * at.positions.shape[-2]
    needed = copies * n_rows * side * at.positions.dtype.itemsize
    check_memory(needed, f"{what} of {n_rows:,} rows by {side:,} coordinates, {n_items:,} at a time,", cure)
