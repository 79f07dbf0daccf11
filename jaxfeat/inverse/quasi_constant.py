"""Along the least sensitive direction: how far atoms go while features hardly move."""

from __future__ import annotations

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
from jaxfeat.linalg.lapack import pseudo_inverse, qr_triangle
from jaxfeat.singular.continuation import ACROSS, EASY, SMALLEST, STRAIGHT, Origin, checked, follow
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

CUT = 1e-10
"""Singular values across the path below this, relative to the largest, are zeros: nothing is corrected there."""

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


class _Look(NamedTuple):
    """An environment as seen from a path: |F - F₀|; Newton's displacement across the path that takes F back to F₀, as
    far as may be; the singular values and directions; whether all of that is to be trusted."""

    change: Any
    back: Any
    values: Any
    axes: Any
    sound: Any


class _Point(NamedTuple):
    positions: np.ndarray
    tangent: np.ndarray
    rank: int
    held: bool
    easy: bool
    look: _Look


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
    env = checked(f, start, length)
    f = f.prepared()
    if sign not in (1, -1):
        raise GeometryError(f"sign is {sign!r}; give 1 or -1, which way to go.")
    goal = f(env)
    x = np.asarray(env.positions)
    look = _looked(f, env, goal, np.zeros_like(x))
    if not look.sound:
        raise GeometryError("no displacement of the start that is not rigid moves its features; there is no way to go.")
    along = look.axes[-1]
    along = sign * np.sign(along.flat[np.abs(along).argmax()]) * along
    first = _Point(x, along, rank=0, held=True, easy=True, look=look)
    way = follow(partial(_advanced, f, env, goal), first, Origin.of(f, env, x), length, LARGEST, RETURNED)
    change = np.asarray([point.look.change for point in way.points])
    rank = np.asarray([point.rank for point in way.points])
    values = [point.look.values / point.look.values[0] for point in way.points]
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


def _advanced(f: AbstractFeaturizer, env: Environment, goal: Array, here: _Point, step: float) -> _Point | str:
    """The next point of the path; or why there is none within reach of this step."""
    turned = partial(_turned, f, env, goal, here, step)
    aim = here.positions + step * here.tangent
    if here.held:
        x = aim
        for _ in range(CORRECTIONS):
            back = _looked(f, env.with_positions(jnp.asarray(x)), goal, here.tangent).back
            if np.linalg.norm(back) <= CONVERGED * step:
                return turned(x, True)
            x = x + back
            if not np.linalg.norm(x - aim) < ACROSS * step:
                break
        if step > UNHELD:
            return "unheld"
    middle = turned((here.positions + aim) / 2, False)
    return middle if isinstance(middle, str) else turned(here.positions + step * middle.tangent, False)


def _turned(
    f: AbstractFeaturizer, env: Environment, goal: Array, here: _Point, step: float, x: np.ndarray, held: bool
) -> _Point | str:
    """A point with the direction that continues the one here."""
    look = _looked(f, env.with_positions(jnp.asarray(x)), goal, here.tangent)
    if not look.sound:
        return "coincident"
    overlaps = np.einsum("kni,ni->k", look.axes, here.tangent)
    best = int(np.abs(overlaps).argmax())
    overlap, rank = overlaps[best], len(overlaps) - 1 - best
    if abs(overlap) < STRAIGHT or (rank != here.rank and step > SMALLEST):
        return "turned"
    return _Point(x, np.sign(overlap) * look.axes[best], rank, held, bool(abs(overlap) > EASY), look)


def _looked(f: AbstractFeaturizer, env: Environment, goal: Array, along: np.ndarray) -> _Look:
    look = jax.tree.map(np.asarray, _look(f, env, goal, jnp.asarray(along)))
    known = np.isfinite(look.values)
    return look._replace(values=look.values[known], axes=look.axes[known], sound=look.sound and known.any())


@eqx.filter_jit
def _look(f: AbstractFeaturizer, env: Environment, goal: Array, along: Float[Array, "n 3"]) -> _Look:
    jacobian, added = jacobian_and_norms(f, env)
    spectrum = decompose(keep_all_rows(jacobian, added), env, f, equilibrated=False, collinear=False)
    axes = spectrum.directions.reshape(len(spectrum.values), -1)
    residual = f.features(env) - goal
    # Coordinates in which the path is the first axis, so that the others are what is across it; and few rows.
    here = axes @ along.reshape(-1)
    mirror = here.at[0].add(jnp.where(here[0] < 0, -1, 1) * jnp.linalg.norm(here))
    square = mirror @ mirror
    turned = axes - 2 * jnp.outer(mirror, mirror @ axes) / jnp.where(square > 0, square, 1)
    across = turned[1:]
    rows = jnp.concatenate([jacobian.reshape(len(jacobian), -1) @ across.T, residual[:, None]], 1)
    r = qr_triangle(jnp.pad(rows, ((0, max(rows.shape[1] - len(rows), 0)), (0, 0))))
    back = -pseudo_inverse(r[:, :-1], jnp.asarray(CUT, r.dtype)) @ r[:, -1]
    return _Look(
        change=jnp.linalg.norm(residual),
        back=(back @ across).reshape(env.positions.shape),
        values=spectrum.values,
        axes=spectrum.directions,
        sound=spectrum.status == "ok",
    )
