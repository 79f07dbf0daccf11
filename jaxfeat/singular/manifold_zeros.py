"""Where on a grid of parameters σ_min vanishes: refined in the parameters, not on the grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lapack import solve_linear
from jaxfeat.linalg.threads import one_blas_thread
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.spectrum.jacobian import directional_derivative, jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

ITERATIONS = 40
PATIENCE = 8
"""Steps without getting nearer than ever; in a narrow valley every other step goes up its side."""

DAMPING = 1e-10
"""Of the normal equations, relative to their trace: along a curve of zeros nothing is gained, and no step goes."""

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

BATCH = 8


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
    f: AbstractFeaturizer, place: ManifoldSlice, axes: list[np.ndarray], sigma: np.ndarray, n_generic: int
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
        search = _Search(f, place, bounds, depth)
        landed = search.refined(_starts(axes, _smallest(sigma, depth)), cells)
        if not len(landed.theta):
            break
        # Where more vanish than this one, deeper starts lead there too, and go deeper below the floor.
        deeper = list(_gathered(search, landed.of(landed.n_null == depth + 1)))
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


class _Landed(NamedTuple):
    theta: np.ndarray
    ratio: np.ndarray
    floor: np.ndarray
    n_null: np.ndarray
    normal: np.ndarray
    """(m, p, p): of the derivative of J v, over σ_max."""

    def of(self, which: np.ndarray) -> _Landed:
        return _Landed(*(leaf[which] for leaf in self))

    @property
    def slopes(self) -> np.ndarray:
        """Of σ/σ_max, (m, p), descending."""
        return np.sqrt(np.maximum(np.linalg.eigvalsh(self.normal)[:, ::-1], 0))

    def tangent(self, scale: np.ndarray) -> np.ndarray:
        """The direction of least slope, (m, p), a unit vector in units of `scale`."""
        return np.linalg.eigh(self.normal * scale[:, None] * scale)[1][:, :, 0]


class _Search(NamedTuple):
    f: Any
    place: ManifoldSlice
    bounds: np.ndarray
    depth: int

    def refined(self, starts: np.ndarray, cells: np.ndarray, free: np.ndarray | None = None) -> _Landed:
        """The zeros that starts lead to, where they lead to any."""
        m, p = starts.shape
        state = _State(
            start=starts,
            free=np.ones((m, p), bool) if free is None else free,
            theta=starts.copy(),
            ratio=np.full(m, np.inf),
            floor=np.zeros(m),
            n_null=np.zeros(m, int),
            normal=np.zeros((m, p, p)),
            gradient=np.zeros((m, p)),
            best=np.full(m, np.inf),
            idle=np.zeros(m, int),
            on=np.ones(m, bool),
        )
        # What is done leaves the batch, so that nobody waits for the slowest.
        for _ in range(ITERATIONS):
            active = np.flatnonzero(state.on)
            if not len(active):
                break
            for first in range(0, len(active), BATCH):
                members = active[first : first + BATCH]
                filled = members[np.arange(BATCH) % len(members)]
                batch = _State(*(leaf[filled] for leaf in state))
                with one_blas_thread():
                    # The depth as an array: one program for all of them.
                    after = _step(self.f, self.place, batch, cells, self.bounds, np.asarray(self.depth))
                for leaf, new in zip(state, after, strict=True):
                    leaf[members] = np.asarray(new)[: len(members)]
        landed = _Landed(state.theta, state.ratio, state.floor, state.n_null, state.normal)
        return landed.of(state.ratio <= state.floor)


class _Probe(NamedTuple):
    """σ_k/σ_max at some parameters, and the normal equations of J v = 0 (over σ_max, v held, without what other
    displacements could make up for)."""

    ratio: Any
    floor: Any
    n_null: Any
    normal: Any
    gradient: Any


class _State(NamedTuple):
    start: Any
    free: Any
    theta: Any
    ratio: Any
    floor: Any
    n_null: Any
    normal: Any
    gradient: Any
    best: Any
    idle: Any
    on: Any


@eqx.filter_jit
def _step(f: AbstractFeaturizer, place: ManifoldSlice, batch: Any, cells: Any, bounds: Any, depth: Any) -> Any:
    """A step of Gauss and Newton, of at most one cell; from a start, whose ratio is infinite, none."""

    def single(state: _State) -> _State:
        def solve(free: Array) -> Array:
            scale = jnp.where(free, cells, 0)
            normal = state.normal * jnp.outer(scale, scale)
            lift = DAMPING * jnp.trace(normal) + jnp.finfo(normal.dtype).tiny
            return solve_linear(normal + lift * jnp.eye(len(cells), dtype=normal.dtype), -state.gradient * scale)

        whole = solve(state.free)
        # At a bound, what would lead outside stays.
        outward = jnp.where(whole < 0, state.theta <= bounds[:, 0], state.theta >= bounds[:, 1])
        whole = solve(state.free & ~outward)
        move = whole / jnp.maximum(1, jnp.linalg.norm(whole))
        theta = jnp.clip(state.theta + cells * move, bounds[:, 0], bounds[:, 1])
        probe = _probe(f, place, theta, depth)
        better = probe.ratio < state.best
        idle = jnp.where(better, 0, state.idle + 1)
        steepest = jnp.sqrt(jnp.where(state.free, jnp.diagonal(probe.normal) * cells**2, 0).max())
        near = (probe.ratio <= NEAR * steepest) | (theta != state.start).any()
        near &= jnp.abs((theta - state.start) / cells).max() <= FAR
        on = near & (idle < PATIENCE) & (probe.ratio > probe.floor)
        return state._replace(
            theta=theta, best=jnp.where(better, probe.ratio, state.best), idle=idle, on=on, **probe._asdict()
        )

    return jax.vmap(single)(_State(*batch))


def _probe(f: AbstractFeaturizer, place: ManifoldSlice, theta: Float[Array, " p"], depth: Int[Array, ""]) -> _Probe:
    env = place(theta)
    jacobian, added = jacobian_and_norms(f, env)
    spectrum = decompose(keep_all_rows(jacobian, added), env, f, equilibrated=True)
    which = jnp.maximum(spectrum.n_values - 1 - depth, 0)
    largest = spectrum.values[0]
    seen = (jacobian / spectrum.scale[None, :, None]).reshape(len(jacobian), -1) @ spectrum.directions.reshape(
        len(spectrum.values), -1
    ).T
    above = jnp.arange(len(spectrum.values)) < which
    left = jnp.where(above[None], seen / jnp.where(above, spectrum.values, 1)[None], 0)
    displacement = spectrum.directions[which] / spectrum.scale[:, None]

    def image(theta: Array) -> Array:
        return directional_derivative(f, place(theta), displacement) / largest

    derivative = jax.jacfwd(image)(theta)
    for _ in range(2):
        derivative = derivative - left @ (left.T @ derivative)
    residual = seen[:, which] / largest
    return _Probe(
        ratio=jnp.where(spectrum.status == "ok", spectrum.values[which] / largest, jnp.inf),
        floor=spectrum.floor / largest,
        n_null=jnp.sum(spectrum.values <= spectrum.floor),
        normal=derivative.T @ derivative,
        gradient=derivative.T @ residual,
    )


def _gathered(search: _Search, landed: _Landed) -> Iterator[ManifoldZero]:
    """Curves, and the points that are on none of them."""
    reach = np.ptp(search.bounds, axis=1)
    curves: list[np.ndarray] = []
    for seed in np.flatnonzero(landed.slopes[:, -1] <= TRANSVERSAL) if len(reach) > 1 else ():
        if not any(_beside(landed.theta[seed], curve, reach) for curve in curves):
            curve = _traced(search, landed.of(np.asarray([seed])), reach)
            if len(curve.theta) > 2:
                curves.append(curve.theta)
                middle = _middle(search, curve, reach)
                yield _zero(curve, middle, 1)
    alone = np.asarray([not any(_beside(point, curve, reach) for curve in curves) for point in landed.theta], bool)
    rest = landed.of(alone)
    linked = np.abs(rest.theta[:, None] - rest.theta[None]).max(-1) < SAME
    count, label = connected_components(coo_array(linked), directed=False)
    for k in range(count):
        members = rest.of(label == k)
        yield _zero(members, members.of(np.asarray([np.argmin(members.ratio)])), 0)


def _traced(search: _Search, seed: _Landed, reach: np.ndarray) -> _Landed:
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
            after = search.refined(aim[None], stride, ~outside[None])
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
    return _Landed(*(np.concatenate(leaves) for leaves in zip(*points, strict=True)))


def _beside(point: np.ndarray, curve: np.ndarray, reach: np.ndarray) -> bool:
    """Whether a point lies on a curve, as far as the chords between its points tell."""
    points = curve / reach * STRIDES
    here, chord = point / reach * STRIDES - points[:-1], np.diff(points, axis=0)
    along = np.clip((here * chord).sum(-1) / np.maximum((chord**2).sum(-1), 1e-300), 0, 1)
    return bool(np.linalg.norm(here - along[:, None] * chord, axis=-1).min() < 0.2)


def _middle(search: _Search, curve: _Landed, reach: np.ndarray) -> _Landed:
    """The point of a curve half way along its longest extent: a point that no grid decides on."""
    extent = np.ptp(curve.theta, axis=0)
    axis = int(np.argmax(extent / reach))
    half = curve.theta[:, axis].min() + extent[axis] / 2
    nearest = np.asarray([np.argmin(np.abs(curve.theta[:, axis] - half))])
    start = curve.theta[nearest].copy()
    start[:, axis] = half
    exact = search.refined(start, reach / STRIDES, np.arange(len(reach))[None] != axis)
    return exact if len(exact.theta) else curve.of(nearest)


def _zero(landed: _Landed, best: _Landed, dimension: int) -> ManifoldZero:
    at, ratio, slope = best.theta[0], float(best.ratio[0]), float(best.slopes[0, -1 - dimension])
    # Rounding over the slope across the set; where there is none, σ grows with the square of the distance.
    error = max(ratio, ROUNDING) / slope if slope > TRANSVERSAL else float(np.sqrt(best.floor[0]))
    low, high = (landed.theta.min(0), landed.theta.max(0)) if dimension else (at, at)
    return ManifoldZero(low, high, at, error, dimension, ratio, landed.theta)
