"""From any starts to exact singular points: attempt (descend, land, certify), measure the dimension, classify."""

from typing import Any, Literal

import jax
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.matching import atom_kinds, group_congruent
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import item_null_space
from jaxfeat.progress import Progress, show_progress
from jaxfeat.singular.attempt import Outcome, attempt, certified, default_optimizer
from jaxfeat.singular.certify import MAX_VIOLATION, items_at, tangent_spaces, violations
from jaxfeat.singular.lanes import n_lanes_for
from jaxfeat.singular.neighbor_lists import with_lists_of, with_new_lists, with_room
from jaxfeat.singular.search_equations import SearchEquations, random_moves, search_equations
from jaxfeat.singular.search_space import AbstractSearchSpace, Free, Within, read_starts
from jaxfeat.singular.singular_points import SingularPoints
from jaxfeat.spectrum.blocks import restrict_species

FIRST_DESCENT = 2  # Number of the first restart with a descent. Landing alone mostly suffices, in a tenth of the time.


def find_singular_points(
    f: FeatureMap,
    starts: Item | Any,
    *,
    constraints: AbstractSearchSpace | AbstractManifold | None = None,
    exclude: Literal["symmetric"] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    key: PRNGKeyArray | None = None,
    restarts: int = 3,
    max_iterations: int = 60,
    progress: Progress | bool | None = None,
) -> SingularPoints:
    """Go from each start to an exact singular point of dF/dr nearby, and say why it is singular.

    Starts are environments for a featurizer, and structures for a structure map. In a structure all atoms move. Its
    lists of neighbors have room for atoms that come within reach, and each end is certified with a new list.

    Each start is landed by minimum-norm Gauss-Newton steps on { J(x) v = 0, v not rigid, |v| = 1 }. A start that does
    not arrive is moved at random by about 0.2 Å and landed again; from the second restart on, it first descends on the
    logarithm of the smallest singular value. Each end is certified with all features: σ_min/σ_max is at most 1e-12,
    and the next step would be shorter than 1e-6 Å. Landed points are classified by `null_space`.

    **Arguments:**

    - `f`: A featurizer, or a structure map, that can be differentiated three times.
    - `starts`: A batch of b environments or structures with one leading axis, float64. On a manifold, values of
        its k parameters, of shape `(b, k)`.
    - `constraints`: `Free(...)` to move all positions within bounds, `Within(...)` or a manifold to move its parameters
        between their bounds. By default `Free()`.
    - `exclude`: If "symmetric", look for spurious points only. Directions are then measured by how fast random
        invariants of one order more than that of `f` change along them. A direction that symmetry hides is hidden from
        these invariants too, so it has no multiple of length 1, and the search is not drawn to it. Some higher order
        sees each direction that is found. For molecules the invariants are those of all atoms about the centroid.
    - `optimizer`: An optax optimizer for the descent. By default Adam with a rate of 0.02 Å.
    - `key`: The random key of the restarts and of the metric of feature space. By default `jax.random.key(0)`.
    - `restarts`: The largest number of restarts of each start.
    - `max_iterations`: The largest number of Gauss-Newton steps of each attempt.
    - `progress`: True to show progress on stderr or in the notebook; or a function, called with the number of finished
        starts and the number of all starts.

    **Returns:** `SingularPoints`, with a status for each start. A bad start (not finite, atoms that coincide, out of
    bounds, no neighbors) gets a status and affects no other start.

    **Raises:** `SpeciesError` if `starts` holds an element that `f` does not know. `PrecisionError` if positions are
    not float64. `GeometryError` if `starts` is no batch of starts for these constraints. `BasisError` if `exclude` is
    unknown, if the invariants of that order have too many tuples of neighbors, or if crystals are searched with it.

    **Source:** Pozdnyakov et al., Open Research Europe 1, 126 (2021), for singular points next to degenerate pairs.
    """
    if exclude not in (None, "symmetric"):
        raise BasisError(f'exclude is {exclude!r}; give "symmetric", or None to keep all singular points.')
    space = Within(constraints) if isinstance(constraints, AbstractManifold) else constraints or Free()
    points, given, status = read_starts(f, space, starts, "a search")
    if exclude is not None and isinstance(given, Structure) and given.periodic:
        raise BasisError('exclude="symmetric" measures molecules and environments only; search crystals without it.')
    host = with_room(f, given, status == "", space.farthest_move)
    lanes, sound = n_lanes_for(len(points)), np.flatnonzero(status == "")
    if len(sound):
        space = space.around(host[sound]) if isinstance(space, Free) else space
        status[sound[violations(space, points[sound], host[sound], lanes) > MAX_VIOLATION]] = "out-of-bounds"
    found = Outcome.unknown(points.copy(), np.zeros((len(points), host.n_coordinates)), status)
    positions: Any = np.array(host.positions)
    n_restarts, dimension = np.zeros(len(points), int), np.full(len(points), -1)
    attempted = todo = np.flatnonzero(status == "")
    if len(todo):
        rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.key(0) if key is None else key)).ravel())
        equations = search_equations(restrict_species(f, host), space, points[todo], host[todo], exclude, rng, lanes)
        with show_progress(progress, "starts", len(points)) as report:
            for count in range(restarts + 1):
                here = points[todo] + (random_moves(space, host[todo], rng) if count else 0)
                descent = (optimizer or default_optimizer()) if count >= FIRST_DESCENT else None
                outcome = attempt(equations, here, host[todo], descent, max_iterations, lanes)
                found.update(todo, outcome)
                n_restarts[todo] = count
                todo = todo[outcome.status != "landed"]
                report(len(points) - len(todo), len(points))
                if not len(todo):
                    break
        positions[attempted] = items_at(space, found.points[attempted], host[attempted], lanes).positions
    landed = np.flatnonzero(found.status == "landed")
    if len(landed):
        ends = found.points[landed], found.directions[landed], host[landed]
        dimension[landed] = [len(tangent.moves) for tangent in tangent_spaces(equations.whitened, *ends, lanes)]
    environments = with_new_lists(given, positions, status == "")
    landed = _certify_with_new_lists(equations, found, environments, host, landed, lanes) if len(landed) else landed
    return SingularPoints(
        f=f,
        environments=environments,
        parameters=None if isinstance(space, Free) else found.points,
        directions=found.directions.reshape(len(points), -1, 3),
        residual=found.residual,
        sigma_ratio=found.ratio,
        accuracy=found.accuracy,
        null_space=[_classified(f, environments[i]) if i in landed else None for i in range(len(points))],
        dimension=dimension,
        iterations=found.iterations,
        restarts=n_restarts,
        status=found.status,
        distinct=tuple(landed[members] for members in _group(environments[landed])),
    )


def _certify_with_new_lists(
    equations: SearchEquations, found: Outcome, ends: Item, starts: Item, landed: np.ndarray, lanes: int
) -> np.ndarray:
    """Certify landed structures once more with the neighbors that they have now, and return those that are singular."""
    if not isinstance(ends, Structure) or not np.isfinite(ends.r_cut).all():
        return landed
    again = with_lists_of(starts, ends)[landed]
    outcome, _ = certified(
        equations.without_reference.whitened, found.points[landed], found.directions[landed], again, lanes
    )
    outcome.status[outcome.status != "landed"] = "neighbors-missed"
    found.residual[landed], found.ratio[landed], found.status[landed] = outcome.residual, outcome.ratio, outcome.status
    return landed[outcome.status == "landed"]


def _group(items: Item) -> tuple[np.ndarray, ...]:
    """Group congruent environments or molecules. Every crystal is a group of its own."""
    if isinstance(items, Structure) and items.periodic:
        return tuple(np.arange(len(items))[:, None])
    around = items.around_centroid() if isinstance(items, Structure) else items
    return group_congruent(np.asarray(around.positions), atom_kinds(items))


def _classified(f: FeatureMap, at: Item) -> NullSpace | None:
    try:
        return item_null_space(f, at)
    except (BasisError, GeometryError, SizeError):
        # The complete kernel is too large for this many neighbors or this order, or neighbors nearly coincide.
        # `SingularPoints.cure` raises the reason.
        return None
