"""Spectra from JᵀJ, and their small values once more from derivatives along a few displacements.

A singular value σ from JᵀJ is wrong by about eps |J|²/σ: far less than the floor of a QR of J where σ is near the
largest, more where it is small. The right singular vectors V of the small ones are known well enough, however, for J V
to be as small as they are, and what is worked out from J V is wrong by eps |J V|. That is a few directional
derivatives. Rows of all of J, and their QR, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.eigen import psd_eigh
from jaxfeat.linalg.lanes import MAX_NEIGHBORS_IN_LANES
from jaxfeat.linalg.lapack import eigh, singular_values
from jaxfeat.spectrum.reduce import JacobianGram, reduce_to_gram
from jaxfeat.spectrum.solve import NonrigidJacobian, make_spectrum, project_out_rigid
from jaxfeat.spectrum.spectrum import Spectrum

MARGIN = 16
"""How far below the floor of QR the errors of what comes from JᵀJ are to be: eps to 2 eps times the square of the
largest value, over 2 σ."""

SMALLEST_SHARE = 1 / 512
"""Of the largest value. What comes from JᵀJ is then right to ten digits, however high the floor is."""

SMALL_COUNTS = (4, 8, 16)
"""How many small values are worked out together; items that have more are not refined."""


class _Chosen(NamedTuple):
    """What is known of one item from JᵀJ, and what is to be refined.

    - `values`: descending. `displacements`: `(k, n, 3)`, the right singular vectors of the small ones, smallest first,
      then zeros. `n_small`: how many, 0 where nothing is to be refined.
    - `certified`: whether all values will be as exact as by QR.
    """

    seen: NonrigidJacobian
    values: Float[Array, " c"]
    displacements: Float[Array, "k n 3"]
    n_small: Int[Array, ""]
    certified: Bool[Array, ""]


def gram_is_faster(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> bool:
    """Whether JᵀJ and a few derivatives take less time than rows of J."""
    if isinstance(f, AbstractStructureMap) and f.adds_centers:
        return False
    n = at.max_neighbors if isinstance(at, Environment) else min(at.neighbor.shape[-1], at.positions.shape[-2] - 1)
    return f.environment_featurizer.has_fast_gram and n > MAX_NEIGHBORS_IN_LANES


def spectra_from_gram(
    f: AbstractFeaturizer | AbstractStructureMap,
    subsets: Int[Array, "b s"] | np.ndarray,
    batch: Environment | Structure,
    equilibrated: Sequence[bool],
    screened: bool,
) -> tuple[Spectrum, ...]:
    """Compute spectra without directions of a batch for which `gram_is_faster`: one for each entry of `equilibrated`.

    `subsets`: the species that each holds, then -1. `screened`: refine those only that have a value below the floor of
    JᵀJ. Those that need it and have too many small values come out with `certified` false.
    """

    def narrow(subset: Int[Array, " s"]) -> AbstractFeaturizer | AbstractStructureMap:
        if isinstance(f, AbstractFeaturizer):
            return f.restricted_to_species(subset)
        return eqx.tree_at(lambda f: f.featurizer, f, f.featurizer.restricted_to_species(subset))

    # One by one, so that what an item does not need is left out.
    reduced = jax.lax.map(lambda item: reduce_to_gram(narrow(item[0]), item[1]), (subsets, batch))
    chosen = [
        jax.vmap(partial(_chosen, equilibrated=scaled, screened=screened))(reduced, batch) for scaled in equilibrated
    ]
    moves = [(one.displacements, one.n_small) for one in chosen]
    small = jax.lax.map(lambda item: _small(narrow(item[0]), *item[1:]), (subsets, batch, moves))
    return tuple(jax.vmap(partial(_merged, f))(batch, *both) for both in zip(chosen, small, strict=True))


def _chosen(reduced: JacobianGram, at: Environment | Structure, *, equilibrated: bool, screened: bool) -> _Chosen:
    seen = project_out_rigid(reduced, at, equilibrated=equilibrated)
    squares, vectors = psd_eigh(seen.matrix, seen.rigid.valid)
    values = jnp.sqrt(squares)
    listed = jnp.arange(values.shape[0]) < seen.n_values
    share = jnp.maximum(MARGIN * jnp.finfo(values.dtype).eps / seen.rounding, SMALLEST_SHARE)
    n_small = jnp.sum(listed & (values < share * seen.largest(values)))
    wanted = (listed & (values <= seen.floor_of_gram(values))).any() if screened else jnp.asarray(True)
    certified = wanted & seen.norms_known & (n_small <= SMALL_COUNTS[-1])
    n_small = jnp.where(certified, n_small, 0)
    last = seen.n_values - 1 - np.arange(SMALL_COUNTS[-1])
    small = jnp.where(np.arange(SMALL_COUNTS[-1])[None] < n_small, vectors[:, jnp.maximum(last, 0)], 0)
    displacements = seen.rigid.lift(small).T.reshape(SMALL_COUNTS[-1], *at.positions.shape) / seen.scale[None, :, None]
    return _Chosen(seen, values, displacements, n_small, certified)


def _small(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    moves: Sequence[tuple[Float[Array, "k n 3"], Int[Array, ""]]],
) -> list[Float[Array, " k"]]:
    """Singular values of J V, descending, then zeros, for each of some displacements V, the first few of which count;
    zeros where none do."""

    def of_small() -> list[Array]:
        of = f.environment_featurizer.differential
        if isinstance(at, Environment):
            # A center of its own, at rest.
            present, differentials = jnp.ones(1, bool), jax.tree.map(lambda x: x[None], of(at))
        else:
            present, differentials = at.center_mask, jax.vmap(of)(at.environments())
        return [
            _in_room(_values, count, _products(differentials, present, _of_neighbors(at, displacements), count))
            for displacements, count in moves
        ]

    def of_none() -> list[Array]:
        return [jnp.zeros(SMALL_COUNTS[-1], displacements.dtype) for displacements, _ in moves]

    return jax.lax.cond(sum(count for _, count in moves) > 0, of_small, of_none)


def _of_neighbors(at: Environment | Structure, displacements: Float[Array, "k n 3"]) -> Float[Array, "c k n 3"]:
    """How the neighbors of each center move relative to it."""
    if isinstance(at, Environment):
        return displacements[None]
    return (displacements[:, at.neighbor] - displacements[:, at.center][:, :, None]).swapaxes(0, 1)


def _products(
    differentials: Callable[[Array], Array],
    present: Bool[Array, " c"],
    moves: Float[Array, "c k n 3"],
    count: Int[Array, ""],
) -> Float[Array, "k k"]:
    """(J V)ᵀ J V, added up over the centers that are present, of the first `count` displacements; then zeros."""

    def add(total: Array, item: tuple[Array, Callable[[Array], Array], Array]) -> tuple[Array, None]:
        here, *of_one = item
        n = jnp.where(here, count, 0)
        return total + _in_room(partial(_of_center, n), n, *of_one), None

    return jax.lax.scan(
        add, jnp.zeros((SMALL_COUNTS[-1], SMALL_COUNTS[-1]), moves.dtype), (present, differentials, moves)
    )[0]


def _of_center(
    count: Int[Array, ""], room: int, differential: Callable[[Array], Array], moves: Float[Array, "m n 3"]
) -> Float[Array, "k k"]:
    # One by one: all at once, exchanging the channels of what stands in long rows takes longer than the products.
    def along(i: Array, rows: Array) -> Array:
        return jax.lax.dynamic_update_index_in_dim(rows, differential(moves[i]), i, 0)

    shape = room, *jax.eval_shape(differential, moves[0]).shape
    rows = jax.lax.fori_loop(0, count, along, jnp.zeros(shape, moves.dtype))
    return jnp.matmul(rows, rows.T, precision="highest")


def _in_room(function: Callable[..., Array], count: Int[Array, ""], *of: Any) -> Array:
    """`function(k, *of)`, which has the length k along all axes, with room for `count`; then zeros, as for none."""

    def in_room(room: int, *of: Any) -> Array:
        return jnp.pad(function(room, *of), (0, SMALL_COUNTS[-1] - room))

    rooms = [partial(in_room, room) for room in SMALL_COUNTS]
    found = jax.eval_shape(rooms[-1], *of)
    which = jnp.sum(count > np.asarray((0, *SMALL_COUNTS[:-1])))
    return jax.lax.switch(which, [lambda *_: jnp.zeros(found.shape, found.dtype), *rooms], *of)


def _values(room: int, products: Float[Array, "m m"]) -> Float[Array, " k"]:
    """Singular values of J V from (J V)ᵀ J V, descending, then zeros.

    Its entries are wrong by eps times the lengths of two columns. Over those lengths it is close to the unit matrix,
    and far from singular, for the columns of V come from an eigenvalue problem: what is left small are the lengths
    (Demmel, Veselić, SIAM J. Matrix Anal. Appl. 13, 1204 (1992)).
    """
    products = products[:room, :room]
    lengths = jnp.sqrt(jnp.diagonal(products))
    safe = jnp.where(lengths > 0, lengths, 1)
    squares, vectors = eigh(products / safe[:, None] / safe[None])
    rows = jnp.sqrt(jnp.maximum(squares, 0))[:, None] * vectors.T * lengths[None]
    return singular_values(rows)


def _merged(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    chosen: _Chosen,
    small: Float[Array, " k"],
) -> Spectrum:
    seen, values = chosen.seen, chosen.values
    place = jnp.arange(values.shape[0])
    ours = place - (seen.n_values - chosen.n_small)
    values = jnp.where((ours >= 0) & (place < seen.n_values), small[jnp.clip(ours, 0, len(small) - 1)], values)
    # At the border between the two, rounding errors may exchange neighbors.
    values = -jnp.sort(-values)
    floor = jnp.where(chosen.certified, seen.floor_of_rows(values), seen.floor_of_gram(values))
    return make_spectrum(
        seen, at, f, values, jnp.zeros((values.shape[0], 0), values.dtype), floor, chosen.certified, collinear=True
    )
