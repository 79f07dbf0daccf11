"""Where on a grid of parameters σ_min vanishes: refined in the parameters, not on the grid."""

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
from jaxfeat.singular.gauss_newton import LONGEST, STATIONARY, Bounds, Iterate, Linearization, proceed
from jaxfeat.singular.lanes import begin_all, solve_all
from jaxfeat.spectrum.jacobian import directional_derivative, jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

MAX_ITERATIONS = 40

NEAR = 2.0
"""Cells; a start that is farther from a zero even down the steepest slope has none of its own."""

FAR = 4.0
"""Cells from the start; a zero farther off belongs to another start."""

TRANSVERSAL = 1e-5
"""Derivative of σ/σ_max, per Å or rad, below which it does not count as a slope."""

SAME = 1e-6
"""Å or rad; zeros nearer to each other are one."""

ROUNDING = 4 * float(np.finfo(float).eps)
"""Of σ over σ_max, as it is found."""

STRIDES = 64
"""Steps that a curve across the whole grid is followed in, whatever the grid."""

LANES = 8


class ManifoldZero(NamedTuple):
    """A connected set of parameters where one more singular value vanishes than around it.

    **Attributes:**

    - `low`, `high`: `(p,)`, its extent; equal for a point.
    - `at`: `(p,)`, one point of it, in the middle.
    - `error`: how far off `at` may be, Å or rad.
    - `dimension`: 0 a point, 1 a curve.
    - `ratio`: σ_min/σ_max at `at`.
    - `points`: `(m, p)`, all that were found of it.
    """

    low: np.ndarray
    high: np.ndarray
    at: np.ndarray
    error: float
    dimension: int
    ratio: float
    points: np.ndarray


class ManifoldSlice(eqx.Module):
    """A manifold with some parameters free and the others fixed."""

    manifold: AbstractManifold
    fixed: Float[Array, " q"] | np.ndarray
    free: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, free: Float[Array, " p"]) -> Environment:
        return self.manifold(*jnp.asarray(self.fixed).at[np.asarray(self.free)].set(free))


def find_manifold_zeros(
    f: AbstractFeaturizer, on: ManifoldSlice, axes: list[np.ndarray], sigma: np.ndarray, n_generic: int
) -> list[ManifoldZero]:
    """All zeros on a grid of one or two parameters, points first.

    **Arguments:**

    - `f`: the featurizer, the narrower the faster: the search is a program of its own.
    - `axes`: the values of each parameter, ascending.
    - `sigma`: `(*grid, k)`, equilibrated spectra in descending order, NaN at their ends.
    - `n_generic`: null directions at every point of the grid, which are not counted.

    Starts are local minima of σ along an axis or a diagonal. From each, Gauss-Newton on J(θ) v = 0 with the range of J
    projected out, damped and bounded, goes on until σ is below its floor. What is found where the second smallest
    value, the third ... vanish too is a zero of its own, such as the crossing of two curves.
    """
    cells = np.asarray([np.diff(axis).max() for axis in axes])
    bounds = np.asarray([[axis[0], axis[-1]] for axis in axes])
    found: list[ManifoldZero] = []
    for depth in range(n_generic, sigma.shape[-1]):
        search = _Search(f, on, bounds, depth)
        landed = search.zeros(_starts(axes, _smallest(sigma, depth)), cells)
        if not len(landed.theta):
            break
        # Where more vanish than this one, deeper starts lead there too, and go deeper below the floor.
        deeper = list(_gathered(search, landed.at(landed.n_null == depth + 1)))
        found = [zero for zero in found if not any(_one_point(zero, other) for other in deeper)] + deeper
    return sorted(found, key=lambda zero: (zero.dimension, *zero.at))


def _one_point(zero: ManifoldZero, other: ManifoldZero) -> bool:
    return zero.dimension == other.dimension == 0 and bool(np.abs(zero.at - other.at).max() < SAME)


def _smallest(sigma: np.ndarray, depth: int) -> np.ndarray:
    """The smallest value after `depth` others, over the largest; infinite where there is none."""
    n_values = np.isfinite(sigma).sum(-1)
    value = np.take_along_axis(sigma, np.maximum(n_values - 1 - depth, 0)[..., None], -1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n_values > depth, value / sigma[..., 0], np.inf)


def _starts(axes: list[np.ndarray], ratio: np.ndarray) -> np.ndarray:
    """Points of the grid that are minima along an axis or a diagonal: `(m, p)`."""
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


class _Found(NamedTuple):
    """Zeros that m searches ended at.

    `theta`: parameters, `(m, p)`. `ratio`: σ/σ_max of the value that vanishes. `floor`: of σ/σ_max. `n_null`: values at
    or below the floor. `normal`: AᵀA of the derivative A of J v, over σ_max, by the parameters, `(m, p, p)`.
    """

    theta: np.ndarray
    ratio: np.ndarray
    floor: np.ndarray
    n_null: np.ndarray
    normal: np.ndarray

    def at(self, which: np.ndarray) -> _Found:
        return _Found(*(leaf[which] for leaf in self))

    @property
    def slopes(self) -> np.ndarray:
        """Slopes of σ/σ_max along the principal axes, `(m, p)`, descending."""
        return np.sqrt(np.maximum(np.linalg.eigvalsh(self.normal)[:, ::-1], 0))

    def tangent(self, scale: np.ndarray) -> np.ndarray:
        """Unit vectors of least slope, `(m, p)`, in units of `scale`."""
        return np.linalg.eigh(self.normal * scale[:, None] * scale)[1][:, :, 0]


class _Search(NamedTuple):
    f: Any
    on: ManifoldSlice
    bounds: np.ndarray
    depth: int

    def zeros(self, starts: np.ndarray, cells: np.ndarray, free: np.ndarray | None = None) -> _Found:
        """Find the zeros that starts `(m, p)` lead to, no farther than `FAR` cells away.

        Where `free`, `(m, p)`, is False, the parameter stays as it is.
        """
        m, p = starts.shape
        # Unknowns are the parameters in units in which the longest step is one cell.
        unit = cells / LONGEST
        low, high = (np.clip(starts + sign * FAR * cells, *self.bounds.T) / unit for sign in (-1, 1))
        if free is not None:
            low, high = (np.where(free, bound, starts / unit) for bound in (low, high))

        def advance(iterates: Iterate, rows: np.ndarray, steps: np.ndarray) -> Iterate:
            limits = Bounds(jnp.asarray(low[rows]), jnp.asarray(high[rows]))
            # The depth is an array, so that all depths share one program.
            return _advanced(self.f, self.on, np.asarray(self.depth), unit, iterates, limits, steps)

        state = begin_all(starts / unit, (np.zeros(m), np.zeros(m, int)))
        solve_all(advance, state, 0, lanes=LANES)
        # A column of the triangle is as long as the derivative by its unknown.
        steepest = np.where(low < high, np.linalg.norm(state.triangle[:, :, :p], axis=1), 0).max(1)
        state.code[state.residual > NEAR * LONGEST * steepest] = STATIONARY
        solve_all(advance, state, MAX_ITERATIONS, lanes=LANES)
        floor, n_null = state.aux
        slopes = state.triangle[:, :, :p] / unit
        normal = np.einsum("mri,mrj->mij", slopes, slopes)
        return _Found(state.unknowns * unit, state.residual, floor, n_null, normal).at(state.residual <= floor)


@eqx.filter_jit
def _advanced(
    f: AbstractFeaturizer, on: ManifoldSlice, depth: Any, unit: Any, iterates: Iterate, bounds: Bounds, steps: Any
) -> Iterate:
    def linearize(unknowns: Float[Array, " p"]) -> Linearization:
        there = _linearized(f, on, unknowns * unit, depth)
        return there._replace(slopes=there.slopes * unit[:, None])

    return jax.vmap(lambda now, bounds: proceed(linearize, now, steps, bounds))(iterates, bounds)


def _linearized(f: AbstractFeaturizer, on: ManifoldSlice, theta: Float[Array, " p"], depth: Array) -> Linearization:
    """Linearize J(θ) v / σ_max, whose norm is σ/σ_max of the value after `depth` smaller ones, with floor and n_null.

    The derivative holds v, and leaves out changes that other displacements could make up for: the range of J above v.
    """
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


def _gathered(search: _Search, landed: _Found) -> Iterator[ManifoldZero]:
    """Curves, and the points that are on none of them."""
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


def _traced(search: _Search, seed: _Found, reach: np.ndarray) -> _Found:
    """The curve through a point of it, in order, from rim to rim or around."""
    stride = reach / STRIDES
    ways = []
    for sign in (1, -1):
        way, direction = [seed], sign * seed.tangent(stride)[0]
        for _ in range(4 * STRIDES):
            here = way[-1].theta[0]
            aim = here + stride * direction
            outside = (aim < search.bounds[:, 0]) | (aim > search.bounds[:, 1])
            aim = np.clip(aim, search.bounds[:, 0], search.bounds[:, 1])
            after = search.zeros(aim[None], stride, ~outside[None])
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
            # Straight on through a crossing, where there is no one tangent.
            if after.n_null[0] == search.depth + 1:
                tangent = after.tangent(stride)[0]
                direction = tangent * np.sign(tangent @ step)
        ways.append(way)
    points = [*ways[1][:0:-1], *ways[0]]
    return _Found(*(np.concatenate(leaves) for leaves in zip(*points, strict=True)))


def _beside(point: np.ndarray, curve: np.ndarray, reach: np.ndarray) -> bool:
    """Whether a point lies on a curve, as far as the chords between its points tell."""
    points = curve / reach * STRIDES
    here, chord = point / reach * STRIDES - points[:-1], np.diff(points, axis=0)
    along = np.clip((here * chord).sum(-1) / np.maximum((chord**2).sum(-1), 1e-300), 0, 1)
    return bool(np.linalg.norm(here - along[:, None] * chord, axis=-1).min() < 0.2)


def _middle(search: _Search, curve: _Found, reach: np.ndarray) -> _Found:
    """The point of a curve half way along its longest extent: a point that no grid decides on."""
    extent = np.ptp(curve.theta, axis=0)
    axis = int(np.argmax(extent / reach))
    half = curve.theta[:, axis].min() + extent[axis] / 2
    nearest = np.asarray([np.argmin(np.abs(curve.theta[:, axis] - half))])
    start = curve.theta[nearest].copy()
    start[:, axis] = half
    exact = search.zeros(start, reach / STRIDES, np.arange(len(reach))[None] != axis)
    return exact if len(exact.theta) else curve.at(nearest)


def _zero(landed: _Found, best: _Found, dimension: int) -> ManifoldZero:
    at, ratio, slope = best.theta[0], float(best.ratio[0]), float(best.slopes[0, -1 - dimension])
    # Rounding over the slope across the set; where there is none, σ grows with the square of the distance.
    error = max(ratio, ROUNDING) / slope if slope > TRANSVERSAL else float(np.sqrt(best.floor[0]))
    low, high = (landed.theta.min(0), landed.theta.max(0)) if dimension else (at, at)
    return ManifoldZero(low, high, at, error, dimension, ratio, landed.theta)
