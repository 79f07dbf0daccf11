"""The equations of one search, made from its starts."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.singular.certify import environments_at, jacobians_at
from jaxfeat.singular.feature_metric import feature_metric
from jaxfeat.singular.lanes import map_lanes
from jaxfeat.singular.random_invariants import random_invariants
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.singular.singular_equations import Reference, SingularEquations

ENSEMBLE = 48
"""Number of environments that the metric is made from."""


class SearchEquations(NamedTuple):
    """The same equations in two metrics of feature space: `whitened` to get near a solution, `plain` to finish."""

    whitened: SingularEquations
    plain: SingularEquations

    @property
    def without_reference(self) -> SearchEquations:
        """The equations with directions of length 1 in Å."""
        absent = lambda leaf: leaf is None  # noqa: E731
        return SearchEquations(*(eqx.tree_at(lambda e: e.reference, one, None, is_leaf=absent) for one in self))


def search_equations(
    f: AbstractFeaturizer,
    space: AbstractSearchSpace,
    points: np.ndarray,
    starts: Environment,
    exclude: str | None,
    rng: np.random.Generator,
    lanes: int,
) -> SearchEquations:
    """Make the equations for sound starts θ `(b, k)`.

    The metric is that of the starts; if there are fewer than `ENSEMBLE` of them, also of points nearby.
    """
    rows = np.resize(np.arange(len(points)), ENSEMBLE)
    repeated = np.arange(ENSEMBLE) >= len(points)
    near = points[rows] + repeated[:, None] * random_moves(space, starts[rows], rng)
    environments = environments_at(space, near, starts[rows], lanes)
    metric = feature_metric(jacobians_at(f, environments, lanes), rng)
    reference = None
    if exclude is not None:
        order = 4 if f.nu is None else f.nu + 1
        radii = np.linalg.norm(environments.positions, axis=-1)[environments.mask]
        drawn = random_invariants(environments.max_neighbors, order, f.group, float(np.sqrt((radii**2).mean())), rng)
        unscaled = Reference(drawn, jnp.eye(drawn.phases.shape[0]))
        slopes = map_lanes(lambda env: _reference_jacobians(unscaled, env), environments, lanes=lanes)
        reference = Reference(drawn, jnp.asarray(feature_metric(slopes, rng).whitened))
    whitened, plain = (SingularEquations(f, space, jnp.asarray(rows), reference) for rows in metric)
    return SearchEquations(whitened, plain)


def random_moves(space: AbstractSearchSpace, starts: Environment, rng: np.random.Generator) -> np.ndarray:
    """Draw moves of θ of the length that the space gives for another try nearby, `(b, k)`."""
    scale = np.stack([np.asarray(space.scale(start)) for start in starts])
    return scale * rng.normal(size=scale.shape)


@eqx.filter_jit
def _reference_jacobians(reference: Reference, environments: Environment) -> Array:
    return jax.vmap(reference.jacobian)(environments)
