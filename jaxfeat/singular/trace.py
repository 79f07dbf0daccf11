"""Continuation along a set of singular points: steps along the tangent, each followed by a landing."""

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
from jaxfeat.singular.continuation import ACROSS, EASY, STRAIGHT, Origin, check_start, follow
from jaxfeat.singular.search_equations import SearchEquations, search_equations
from jaxfeat.singular.search_space import Free
from jaxfeat.singular.singular_points import SEARCH_MESSAGES
from jaxfeat.singular.tangent import tangent_spaces

LARGEST = 0.05
"""Longest step (Å)."""

MAX_START_ITERATIONS = 60
"""Gauss-Newton steps from the start to a singular point."""

EASY_ITERATIONS, MAX_ITERATIONS = 6, 15
"""Gauss-Newton steps back to the set: after an easy step of the path, and at most."""

NORMAL = 1e-6
"""A displacement is normal to the set if its tangent part is shorter than this, relative to its length."""

RETURNED = 1e-6
"""Distance (Å) from the start at which a path has closed."""

SINGULAR_PATH_MESSAGES = {
    "length": "the path has the length that was asked for.",
    "closed": "the path is back at its start, up to a rotation and a permutation of like atoms.",
    "left-bounds": "the path leads out of bounds.",
    "stalled": "even the smallest step leads to no singular point in line with the path.",
}
"""Meaning of each `SingularPath.status`."""


class SingularPath(NamedTuple):
    """Path of s points in a set of singular points; the first is where the start landed.

    **Attributes:**

    - `environments`: A batch of s environments.
    - `path`: Length of the path up to each point (Å, norm of all displacements together), of shape `(s,)`.
    - `tangents`: Tangents of the path, of length 1 and shape `(s, n, 3)`.
    - `directions`: The null direction that is followed, of length 1 and shape `(s, n, 3)`.
    - `sigma_ratio`: σ_min/σ_max of the non-rigid spectrum of all features, at most 1e-12, of shape `(s,)`.
    - `accuracy`: Estimated distance (Å) of the exact singular point, at most 1e-6, of shape `(s,)`.
    - `dimension`: Dimension of the set at each point, up to rotations, of shape `(s,)`. It is larger where several sets
        meet.
    - `status`: "length", "closed", "left-bounds" or "stalled"; `jaxfeat.singular.trace.SINGULAR_PATH_MESSAGES` has
        the meanings.
    """

    environments: Environment
    path: np.ndarray
    tangents: np.ndarray
    directions: np.ndarray
    sigma_ratio: np.ndarray
    accuracy: np.ndarray
    dimension: np.ndarray
    status: str

    def __repr__(self) -> str:
        dimensions = ", ".join(str(dimension) for dimension in np.unique(self.dimension))
        return (
            f"SingularPath({len(self.path)} points, {self.path[-1]:.3g} Å, {self.status}; dimension {dimensions}; "
            f"σ_min/σ_max ≤ {self.sigma_ratio.max():.0e})"
        )


class _Point(NamedTuple):
    """Point with x, v, and their tangents dx, of length 1, and dv, each of shape `(3 n,)`."""

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
    """Follow the set of singular points next to an environment.

    The start is landed on a singular point first. Each step then goes along a tangent of the set and is landed again,
    with the null direction of the point before. Steps are between 1e-5 and 0.05 Å long, so that neither the tangent nor
    the null direction turns by more than 14° in one of them. In a set of several dimensions, the tangent is projected
    from each tangent space on the next. Every point is certified as in `find_singular_points`. A start near symmetric
    points lands on those.

    **Arguments:**

    - `f`: A featurizer that can be differentiated three times.
    - `start`: One environment, float64. Padding is removed.
    - `length`: Length of the path (Å), as the norm of the displacements of all neighbors together. A path that closes
        is shorter.
    - `tangent`: A displacement of shape `(n, 3)`. The path begins along its projection on the tangent space. By default
        this is the displacement along which one coordinate grows, for the coordinate that the set leaves freest.
    - `constraints`: A `Free(...)` with bounds at which the path ends. By default `Free()`.

    **Returns:** `SingularPath`.

    **Raises:**

    - `SpeciesError` if `start` holds an element that `f` does not know.
    - `PrecisionError` if positions are not float64.
    - `GeometryError` if `start` is no single sound environment, violates the constraints, lands on no singular point or
        on an isolated one; if `tangent` is normal to the set; or if `length` is not positive.

    **Source:** docs/theory.md, "Degenerate pairs and singular points".
    """
    env = jax.tree.map(np.asarray, check_start(f, start, length))
    f = f.prepared()
    if not isinstance(constraints, Free | None):
        raise GeometryError("a singular set is followed in all positions; constraints must be a Free(...) or None.")
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
    """Land on the first point, and choose the tangent that is nearest to the wanted one."""
    outcome = attempt(equations, points, starts, None, MAX_START_ITERATIONS, 1)
    if outcome.status[0] != "landed":
        raise GeometryError(f"no singular point next to the start: {SEARCH_MESSAGES[str(outcome.status[0])]}")
    moves, turns = tangent_spaces(equations.whitened, outcome.points, outcome.directions, starts, 1)[0]
    if not len(moves):
        raise GeometryError(
            "the singular point next to the start is isolated; choose a start next to a set of several."
        )
    # The basis of a tangent space of several dimensions is arbitrary, so the default must not depend on it.
    freest = np.linalg.norm(moves, axis=0).argmax()
    shares = moves[:, freest] if wanted is None else moves @ wanted
    size = np.linalg.norm(shares)
    if wanted is not None and size <= NORMAL * np.linalg.norm(wanted):
        raise GeometryError("tangent leads across the singular set; give a displacement that is not normal to it.")
    shares = shares / size
    found = float(outcome.ratio[0]), float(outcome.accuracy[0]), len(moves)
    return _Point(outcome.points[0], outcome.directions[0], shares @ moves, shares @ turns, *found, easy=True)


def _advanced(equations: SearchEquations, starts: Environment, here: _Point, step: float) -> _Point | str:
    """Go to the next point of the path, or give the reason why this step leads to none."""
    x, v = (here.x + step * here.dx)[None], (here.v + step * here.dv)[None]
    if violations(equations.plain.space, x, starts, 1)[0] > VIOLATION:
        return "left-bounds"
    way, end = land_to_rounding(equations, x, v, starts, MAX_ITERATIONS, 1)
    if not np.linalg.norm(end.points - x) < ACROSS * step:
        return "stalled"
    outcome, _ = certified(equations.whitened, end.points, end.directions, starts, 1)
    accuracy = float(newton_distances(equations.plain, outcome.points, outcome.directions, starts, 1)[0])
    if outcome.status[0] != "landed" or outcome.directions[0] @ here.v < STRAIGHT or accuracy > EXACT:
        return "stalled"
    moves, turns = tangent_spaces(equations.whitened, outcome.points, outcome.directions, starts, 1)[0]
    shares = moves @ here.dx
    straight = float(np.linalg.norm(shares))
    if straight < STRAIGHT:
        return "stalled"
    shares = shares / straight
    easy = straight > EASY and int(way.iterations[0]) <= EASY_ITERATIONS
    found = float(outcome.ratio[0]), accuracy, len(moves)
    return _Point(outcome.points[0], outcome.directions[0], shares @ moves, shares @ turns, *found, easy)
