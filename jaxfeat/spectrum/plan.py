"""How a batch is worked on: the room for neighbors, and how many items go side by side."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES

LANE_BYTES = 2_000_000
"""Rows of Jacobians that are worked on at a time: about what the caches of a core hold. Measured."""

ALONE_BYTES = 32_000_000
"""Rows of one Jacobian from which on it is worked on alone: side by side, large ones only take memory."""


def species_present(f: AbstractFeaturizer, at: Environment | Structure) -> Int[np.ndarray, "*b s"]:
    """The featurizer's species in each environment, its center among them, or structure, then -1; as many as any of
    them holds."""
    species, mask = np.asarray(at.species), np.asarray(at.mask)
    if isinstance(at, Environment):
        center = np.asarray(at.center_species)[..., None]
        species = np.concatenate([species, center], -1)
        mask = np.concatenate([mask, np.ones_like(center, bool)], -1)
    if f.species is None or not len(f.species):
        return np.zeros((*species.shape[:-1], 0), np.int32)
    known = np.asarray(f.species)
    # Species by species: NumPy takes ten times as long to reduce an axis that is not the last.
    present = np.stack([((species == one) & mask).any(-1) for one in known], -1)
    first = np.sort(np.where(present, np.arange(len(known)), len(known)), -1)
    most = max(present.sum(-1).max(initial=0), 1)
    return np.append(known, -1).astype(np.int32)[first[..., :most]]


def chunk_size(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, screened: bool) -> int:
    """Items that are best worked on side by side."""
    n, centers = (at.max_neighbors, 1) if isinstance(at, Environment) else (at.neighbor.shape[-1], at.center.shape[-1])
    if isinstance(at, Structure) and n > MAX_NEIGHBORS_IN_LANES:
        # Their centers go one by one.
        return 1
    # JᵀJ comes from a few matrices of its own size.
    rows, most = (24 * n, 64) if screened else (f.environment_featurizer.n_compact_rows(n), 32)
    one = max(at.positions.dtype.itemsize * rows * 3 * n, 1)
    return max(min(max(LANE_BYTES // one, 8 if one < ALONE_BYTES else 1), most) // centers, 1)


def room_for_neighbors(n_neighbors: int) -> int:
    """The padded size for an environment: few sizes, so that a set of mixed sizes compiles a handful of programs."""
    for step in (1, 2, 4, 8, 16):
        if n_neighbors <= 4 * step:
            return max(-(-n_neighbors // step) * step, 1)
    return -(-n_neighbors // 32) * 32
