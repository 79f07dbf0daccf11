"""Along the least sensitive direction: how far atoms go while features hardly move."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.singular.continuation import ACROSS, EASY, SMALLEST, STRAIGHT, Origin, check_start, follow
from jaxfeat.singular.gauss_newton import RUNNING, Iterate, Linearization, begin, proceed
from jaxfeat.spectrum.jacobian import jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

LARGEST = 0.02
"""Å, of a step."""

CORRECTIONS = 8
"""Newton's steps across the path, at most: three are usual."""

CONVERGED = 1e-6
"""Of a step along the path: corrections below this have arrived."""

UNHELD = 1e-3
"""Å: a step below which there must be a way back to the features of the start, or else there is none."""

RANK_CUTOFF = 1e-8
"""Relative to the largest singular value, of three rotations and a direction."""

RETURNED = 1e-4
"""Å: a path that comes this near its start has closed. It is as constant as features are, no more."""

QUASI_CONSTANT_MESSAGES = {
    "length": "the path is as long as was asked for.",
    "closed": "the path is back at its start, up to a rotation and a permutation of like atoms.",
    "turned": "the least sensitive direction turns faster than the smallest step can follow.",
    "coincident": "two atoms meet, or no feature moves any more.",
}
"""What each end of a quasi-constant path means."""


class QuasiConstantPath(NamedTuple):
    """A path of an environment along which features are as constant as they can be.

    **Attributes** (of s points, the start first):

    - `environments`: a batch of s.
    - `path`: `(s,)`, the length of the way there, Å, of all neighbors together.
    - `change`: `(s,)`, |F - F₀|, with F₀ the features of the start. `relative_change`: the same over |F₀|.
    - `directions`: `(s, n, 3)`, of the path, of length 1.
    - `sigma`: `(s,)`, features per Å along it: the singular value that is followed, over the largest one.
    - `sigma_ratio`: `(s,)`, σ_min/σ_max of the non-rigid spectrum, raw.
    - `rank`: `(s,)`, how many singular values are smaller than the one that is followed: 0 until another one crosses.
    - `held`: `(s,)`, whether features were taken back to those of the start as far as may be. Where they have changed
      too much for that, the rest of the path follows the direction alone.
    - `status`: one of `jaxfeat.inverse.quasi_constant.QUASI_CONSTANT_MESSAGES`.
    """

    environments: Environment
    path: np.ndarray
    change: np.ndarray
    relative_change: np.ndarray
    directions: np.ndarray
    sigma: np.ndarray
    sigma_ratio: np.ndarray
    rank: np.ndarray
    held: np.ndarray
    status: str


class _Spectrum(NamedTuple):
    """Values and directions on the non-rigid displacements, |F - F₀|, and whether the spectrum's status is "ok"."""

    values: Any
    axes: Any
    change: Any
    sound: Any


class _End(NamedTuple):
    """Where a correction ended, whether it arrived, and the spectrum there."""

    positions: np.ndarray
    arrived: bool
    spectrum: _Spectrum


class _Point(NamedTuple):
    positions: np.ndarray
    tangent: np.ndarray
    rank: int
    held: bool
    easy: bool
    spectrum: _Spectrum


def trace_quasi_constant(
    f: AbstractFeaturizer, start: Environment, length: float, *, sign: int = 1
) -> QuasiConstantPath:
    """Follow the direction of the smallest singular value from an environment, at constant features (Parsaeifard and
    Goedecker, JCP 156, 034302 (2022)).

    Each step goes along that direction, and then, by Gauss-Newton in all directions across it, back to the features of
    the start: what is left of their change is what no displacement across the path can undo. Steps are between 1e-5
    and 0.02 Å, such that the direction turns by less than 14°. Where two singular values cross, so that even the
    smallest step exchanges them, the direction goes on and not the order. Where features have changed so much that
    across the path there is no minimum of the change any more, the direction alone is integrated, by the midpoint rule.

    **Arguments:**

    - `f`: a featurizer. `start`: one environment, float64.
    - `length`: Å, of the displacement of all neighbors together. A path that closes is shorter.
    - `sign`: which way to go. 1 is the way in which the component that moves most grows, -1 the other.

    **Raises:** `SpeciesError`, as the featurizer does; `PrecisionError` for positions that are not float64;
    `GeometryError` for what is no one sound environment, one without a displacement that is not rigid, and for a
    length that is not positive.
    """
    env = check_start(f, start, length)
    f = f.prepared()
    if sign not in (1, -1):
        raise GeometryError(f"sign is {sign!r}; give 1 or -1, which way to go.")
    goal = f(env)
    x = np.asarray(env.positions)
    evaluate = partial(_corrected, f, env, goal)
    spectrum = evaluate(x, np.zeros_like(x)).spectrum
    if not spectrum.sound:
        raise GeometryError("no displacement of the start that is not rigid moves its features; there is no way to go.")
    along = spectrum.axes[-1]
    along = sign * np.sign(along.flat[np.abs(along).argmax()]) * along
    first = _Point(x, along, rank=0, held=True, easy=True, spectrum=spectrum)
    way = follow(partial(_advanced, evaluate), first, Origin.of(f, env, x), length, LARGEST, RETURNED)
    change = np.asarray([point.spectrum.change for point in way.points])
    rank = np.asarray([point.rank for point in way.points])
    values = [point.spectrum.values / point.spectrum.values[0] for point in way.points]
    return QuasiConstantPath(
        environments=jax.vmap(env.with_positions)(jnp.asarray([point.positions for point in way.points])),
        path=way.path,
        change=change,
        relative_change=change / np.linalg.norm(goal),
        directions=np.stack([point.tangent for point in way.points]),
        sigma=np.asarray([value[-1 - k] for value, k in zip(values, rank, strict=True)]),
        sigma_ratio=np.asarray([value[-1] for value in values]),
        rank=rank,
        held=np.asarray([point.held for point in way.points]),
        status=way.status,
    )


def _advanced(evaluate: Callable[..., _End], here: _Point, step: float) -> _Point | str:
    """Go to the next point of the path, or give the reason why this step leads to none."""
    aim = here.positions + step * here.tangent
    if here.held:
        end = evaluate(aim, here.tangent, CORRECTIONS, CONVERGED * step)
        if end.arrived and np.linalg.norm(end.positions - aim) < ACROSS * step:
            return _turned(here, step, end, held=True)
        if step > UNHELD:
            return "unheld"
    middle = _turned(here, step, evaluate((here.positions + aim) / 2, here.tangent), held=False)
    if isinstance(middle, str):
        return middle
    return _turned(here, step, evaluate(here.positions + step * middle.tangent, here.tangent), held=False)


def _turned(here: _Point, step: float, there: _End, held: bool) -> _Point | str:
    """Make the next point, with the direction there that continues the one here."""
    if not there.spectrum.sound:
        return "coincident"
    axes = there.spectrum.axes
    overlaps = np.einsum("kni,ni->k", axes, here.tangent)
    best = int(np.abs(overlaps).argmax())
    overlap, rank = overlaps[best], len(overlaps) - 1 - best
    if abs(overlap) < STRAIGHT or (rank != here.rank and step > SMALLEST):
        return "turned"
    easy = bool(abs(overlap) > EASY)
    return _Point(there.positions, np.sign(overlap) * axes[best], rank, held, easy, there.spectrum)


def _corrected(
    f: AbstractFeaturizer,
    env: Environment,
    goal: Array,
    positions: np.ndarray,
    along: np.ndarray,
    max_iterations: int = 0,
    shortest: float = 0.0,
) -> _End:
    """Bring the features back to the goal by displacements across a direction, until steps are `shortest` (Å)."""
    across = _across(positions, along)
    limits = np.asarray(max_iterations + 1), np.asarray(shortest)
    end = jax.tree.map(np.asarray, _corrected_on_device(f, env, goal, positions, across, *limits))
    spectrum = end.aux
    known = np.isfinite(spectrum.values)
    spectrum = spectrum._replace(
        values=spectrum.values[known], axes=spectrum.axes[known], sound=spectrum.sound and known.any()
    )
    return _End(positions + (end.unknowns @ across).reshape(positions.shape), bool(end.code != RUNNING), spectrum)


def _across(positions: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Compute an orthonormal basis of the displacements across a direction, without rotations; then rows of zeros.

    It is made before the Jacobian is reduced: of a residual that does not vanish, rounding errors along a rotation
    would make long steps.
    """
    rotations = np.cross(np.eye(3)[:, None], positions).reshape(3, -1)
    _, sizes, axes = robust_svd(np.concatenate([rotations, along.reshape(1, -1)]), full_matrices=True)
    rank = int((sizes > RANK_CUTOFF * sizes.max()).sum())
    return np.concatenate([axes[rank:], np.zeros((rank, positions.size))])


@eqx.filter_jit
def _corrected_on_device(
    f: AbstractFeaturizer, env: Environment, goal: Array, positions: Any, across: Any, iterations: Any, shortest: Any
) -> Iterate:
    size = jnp.linalg.norm(goal)
    size = jnp.where(size > 0, size, 1)

    def linearize(steps: Float[Array, " m"]) -> Linearization:
        there = env.with_positions(positions + (steps @ across).reshape(positions.shape))
        jacobian, added = jacobian_and_norms(f, there)
        spectrum = decompose(keep_all_rows(jacobian, added), there, f, equilibrated=False, collinear=False)
        change = f.features(there) - goal
        seen = _Spectrum(spectrum.values, spectrum.directions, jnp.linalg.norm(change), spectrum.status == "ok")
        slopes = across @ jacobian.reshape(len(jacobian), -1).T
        return Linearization(change / size, slopes / size, aux=seen)

    nowhere = jnp.zeros(positions.size)
    nothing = jax.tree.map(jnp.zeros_like, eqx.filter_eval_shape(linearize, nowhere).aux)
    return proceed(linearize, begin(nowhere, nothing), iterations, shortest=shortest)
