"""Along a set of singular points: pseudo-arclength continuation, with landings as the corrector."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.jacobian_nulls import restrict_species
from jaxfeat.singular.attempt import attempt, certified, land_to_rounding
from jaxfeat.singular.certify import EXACT, VIOLATION, newton_distances, violations
from jaxfeat.singular.continuation import ACROSS, EASY, STRAIGHT, Origin, checked, follow
from jaxfeat.singular.search_equations import SearchEquations, search_equations
from jaxfeat.singular.search_space import Free
from jaxfeat.singular.singular_points import SEARCH_MESSAGES
from jaxfeat.singular.tangent import tangent_spaces

LARGEST = 0.05
"""Å, of a step."""

ITERATIONS = 60
"""Steps of Gauss-Newton from the start to a singular point, at most."""

PROMPT, MANY = 6, 15
"""Steps of Gauss-Newton back to the set: after an easy step of the path, and after the longest that is taken."""

NORMAL = 1e-6
"""Of a displacement: one of which less than this is tangent to the set is normal to it."""

RETURNED = 1e-6
"""Å: a path that comes this near its start has closed."""

SINGULAR_PATH_MESSAGES = {
    "length": "the path is as long as was asked for.",
    "closed": "the path is back at its start, up to a rotation and a permutation of like atoms.",
    "left-bounds": "the path leads out of bounds.",
    "stalled": "even the smallest step leads to no singular point in line with the path.",
}
"""What each end of a path of singular points means."""


class SingularPath(NamedTuple):
    """A path in a set of singular points.

    **Attributes** (of s points, the start first):

    - `environments`: a batch of s.
    - `path`: `(s,)`, the length of the way there, Å, of all neighbors together.
    - `tangents`: `(s, n, 3)`, of the path, of length 1. `directions`: `(s, n, 3)`, the null direction that goes along,
      of length 1.
    - `sigma_ratio`: `(s,)`, σ_min/σ_max of the non-rigid spectrum of all features: at most 1e-12. `accuracy`: `(s,)`,
      Å, Newton's estimate of how far the exact point is: at most 1e-6.
    - `dimension`: `(s,)`, of the set at this point, up to rotations; more than nearby where several sets meet.
    - `status`: one of `jaxfeat.singular.trace.SINGULAR_PATH_MESSAGES`.
    """

    environments: Environment
    path: np.ndarray
    tangents: np.ndarray
    directions: np.ndarray
    sigma_ratio: np.ndarray
    accuracy: np.ndarray
    dimension: np.ndarray
    status: str


class _Point(NamedTuple):
    """`x`, `v`, and their tangents `dx`, of length 1, and `dv` are flat: `(3 n,)`."""

    x: np.ndarray
    v: np.ndarray
    dx: np.ndarray
    dv: np.ndarray
    ratio: float
    accuracy: float
    dimension: int
    easy: bool

    @property
    def positions(self) -> np.ndarray:
        return self.x.reshape(-1, 3)

    @property
    def tangent(self) -> np.ndarray:
        return self.dx.reshape(-1, 3)


def trace_singular_set(
    f: AbstractFeaturizer,
    start: Environment,
    length: float,
    *,
    tangent: Any = None,
    constraints: Free | None = None,
) -> SingularPath:
    """Follow the set of singular points that is next to an environment.

    The start is landed on a singular point first. From there on each step goes along a tangent of the set, and is then
    landed again, the shortest way, with the null direction of the point before. Steps are between 1e-5 and 0.05 Å, such
    that neither the tangent nor the null direction turns by more than 14°. In a set of several dimensions the tangent
    is transported: projected from each tangent space on the next. Every point is certified, as
    `find_singular_points` does. Symmetric points are singular, too: start at others to follow others.

    **Arguments:**

    - `f`: a featurizer, three times differentiable. `start`: one environment, float64.
    - `length`: Å, of the displacement of all neighbors together. A path that closes is shorter.
    - `tangent`: `(n, 3)`, a displacement whose projection on the tangent space is the way to go. By default it is
      that of the coordinate which the set leaves freest, in the way in which it grows.
    - `constraints`: bounds, as for `find_singular_points`; the path ends at them.

    **Raises:** `SpeciesError`, as the featurizer does; `PrecisionError` for positions that are not float64;
    `GeometryError` for what is no one sound environment, a start that lands on no singular point or on an isolated one,
    a tangent across the set, and for a length that is not positive.
    """
    env = jax.tree.map(np.asarray, checked(f, start, length))
    f = f.prepared()
    if not isinstance(constraints, Free | None):
        raise GeometryError("a singular set is followed in all positions: constraints must be a Free(...) or None.")
    wanted = None if tangent is None else np.asarray(tangent, float)
    if wanted is not None:
        wanted = wanted[: env.max_neighbors].reshape(-1) if wanted.shape == start.positions.shape else np.zeros(0)
        if wanted.shape != (3 * env.max_neighbors,) or not np.isfinite(wanted).all():
            raise GeometryError(f"tangent must be finite, of shape {start.positions.shape}, one row for each neighbor.")
    starts = jax.tree.map(lambda leaf: leaf[None], env)
    space = (constraints or Free()).trimmed(start.max_neighbors, env.max_neighbors).around(starts)
    points, _ = space.read(starts)
    if violations(space, points, starts, 1)[0] > VIOLATION:
        raise GeometryError(f"no singular point: {SEARCH_MESSAGES['out-of-bounds']}")
    equations = search_equations(restrict_species(f, starts), space, points, starts, None, np.random.default_rng(0), 1)
    first = _begun(equations, starts, points, wanted)
    origin = Origin.of(f, env, first.positions)
    way = follow(partial(_advanced, equations, starts), first, origin, length, LARGEST, RETURNED)
    return SingularPath(
        environments=jax.vmap(env.with_positions)(jnp.asarray([point.positions for point in way.points])),
        path=way.path,
        tangents=np.stack([point.tangent for point in way.points]),
        directions=np.stack([point.v.reshape(-1, 3) for point in way.points]),
        sigma_ratio=np.asarray([point.ratio for point in way.points]),
        accuracy=np.asarray([point.accuracy for point in way.points]),
        dimension=np.asarray([point.dimension for point in way.points]),
        status=way.status,
    )


def _begun(equations: SearchEquations, starts: Environment, points: np.ndarray, wanted: np.ndarray | None) -> _Point:
    """The singular point that the start lands on, with the tangent that is nearest to what is wanted."""
    tried = attempt(equations, points, starts, None, ITERATIONS, 1)
    if tried.status[0] != "landed":
        raise GeometryError(f"no singular point next to the start: {SEARCH_MESSAGES[str(tried.status[0])]}")
    moves, turns = tangent_spaces(equations.whitened, tried.points, tried.directions, starts, 1)[0]
    if not len(moves):
        raise GeometryError("the singular point next to the start is isolated; there is no set of them to follow.")
    # No basis of several dimensions is preferred, but a coordinate may be.
    freest = np.linalg.norm(moves, axis=0).argmax()
    shares = moves[:, freest] if wanted is None else moves @ wanted
    size = np.linalg.norm(shares)
    if wanted is not None and size <= NORMAL * np.linalg.norm(wanted):
        raise GeometryError("tangent leads across the singular set; give a displacement that is not normal to it.")
    shares = shares / size
    found = float(tried.ratio[0]), float(tried.accuracy[0]), len(moves)
    return _Point(tried.points[0], tried.directions[0], shares @ moves, shares @ turns, *found, easy=True)


def _advanced(equations: SearchEquations, starts: Environment, here: _Point, step: float) -> _Point | str:
    """The next point of the path; or why there is none within reach of this step."""
    x, v = (here.x + step * here.dx)[None], (here.v + step * here.dv)[None]
    if violations(equations.plain.space, x, starts, 1)[0] > VIOLATION:
        return "left-bounds"
    way, end = land_to_rounding(equations, x, v, starts, MANY, 1)
    if not np.linalg.norm(end.points - x) < ACROSS * step:
        return "stalled"
    tried, _ = certified(equations.whitened, end.points, end.directions, starts, 1)
    accuracy = float(newton_distances(equations.plain, tried.points, tried.directions, starts, 1)[0])
    if tried.status[0] != "landed" or tried.directions[0] @ here.v < STRAIGHT or accuracy > EXACT:
        return "stalled"
    moves, turns = tangent_spaces(equations.whitened, tried.points, tried.directions, starts, 1)[0]
    shares = moves @ here.dx
    straight = float(np.linalg.norm(shares))
    if straight < STRAIGHT:
        return "stalled"
    shares = shares / straight
    easy = straight > EASY and int(way.iterations[0]) <= PROMPT
    found = float(tried.ratio[0]), accuracy, len(moves)
    return _Point(tried.points[0], tried.directions[0], shares @ moves, shares @ turns, *found, easy)
