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
from jaxfeat.singular.batches import descend_all, in_chunks, land_all
from jaxfeat.singular.certify import Seen, environments_at, jacobians_at, newton_steps, seen_at
from jaxfeat.singular.equations import Problem, Reference
from jaxfeat.singular.feature_metric import feature_metric
from jaxfeat.singular.land import RUNNING
from jaxfeat.singular.meet import meet
from jaxfeat.singular.random_invariants import random_invariants
from jaxfeat.singular.search_space import AbstractSearchSpace

SINGULAR = 1e-12
"""σ_min/σ_max of an exact singular point, at most."""

CLOSE = 1e-6
"""Of the whitened residual: from here, the plain one is solved in a few steps."""

FINAL = 20
"""Steps with the plain rows, at most."""

EXACT = 1e-6
"""Å, or units of θ: Newton's estimate of the distance to the singular point, at most. Classification takes 1e-5."""

VIOLATION = 1e-8
"""Å, of a constraint, that is rounding."""

NULL, NEAR = 3e-12, 3e-3
"""Whitened singular values: below the one, they vanish; between the two, a more singular point is near, ..."""

REACH = 1e-3
"""... if it is within this distance, Å or units of θ."""

ENSEMBLE = 48
"""Environments that the metric is made from."""


class Problems(NamedTuple):
    """One problem in two metrics: to go there, and to finish. And without its reference, to look at where one is."""

    whitened: Problem
    plain: Problem

    @property
    def bare(self) -> Problems:
        return Problems(*(eqx.tree_at(lambda p: p.reference, one, None, is_leaf=_nothing) for one in self))


def _nothing(leaf: Any) -> bool:
    return leaf is None


class Tried(NamedTuple):
    """What a try came to: θ `(b, k)`, directions `(b, p)` of length 1, and the rest `(b,)`."""

    points: np.ndarray
    directions: np.ndarray
    residual: np.ndarray
    ratio: np.ndarray
    accuracy: np.ndarray
    iterations: np.ndarray
    status: np.ndarray


def problems_of(
    f: AbstractFeaturizer,
    space: AbstractSearchSpace,
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
    found = feature_metric(jacobians_at(f, environments, lanes), rng)
    reference = None
    if exclude is not None:
        order = 4 if f.nu is None else f.nu + 1
        radii = np.linalg.norm(environments.positions, axis=-1)[environments.mask]
        drawn = random_invariants(environments.max_neighbors, order, f.group, float(np.sqrt((radii**2).mean())), rng)
        unscaled = Reference(drawn, jnp.eye(drawn.phases.shape[0]))
        slopes = in_chunks(lambda env: _slopes(unscaled, env), environments, lanes=lanes)
        reference = Reference(drawn, jnp.asarray(feature_metric(slopes, rng).whitened))
    whitened, plain = (jnp.asarray(rows) for rows in found)
    return Problems(Problem(f, space, whitened, reference), Problem(f, space, plain, reference))


def jitter(space: AbstractSearchSpace, starts: Environment, rng: np.random.Generator) -> np.ndarray:
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
    whitened = problems.whitened
    if descent is not None:
        points = descend_all(whitened, points, starts, descent, lanes=lanes)
    directions = seen_at(whitened, points, None, starts, lanes).directions[:, -1]
    way, end = arrived(problems, points, directions, starts, max_iterations, lanes)
    bare = problems.bare
    tried, seen = certified(bare.whitened, end.point, end.direction, starts, lanes)
    status = np.where((tried.status == "not-singular") & (way.code == RUNNING), "stalled", tried.status)
    tried = tried._replace(iterations=way.iterations + end.iterations, status=status)
    _join(bare, tried, seen, starts, lanes)
    landed = np.flatnonzero(tried.status == "landed")
    if len(landed):
        tried.accuracy[landed] = newton_steps(
            bare.plain, tried.points[landed], tried.directions[landed], starts[landed], lanes
        )
        tried.status[landed[tried.accuracy[landed] > EXACT]] = "stalled"
    return tried


def arrived(
    problems: Problems, points: np.ndarray, directions: np.ndarray, starts: Environment, max_iterations: int, lanes: int
) -> tuple[Any, Any]:
    """Land from θ `(b, k)` and `(b, p)`: near with the whitened rows, and then, with the plain ones, to rounding."""
    whitened, plain = problems
    way = land_all(whitened, points, directions, starts, enough=CLOSE, max_iterations=max_iterations, lanes=lanes)
    return way, land_all(plain, way.point, way.direction, starts, max_iterations=FINAL, lanes=lanes)


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
        moved, after = certified(problems.whitened, points, directions[:, -1], starts[rows], lanes)
        better = (moved.status == "landed") & (np.abs(points - before).max(1) < REACH)
        better &= after.values[:, -q] < np.maximum(NULL, seen.values[rows, -q] / 10)
        moved = moved._replace(iterations=tried.iterations[rows])
        for leaf, new in zip(tried, moved, strict=True):
            leaf[rows[better]] = new[better]
        todo = np.setdiff1d(todo, rows[better])


def certified(
    problem: Problem, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> tuple[Tried, Seen]:
    """What ends of landings are, by their spectra; what is to be known beyond that is not known yet."""
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(lengths > 0, lengths, 1)
    seen = seen_at(problem, points, directions, starts, lanes)
    status = np.select(
        [(seen.ratio <= SINGULAR) & (seen.violation <= VIOLATION), seen.violation > VIOLATION],
        ["landed", "left-bounds"],
        "not-singular",
    )
    unknown = np.full(len(points), np.nan)
    return Tried(points, directions, seen.residual, seen.ratio, unknown, np.zeros(len(points), int), status), seen


@eqx.filter_jit
def _slopes(reference: Reference, environments: Environment) -> Array:
    return jax.vmap(reference.jacobian)(environments)
