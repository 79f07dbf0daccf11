"""Inversion: from features back to an environment that has them, by Levenberg and Marquardt's method.

What local invertibility comes to in practice: features known to a relative ε give positions to ε |F| / σ_min, until
σ_min is so small that the features are quadratic. At a distance t from where it vanishes to first order, σ_min = κ t,
one component of the features is κ t² / 2, a fold, and an error ε |F| of it moves the solution by

    sqrt(t² + 2 ε |F| / κ) - t:

by ε |F| / σ_min as long as σ_min² >> 2 κ ε |F|, and by sqrt(2 ε |F| / κ) on the fold. An error of the other sign leaves
no solution where t² < 2 ε |F| / κ. At -t, features differ by terms of order t³ at most: by nothing in a family of
degenerate pairs, where that is another solution, and by too little to be seen next to any fold.

The solver is that of `jaxfeat.singular.land`, with no v to solve for. Rotations are free, and what the features do not
see is best left alone, so steps must be of minimum norm here too; and they must be reduced by QR: of normal equations,
nothing is left in the weakest direction once (σ_min/σ_max)² has met rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError, GeometryError, PrecisionError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.geometry.align import aligned
from jaxfeat.geometry.environment import Environment
from jaxfeat.singular.gauss_newton import RUNNING, Iterate, Linearization, Residual, solve
from jaxfeat.singular.lanes import map_lanes, n_lanes_for
from jaxfeat.singular.search_space import Free, faults
from jaxfeat.spectrum.jacobian import jacobian_and_norms

INVERSE_MESSAGES = {
    "recovered": "the environment has the features asked for, to the tolerance.",
    "stationary": "no small step brings the features nearer to those asked for: a local minimum; start elsewhere.",
    "max-iterations": "iterations ran out on the way; allow more of them.",
    "non-finite": "the start, or the features asked for, are not finite; mend them.",
    "coincident": "two atoms of the start are at the same point; remove one of them.",
    "empty": "the start has no neighbors, hence nothing to displace.",
}
"""What each status of a start means."""


LEVEL = 1e-5
"""A slope of |F - F*| below this, relative to the steepest there could be, is that of a minimum."""


@dataclass(frozen=True, eq=False)
class Inverse:
    """Environments with given features, start by start. Arrays have one entry for each of b starts, in their order.

    **Attributes:**

    - `status`: `(b,)`, one of `INVERSE_MESSAGES`; `recovered`: `(b,)`, whether it is "recovered".
    - `environments`: a batch, where each start ended; bad starts stay where they are. `positions`: theirs,
      `(b, n, 3)`, Å.
    - `residual`: `(b,)`, |F - F*| / |F*| there; NaN for bad starts.
    - `iterations`: `(b,)`, steps tried.
    """

    f: AbstractFeaturizer
    environments: Environment
    residual: np.ndarray
    iterations: np.ndarray
    status: np.ndarray

    def __len__(self) -> int:
        return len(self.status)

    @property
    def positions(self) -> np.ndarray:
        return np.asarray(self.environments.positions)

    @property
    def recovered(self) -> np.ndarray:
        return self.status == "recovered"

    def distance(self, truth: Environment) -> np.ndarray:
        """How far from the `truth`, one environment or a batch of b, each start ended: `(b,)`, Å.

        The length of the displacement of all atoms together (the root of the sum of their squares, as |δx| in
        |δF| = σ |δx| has it) between the two, laid upon each other by `jaxfeat.manifolds.aligned`: up to rotation and
        permutation of like neighbors, and up to inversion for features of O(3). NaN for bad starts.

        **Raises:** `GeometryError` for a truth of other atoms, or of another number of environments.
        """
        if truth.batch_shape not in ((), (len(self),)):
            raise GeometryError(f"truth has batch shape {truth.batch_shape}; give one environment, or {len(self)}.")
        truth = jax.tree.map(np.asarray, truth)
        pairs = zip(self.environments, truth if truth.batch_shape else [truth] * len(self), strict=True)
        known = ~np.isnan(self.residual)
        return np.asarray([self._apart(*pair) if sound else np.nan for pair, sound in zip(pairs, known, strict=True)])

    def _apart(self, env: Environment, truth: Environment) -> float:
        images = [env, env.with_positions(-env.positions)] if self.f.group == "O3" else [env]
        mask = np.asarray(truth.mask)
        # From the truth to what was found: padding of either is then out of the way.
        return min(
            float(np.linalg.norm((np.asarray(aligned(image, truth).positions) - truth.positions)[mask]))
            for image in images
        )

    def __repr__(self) -> str:
        names, counts = np.unique(self.status, return_counts=True)
        return f"Inverse({', '.join(f'{count} {name}' for name, count in zip(names, counts, strict=True))})"


def invert(
    f: AbstractFeaturizer,
    features: Float[Array, "b d"] | np.ndarray,
    starts: Environment,
    *,
    tolerance: float = 1e-12,
    max_iterations: int = 100,
) -> Inverse:
    """Go from each start to an environment nearby with given features: a minimum of |F(x) - F*|.

    **Arguments:**

    - `f`: a featurizer, differentiable.
    - `features`: F*, `(b, n_features)`, float64, one row for each start.
    - `starts`: a batch of b environments, float64, with the neighbors that are looked for; where they are is the guess.
    - `tolerance`: the relative residual |F - F*| / |F*| of what counts as recovered. For features with errors, their
      relative size: the minimum is gone down to in any case.
    - `max_iterations`: steps of each start.

    **Returns:** `Inverse`, with a status for each start. Bad starts get a status and touch no other.

    **Raises:** `SpeciesError`, as the featurizer does; `PrecisionError` for what is not float64; `GeometryError` for
    what is no batch of starts; `BasisError` for features of another shape.
    """
    points, given = Free().read(starts)
    features = np.asarray(features)
    for name, array in (("positions", given.positions), ("features", features)):
        if array.dtype != np.float64:
            raise PrecisionError(
                f"{name} are {array.dtype}, and σ_min takes digits of what is recovered; enable jax_enable_x64 and "
                "give them in float64."
            )
    check_compatible(f, given)
    f = f.prepared()
    b = len(points)
    if features.ndim != 2 or len(features) != b:
        raise BasisError(f"features has shape {features.shape}; give one row of features for each of {b} starts.")
    host = jax.tree.map(np.asarray, given)
    status = np.array(faults(points, host), dtype="<U16")
    status[(status == "") & ~np.isfinite(features).all(-1)] = "non-finite"
    sound = status == ""
    positions, residual, iterations = host.positions.copy(), np.full(b, np.nan), np.zeros(b, int)
    if sound.any():
        # Bad starts stay in their lanes: XLA does not promise that a lane's rounding errors are the same in another.
        limit = np.asarray(max_iterations)
        end = map_lanes(lambda *lane: _solved(f, limit, *lane), features, host, lanes=n_lanes_for(b))
        positions[sound] = end.unknowns.reshape(positions.shape)[sound]
        residual[sound], iterations[sound] = end.residual[sound], end.iterations[sound]
        # Into a minimum with a residual the last steps are slow; iterations may run out where nothing is to be gained.
        under_way = (end.code == RUNNING) & (_slope(end.triangle) > LEVEL)
        ended = np.where(under_way, "max-iterations", "stationary")
        status[sound] = np.where(end.residual <= tolerance, "recovered", ended)[sound]
    return Inverse(f, host.with_positions(positions), residual, iterations, status)


def _slope(triangles: np.ndarray) -> np.ndarray:
    """|Jᵀ r| / (|J| |r|), `(b,)`, from R of [J | r]: how steeply |F - F*| falls, relative to the steepest fall."""
    jacobian, residual = triangles[..., :-1], triangles[..., -1]
    gradient = np.linalg.norm(np.einsum("brk,br->bk", jacobian, residual), axis=1)
    steepest = np.linalg.norm(jacobian, axis=(1, 2)) * np.linalg.norm(residual, axis=1)
    return gradient / np.where(steepest > 0, steepest, 1)


@eqx.filter_jit
def _solved(f: AbstractFeaturizer, max_iterations: Any, features: Array, starts: Environment) -> Iterate:
    # Checked under the trace, where it costs nothing once compiled: a function does not know its number of features.
    d = eqx.filter_eval_shape(f.features, jax.tree.map(lambda leaf: leaf[0], starts)).shape[0]
    if features.shape[1] != d:
        raise BasisError(f"features has rows of {features.shape[1]}; this featurizer has {d} features.")

    def of_start(features: Array, start: Environment) -> Iterate:
        return solve(_residual(f, features, start), start.positions.reshape(-1), max_iterations)

    return jax.vmap(of_start)(features, starts)


def _residual(f: AbstractFeaturizer, features: Float[Array, " d"], start: Environment) -> Residual:
    """Make the residual (F(x) - F*) / |F*|. It is of order 1, and so is its derivative, per Å."""
    size = jnp.linalg.norm(features)
    size = jnp.where(size > 0, size, 1)

    def linearize(positions: Float[Array, " n"]) -> Linearization:
        env = start.with_positions(positions.reshape(start.positions.shape))
        jacobian, _ = jacobian_and_norms(f, env)
        return Linearization((f.features(env) - features) / size, jacobian.reshape(jacobian.shape[0], -1).T / size)

    return linearize
