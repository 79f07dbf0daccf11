"""The way in which a block of items is computed, chosen from sizes alone."""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.batching import BLOCK_ITEMS
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES

MAX_NEIGHBORS_BY_ROWS = {1: MAX_NEIGHBORS_IN_LANES, 2: 16}
"""Neighbors up to which one or two spectra take less time from rows of J than from JᵀJ. Two spectra, raw and
equilibrated, share the rows. Measured."""

ROWS_TOGETHER_BYTES = 2_000_000
"""Bytes of rows of Jacobians that are reduced together, about what the caches of a core hold. Measured."""

ROWS_ALONE_BYTES = 32_000_000
"""Bytes of rows from which on one Jacobian is reduced alone, because several would only take memory."""


class Plan(NamedTuple):
    """The way in which the spectra of one block are computed. It is hashable, so that it selects a compiled program.

    **Attributes:**

    - `route`: "rows": QR of the rows of J, then an SVD. "gram": the eigenvalues of JᵀJ, which certify nothing.
        "refined": the eigenvalues of JᵀJ, and the small ones again from derivatives along their directions.
    - `scalings`: For each spectrum of an item, True if it is equilibrated.
    - `n_together`: The number of items whose Jacobians are reduced together.
    - `directions`: True if right singular vectors are computed, which only rows of J allow.
    - `screened`: True if certified values are wanted only for items that have a value below the floor of JᵀJ.
    - `collinear`: True if there is room for the additional direction of atoms on a line.
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
    """Choose the fastest way to the spectra of a block.

    `at` is the block, or one of its items. If `refine` is False, small values are not computed again.
    """
    route: Literal["rows", "gram", "refined"] = "gram" if screened else "rows"
    if refine and not directions and _gram_is_faster(f, at, len(scalings)):
        return Plan("refined", scalings, BLOCK_ITEMS, directions, screened, collinear)
    return Plan(route, scalings, _n_together(f, at, screened), directions, screened, collinear)


def _gram_is_faster(f: FeatureMap, at: Item, n_scalings: int) -> bool:
    """Tell whether JᵀJ and a few derivatives take less time than rows of J."""
    if isinstance(f, AbstractStructureMap) and f.adds_centers:
        return False
    n = at.max_neighbors if isinstance(at, Environment) else min(at.neighbor.shape[-1], at.positions.shape[-2] - 1)
    return f.environment_featurizer.has_fast_gram and n > MAX_NEIGHBORS_BY_ROWS[n_scalings]


def _n_together(f: FeatureMap, at: Item, gram: bool) -> int:
    """Compute the number of items whose Jacobians are best reduced together."""
    n, centers = (at.max_neighbors, 1) if isinstance(at, Environment) else (at.neighbor.shape[-1], at.center.shape[-1])
    if isinstance(at, Structure) and n > MAX_NEIGHBORS_IN_LANES:
        # The centers of large structures are computed one by one.
        return 1
    # JᵀJ needs a few matrices of its own size.
    rows, most = (24 * n, 64) if gram else (f.environment_featurizer.n_compact_rows(n), 32)
    one = max(at.positions.dtype.itemsize * rows * 3 * n, 1)
    return max(min(max(ROWS_TOGETHER_BYTES // one, 8 if one < ROWS_ALONE_BYTES else 1), most) // centers, 1)
