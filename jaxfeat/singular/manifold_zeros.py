"""Zeros of σ_min over one or two parameters of a manifold: points and curves, exact in the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.singular.zero_search import FoundZeros, ManifoldSlice, ZeroSearch

TRANSVERSAL = 1e-5
"""Slope of σ/σ_max (per Å or rad) below which σ does not change."""

SAME = 1e-6
"""Distance (Å or rad) below which two zeros are one."""

ROUNDING = 4 * float(np.finfo(float).eps)
"""Rounding error of σ/σ_max."""

STRIDES = 64
"""Number of steps along a curve across the whole grid, independent of the grid."""


class ManifoldZero(NamedTuple):
    """Connected set of parameters at which one more singular value vanishes than around it.

    **Attributes:**

    - `low`, `high`: Extent of the set, each of shape `(p,)`; equal for a point.
    - `at`: A point in the middle of the set, of shape `(p,)`.
    - `error`: Largest error of `at` (Å or rad).
    - `dimension`: 0 for a point, 1 for a curve.
    - `ratio`: σ_min/σ_max at `at`.
    - `points`: All points of the set that were found, of shape `(m, p)`.
    """

    low: np.ndarray
    high: np.ndarray
    at: np.ndarray
    error: float
    dimension: int
    ratio: float
    points: np.ndarray


def find_manifold_zeros(
    f: AbstractFeaturizer, on: ManifoldSlice, axes: list[np.ndarray], sigma: np.ndarray, n_generic: int
) -> list[ManifoldZero]:
    """Find all zeros between the ends of a grid of one or two parameters, points first.

    Starts are local minima of σ on the grid, along an axis or a diagonal. From each start the solver goes to a zero of
    J(θ) v. Zeros of the second smallest value, the third, and so on are sets of their own, for example the crossing of
    two curves.

    **Arguments:**

    - `f`: The featurizer, restricted to the species of the manifold for speed.
    - `on`: The manifold with p free parameters.
    - `axes`: p arrays of ascending values.
    - `sigma`: Equilibrated spectra of shape `(*grid, k)`, descending, and NaN past the last value.
    - `n_generic`: Number of null directions that all points have. They do not count.

    **Returns:** A list of `ManifoldZero`s.
    """
    cells = np.asarray([np.diff(axis).max() for axis in axes])
    bounds = np.asarray([[axis[0], axis[-1]] for axis in axes])
    found: list[ManifoldZero] = []
    for depth in range(n_generic, sigma.shape[-1]):
        search = ZeroSearch(f, on, bounds, depth)
        landed = search.find(_starts(axes, _smallest(sigma, depth)), cells)
        if not len(landed.theta):
            break
        # Zeros at which more values vanish are found at their own depth, where they are more exact.
        deeper = list(_gathered(search, landed.at(landed.n_null == depth + 1)))
        found = [zero for zero in found if not any(_one_point(zero, other) for other in deeper)] + deeper
    return sorted(found, key=lambda zero: (zero.dimension, *zero.at))


def _one_point(zero: ManifoldZero, other: ManifoldZero) -> bool:
    return zero.dimension == other.dimension == 0 and bool(np.abs(zero.at - other.at).max() < SAME)


def _smallest(sigma: np.ndarray, depth: int) -> np.ndarray:
    """Select the value after `depth` smaller ones, over the largest; infinite if there is none."""
    n_values = np.isfinite(sigma).sum(-1)
    value = np.take_along_axis(sigma, np.maximum(n_values - 1 - depth, 0)[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_values > depth, value / sigma[..., 0], np.inf)


def _starts(axes: list[np.ndarray], ratio: np.ndarray) -> np.ndarray:
    """Find the points of the grid that are minima along an axis or a diagonal, `(m, p)`."""
    steps = [(1,)] if len(axes) == 1 else [(1, 0), (0, 1), (1, 1), (1, -1)]
    padded = np.pad(np.where(np.isfinite(ratio), ratio, np.inf), 1, constant_values=np.inf)
    inner = tuple(slice(1, 1 + n) for n in ratio.shape)
    minimum = np.zeros(ratio.shape, bool)
    for step in steps:
        after = padded[tuple(slice(1 + s, 1 + s + n) for s, n in zip(step, ratio.shape, strict=True))]
        before = padded[tuple(slice(1 - s, 1 - s + n) for s, n in zip(step, ratio.shape, strict=True))]
        minimum |= (padded[inner] <= after) & (padded[inner] <= before)
    minimum &= np.isfinite(ratio)
    return np.stack([axis[index] for axis, index in zip(axes, np.nonzero(minimum), strict=True)], -1)


def _gathered(search: ZeroSearch, landed: FoundZeros) -> Iterator[ManifoldZero]:
    """Follow the curves, and group the points that are on none of them."""
    reach = np.ptp(search.bounds, axis=1)
    curves: list[np.ndarray] = []
    for seed in np.flatnonzero(landed.slopes[:, -1] <= TRANSVERSAL) if len(reach) > 1 else ():
        if not any(_beside(landed.theta[seed], curve, reach) for curve in curves):
            curve = _traced(search, landed.at(np.asarray([seed])), reach)
            if len(curve.theta) > 2:
                curves.append(curve.theta)
                middle = _middle(search, curve, reach)
                yield _zero(curve, middle, 1)
    alone = np.asarray([not any(_beside(point, curve, reach) for curve in curves) for point in landed.theta], bool)
    rest = landed.at(alone)
    linked = np.abs(rest.theta[:, None] - rest.theta[None]).max(-1) < SAME
    count, label = connected_components(coo_array(linked), directed=False)
    for k in range(count):
        members = rest.at(label == k)
        yield _zero(members, members.at(np.asarray([np.argmin(members.ratio)])), 0)


def _traced(search: ZeroSearch, seed: FoundZeros, reach: np.ndarray) -> FoundZeros:
    """Follow the curve through a point, from one bound to another or around."""
    stride = reach / STRIDES
    ways = []
    for sign in (1, -1):
        way, direction = [seed], sign * seed.tangent(stride)[0]
        for _ in range(4 * STRIDES):
            here = way[-1].theta[0]
            aim = here + stride * direction
            outside = (aim < search.bounds[:, 0]) | (aim > search.bounds[:, 1])
            aim = np.clip(aim, search.bounds[:, 0], search.bounds[:, 1])
            after = search.find(aim[None], stride, ~outside[None])
            if not len(after.theta):
                break
            step = (after.theta[0] - here) / stride
            if np.linalg.norm(step) < 1e-9 or step @ direction < 0:
                break
            way.append(after)
            if outside.any():
                break
            if len(way) > 3 and np.linalg.norm((after.theta[0] - seed.theta[0]) / stride) < 0.75:
                break
            # At a crossing there is no single tangent, and the direction stays.
            if after.n_null[0] == search.depth + 1:
                tangent = after.tangent(stride)[0]
                direction = tangent * np.sign(tangent @ step)
        ways.append(way)
    points = [*ways[1][:0:-1], *ways[0]]
    return FoundZeros(*(np.concatenate(leaves) for leaves in zip(*points, strict=True)))


def _beside(point: np.ndarray, curve: np.ndarray, reach: np.ndarray) -> bool:
    """Check if a point lies on the chords between the points of a curve, to a fifth of a stride."""
    points = curve / reach * STRIDES
    here, chord = point / reach * STRIDES - points[:-1], np.diff(points, axis=0)
    along = np.clip((here * chord).sum(-1) / np.maximum((chord**2).sum(-1), 1e-300), 0, 1)
    return bool(np.linalg.norm(here - along[:, None] * chord, axis=-1).min() < 0.2)


def _middle(search: ZeroSearch, curve: FoundZeros, reach: np.ndarray) -> FoundZeros:
    """Find the point half way along the longest extent of a curve, which does not depend on the grid."""
    extent = np.ptp(curve.theta, axis=0)
    axis = int(np.argmax(extent / reach))
    half = curve.theta[:, axis].min() + extent[axis] / 2
    nearest = np.asarray([np.argmin(np.abs(curve.theta[:, axis] - half))])
    start = curve.theta[nearest].copy()
    start[:, axis] = half
    exact = search.find(start, reach / STRIDES, np.arange(len(reach))[None] != axis)
    return exact if len(exact.theta) else curve.at(nearest)


def _zero(landed: FoundZeros, best: FoundZeros, dimension: int) -> ManifoldZero:
    at, ratio, slope = best.theta[0], float(best.ratio[0]), float(best.slopes[0, -1 - dimension])
    # Rounding over the slope across the set. Without a slope, σ grows with the square of the distance.
    error = max(ratio, ROUNDING) / slope if slope > TRANSVERSAL else float(np.sqrt(best.floor[0]))
    low, high = (landed.theta.min(0), landed.theta.max(0)) if dimension else (at, at)
    return ManifoldZero(low, high, at, error, dimension, ratio, landed.theta)
