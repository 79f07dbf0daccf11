"""Environments cut at a smaller radius."""

import equinox as eqx
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import RADIUS_ROUNDING, Environment


def cut_at_radius(batch: Environment, r_cut: float) -> Environment:
    """Leave out the neighbors of environments `(b,)` of NumPy arrays from `r_cut` (Å) on, as if they were cut there.

    **Raises:** `GeometryError` if the environments were cut at a smaller radius.
    """
    known = np.asarray(batch.r_cut)
    if (short := known < r_cut * (1 - RADIUS_ROUNDING)).any():
        fault = (
            f"environments were cut at {known[short].min():g} Å, and a descriptor of r_cut {r_cut:g} Å is to be tried"
        )
        raise GeometryError(f"{fault}; give structures, or environments of a larger radius.")
    within = batch.mask & (np.linalg.norm(batch.positions, axis=-1) < r_cut)
    order = np.argsort(~within, axis=1, kind="stable")
    mask = np.take_along_axis(within, order, 1)

    def keep(leaf: np.ndarray, padding: int) -> np.ndarray:
        wide = order.reshape(*order.shape, *[1] * (leaf.ndim - 2))
        there = mask.reshape(*mask.shape, *[1] * (leaf.ndim - 2))
        return np.where(there, np.take_along_axis(leaf, wide, 1), padding).astype(leaf.dtype)

    leaves = (batch.positions, batch.species, batch.neighbor_index, batch.neighbor_shift)
    kept = [keep(np.asarray(leaf), padding) for leaf, padding in zip(leaves, (0, 0, -1, 0), strict=True)]
    new = (*kept, mask, np.full(len(mask), float(r_cut)))
    where = lambda e: (e.positions, e.species, e.neighbor_index, e.neighbor_shift, e.mask, e.r_cut)  # noqa: E731
    return eqx.tree_at(where, batch, new).trimmed()
