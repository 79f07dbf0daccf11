"""The equations of one search, made from its starts, and the metric of feature space that measures their residual.

The metric changes the number of iterations, but not where J(x) v vanishes. Radial functions overlap and high angular
momenta are weak: with raw features of a power spectrum a quarter of the problems are not solved in 160 iterations, and
with features whitened over the starts and their surroundings nearly all are solved in 12. A step or two with plain
features then gains the digits that whitening loses. Many features are mixed into few rows at random, because a generic
linear map of the 3n columns of J into several times as many dimensions loses no direction.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.singular.certify import items_at, jacobians_at
from jaxfeat.singular.lanes import map_lanes, vmapped
from jaxfeat.singular.random_invariants import random_invariants
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.singular.singular_equations import Reference, SingularEquations

ENSEMBLE_SIZE = 48  # number of environments or structures that the metric is made from
WHITENING_FLOOR = 1e-3  # features that vary less, relatively, are not amplified further, nor their rounding errors
ROWS_PER_COLUMN = 5  # rows of the metric for each column of J


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
    f: FeatureMap,
    space: AbstractSearchSpace,
    points: np.ndarray,
    starts: Item,
    exclude: str | None,
    rng: np.random.Generator,
    lanes: int,
) -> SearchEquations:
    """Make the equations for sound starts θ `(b, k)`, in the metric of the starts and, if few, of points nearby."""
    rows = np.resize(np.arange(len(points)), ENSEMBLE_SIZE)
    repeated = np.arange(ENSEMBLE_SIZE) >= len(points)
    near = points[rows] + repeated[:, None] * random_moves(space, starts[rows], rng)
    items = items_at(space, near, starts[rows], lanes)
    metrics = feature_metrics(jacobians_at(f, items, lanes), rng)
    reference = None
    if exclude is not None:
        featurizer = f.environment_featurizer
        order = 4 if featurizer.nu is None else featurizer.nu + 1
        around = items.around_centroid() if isinstance(items, Structure) else items
        radii = np.linalg.norm(around.positions, axis=-1)[around.mask]
        length = float(np.sqrt((radii**2).mean()))
        drawn = random_invariants(items.positions.shape[-2], order, featurizer.group, length, rng)
        unscaled = Reference(drawn, jnp.eye(drawn.phases.shape[0]))
        slopes = map_lanes(partial(vmapped, Reference.jacobian, unscaled), items, lanes=lanes)
        reference = Reference(drawn, jnp.asarray(feature_metrics(slopes, rng)[0]))
    return SearchEquations(*(SingularEquations(f, space, jnp.asarray(metric), reference) for metric in metrics))


def random_moves(space: AbstractSearchSpace, starts: Item, rng: np.random.Generator) -> np.ndarray:
    """Draw moves of θ of the length that the space gives for another try nearby, `(b, k)`."""
    scale = np.stack([np.asarray(space.scale(start)) for start in starts])
    return scale * rng.normal(size=scale.shape)


def feature_metrics(
    jacobians: np.ndarray, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "r d"], Float[np.ndarray, "r d"]]:
    """Make the whitened and the plain metric, which displacements of length 1 move by 1, from Jacobians."""
    b, d, columns = jacobians.shape
    slopes = np.moveaxis(jacobians, 1, 0).reshape(d, b * columns)
    left, values, _ = robust_svd(slopes)
    largest = values.max(initial=0.0)
    whitened = (left / np.sqrt(values**2 + (WHITENING_FLOOR * largest) ** 2)).T if largest > 0 else left.T
    size = ROWS_PER_COLUMN * columns

    def mixed(rows: np.ndarray) -> np.ndarray:
        rows = rng.normal(size=(size, len(rows))) @ rows if len(rows) > size else rows
        norm = np.linalg.norm(rows @ slopes)
        return rows * (np.sqrt(b * columns) / norm if norm > 0 else 1.0)

    return mixed(whitened), mixed(np.eye(d))
