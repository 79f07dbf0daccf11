"""Bounds of a search for neighbors, checked before it begins.

The search itself has no bounds: an atom that is far away ends the process, and too many pairs use up the memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError

MAX_LENGTH = 1e5
"""Å. No coordinate, and no cell vector, may be larger: ten times as long as the largest simulations are. Integers that
count the cells of the search overflow beyond it."""

MAX_PAIRS = 3e7
"""Pairs of neighbors of one structure, about. Each takes up to 180 bytes on the way: 5 GB in all."""

VESIN_CELLS = 1e5
"""Cells of the search, above which vesin takes fewer and larger ones, in proportion."""

MIN_CELLS = 4
"""Cells along an axis. Rounding leaves vesin without any where the proportion asks for hardly one."""


class BoundsError(GeometryError):
    """A structure whose neighbors cannot be looked for."""


class SearchPlan(NamedTuple):
    """Arguments of a search by vesin.

    - `radius`: Å; `r_cut`, or more where vesin would divide by zero.
    - `box`: `(3, 3)`, Å. `periodic`: `(3,)`.
    """

    radius: float
    box: np.ndarray
    periodic: np.ndarray


def plan_search(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_cut: float) -> SearchPlan:
    """Set up a search for all neighbors within `r_cut` (Å) that vesin can do.

    **Arguments:**

    - `positions`: `(n, 3)`, Å, finite.
    - `cell`: `(3, 3)`, Å, rows are lattice vectors. Those of directions that do not repeat are unit vectors orthogonal
      to the others; all are zeros where none repeats.
    - `pbc`: `(3,)`, which directions repeat.

    **Raises:** `BoundsError` for coordinates and cell vectors above 1e5 Å, and for more than about 3e7 pairs.
    """
    far = np.abs(positions).max(1)
    if far.max() > MAX_LENGTH:
        bad = int(far.argmax())
        where = ", ".join(f"{x:.6g}" for x in positions[bad])
        raise BoundsError(
            f"atom {bad} is at ({where}), farther than {MAX_LENGTH:.0e} Å from the origin; mend its coordinates."
        )
    long = np.where(pbc, np.linalg.norm(cell, axis=1), 0)
    if long.max() > MAX_LENGTH:
        axis = int(long.argmax())
        raise BoundsError(
            f"cell vector {axis} is {long[axis]:.1e} Å long, above {MAX_LENGTH:.0e} Å; mend it or unset its pbc."
        )
    heights = np.ones(3)
    along = positions
    if pbc.any():
        inverse = np.linalg.inv(cell)
        heights = 1 / np.linalg.norm(inverse, axis=0)
        along = positions @ inverse * heights
    low = np.where(pbc, 0, along.min(0))
    extent = np.where(pbc, heights, along.max(0) - low)
    radius = _without_thin_axes(extent, r_cut)
    pairs = _estimate(along - low, extent, pbc, radius)
    if pairs > MAX_PAIRS:
        thin = f", or mend the cell, whose opposite faces are {heights[pbc].min():.2g} Å apart" if pbc.any() else ""
        raise BoundsError(
            f"about {pairs:.0e} pairs of atoms are within {radius:.4g} Å, more than {MAX_PAIRS:.0e}; "
            f"choose a smaller r_cut{thin}."
        )
    if pbc.any() and not pbc.all():
        # Of directions that do not repeat beside some that do, vesin's time is quadratic in the extent. A gap between
        # images that is wider than the radius leaves the same pairs.
        cell = cell * np.where(pbc, 1, extent + 2 * radius)[:, None]
        pbc = np.ones(3, bool)
    return SearchPlan(radius, cell, pbc)


def _without_thin_axes(extent: np.ndarray, r_cut: float) -> float:
    """Return the smallest radius, of some from `r_cut` on, with which vesin has cells along all three axes."""
    while True:
        cells = np.maximum(extent // r_cut, 1)
        total = cells.prod()
        if total <= VESIN_CELLS or cells.min() * (VESIN_CELLS / total) ** (1 / 3) >= MIN_CELLS:
            return r_cut
        r_cut *= 1.25


def _estimate(along: np.ndarray, extent: np.ndarray, pbc: np.ndarray, r_cut: float) -> float:
    """Estimate the number of pairs; of a flat cell, that of the images that are looked through for them.

    Right where atoms are spread evenly over each bin of the size of the radius, and up to a few times too many or half
    as many as there are elsewhere. `along`: `(n, 3)`, Å, coordinates along the normals of the cell's faces.
    """
    n_bins = np.maximum(extent // r_cut, 1)
    side = extent / n_bins
    # An atom sees the bins within r_cut on either side. All of an axis that does not repeat may be one bin.
    bins_seen = np.where(pbc, 2 * r_cut / np.where(pbc, side, 1), np.where(n_bins > 1, 2, 1))
    # Of a cube that reaches to the radius, the sphere is a part.
    seen = bins_seen.prod() * (np.pi / 6 if (bins_seen > 1).all() else 1)
    n = len(along)
    if n * n * seen <= MAX_PAIRS:
        return float(n * n * seen)
    bins = np.floor(along / np.where(side > 0, side, 1))
    bins = np.where(pbc, bins % n_bins, np.minimum(bins, n_bins - 1))
    counts = np.unique(bins, axis=0, return_counts=True)[1].astype(float)
    return float((counts**2).sum() * seen)
