"""Exact Jacobians of featurizers and structure maps, in forward mode."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, overload

import jax
from jaxtyping import Array, Float

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.batching import map_blocks
from jaxfeat.linalg.jit import tuned_jit
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.spectrum.assemble import environment_jacobian, structure_jacobian
from jaxfeat.spectrum.sizes import check_jacobian


@overload
def jacobian(f: AbstractFeaturizer, at: Environment) -> Float[Array, "*batch d n 3"]: ...
@overload
def jacobian(f: AbstractStructureMap, at: Structure) -> Float[Array, "*batch d n 3"]: ...
def jacobian(f: Any, at: Any) -> Float[Array, "*batch d n 3"]:
    """Compute the Jacobian dF/dr of features with respect to the positions of atoms.

    In an environment, neighbors move and the center is fixed. In a structure, all atoms move, each center with its own
    atom; the derivatives by all periodic images of an atom are added up.

    **Arguments:**

    - `f`: The featurizer, or a structure map.
    - `at`: The environment (for a featurizer) or structure (for a map); one item or a batch of any shape.

    **Returns:**

    An array of shape `(*batch, n_features, n, 3)`, in feature units per Å and in the dtype of the positions. Padded
    atoms have zero columns.

    **Raises:** `GeometryError` if `f` and `at` do not go together or an environment was cut at the wrong
    radius; `SpeciesError` if `at` holds an element that `f` does not know; `SizeError` if the Jacobian does not fit
    into memory.

    **Source:** docs/theory, "The map and its Jacobian".
    """
    check_compatible(f, at)
    check_jacobian(f, at)
    return _jacobians(f.prepared(), at)


JACOBIANS_TOGETHER_BYTES = 4_000_000
"""Bytes of Jacobians that are computed together in batches of more than three times that size. More of them leave the
caches on the way. Measured."""

MIN_JACOBIANS_TOGETHER = 4
"""Environments that are computed together, at least. Measured."""


@tuned_jit
def _jacobians(f: FeatureMap, at: Item) -> Array:
    call: Callable[[Any], Any] = partial(item_jacobian, f)
    if isinstance(at, Environment) and at.batch_shape:
        return map_blocks(jax.vmap(call), at, len(at.batch_shape), _n_together(f, at))
    one_by_one = isinstance(at, Structure) and at.neighbor.shape[-1] > MAX_NEIGHBORS_IN_LANES
    for _ in at.batch_shape:
        # The intermediate arrays of large structures fit into the caches only one by one.
        call = partial(jax.lax.map, call) if one_by_one else jax.vmap(call)
    return call(at)


def _n_together(f: Any, at: Environment) -> int:
    total = max(prod(at.batch_shape), 1)
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[len(at.batch_shape) :], x.dtype), at)
    n_features = jax.eval_shape(lambda env: f.features(env), one).size
    one_bytes = max(n_features * 3 * at.max_neighbors * at.positions.dtype.itemsize, 1)
    return (
        total
        if total * one_bytes <= 3 * JACOBIANS_TOGETHER_BYTES
        else max(JACOBIANS_TOGETHER_BYTES // one_bytes, MIN_JACOBIANS_TOGETHER)
    )


def item_jacobian(f: FeatureMap, at: Item) -> Float[Array, "d n 3"]:
    """Compute the Jacobian of one item, by the shortest way that the featurizer offers."""
    return jacobian_and_norms(f, at)[0]


def jacobian_and_norms(f: FeatureMap, at: Item) -> tuple[Float[Array, "d n 3"], Float[Array, " n"]]:
    """Compute the Jacobian of one item, and the joint norm of the contributions to each atom's three columns.

    The norms are multiplied by `cancellation`. Where symmetry makes contributions cancel, rounding errors are in
    proportion to these norms rather than to the columns.
    """
    if isinstance(f, AbstractStructureMap):
        assert isinstance(at, Structure)
        return structure_jacobian(f, at)
    assert isinstance(at, Environment)
    return environment_jacobian(f, at)


def directional_derivative(f: FeatureMap, at: Item, displacement: Float[Array, "n 3"]) -> Float[Array, " d"]:
    """Compute J v of one item, the derivative of its features along a displacement, by one tangent."""
    features: Callable[[Any], Array] = f.features if isinstance(f, AbstractFeaturizer) else f
    return jax.jvp(lambda x: features(at.with_positions(x)), (at.positions,), (displacement,))[1]
