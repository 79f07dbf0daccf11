"""One try for many starts: move and descend, if it is not the first; land; certify."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.search.batches import descend_all, in_chunks, land_all
from jaxfeat.search.invariants import invariants
from jaxfeat.search.land import RUNNING
from jaxfeat.search.meet import meet
from jaxfeat.search.metric import metric
from jaxfeat.search.problem import Problem, Reference
from jaxfeat.search.space import AbstractSpace
from jaxfeat.sensitivity.jacobian import weighed_jacobian
from jaxfeat.sensitivity.spectrum import jacobian_spectrum

SINGULAR = 1e-12
"""σ_min/σ_max of an exact singular point, at most."""

CLOSE = 1e-6
"""Of the whitened residual: from here, the plain one is solved in a few steps."""

FINAL = 20
"""Steps with the plain rows, at most."""

VIOLATION = 1e-8
"""Å, of a constraint, that is rounding."""

NULL, NEAR = 3e-12, 1e-4
"""Whitened singular values: below the one, they vanish; between the two, a more singular point is near, ..."""

REACH = 1e-2
"""... if it is within this distance, Å or units of θ."""

ENSEMBLE = 48
"""Environments that the metric is made from."""


class Problems(NamedTuple):
    """One problem in two metrics: to go there, and to finish."""

    whitened: Problem
    plain: Problem


class Tried(NamedTuple):
    """What a try came to: θ `(b, k)`, directions `(b, p)` of length 1, and the rest `(b,)`."""

    points: np.ndarray
    directions: np.ndarray
    residual: np.ndarray
    ratio: np.ndarray
    iterations: np.ndarray
    status: np.ndarray


class Seen(NamedTuple):
    """Points seen with all the features.

    - `values`, `(b, c)`, and `directions`, `(b, c, p)`: `Problem.spectrum`, whitened.
    - `ratio`: σ_min/σ_max. `residual`: |J v| / σ_max for given v. `violation`: of constraints, Å. `(b,)`.
    """

    values: Any
    directions: Any
    ratio: Any
    residual: Any
    violation: Any


def problems_of(
    f: AbstractFeaturizer,
    space: AbstractSpace,
    points: np.ndarray,
    starts: Environment,
    exclude: str | None,
    rng: np.random.Generator,
    lanes: int,
) -> Problems:
    """The problems of sound starts. The metric is that of the starts, and of points near them where there are few."""
    rows = np.resize(np.arange(len(points)), ENSEMBLE)
    repeated = np.arange(ENSEMBLE) >= len(points)
    near = points[rows] + repeated[:, None] * jitter(space, starts[rows], rng)
    environments = environments_at(space, near, starts[rows], lanes)
    jacobians, _ = _jacobians_at(f, environments, lanes)
    found = metric(jacobians.reshape(*jacobians.shape[:2], -1), rng)
    reference = None
    if exclude is not None:
        order = 4 if f.nu is None else f.nu + 1
        radii = np.linalg.norm(environments.positions, axis=-1)[environments.mask]
        drawn = invariants(environments.max_neighbors, order, f.group, float(np.sqrt((radii**2).mean())), rng)
        unscaled = Reference(drawn, jnp.eye(drawn.phases.shape[0]))
        slopes = in_chunks(lambda env: _slopes(unscaled, env), environments, lanes=lanes)
        reference = Reference(drawn, jnp.asarray(metric(slopes, rng).whitened))
    whitened, plain = (jnp.asarray(rows) for rows in found)
    return Problems(Problem(f, space, whitened, reference), Problem(f, space, plain, reference))


def jitter(space: AbstractSpace, starts: Environment, rng: np.random.Generator) -> np.ndarray:
    """Random moves of θ, as far as the space says, `(b, k)`."""
    scale = np.stack([np.asarray(space.scale(start)) for start in starts])
    return scale * rng.normal(size=scale.shape)


def attempt(
    problems: Problems,
    points: np.ndarray,
    starts: Environment,
    descent: optax.GradientTransformation | None,
    max_iterations: int,
    lanes: int,
) -> Tried:
    """Land from θ `(b, k)`, after a descent if there is an optimizer for it."""
    whitened, plain = problems
    if descent is not None:
        points = descend_all(whitened, points, starts, descent, lanes=lanes)
    directions = _seen(whitened, points, None, starts, lanes).directions[:, -1]
    way = land_all(whitened, points, directions, starts, enough=CLOSE, max_iterations=max_iterations, lanes=lanes)
    end = land_all(plain, way.point, way.direction, starts, max_iterations=FINAL, lanes=lanes)
    tried, seen = _judged(whitened, end.point, end.direction, starts, lanes)
    status = np.where((tried.status == "not-singular") & (way.code == RUNNING), "stalled", tried.status)
    tried = tried._replace(iterations=way.iterations + end.iterations, status=status)
    _join(problems, tried, seen, starts, lanes)
    return tried


def _join(problems: Problems, tried: Tried, seen: Seen, starts: Environment, lanes: int) -> None:
    """Move points next to more singular ones onto those, in place."""
    doubtful = (seen.values > NULL) & (seen.values < NEAR)
    count = (seen.values < NEAR).sum(1)
    todo = np.flatnonzero(doubtful.any(1) & (seen.violation <= VIOLATION))
    # All small values at first; then, as some of them may not vanish anywhere near, fewer.
    for q in range(int(count[todo].max(initial=0)), 0, -1):
        rows = todo[(count[todo] >= q) & doubtful[todo, -q]]
        if not len(rows):
            continue
        before = tried.points[rows]
        points, directions = meet(
            tuple(problems), before.copy(), seen.directions[rows, -q:].copy(), starts[rows], lanes
        )
        moved, after = _judged(problems.whitened, points, directions[:, -1], starts[rows], lanes)
        better = (moved.status == "landed") & (np.abs(points - before).max(1) < REACH)
        better &= after.values[:, -q] < np.maximum(NULL, seen.values[rows, -q] / 10)
        moved = moved._replace(iterations=tried.iterations[rows])
        for leaf, new in zip(tried, moved, strict=True):
            leaf[rows[better]] = new[better]
        todo = np.setdiff1d(todo, rows[better])


def _judged(
    problem: Problem, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> tuple[Tried, Seen]:
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(lengths > 0, lengths, 1)
    seen = _seen(problem, points, directions, starts, lanes)
    status = np.select(
        [(seen.ratio <= SINGULAR) & (seen.violation <= VIOLATION), seen.violation > VIOLATION],
        ["landed", "left-bounds"],
        "not-singular",
    )
    return Tried(points, directions, seen.residual, seen.ratio, np.zeros(len(points), int), status), seen


def _seen(problem: Problem, points: np.ndarray, directions: np.ndarray | None, starts: Environment, lanes: int) -> Seen:
    environments = environments_at(problem.space, points, starts, lanes)
    jacobians, added = _jacobians_at(problem.f, environments, lanes)
    if directions is None:
        directions = np.zeros((len(points), 3 * environments.max_neighbors))
    return in_chunks(
        lambda *lane: _measured(problem, *lane), jacobians, added, points, directions, environments, lanes=lanes
    )


def environments_at(space: AbstractSpace, points: np.ndarray, starts: Environment, lanes: int) -> Environment:
    """The environments at θ `(b, k)`, as NumPy arrays."""
    return in_chunks(lambda *lane: _environments(space, *lane), points, starts, lanes=lanes)


def violations(space: AbstractSpace, points: np.ndarray, starts: Environment, lanes: int) -> np.ndarray:
    """By how much constraints are violated, Å or units of θ, `(b,)`."""
    environments = environments_at(space, points, starts, lanes)
    return in_chunks(lambda *lane: _violations(space, *lane), points, environments, lanes=lanes)


def _jacobians_at(f: AbstractFeaturizer, environments: Environment, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    return in_chunks(lambda env: _jacobians(f, env), environments, lanes=lanes)


@eqx.filter_jit
def _environments(space: AbstractSpace, points: Array, starts: Environment) -> Environment:
    return jax.vmap(space.environment)(points, starts)


@eqx.filter_jit
def _violations(space: AbstractSpace, points: Array, environments: Environment) -> Array:
    return jax.vmap(lambda point, env: _violation(space, point, env))(points, environments)


def _violation(space: AbstractSpace, point: Array, env: Environment) -> Array:
    return -jnp.minimum(space.slack(point, env).min(initial=jnp.inf), 0)


@eqx.filter_jit
def _jacobians(f: AbstractFeaturizer, environments: Environment) -> tuple[Array, Array]:
    # The one program with the features' Jacobian: what is done with it is compiled apart, in a tenth of the time.
    return jax.vmap(lambda env: weighed_jacobian(f, env))(environments)


@eqx.filter_jit
def _slopes(reference: Reference, environments: Environment) -> Array:
    return jax.vmap(reference.jacobian)(environments)


@eqx.filter_jit
def _measured(
    problem: Problem, jacobians: Array, added: Array, points: Array, directions: Array, environments: Environment
) -> Seen:
    def one(jacobian: Array, added: Array, point: Array, direction: Array, env: Environment) -> Seen:
        values, axes = problem.spectrum(jacobian, env)
        spectrum = jacobian_spectrum(jacobian, added, problem.f, env, equilibrated=False, every=True)
        largest = spectrum.values.max(initial=0, where=jnp.isfinite(spectrum.values))
        velocity = jacobian.reshape(jacobian.shape[0], -1) @ direction
        violation = _violation(problem.space, point, env)
        return Seen(values, axes, spectrum.ratio, jnp.linalg.norm(velocity) / largest, violation)

    return jax.vmap(one)(jacobians, added, points, directions, environments)
