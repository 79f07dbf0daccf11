"""Spectra of structures from JᵀJ, and their small values once more from rows.

A singular value σ from JᵀJ is wrong by about eps |J|²/σ: those near the largest are as exact as by QR of J, small ones
are not. The right singular vectors V of the small ones are known well enough, however, for J V to be as small as they
are, and QR of J V gives them to eps |J|. J V is a few directional derivatives, and most structures have few
small values, or none: rows of all of J, and their QR, are left out.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.base import AbstractStructureMap
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.eigen import positive_eigen
from jaxfeat.linalg.svd import right_svd
from jaxfeat.sensitivity.reduced import Reduced, gram
from jaxfeat.sensitivity.spectrum import Projected, Spectrum, concluded, projected

SMALL_SHARE = 1 / 32
"""Of the largest value. What is above it is wrong by some 16 times the rounding of JᵀJ, relative to the largest: less
than the floor of QR, which grows with the number of features."""

ROOMS = (4, 12)
"""How many small values are worked out together; structures that have more are not refined."""


class _Chosen(NamedTuple):
    """What is known of one structure from JᵀJ, and what is to be refined.

    - `values`: descending. `displacements`: `(k, n, 3)`, the right singular vectors of the small ones, smallest first,
      then zeros. `n_small`: how many, 0 where nothing is to be refined.
    - `certified`: whether all values will be as exact as by QR.
    """

    seen: Projected
    values: Float[Array, " c"]
    displacements: Float[Array, "k n 3"]
    n_small: Int[Array, ""]
    certified: Bool[Array, ""]


def refined_spectra(f: AbstractStructureMap, batch: Structure, equilibrated: bool, screened: bool) -> Spectrum:
    """Spectra, without directions, of structures `(b,)` whose centers are stacked; of a featurizer with `short_gram`.

    `screened`: refine those only that have a value below the floor of JᵀJ. Those that need it and have too many small
    values come out with `certified` false.
    """
    # One by one, so that what a structure does not need is left out.
    reduced = jax.lax.map(partial(gram, f), batch)
    chosen = jax.vmap(partial(_chosen, equilibrated=equilibrated, screened=screened))(reduced, batch)
    rows = jax.lax.map(lambda item: _rows(f, *item), (batch, chosen.displacements, chosen.n_small))
    return jax.vmap(partial(_merged, f))(batch, chosen, rows)


def _chosen(reduced: Reduced, at: Structure, *, equilibrated: bool, screened: bool) -> _Chosen:
    seen = projected(reduced, at, equilibrated=equilibrated, squared=True)
    squares, vectors = positive_eigen(seen.matrix, seen.rigid.valid)
    values = jnp.sqrt(squares)
    n_values = jnp.sum(seen.rigid.valid)
    listed = jnp.arange(values.shape[0]) < n_values
    n_small = jnp.sum(listed & (values < SMALL_SHARE * seen.largest(values)))
    wanted = (listed & (values <= seen.floor(values, True))).any() if screened else jnp.asarray(True)
    certified = wanted & seen.sure & (n_small <= ROOMS[-1])
    n_small = jnp.where(certified, n_small, 0)
    last = n_values - 1 - np.arange(ROOMS[-1])
    small = jnp.where(np.arange(ROOMS[-1])[None] < n_small, vectors[:, jnp.maximum(last, 0)], 0)
    displacements = seen.rigid.lift(small).T.reshape(ROOMS[-1], *at.positions.shape) / seen.scale[None, :, None]
    return _Chosen(seen, values, displacements, n_small, certified)


def _rows(
    f: AbstractStructureMap, at: Structure, displacements: Float[Array, "k n 3"], n_small: Int[Array, ""]
) -> Float[Array, "k k"]:
    """J along the displacements, as the R of its QR decomposition."""
    most = ROOMS[-1]

    def of_first(room: int) -> Array:
        first = displacements[:room]
        moves = (first[:, at.neighbor] - first[:, at.center][:, :, None]).swapaxes(0, 1)

        def of_center(item: tuple) -> Array:
            present, differential, moves = item
            return jax.lax.cond(
                present, lambda: _triangle(differential(moves)), lambda: jnp.zeros((room, room), moves.dtype)
            )

        differentials = jax.vmap(f.featurizer.differential)(at.environments())
        triangles = jax.lax.map(of_center, (at.center_mask, differentials, moves))
        whole = _triangle(triangles.reshape(-1, room).T)
        return jnp.pad(whole, ((0, most - room), (0, most - room)))

    nothing = lambda: jnp.zeros((most, most), displacements.dtype)  # noqa: E731
    which = jnp.sum(n_small > np.asarray((0, *ROOMS[:-1])))
    return jax.lax.switch(which, [nothing, *(partial(of_first, room) for room in ROOMS)])


def _triangle(columns: Float[Array, "k d"]) -> Float[Array, "k k"]:
    """R of the QR decomposition of tall columns; through LAPACK, for there is one matrix at a time."""
    k, d = columns.shape
    return jnp.linalg.qr(jnp.pad(columns, ((0, 0), (0, max(k - d, 0)))).T, mode="r")


def _merged(f: AbstractStructureMap, at: Structure, chosen: _Chosen, rows: Float[Array, "k k"]) -> Spectrum:
    seen, values = chosen.seen, chosen.values
    found, _ = right_svd(rows, jnp.arange(len(rows)) < chosen.n_small, False)
    place = jnp.arange(values.shape[0])
    n_values = jnp.sum(seen.rigid.valid)
    ours = place - (n_values - chosen.n_small)
    values = jnp.where((ours >= 0) & (place < n_values), found[jnp.clip(ours, 0, len(found) - 1)], values)
    # At the border between the two, rounding errors may exchange neighbors.
    values = -jnp.sort(-values)
    floor = jnp.where(chosen.certified, seen.floor(values, False), seen.floor(values, True))
    return concluded(
        seen, f, at, values, jnp.zeros((values.shape[0], 0), values.dtype), floor, chosen.certified, every=True
    )
