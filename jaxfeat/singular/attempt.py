"""One attempt for many starts: descend if asked to, land, certify."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
import optax
from jaxtyping import Array

from jaxfeat.geometry.environment import Environment
from jaxfeat.singular.certify import EXACT, VIOLATION, Certificates, certify, newton_distances
from jaxfeat.singular.descend import descend
from jaxfeat.singular.gauss_newton import RUNNING
from jaxfeat.singular.joint_landing import land_jointly
from jaxfeat.singular.land import Landing, land
from jaxfeat.singular.lanes import map_lanes
from jaxfeat.singular.search_equations import SearchEquations
from jaxfeat.singular.singular_equations import SingularEquations

NEAR_SOLUTION = 1e-6
"""Norm of the whitened residual below which the plain equations are solved in a few steps."""

MAX_PLAIN_ITERATIONS = 20

VANISHING, SMALL = 3e-12, 3e-3
"""Whitened singular values below the first vanish. Between the two, a more singular point may be near."""

REACH = 1e-3
"""The largest distance (Å, or units of θ) of a more singular point that an end of a landing is moved to."""


class Outcome(NamedTuple):
    """Ends of one attempt from b starts.

    **Attributes:** `points`: θ, `(b, k)`. `directions`: v of length 1, `(b, p)`. The others have shape `(b,)` and are
    those of `SingularPoints`; `accuracy` is NaN where no singular point was reached.
    """

    points: np.ndarray
    directions: np.ndarray
    residual: np.ndarray
    ratio: np.ndarray
    accuracy: np.ndarray
    iterations: np.ndarray
    status: np.ndarray

    def update(self, rows: np.ndarray, other: Outcome) -> None:
        """Replace the entries of some rows, in place."""
        for leaf, new in zip(self, other, strict=True):
            leaf[rows] = new


def attempt(
    equations: SearchEquations,
    points: np.ndarray,
    starts: Environment,
    optimizer: optax.GradientTransformation | None,
    max_iterations: int,
    lanes: int,
) -> Outcome:
    """Land from θ `(b, k)`, after a descent if there is an optimizer for it."""
    if optimizer is not None:
        points = map_lanes(lambda *lane: _descended(equations.whitened, optimizer, *lane), points, starts, lanes=lanes)
    nothing = np.zeros((len(points), 3 * starts.max_neighbors))
    directions = certify(equations.whitened, points, nothing, starts, lanes).directions[:, -1]
    way, end = land_to_rounding(equations, points, directions, starts, max_iterations, lanes)
    equations = equations.without_reference
    outcome, certificates = certified(equations.whitened, end.points, end.directions, starts, lanes)
    unfinished = (outcome.status == "not-singular") & (way.code == RUNNING)
    outcome.status[unfinished] = "stalled"
    outcome.iterations[:] = way.iterations + end.iterations
    _move_to_more_singular(equations, outcome, certificates, starts, lanes)
    landed = np.flatnonzero(outcome.status == "landed")
    if len(landed):
        outcome.accuracy[landed] = newton_distances(
            equations.plain, outcome.points[landed], outcome.directions[landed], starts[landed], lanes
        )
        outcome.status[landed[outcome.accuracy[landed] > EXACT]] = "stalled"
    return outcome


def land_to_rounding(
    equations: SearchEquations,
    points: np.ndarray,
    directions: np.ndarray,
    starts: Environment,
    max_iterations: int,
    lanes: int,
) -> tuple[Landing, Landing]:
    """Land from θ `(b, k)` and v `(b, p)`: first in the whitened metric, then to rounding in the plain one."""
    way = land(
        equations.whitened, points, directions, starts, lanes=lanes, max_iterations=max_iterations, floor=NEAR_SOLUTION
    )
    end = land(equations.plain, way.points, way.directions, starts, lanes=lanes, max_iterations=MAX_PLAIN_ITERATIONS)
    return way, end


def certified(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> tuple[Outcome, Certificates]:
    """Certify ends of landings. Their accuracy is not known yet."""
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(lengths > 0, lengths, 1)
    found = certify(equations, points, directions, starts, lanes)
    unknown = np.full(len(points), np.nan)
    count = np.zeros(len(points), int)
    return Outcome(points, directions, found.residual, found.ratio, unknown, count, found.status), found


def _move_to_more_singular(
    equations: SearchEquations, outcome: Outcome, certificates: Certificates, starts: Environment, lanes: int
) -> None:
    """Move points that are next to more singular ones onto those, in place.

    All small singular values are tried first. Some of them may vanish nowhere near, so fewer are tried next.
    """
    values = certificates.values
    doubtful = (values > VANISHING) & (values < SMALL)
    n_small = (values < SMALL).sum(1)
    todo = np.flatnonzero(doubtful.any(1) & (certificates.violation <= VIOLATION))
    for q in range(int(n_small[todo].max(initial=0)), 0, -1):
        rows = todo[(n_small[todo] >= q) & doubtful[todo, -q]]
        if not len(rows):
            continue
        before = outcome.points[rows]
        points, directions = land_jointly(equations, before, certificates.directions[rows, -q:], starts[rows], lanes)
        moved, after = certified(equations.whitened, points, directions[:, -1], starts[rows], lanes)
        better = (moved.status == "landed") & (np.abs(points - before).max(1) < REACH)
        better &= after.values[:, -q] < np.maximum(VANISHING, values[rows, -q] / 10)
        moved = moved._replace(iterations=outcome.iterations[rows])
        outcome.update(rows[better], Outcome(*(leaf[better] for leaf in moved)))
        todo = np.setdiff1d(todo, rows[better])


@eqx.filter_jit
def _descended(
    equations: SingularEquations, optimizer: optax.GradientTransformation, points: Array, starts: Environment
) -> Array:
    return jax.vmap(lambda x, start: descend(equations, x, start, optimizer)[0])(points, starts)
