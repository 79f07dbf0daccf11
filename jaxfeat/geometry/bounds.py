"""Bounds of a search for neighbors. vesin has none: a far atom ends it, and many pairs fill the memory."""

from typing import NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError

MAX_LENGTH = 1e5
"""Å; ten times as long as the largest simulations. vesin counts cells in integers, which overflow beyond."""

MAX_PAIRS = 3e7  # Estimated pairs of neighbors in a structure. A search takes up to 180 bytes for each, 5 GB in all.
VESIN_CELLS = 1e5  # the number of cells above which vesin takes fewer and larger cells, in proportion
MIN_CELLS = 4  # Cells along an axis. If the proportion asks for hardly one, vesin rounds to none and divides by zero.


class BoundsError(GeometryError):
    """A structure whose neighbors cannot be searched for."""


class SearchPlan(NamedTuple):
    """Arguments of a search by vesin: a radius that holds all neighbors within `r_cut` and a box in Å, and directions
    that repeat."""

    radius: float
    box: np.ndarray
    periodic: np.ndarray


def plan_search(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_cut: float) -> SearchPlan:
    """Plan a search by vesin for all neighbors within `r_cut` (Å) of finite positions `(n, 3)`, Å. A smaller radius
    serves a smaller molecule. Rows of `cell` (Å) that do not repeat are unit vectors orthogonal to the others; if none
    repeats, all are zero."""
    far, long = np.abs(positions).max(1), np.where(pbc, np.linalg.norm(cell, axis=1), 0)
    if far.max() > MAX_LENGTH:
        where = f"atom {far.argmax()} is at ({', '.join(f'{x:.6g}' for x in positions[far.argmax()])})"
        raise BoundsError(f"{where}, farther than {MAX_LENGTH:.0e} Å from the origin; mend its coordinates.")
    if long.max() > MAX_LENGTH:
        fault = f"cell vector {long.argmax()} is {long.max():.1e} Å long, above {MAX_LENGTH:.0e} Å"
        raise BoundsError(f"{fault}; mend it or unset its pbc.")
    if pbc.any() and r_cut > MAX_LENGTH:
        raise BoundsError(
            "no crystal has neighbors within an infinite reach; declare a finite reach of the model, in Å."
        )
    heights, along = np.ones(3), positions
    if pbc.any():
        inverse = np.linalg.inv(cell)
        heights = 1 / np.linalg.norm(inverse, axis=0)
        along = positions @ inverse * heights
    low = np.where(pbc, 0, along.min(0))
    extent = np.where(pbc, heights, along.max(0) - low)
    # No two atoms of a molecule are farther apart, and the time of vesin grows with the cube of the radius.
    radius = _widen_radius(extent, r_cut if pbc.any() else min(r_cut, float(np.linalg.norm(extent)) + 1))
    pairs = _estimate_pairs(along - low, extent, pbc, radius)
    if pairs > MAX_PAIRS:
        thin = f", or mend the cell, whose opposite faces are {heights[pbc].min():.2g} Å apart" if pbc.any() else ""
        fault = f"about {pairs:.0e} pairs of atoms are within {radius:.4g} Å, more than {MAX_PAIRS:.0e}"
        raise BoundsError(f"{fault}; choose a smaller r_cut{thin}.")
    if pbc.any() and not pbc.all():
        # If only some directions repeat, vesin's time is quadratic in the extent of the others. All directions may
        # repeat if the gap between images is wider than the radius: the pairs are the same.
        cell = cell * np.where(pbc, 1, extent + 2 * radius)[:, None]
        pbc = np.ones(3, bool)
    return SearchPlan(radius, cell, pbc)


def _widen_radius(extent: np.ndarray, r_cut: float) -> float:
    """Widen the radius in steps until vesin has cells along all three axes."""
    while True:
        cells = np.maximum(extent // r_cut, 1)
        total = cells.prod()
        if total <= VESIN_CELLS or cells.min() * (VESIN_CELLS / total) ** (1 / 3) >= MIN_CELLS:
            return r_cut
        r_cut *= 1.25


def _estimate_pairs(along: np.ndarray, extent: np.ndarray, pbc: np.ndarray, r_cut: float) -> float:
    """Estimate the number of pairs from coordinates `along` the normals of the cell's faces (Å); for a flat cell, that
    of images. It is exact for even atoms, and otherwise between half and a few times the number."""
    n_bins = np.maximum(extent // r_cut, 1)
    side = extent / n_bins
    # An atom sees the bins within r_cut on either side. All of an axis that does not repeat may be one bin.
    bins_seen = np.where(pbc, 2 * r_cut / np.where(pbc, side, 1), np.where(n_bins > 1, 2, 1))
    # The sphere fills this part of the cube around it.
    seen = bins_seen.prod() * (np.pi / 6 if (bins_seen > 1).all() else 1)
    if len(along) ** 2 * seen <= MAX_PAIRS:
        return float(len(along) ** 2 * seen)
    bins = np.floor(along / np.where(side > 0, side, 1))
    bins = np.where(pbc, bins % n_bins, np.minimum(bins, n_bins - 1))
    return float((np.unique(bins, axis=0, return_counts=True)[1] ** 2.0).sum() * seen)
