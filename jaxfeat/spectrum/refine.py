"""Spectra from JᵀJ, and their small values again from derivatives along a few displacements. A singular value σ from
JᵀJ is wrong by about eps |J|²/σ, for small σ more than the floor of a QR decomposition of J. The right singular vectors
V of the small values are known well enough, however, that J V is as small as those values, and values computed from J V
are wrong by eps |J V| only. J V takes a few directional derivatives in place of all rows."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item
from jaxfeat.linalg.batching import map_large_items, on_cpu
from jaxfeat.linalg.eigen import psd_eigenvalues, psd_eigh
from jaxfeat.linalg.lapack import eigh, singular_values
from jaxfeat.spectrum.plan import Plan
from jaxfeat.spectrum.reduce import ReducedJacobian, reduce_to_gram
from jaxfeat.spectrum.solve import NonrigidJacobian, make_spectrum, project_out_rigid
from jaxfeat.spectrum.spectrum import Spectrum

MARGIN = 16
"""Factor by which errors of values from JᵀJ are to stay below the floor of QR. The errors are eps to 2 eps times the
square of the largest value, over 2 σ."""

SMALLEST_SHARE = 1 / 512  # share of the largest value below which a value is computed again, for ten digits
SMALL_COUNTS = (4, 8, 16)  # numbers of small values that are computed together
MOST_SMALL = SMALL_COUNTS[-1]  # items with more small values are not refined


class GramValues(NamedTuple):
    """The values of one item from JᵀJ, descending, and the displacements of the `n_small` ones to compute again, the
    smallest first, then zeros. All values will be as exact as by QR if `certified`."""

    part: NonrigidJacobian
    values: Float[Array, " c"]
    displacements: Float[Array, "k n 3"]
    n_small: Int[Array, ""]
    certified: Bool[Array, ""]


def spectra_from_gram(
    f: FeatureMap, restricted: Callable[[Any], FeatureMap], items: tuple[Any, Item], plan: Plan
) -> tuple[Spectrum, ...]:
    """Compute spectra of items `(b,)`, given with the species present in each, by the route "refined"; `restricted`
    makes the map for those. Items with too many small values come out with `certified` False."""
    batch = items[1]
    # On CPUs one item at a time, so that a condition skips the work that an item does not need.
    reduced = map_large_items(lambda item: reduce_to_gram(restricted(item[0]), item[1]), items)
    found = [
        jax.vmap(partial(_decompose_gram, equilibrated=scaled, screened=plan.screened))(reduced, batch)
        for scaled in plan.scalings
    ]
    moves = [(one.displacements, one.n_small) for one in found]
    small = map_large_items(lambda item: _small_values(restricted(item[0]), *item[1:]), (*items, moves))
    return tuple(jax.vmap(partial(_merge, f))(batch, *both) for both in zip(found, small, strict=True))


def _decompose_gram(reduced: ReducedJacobian, at: Item, *, equilibrated: bool, screened: bool) -> GramValues:
    part = project_out_rigid(reduced, at, equilibrated=equilibrated)
    # Screening needs the vectors of few environments, and CPUs leave out the others. Structures need theirs more often.
    by_need = screened and on_cpu() and isinstance(at, Environment)
    if by_need:
        squares = psd_eigenvalues(part.matrix, part.rigid.valid)
    else:
        squares, vectors = psd_eigh(part.matrix, part.rigid.valid)
    values = jnp.sqrt(squares)
    listed = jnp.arange(values.shape[0]) < part.n_values
    share = jnp.maximum(MARGIN * jnp.finfo(values.dtype).eps / part.rounding, SMALLEST_SHARE)
    n_small = jnp.sum(listed & (values < share * part.largest(values)))
    wanted = (listed & (values <= part.floor_of_gram(values))).any() if screened else jnp.asarray(True)
    certified = wanted & part.norms_known & (n_small <= MOST_SMALL)
    n_small = jnp.where(certified, n_small, 0)
    if by_need:
        squares, vectors = psd_eigh(part.matrix, part.rigid.valid, certified)
        values = jnp.where(certified, jnp.sqrt(squares), values)
    last = part.n_values - 1 - np.arange(MOST_SMALL)
    small = jnp.where(np.arange(MOST_SMALL)[None] < n_small, vectors[:, jnp.maximum(last, 0)], 0)
    displacements = part.rigid.lift(small).T.reshape(MOST_SMALL, *at.positions.shape) / part.scale[None, :, None]
    return GramValues(part, values, displacements, n_small, certified)


def _small_values(
    f: FeatureMap, at: Item, moves: Sequence[tuple[Float[Array, "k n 3"], Int[Array, ""]]]
) -> list[Float[Array, " k"]]:
    """Compute the singular values of J V, descending, then zeros, for each V, of which only the first few count."""

    def of_some() -> list[Array]:
        differential = f.environment_featurizer.differential
        if isinstance(at, Environment):
            # An environment has one center, which stays at rest. In a structure, displacements are relative to centers.
            present, differentials = jnp.ones(1, bool), jax.tree.map(lambda x: x[None], differential(at))
        else:
            present, differentials = at.center_mask, jax.vmap(differential)(at.environments())

        def values(displacements: Array, count: Array) -> Array:
            relative = displacements[None]
            if not isinstance(at, Environment):
                relative = (displacements[:, at.neighbor] - displacements[:, at.center][:, :, None]).swapaxes(0, 1)
            products = _sum_of_products(differentials, present, relative, count)
            return _with_least_size(_values_of_products, count, products)

        return [values(*of_scaling) for of_scaling in moves]

    def of_none() -> list[Array]:
        return [jnp.zeros(MOST_SMALL, displacements.dtype) for displacements, _ in moves]

    return jax.lax.cond(sum(count for _, count in moves) > 0, of_some, of_none)


def _sum_of_products(
    differentials: Callable[[Array], Array],
    present: Bool[Array, " c"],
    moves: Float[Array, "c k n 3"],
    count: Int[Array, ""],
) -> Float[Array, "k k"]:
    """Compute (J V)ᵀ J V of the first `count` displacements, then zeros, as a sum over the centers that exist."""

    def of_center(here: Array, *arguments: Any) -> Array:
        n = jnp.where(here, count, 0)
        return _with_least_size(partial(_products_of_center, n), n, *arguments)

    centers = (present, differentials, moves)
    if not on_cpu():
        return jax.vmap(of_center)(*centers).sum(0)
    start = jnp.zeros((MOST_SMALL, MOST_SMALL), moves.dtype)
    return jax.lax.scan(lambda total, center: (total + of_center(*center), None), start, centers)[0]


def _products_of_center(
    count: Int[Array, ""], size: int, differential: Callable[[Array], Array], moves: Float[Array, "m n 3"]
) -> Float[Array, "k k"]:
    # One displacement at a time: with all of them at once, exchanging the channels of long rows takes longer than the
    # products themselves.
    def along(i: Array, rows: Array) -> Array:
        return jax.lax.dynamic_update_index_in_dim(rows, differential(moves[i]), i, 0)

    shape = size, *jax.eval_shape(differential, moves[0]).shape
    rows = jax.lax.fori_loop(0, count, along, jnp.zeros(shape, moves.dtype))
    return jnp.matmul(rows, rows.T, precision="highest")


def _with_least_size(function: Callable[..., Array], count: Int[Array, ""], *arguments: Any) -> Array:
    """Compute `function(size, *arguments)`, whose axes have the length `size`, for the least size that holds `count`.
    Sizes are `SMALL_COUNTS`. The result is padded with zeros, and zero for a count of 0."""

    def padded(size: int, *arguments: Any) -> Array:
        return jnp.pad(function(size, *arguments), (0, MOST_SMALL - size))

    sizes = [partial(padded, size) for size in SMALL_COUNTS]
    found = jax.eval_shape(sizes[-1], *arguments)
    which = jnp.sum(count > np.asarray((0, *SMALL_COUNTS[:-1])))
    return jax.lax.switch(which, [lambda *_: jnp.zeros(found.shape, found.dtype), *sizes], *arguments)


def _values_of_products(size: int, products: Float[Array, "m m"]) -> Float[Array, " k"]:
    """Compute the singular values of J V from (J V)ᵀ J V, descending, then zeros.

    An entry of the product is wrong by eps times the lengths of two columns. Divided by those, the product is close to
    the unit matrix, because V comes from an eigenvalue problem. Its eigenvalues are therefore exact, and only the
    lengths are small (Demmel, Veselić, SIAM J. Matrix Anal. Appl. 13, 1204 (1992)).
    """
    products = products[:size, :size]
    lengths = jnp.sqrt(jnp.diagonal(products))
    safe = jnp.where(lengths > 0, lengths, 1)
    squares, vectors = eigh(products / safe[:, None] / safe[None])
    rows = jnp.sqrt(jnp.maximum(squares, 0))[:, None] * vectors.T * lengths[None]
    return singular_values(rows)


def _merge(f: FeatureMap, at: Item, found: GramValues, small: Array) -> Spectrum:
    part, values = found.part, found.values
    place = jnp.arange(values.shape[0])
    place_in_small = place - (part.n_values - found.n_small)
    replaced = (place_in_small >= 0) & (place < part.n_values)
    values = jnp.where(replaced, small[jnp.clip(place_in_small, 0, len(small) - 1)], values)
    # Rounding errors may exchange neighbors where the two sets meet.
    values = -jnp.sort(-values)
    floor = jnp.where(found.certified, part.floor_of_rows(values), part.floor_of_gram(values))
    no_directions = jnp.zeros((values.shape[0], 0), values.dtype)
    return make_spectrum(part, at, f, values, no_directions, floor, found.certified, collinear=True)
