"""Zeros of σ_min over one or two parameters of a manifold: points, intervals and curves, exact in the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.singular.zero_search import OWN_DISTANCE, FoundZeros, ManifoldSlice, ZeroSearch

TRANSVERSAL_SLOPE = 1e-5  # slope of σ/σ_max (per Å or rad) below which σ does not change
SAME_DISTANCE = 1e-6  # distance (Å or rad) below which two zeros are one
RATIO_ROUNDING = 4 * float(np.finfo(float).eps)  # rounding error of σ/σ_max
N_STRIDES = 64  # number of steps along a curve across the whole grid, independent of the grid
LEAST_ADVANCE = 0.1  # least length of a step along a curve, relative to the step that was aimed at
LEAST_EXTENT = 1e-3  # extent of an interval, relative to the grid; values below the floor on less vanish at a point
BISECTIONS = 20  # halvings of a cell in which an interval ends


class ManifoldZero(NamedTuple):
    """Connected set of parameters at which one more singular value vanishes than around it. An interval of one
    parameter counts as a curve. It has an extent, `points`, and a point `at` its middle with the largest `error` (Å or
    rad) and σ_min/σ_max."""

    low: np.ndarray
    high: np.ndarray
    at: np.ndarray
    error: float
    dimension: int
    ratio: float
    points: np.ndarray


def find_manifold_zeros(
    f: AbstractFeaturizer,
    on: ManifoldSlice,
    axes: list[np.ndarray],
    sigma: np.ndarray,
    n_generic: int,
    rounding: float = 0.0,
) -> list[ManifoldZero]:
    """Find the zeros between the ends of a grid of one or two parameters, points first.

    Starts are local minima of σ on the grid, along an axis or a diagonal. From each start the solver goes to a zero of
    J(θ) v. Zeros of the second smallest value, the third, and so on are sets of their own, for example the crossing of
    two curves. A coarse grid misses zeros that have no minimum of their own on it, because others are within a cell.

    `axes` are p arrays of ascending values. `sigma`: equilibrated spectra, `(*grid, k)`, descending, NaN past the last
    value. `n_generic` null directions, which all points have, do not count. Values of σ/σ_max up to `rounding` are
    null.
    """
    cells = np.asarray([np.diff(axis).max() for axis in axes])
    bounds = np.asarray([[axis[0], axis[-1]] for axis in axes])
    found: list[tuple[ZeroSearch, ManifoldZero]] = []
    for depth in range(n_generic, sigma.shape[-1]):
        search = ZeroSearch(f, on, bounds, depth, rounding)
        landed = search.find(_starts(axes, _smallest(sigma, depth)), cells)
        if not len(landed.theta):
            break
        # Zeros at which more values vanish are found at their own depth, where they are more exact.
        deeper = list(_gathered(search, landed.at(landed.n_null == depth + 1), cells))
        found = [(own, zero) for own, zero in found if not _is_rim(own, zero, deeper, cells)]
        found += [(search, zero) for zero in deeper]
    return sorted((zero for _, zero in found), key=lambda zero: (zero.dimension, *zero.at))


def _is_rim(search: ZeroSearch, zero: ManifoldZero, deeper: list[ManifoldZero], cells: np.ndarray) -> bool:
    """Tell whether a zero belongs to one of the `deeper` ones: half way between them, the value is below its floor too.
    Values that grow with a high power of the distance are below their floor far away from their zero."""
    rim = 2 * OWN_DISTANCE * cells
    near = [d for d in deeper if len(cells) == 1 or not (zero.dimension or d.dimension)]
    near = [d for d in near if (zero.low > d.low - rim).all() and (zero.high < d.high + rim).all()]
    nearest = [np.clip(zero.at, d.low, d.high) for d in near]
    if any(np.abs(point - zero.at).max() < SAME_DISTANCE for point in nearest):
        return True
    return any(search.is_null((point + zero.at) / 2, cells) for point in nearest)


def _smallest(sigma: np.ndarray, depth: int) -> np.ndarray:
    n_values = np.isfinite(sigma).sum(-1)
    value = np.take_along_axis(sigma, np.maximum(n_values - 1 - depth, 0)[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_values > depth, value / sigma[..., 0], np.inf)


def _starts(axes: list[np.ndarray], ratio: np.ndarray) -> np.ndarray:
    """Find the points of the grid that are minima along an axis or a diagonal, `(m, p)`."""
    lines = np.asarray([(1,)] if len(axes) == 1 else [(1, 0), (0, 1), (1, 1), (1, -1)])
    ratio = np.where(np.isfinite(ratio), ratio, np.inf)
    padded = np.pad(ratio, 1, constant_values=np.inf)

    def shifted(step: np.ndarray) -> np.ndarray:
        return padded[tuple(slice(1 + s, 1 + s + n) for s, n in zip(step, ratio.shape, strict=True))]

    along = [(ratio <= shifted(step)) & (ratio <= shifted(-step)) for step in lines]
    minima = np.nonzero(np.any(along, 0) & np.isfinite(ratio))
    return np.stack([axis[index] for axis, index in zip(axes, minima, strict=True)], -1)


def _gathered(search: ZeroSearch, landed: FoundZeros, cells: np.ndarray) -> Iterator[ManifoldZero]:
    """Follow the curves, and group the points that are on none of them."""
    reach = np.ptp(search.bounds, axis=1)
    if len(reach) == 1:
        intervals = list(_intervals(search, landed, float(cells[0]), float(reach[0])))
        yield from intervals
        inside = [(landed.theta >= one.low) & (landed.theta <= one.high) for one in intervals]
        landed = landed.at(~np.any([np.zeros(landed.theta.shape, bool), *inside], 0)[:, 0])
    curves: list[np.ndarray] = []
    for seed in np.flatnonzero(landed.slopes[:, -1] <= TRANSVERSAL_SLOPE) if len(reach) > 1 else ():
        if not any(_beside(landed.theta[seed], curve, reach) for curve in curves):
            curve = _traced(search, landed.at(np.asarray([seed])), reach)
            if len(curve.theta) > 2:
                curves.append(curve.theta)
                yield _zero(curve, _middle(search, curve, reach), 1)
    alone = [not any(_beside(point, curve, reach) for curve in curves) for point in landed.theta]
    rest = landed.at(np.asarray(alone, bool))
    linked = np.abs(rest.theta[:, None] - rest.theta[None]).max(-1) < SAME_DISTANCE
    count, label = connected_components(coo_array(linked), directed=False)
    for k in range(count):
        members = rest.at(label == k)
        yield _zero(members, members.at(np.asarray([np.argmin(members.ratio)])), 0)


def _intervals(search: ZeroSearch, landed: FoundZeros, cell: float, reach: float) -> Iterator[ManifoldZero]:
    """Find the intervals of one parameter on which the value stays below its floor: curves in one dimension."""
    last = -np.inf
    for k in np.argsort(landed.theta[:, 0]):
        point = float(landed.theta[k, 0])
        if landed.slopes[k, -1] > TRANSVERSAL_SLOPE or point <= last:
            continue
        low, last = (_interval_end(search, point, way * cell) for way in (-1, 1))
        if last - low > LEAST_EXTENT * reach:
            ends = np.asarray([[low], [last]])
            middle = ends.mean(0)
            error = cell * 2.0**-BISECTIONS
            yield ManifoldZero(ends[0], ends[1], middle, error, 1, float(landed.ratio[k]), ends)


def _interval_end(search: ZeroSearch, inside: float, step: float) -> float:
    """Find where a value that is below its floor `inside` rises above the floor, or the bound, in steps of one cell."""
    low, high = search.bounds[0]
    is_null = partial(search.is_null, cells=np.asarray([abs(step)]))
    while True:
        outside = float(np.clip(inside + step, low, high))
        if not is_null(np.asarray([outside])):
            break
        inside = outside
        if outside in (low, high):
            return outside
    for _ in range(BISECTIONS):
        half = (inside + outside) / 2
        inside, outside = (half, outside) if is_null(np.asarray([half])) else (inside, half)
    return inside


def _traced(search: ZeroSearch, seed: FoundZeros, reach: np.ndarray) -> FoundZeros:
    """Follow the curve through a point, from one bound to another or around."""
    stride = reach / N_STRIDES
    ways = []
    for sign in (1, -1):
        way, direction = [seed], sign * seed.tangent(stride)[0]
        for _ in range(4 * N_STRIDES):
            here = way[-1].theta[0]
            aim = here + stride * direction
            outside = (aim < search.bounds[:, 0]) | (aim > search.bounds[:, 1])
            aim = np.clip(aim, search.bounds[:, 0], search.bounds[:, 1])
            after = search.find(aim[None], stride, ~outside[None])
            if not len(after.theta):
                break
            step = (after.theta[0] - here) / stride
            # At an isolated point where σ grows with the square of the distance, the solver comes back to the point.
            if step @ direction <= LEAST_ADVANCE * np.linalg.norm((aim - here) / stride):
                break
            way.append(after)
            around = len(way) > 3 and np.linalg.norm((after.theta[0] - seed.theta[0]) / stride) < 0.75
            if outside.any() or around:
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
    points = curve / reach * N_STRIDES
    here, chord = point / reach * N_STRIDES - points[:-1], np.diff(points, axis=0)
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
    exact = search.find(start, reach / N_STRIDES, np.arange(len(reach))[None] != axis)
    return exact if len(exact.theta) else curve.at(nearest)


def _zero(landed: FoundZeros, best: FoundZeros, dimension: int) -> ManifoldZero:
    at, ratio, slope = best.theta[0], float(best.ratio[0]), float(best.slopes[0, -1 - dimension])
    # Rounding over the slope across the set. Without a slope, σ grows with the square of the distance.
    error = max(ratio, RATIO_ROUNDING) / slope if slope > TRANSVERSAL_SLOPE else float(np.sqrt(best.floor[0]))
    low, high = (landed.theta.min(0), landed.theta.max(0)) if dimension else (at, at)
    return ManifoldZero(low, high, at, error, dimension, ratio, landed.theta)
