"""Zeros of σ_min over one or two parameters of a manifold: points and curves, exact in the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.singular.gauss_newton import LONGEST_STEP, STATIONARY, Bounds, Iterate, Linearization, begin, proceed
from jaxfeat.singular.lanes import solve_all
from jaxfeat.spectrum.jacobian import directional_derivative, jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

TRANSVERSAL_SLOPE = 1e-5  # slope of σ/σ_max (per Å or rad) below which σ does not change
SAME_DISTANCE = 1e-6  # distance (Å or rad) below which two zeros are one
RATIO_ROUNDING = 4 * float(np.finfo(float).eps)  # rounding error of σ/σ_max
N_STRIDES = 64  # number of steps along a curve across the whole grid, independent of the grid
LEAST_ADVANCE = 0.1  # least length of a step along a curve, relative to the step that was aimed at
MAX_ITERATIONS, ZERO_LANES = 40, 8  # steps of each search for a zero, and searches side by side in one program
PURSUED_DISTANCE = 2.0  # largest distance (cells) of a zero, down the steepest slope, at which a start is pursued
OWN_DISTANCE = 4.0  # Largest distance (cells) of a zero from its start. A zero farther off belongs to another start.


class ManifoldSlice(eqx.Module):
    """Manifold with some of its parameters free and the others fixed."""

    manifold: AbstractManifold
    fixed: Float[Array, " q"] | np.ndarray
    free: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, free: Float[Array, " p"]) -> Environment:
        return self.manifold(*jnp.asarray(self.fixed).at[np.asarray(self.free)].set(free))


class ManifoldZero(NamedTuple):
    """Connected set of parameters, a point or a curve, at which one more singular value vanishes than around it: its
    extent, `points`, and a point `at` its middle with the largest `error` (Å or rad) and σ_min/σ_max."""

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
    """Find the zeros between the ends of a grid of one or two parameters, points first.

    Starts are local minima of σ on the grid, along an axis or a diagonal. From each start the solver goes to a zero of
    J(θ) v. Zeros of the second smallest value, the third, and so on are sets of their own, for example the crossing of
    two curves. A coarse grid misses zeros that have no minimum of their own on it, because others are within a cell.

    `axes` are p arrays of ascending values. `sigma`: equilibrated spectra, `(*grid, k)`, descending, NaN past the last
    value. `n_generic` null directions, which all points have, do not count.
    """
    cells = np.asarray([np.diff(axis).max() for axis in axes])
    bounds = np.asarray([[axis[0], axis[-1]] for axis in axes])
    found: list[tuple[ZeroSearch, ManifoldZero]] = []
    for depth in range(n_generic, sigma.shape[-1]):
        search = ZeroSearch(f, on, bounds, depth)
        landed = search.find(_starts(axes, _smallest(sigma, depth)), cells)
        if not len(landed.theta):
            break
        # Zeros at which more values vanish are found at their own depth, where they are more exact.
        deeper = list(_gathered(search, landed.at(landed.n_null == depth + 1)))
        points = np.asarray([zero.at for zero in deeper if not zero.dimension]).reshape(-1, len(axes))
        found = [(own, zero) for own, zero in found if zero.dimension or not _is_rim(own, zero.at, points, cells)]
        found += [(search, zero) for zero in deeper]
    return sorted((zero for _, zero in found), key=lambda zero: (zero.dimension, *zero.at))


def _is_rim(search: ZeroSearch, point: np.ndarray, deeper: np.ndarray, cells: np.ndarray) -> bool:
    """Tell whether a zero belongs to one of the `deeper` ones, `(m, p)`: half way between them, the value is below its
    floor too. Values that grow with a high power of the distance are below their floor far away from their zero."""
    near = deeper[(np.abs(deeper - point) < 2 * OWN_DISTANCE * cells).all(1)]
    if (np.abs(near - point).max(1) < SAME_DISTANCE).any():
        return True
    half = (near + point) / 2
    return len(near) > 0 and len(search.find(half, cells, np.zeros(half.shape, bool)).theta) > 0


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


def _gathered(search: ZeroSearch, landed: FoundZeros) -> Iterator[ManifoldZero]:
    """Follow the curves, and group the points that are on none of them."""
    reach = np.ptp(search.bounds, axis=1)
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


class FoundZeros(NamedTuple):
    """Zeros `theta`, `(m, p)`, that m searches ended at: σ/σ_max of the value that vanishes, its floor, the number of
    values up to that, and AᵀA, `(m, p, p)`, with A the derivative of J v / σ_max by the parameters."""

    theta: np.ndarray
    ratio: np.ndarray
    floor: np.ndarray
    n_null: np.ndarray
    normal: np.ndarray

    def at(self, which: np.ndarray) -> FoundZeros:
        return FoundZeros(*(leaf[which] for leaf in self))

    @property
    def slopes(self) -> np.ndarray:
        """Slopes of σ/σ_max along the principal axes, `(m, p)`, descending."""
        return np.sqrt(np.maximum(np.linalg.eigvalsh(self.normal)[:, ::-1], 0))

    def tangent(self, scale: np.ndarray) -> np.ndarray:
        """Unit vectors of least slope, `(m, p)`, in units of `scale`."""
        return np.linalg.eigh(self.normal * scale[:, None] * scale)[1][:, :, 0]


class ZeroSearch(NamedTuple):
    """Search for zeros of the value after `depth` smaller ones, between `bounds` of the parameters, `(p, 2)`."""

    f: Any
    on: ManifoldSlice
    bounds: np.ndarray
    depth: int

    def find(self, starts: np.ndarray, cells: np.ndarray, free: np.ndarray | None = None) -> FoundZeros:
        """Find the zeros that starts `(m, p)` lead to. Where `free`, `(m, p)`, is False, the parameter is held."""
        m, p = starts.shape
        # Unknowns are the parameters in units in which the longest step is one cell.
        unit = cells / LONGEST_STEP
        low, high = (np.clip(starts + sign * OWN_DISTANCE * cells, *self.bounds.T) / unit for sign in (-1, 1))
        if free is not None:
            low, high = (np.where(free, bound, starts / unit) for bound in (low, high))

        def advance(iterates: Iterate, rows: np.ndarray, steps: np.ndarray) -> Iterate:
            limits = Bounds(jnp.asarray(low[rows]), jnp.asarray(high[rows]))
            # The depth is an array, so that all depths share one program.
            return _advanced(self.f, self.on, np.asarray(self.depth), unit, iterates, limits, steps)

        state = begin(starts / unit, (np.zeros(m), np.zeros(m, int)))
        solve_all(advance, state, 0, lanes=ZERO_LANES)
        # A column of the triangle is as long as the derivative by its unknown.
        steepest = np.where(low < high, np.linalg.norm(state.triangle[:, :, :p], axis=1), 0).max(1)
        state.code[state.residual > PURSUED_DISTANCE * LONGEST_STEP * steepest] = STATIONARY
        solve_all(advance, state, MAX_ITERATIONS, lanes=ZERO_LANES)
        floor, n_null = state.aux
        slopes = state.triangle[:, :, :p] / unit
        normal = np.einsum("mri,mrj->mij", slopes, slopes)
        return FoundZeros(state.unknowns * unit, state.residual, floor, n_null, normal).at(state.residual <= floor)


@eqx.filter_jit
def _advanced(
    f: AbstractFeaturizer, on: ManifoldSlice, depth: Any, unit: Any, iterates: Iterate, bounds: Bounds, steps: Any
) -> Iterate:
    def linearize(unknowns: Float[Array, " p"]) -> Linearization:
        there = _linearized(f, on, unknowns * unit, depth)
        return there._replace(slopes=there.slopes * unit[:, None])

    return jax.vmap(lambda now, bounds: proceed(linearize, now, steps, bounds))(iterates, bounds)


def _linearized(f: AbstractFeaturizer, on: ManifoldSlice, theta: Float[Array, " p"], depth: Array) -> Linearization:
    """Linearize J(θ) v / σ_max, whose norm is σ/σ_max, with v the right singular vector of the value at `depth`. The
    derivative holds v fixed. Changes of J v in the range of J on the larger singular vectors are projected out, because
    other displacements compensate for them. `aux` holds the floor and the number of null directions."""
    env = on(theta)
    jacobian, added = jacobian_and_norms(f, env)
    spectrum = decompose(keep_all_rows(jacobian, added), env, f, equilibrated=True)
    which = jnp.maximum(spectrum.n_values - 1 - depth, 0)
    largest = spectrum.values[0]
    axes = spectrum.directions.reshape(len(spectrum.values), -1)
    seen = (jacobian / spectrum.scale[None, :, None]).reshape(len(jacobian), -1) @ axes.T
    above = jnp.arange(len(spectrum.values)) < which
    left = jnp.where(above[None], seen / jnp.where(above, spectrum.values, 1)[None], 0)
    displacement = spectrum.directions[which] / spectrum.scale[:, None]
    derivative = jax.jacfwd(lambda theta: directional_derivative(f, on(theta), displacement) / largest)(theta)
    # Twice, because the first projection leaves rounding errors in the range.
    for _ in range(2):
        derivative = derivative - left @ (left.T @ derivative)
    value = jnp.where(spectrum.status == "ok", seen[:, which] / largest, jnp.inf)
    floor = spectrum.floor / largest
    return Linearization(value, derivative.T, floor, (floor, jnp.sum(spectrum.values <= spectrum.floor)))
