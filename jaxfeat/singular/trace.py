"""Continuation along a set of singular points: steps along the tangent, each followed by a landing."""

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item
from jaxfeat.singular.attempt import Outcome, attempt, certified, land_to_rounding
from jaxfeat.singular.certify import (
    EXACT_DISTANCE,
    MAX_VIOLATION,
    TangentSpace,
    newton_distances,
    tangent_spaces,
    violations,
)
from jaxfeat.singular.continuation import (
    EASY_COSINE,
    MAX_CORRECTION,
    NEIGHBORS_MISSED,
    STRAIGHT_COSINE,
    check_start,
    follow,
)
from jaxfeat.singular.neighbor_lists import with_room
from jaxfeat.singular.search_equations import SearchEquations, search_equations
from jaxfeat.singular.search_space import Free
from jaxfeat.singular.singular_points import SEARCH_MESSAGES
from jaxfeat.spectrum.blocks import restrict_species

LARGEST_STEP = 0.05  # Å
EASY_ITERATIONS, MAX_ITERATIONS = 6, 15  # Gauss-Newton steps back to the set: after an easy step, and at most
CLOSING_DISTANCE = 1e-6  # Å, from the start, at which a path has closed

SINGULAR_PATH_MESSAGES = {  # meaning of each `SingularPath.status`
    "length": "the path has the length that was asked for.",
    "closed": "the path is back at its start, up to a rotation and a permutation of like atoms.",
    "left-bounds": "the path leads out of bounds.",
    "stalled": "even the smallest step leads to no singular point in line with the path.",
    "neighbors-missed": NEIGHBORS_MISSED,
}


class SingularPath(NamedTuple):
    """Path of s points in a set of singular points; the first is where the start landed.

    **Attributes:** Arrays have shape `(s,)`, those of displacements `(s, n, 3)`.

    - `environments`: A batch of s environments or structures.
    - `path`: Length of the path up to each point (Å, norm of all displacements together).
    - `tangents`, `directions`: Tangents of the path, and the null direction that is followed, of length 1.
    - `sigma_ratio`: σ_min/σ_max of the non-rigid spectrum of all features, at most 1e-12.
    - `accuracy`: Estimated distance (Å) of the exact singular point, at most 1e-6.
    - `dimension`: Dimension of the set at each point, up to rigid motions. It is larger where several sets meet.
    - `status`: A key of `jaxfeat.singular.trace.SINGULAR_PATH_MESSAGES`: "length", "closed", "left-bounds", "stalled"
        or "neighbors-missed".
    """

    environments: Any
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
    """Singular point with a null direction, a unit tangent, and the null direction's turn along it, `(n, 3)` each."""

    positions: np.ndarray
    direction: np.ndarray
    tangent: np.ndarray
    turn: np.ndarray
    sigma_ratio: float
    accuracy: float
    dimension: int
    easy: bool


def trace_singular_set(
    f: FeatureMap,
    start: Item,
    length: float,
    *,
    tangent: Any = None,
    constraints: Free | None = None,
) -> SingularPath:
    """Follow the set of singular points next to an environment or a structure.

    The start is landed on a singular point first. Each step then goes along a tangent of the set and is landed again,
    with the null direction of the point before. Steps are between 1e-5 and 0.05 Å long, so that neither the tangent nor
    the null direction turns by more than 14° in one of them. In a set of several dimensions, the tangent is projected
    from each tangent space on the next. Every point is certified as in `find_singular_points`. A start near symmetric
    points lands on those.

    **Arguments:**

    - `f`: A featurizer, or a structure map, that can be differentiated three times.
    - `start`: One environment or structure, float64. Padding is removed.
    - `length`: Length of the path (Å), as the norm of the displacements of all neighbors or atoms together. A path that
        closes is shorter.
    - `tangent`: A displacement of shape `(n, 3)`. The path begins along its projection on the tangent space. By default
        this is the displacement along which one coordinate grows, for the coordinate that the set leaves freest.
    - `constraints`: A `Free(...)` with bounds at which the path ends. By default `Free()`, which ends the path of a
        structure where an atom is 1 Å from where it started.

    **Returns:** `SingularPath`.

    **Raises:** `SpeciesError` if `start` holds an element that `f` does not know. `PrecisionError` if positions are not
    float64. `GeometryError` if `start` is no single sound item, violates the constraints, lands on no singular
    point or on an isolated one; if `tangent` is normal to the set; or if `length` is not positive.
    """
    given = jax.tree.map(np.asarray, check_start(f, start, length))
    f, n = f.prepared(), given.positions.shape[0]
    if not isinstance(constraints, Free | None):
        raise GeometryError("a singular set is followed in all positions; constraints must be a Free(...) or None.")
    wanted = None if tangent is None else np.asarray(tangent, float)
    if wanted is not None:
        if wanted.shape != start.positions.shape or not np.isfinite(wanted[:n]).all():
            raise GeometryError(f"tangent must be finite, of shape {start.positions.shape}, one row for each neighbor.")
        wanted = wanted[:n].reshape(-1)
    space = (constraints or Free()).trimmed(start.positions.shape[-2], n)
    starts = with_room(f, jax.tree.map(lambda leaf: leaf[None], given), np.ones(1, bool), space.farthest_move)
    points, _ = space.read(starts)
    space = space.around(starts)
    if violations(space, points, starts, 1)[0] > MAX_VIOLATION:
        raise GeometryError(f"no singular point: {SEARCH_MESSAGES['out-of-bounds']}")
    equations = search_equations(restrict_species(f, starts), space, points, starts, None, np.random.default_rng(0), 1)
    first = _first_point(equations, starts, points, wanted)
    advance = partial(_next_point, equations, starts)
    path = follow(f, given, starts[0], first, advance, length, LARGEST_STEP, CLOSING_DISTANCE)
    names = ("tangent", "direction", "sigma_ratio", "accuracy", "dimension")
    stacked = map(path.stack, names)
    return SingularPath._make([path.environments, path.path, *stacked, path.status])


def _first_point(equations: SearchEquations, starts: Item, points: np.ndarray, wanted: np.ndarray | None) -> _Point:
    """Land on the first point, and choose the tangent that is nearest to the wanted one."""
    outcome = attempt(equations, points, starts, optimizer=None, max_iterations=60, lanes=1)
    if outcome.status[0] != "landed":
        raise GeometryError(f"no singular point next to the start: {SEARCH_MESSAGES[str(outcome.status[0])]}")
    space = tangent_spaces(equations.whitened, outcome.points, outcome.directions, starts, 1)[0]
    if not len(space.moves):
        raise GeometryError("the singular point next to the start is isolated; choose a start near a set of several.")
    # The basis of a tangent space of several dimensions is arbitrary, so the default must not depend on it.
    freest = np.linalg.norm(space.moves, axis=0).argmax()
    shares = space.moves[:, freest] if wanted is None else space.moves @ wanted
    # A shorter tangent part than this is rounding.
    if wanted is not None and np.linalg.norm(shares) <= 1e-6 * np.linalg.norm(wanted):
        raise GeometryError("tangent leads across the singular set; give a displacement that is not normal to it.")
    return _point(outcome, space, shares, easy=True)


def _next_point(equations: SearchEquations, starts: Item, here: _Point, step: float) -> _Point | str:
    """Go to the next point of the path, or give the reason why this step leads to none."""
    x = (here.positions + step * here.tangent).reshape(1, -1)
    v = (here.direction + step * here.turn).reshape(1, -1)
    if violations(equations.plain.space, x, starts, 1)[0] > MAX_VIOLATION:
        return "left-bounds"
    way, end = land_to_rounding(equations, x, v, starts, MAX_ITERATIONS, 1)
    if not np.linalg.norm(end.points - x) < MAX_CORRECTION * step:
        return "stalled"
    outcome, _ = certified(equations.whitened, end.points, end.directions, starts, 1)
    outcome.accuracy[:] = newton_distances(equations.plain, outcome.points, outcome.directions, starts, 1)
    turned = outcome.directions[0] @ here.direction.reshape(-1) < STRAIGHT_COSINE
    if outcome.status[0] != "landed" or turned or outcome.accuracy[0] > EXACT_DISTANCE:
        return "stalled"
    space = tangent_spaces(equations.whitened, outcome.points, outcome.directions, starts, 1)[0]
    shares = space.moves @ here.tangent.reshape(-1)
    straight = float(np.linalg.norm(shares))
    if straight < STRAIGHT_COSINE:
        return "stalled"
    return _point(outcome, space, shares, straight > EASY_COSINE and int(way.iterations[0]) <= EASY_ITERATIONS)


def _point(outcome: Outcome, space: TangentSpace, shares: np.ndarray, easy: bool) -> _Point:
    """Make the point of an outcome. Its tangent is in proportion to `shares` of the moves of the tangent space."""
    shares = shares / np.linalg.norm(shares)
    vectors = (outcome.points[0], outcome.directions[0], shares @ space.moves, shares @ space.turns)
    x, v, tangent, turn = (vector.reshape(-1, 3) for vector in vectors)
    return _Point(x, v, tangent, turn, float(outcome.ratio[0]), float(outcome.accuracy[0]), len(space.moves), easy)
