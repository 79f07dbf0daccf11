"""From any starts to exact singular points: attempt (descend, land, certify), measure the dimension, classify."""

from typing import Any, Literal

import jax
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.matching import group_congruent
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import item_null_space
from jaxfeat.progress import Progress, show_progress
from jaxfeat.singular.attempt import Outcome, attempt, default_optimizer
from jaxfeat.singular.certify import MAX_VIOLATION, environments_at, tangent_spaces, violations
from jaxfeat.singular.lanes import n_lanes_for
from jaxfeat.singular.search_equations import random_moves, search_equations
from jaxfeat.singular.search_space import AbstractSearchSpace, Free, Within, read_starts
from jaxfeat.singular.singular_points import SingularPoints
from jaxfeat.spectrum.blocks import restrict_species

FIRST_DESCENT = 2  # Number of the first restart with a descent. Landing alone mostly suffices, in a tenth of the time.


def find_singular_points(
    f: AbstractFeaturizer,
    starts: Environment | Any,
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

    Each start is landed by minimum-norm Gauss-Newton steps on { J(x) v = 0, v not rigid, |v| = 1 }. A start that does
    not arrive is moved at random by about 0.2 Å and landed again; from the second restart on, it first descends on the
    logarithm of the smallest singular value. Each end is certified with all features: σ_min/σ_max is at most 1e-12,
    and the next step would be shorter than 1e-6 Å. Landed points are classified by `null_space`.

    **Arguments:**

    - `f`: A featurizer that can be differentiated three times.
    - `starts`: A batch of b environments with one leading axis, float64. On a manifold, values of its k parameters,
        of shape `(b, k)`.
    - `constraints`: `Free(...)` to move all positions within bounds, `Within(...)` or a manifold to move its parameters
        between their bounds. By default `Free()`.
    - `exclude`: If "symmetric", look for spurious points only. Directions are then measured by how fast random
        invariants of one order more than that of `f` change along them. A direction that symmetry hides is hidden from
        these invariants too, so it has no multiple of length 1, and the search is not drawn to it. Some higher order
        sees each direction that is found.
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
    unknown, or if the invariants of that order have too many tuples of neighbors.

    **Source:** Pozdnyakov et al., Open Research Europe 1, 126 (2021), for singular points next to degenerate pairs.
    """
    if exclude not in (None, "symmetric"):
        raise BasisError(f'exclude is {exclude!r}; give "symmetric", or None to keep all singular points.')
    space = Within(constraints) if isinstance(constraints, AbstractManifold) else constraints or Free()
    points, host, status = read_starts(f, space, starts, "a search")
    lanes, sound = n_lanes_for(len(points)), np.flatnonzero(status == "")
    if len(sound):
        space = space.around(host[sound]) if isinstance(space, Free) else space
        status[sound[violations(space, points[sound], host[sound], lanes) > MAX_VIOLATION]] = "out-of-bounds"
    found = Outcome.unknown(points.copy(), np.zeros((len(points), 3 * host.max_neighbors)), status)
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
        positions[attempted] = environments_at(space, found.points[attempted], host[attempted], lanes).positions
    landed = np.flatnonzero(found.status == "landed")
    if len(landed):
        ends = found.points[landed], found.directions[landed], host[landed]
        dimension[landed] = [len(tangent.moves) for tangent in tangent_spaces(equations.whitened, *ends, lanes)]
    environments = host.with_positions(positions)
    families = group_congruent(positions[landed], np.where(host.mask, host.species, 0)[landed])
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
        distinct=tuple(landed[members] for members in families),
    )


def _classified(f: AbstractFeaturizer, env: Environment) -> NullSpace | None:
    try:
        return item_null_space(f, env)
    except (BasisError, GeometryError, SizeError):
        # The complete kernel is too large for this many neighbors or this order, or neighbors nearly coincide.
        # `SingularPoints.cure` raises the reason.
        return None
