"""The search for parameters of a manifold at which a singular value vanishes, from many starts."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.singular.gauss_newton import LONGEST_STEP, STATIONARY, Bounds, Iterate, Linearization, begin, proceed
from jaxfeat.singular.lanes import solve_all
from jaxfeat.spectrum.jacobian import directional_derivative, jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

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
    """Search for zeros of the value after `depth` smaller ones, between `bounds` of the parameters, `(p, 2)`. Values of
    σ/σ_max up to `rounding` are null, because the positions of the manifold are known no better."""

    f: Any
    on: ManifoldSlice
    bounds: np.ndarray
    depth: int
    rounding: float = 0.0

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
            value = np.asarray(self.depth), np.asarray(self.rounding, float)
            return _advanced(self.f, self.on, value, unit, iterates, limits, steps)

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

    def is_null(self, point: np.ndarray, cells: np.ndarray) -> bool:
        """Tell whether the value is below its floor at a point `(p,)`."""
        return len(self.find(point[None], cells, np.zeros((1, len(point)), bool)).theta) > 0


@eqx.filter_jit
def _advanced(
    f: AbstractFeaturizer, on: ManifoldSlice, value: Any, unit: Any, iterates: Iterate, bounds: Bounds, steps: Any
) -> Iterate:
    def linearize(unknowns: Float[Array, " p"]) -> Linearization:
        there = _linearized(f, on, unknowns * unit, *value)
        return there._replace(slopes=there.slopes * unit[:, None])

    return jax.vmap(lambda now, bounds: proceed(linearize, now, steps, bounds))(iterates, bounds)


def _linearized(
    f: AbstractFeaturizer, on: ManifoldSlice, theta: Float[Array, " p"], depth: Array, rounding: Array
) -> Linearization:
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
    floor = jnp.maximum(spectrum.floor / largest, rounding)
    return Linearization(value, derivative.T, floor, (floor, jnp.sum(spectrum.values <= floor * largest)))
