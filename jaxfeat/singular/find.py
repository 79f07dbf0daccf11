"""From anywhere to exact singular points: land, or else restart nearby, descend and land; certify; classify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from jaxfeat.errors import BasisError, GeometryError, PrecisionError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.geometry.congruence import group_congruent
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.classify import item_null_space
from jaxfeat.nulls.jacobian_nulls import restrict_species
from jaxfeat.singular.attempt import VIOLATION, Tried, attempt, jitter, problems_of
from jaxfeat.singular.batches import lanes_for
from jaxfeat.singular.certify import environments_at, violations
from jaxfeat.singular.descend import default_optimizer
from jaxfeat.singular.search_space import AbstractSearchSpace, Free, faults, space_of
from jaxfeat.singular.singular_points import SingularPoints
from jaxfeat.singular.tangent import dimensions

DESCEND_FROM = 2
"""Restarts from which on a descent comes first. Landing on its own gets most starts home, in a tenth of the time."""


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
    progress: Callable[[int, int], None] | None = None,
) -> SingularPoints:
    """Go from each start to an exact singular point of dF/dr nearby, and say why it is one.

    Each start is landed by minimum-norm Gauss-Newton steps on { J(x) v = 0, v not rigid, |v| = 1 }. Those that do not
    arrive are restarted, moved at random by about 0.2 Å; from the second restart on, they descend on the logarithm of
    the smallest singular value before they are landed. Arrival is certified with all features: σ_min/σ_max <= 1e-12,
    and the next step would be below 1e-6 Å.

    **Arguments:**

    - `f`: a featurizer, three times differentiable.
    - `starts`: a batch of environments, float64; on a manifold, values of its parameters, `(b, k)`.
    - `constraints`: a `Free(radii=, min_distance=, fixed=)`, for positions as far as constraints allow; a manifold, for
      a search in its parameters between their bounds; `Free()` by default. See `jaxfeat.singular.search_space`.
    - `exclude`: `"symmetric"` looks for spurious points only. Directions are then measured by how fast random
      invariants of one order more than f's change along them, instead of by their length. At a symmetric point the
      directions that symmetry hides are hidden from these as well, so no multiple of them has length 1 and J v = 0:
      on the way there |v| grows as J v shrinks, and nothing is gained. What is found, some higher order sees.
    - `optimizer`: any optax optimizer, for the descent; Adam with a rate of 0.02 Å by default.
    - `key`: for restarts, and for the random metric of feature space. `restarts`: how many for each start, at most.
    - `max_iterations`: Gauss-Newton steps of each try.
    - `progress`: called with the number of starts that are done with and their total.

    **Returns:** `SingularPoints`, with a status for each start. Bad starts get a status and touch no other.

    **Raises:** `SpeciesError`, as the featurizer does; `PrecisionError` for positions that are not float64;
    `GeometryError` for what is no batch of starts; `BasisError` for exclusions that are unknown or too large.
    """
    if exclude not in (None, "symmetric"):
        raise BasisError(f'exclude is {exclude!r}; choose "symmetric", or None to keep all singular points.')
    space = space_of(constraints)
    points, given = space.read(starts)
    if given.positions.dtype != np.float64:
        raise PrecisionError(
            f"positions are {given.positions.dtype}, and singular points are a matter of the last digits; "
            "enable jax_enable_x64 and give them in float64."
        )
    check_compatible(f, given)
    host = jax.tree.map(np.asarray, given)
    b = len(points)
    lanes = lanes_for(b)
    status = np.array(faults(points, host), dtype="<U16")
    if isinstance(space, Free) and (status == "").any():
        space = space.around(host[status == ""])
    sound = np.flatnonzero(status == "")
    if len(sound):
        status[sound[violations(space, points[sound], host[sound], lanes) > VIOLATION]] = "out-of-bounds"
    todo = np.flatnonzero(status == "")
    nan = np.full(b, np.nan)
    found = Tried(
        points.copy(), np.zeros((b, 3 * host.max_neighbors)), nan, nan.copy(), nan.copy(), np.zeros(b, int), status
    )
    tries, dimension = np.zeros(b, int), np.full(b, -1)
    if len(todo):
        key = jax.random.key(0) if key is None else key
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        problems = problems_of(restrict_species(f, host), space, points[todo], host[todo], exclude, rng, lanes)
        for count in range(restarts + 1):
            lane, here, descent = host[todo], points[todo], None
            if count:
                here = here + jitter(space, lane, rng)
            if count >= DESCEND_FROM:
                descent = optimizer or default_optimizer()
            tried = attempt(problems, here, lane, descent, max_iterations, lanes)
            for leaf, new in zip(found, tried, strict=True):
                leaf[todo] = new
            tries[todo] = count
            todo = todo[tried.status != "landed"]
            if progress is not None:
                progress(b - len(todo), b)
            if not len(todo):
                break
    landed = np.flatnonzero(found.status == "landed")
    environments = host
    if len(landed):
        dimension[landed] = dimensions(
            problems.whitened, found.points[landed], found.directions[landed], host[landed], lanes
        )
    ran = np.flatnonzero(~np.isnan(found.ratio))
    if len(ran):
        positions = host.positions.copy()
        positions[ran] = environments_at(space, found.points[ran], host[ran], lanes).positions
        environments = host.with_positions(positions)
    null: list[NullSpace | None] = [None] * b
    for i in landed.tolist():
        try:
            null[i] = item_null_space(f, environments[i])
        except (BasisError, GeometryError, SizeError):
            # More neighbors, or a higher order, than the complete kernel can be worked out for; or neighbors that
            # nearly meet. `SingularPoints.cure` says which.
            continue
    families = group_congruent(environments.positions[landed], np.where(host.mask, host.species, 0)[landed])
    return SingularPoints(
        f=f,
        environments=environments,
        parameters=None if isinstance(space, Free) else found.points,
        directions=found.directions.reshape(b, -1, 3),
        residual=found.residual,
        sigma_ratio=found.ratio,
        accuracy=found.accuracy,
        null_space=null,
        dimension=dimension,
        iterations=found.iterations,
        restarts=tries,
        status=found.status,
        distinct=tuple(landed[members] for members in families),
    )
