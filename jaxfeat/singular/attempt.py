"""One attempt for many starts: descend if asked to, land, certify."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxfeat.geometry.structure import Item
from jaxfeat.singular.certify import EXACT_DISTANCE, MAX_VIOLATION, Certificates, certify, newton_distances
from jaxfeat.singular.gauss_newton import RUNNING
from jaxfeat.singular.land import Landing, land, land_jointly
from jaxfeat.singular.lanes import map_lanes, vmapped
from jaxfeat.singular.search_equations import SearchEquations
from jaxfeat.singular.singular_equations import SingularEquations
from jaxfeat.spectrum.jacobian import item_jacobian

DESCENT_STEPS = 100
LEARNING_RATE = 0.02  # rate of Adam: about the length of a step (Å, or units of a parameter)
NEAR_SOLUTION = 1e-6  # norm of the whitened residual below which the plain equations are solved in a few steps
MAX_PLAIN_ITERATIONS = 20
VANISHING_SIGMA, SMALL_SIGMA = 3e-12, 3e-3  # whitened: values below the first vanish; below the second, one may nearby
MAX_MOVE = 1e-3  # the largest distance (Å, or units of θ) of a more singular point that an end of a landing is moved to


class Outcome(NamedTuple):
    """Ends of one attempt from b starts: `points` θ `(b, k)`, `directions` v `(b, p)` of length 1, and entries `(b,)`
    of `SingularPoints`. The accuracy is NaN where no singular point was reached."""

    points: np.ndarray
    directions: np.ndarray
    residual: np.ndarray
    ratio: np.ndarray
    accuracy: np.ndarray
    iterations: np.ndarray
    status: np.ndarray

    @staticmethod
    def unknown(points: np.ndarray, directions: np.ndarray, status: np.ndarray) -> Outcome:
        """Make an outcome whose residual, ratio and accuracy are NaN."""
        residual, ratio, accuracy = np.full((3, len(points)), np.nan)
        return Outcome(points, directions, residual, ratio, accuracy, np.zeros(len(points), int), status)

    def update(self, rows: np.ndarray, other: Outcome) -> None:
        """Replace the entries of some rows, in place."""
        for leaf, new in zip(self, other, strict=True):
            leaf[rows] = new


def attempt(
    equations: SearchEquations,
    points: np.ndarray,
    starts: Item,
    optimizer: optax.GradientTransformation | None,
    max_iterations: int,
    lanes: int,
) -> Outcome:
    """Land from θ `(b, k)`, after a descent if there is an optimizer for it."""
    if optimizer is not None:
        points = map_lanes(partial(vmapped, _descended, (equations.whitened, optimizer)), points, starts, lanes=lanes)
    nothing = np.zeros((len(points), starts.n_coordinates))
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
        ends = outcome.points[landed], outcome.directions[landed], starts[landed]
        outcome.accuracy[landed] = newton_distances(equations.plain, *ends, lanes)
        outcome.status[landed[outcome.accuracy[landed] > EXACT_DISTANCE]] = "stalled"
    return outcome


def land_to_rounding(
    equations: SearchEquations,
    points: np.ndarray,
    directions: np.ndarray,
    starts: Item,
    max_iterations: int,
    lanes: int,
) -> tuple[Landing, Landing]:
    """Land from θ `(b, k)` and v `(b, p)`: first in the whitened metric, then to rounding in the plain one."""
    way = land(equations.whitened, points, directions, starts, lanes, max_iterations, floor=NEAR_SOLUTION)
    return way, land(equations.plain, way.points, way.directions, starts, lanes, MAX_PLAIN_ITERATIONS)


def certified(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Item, lanes: int
) -> tuple[Outcome, Certificates]:
    """Certify ends of landings. Their accuracy is not known yet."""
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(lengths > 0, lengths, 1)
    found = certify(equations, points, directions, starts, lanes)
    outcome = Outcome.unknown(points, directions, found.status)
    return outcome._replace(residual=found.residual, ratio=found.ratio), found


def _move_to_more_singular(
    equations: SearchEquations, outcome: Outcome, certificates: Certificates, starts: Item, lanes: int
) -> None:
    """Move points next to more singular ones onto those, in place, with all small values first, then with fewer."""
    values = certificates.values
    doubtful = (values > VANISHING_SIGMA) & (values < SMALL_SIGMA)
    n_small = (values < SMALL_SIGMA).sum(1)
    todo = np.flatnonzero(doubtful.any(1) & (certificates.violation <= MAX_VIOLATION))
    for q in range(int(n_small[todo].max(initial=0)), 0, -1):
        rows = todo[(n_small[todo] >= q) & doubtful[todo, -q]]
        if not len(rows):
            continue
        before = outcome.points[rows]
        points, directions = land_jointly(equations, before, certificates.directions[rows, -q:], starts[rows], lanes)
        moved, after = certified(equations.whitened, points, directions[:, -1], starts[rows], lanes)
        better = (moved.status == "landed") & (np.abs(points - before).max(1) < MAX_MOVE)
        better &= after.values[:, -q] < np.maximum(VANISHING_SIGMA, values[rows, -q] / 10)
        moved = moved._replace(iterations=outcome.iterations[rows])
        outcome.update(rows[better], Outcome(*(leaf[better] for leaf in moved)))
        todo = np.setdiff1d(todo, rows[better])


@cache
def default_optimizer() -> optax.GradientTransformation:
    """Make Adam with a rate that decays to zero. It is made once, so that all searches share its compiled program."""
    return optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, DESCENT_STEPS))


def descend(
    equations: SingularEquations,
    point: Float[Array, " k"],
    start: Item,
    optimizer: optax.GradientTransformation,
    steps: int = DESCENT_STEPS,
) -> tuple[Float[Array, " k"], Float[Array, ""]]:
    """Descend on log σ_min from θ, where the solver cannot land, with the smallest right singular vector v held fixed
    in each step: no decomposition is differentiated. Return the lowest point and its log σ_min."""

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        point, state, best, lowest = carry
        at = equations.space.item(point, start)
        direction = equations.spectrum(item_jacobian(equations.f, at), at)[1][-1]
        value, gradient = jax.value_and_grad(equations.objective)(point, direction, start)
        better = value < lowest
        best, lowest = jnp.where(better, point, best), jnp.where(better, value, lowest)
        update, state = optimizer.update(gradient, state, point)
        moved = point + update
        # If the gradient is not finite, the point stays.
        return (jnp.where(jnp.isfinite(moved), moved, point), state, best, lowest), None

    first = (point, optimizer.init(point), point, jnp.asarray(jnp.inf, point.dtype))
    (_, _, best, lowest), _ = jax.lax.scan(step, first, None, length=steps)
    return best, lowest


def _descended(how: tuple[SingularEquations, optax.GradientTransformation], point: Array, start: Item) -> Array:
    equations, optimizer = how
    return descend(equations, point, start, optimizer)[0]
