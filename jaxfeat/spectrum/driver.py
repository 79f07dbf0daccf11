"""Singular spectra of featurizers and structure maps, by the shortest way to each."""

from __future__ import annotations

from functools import partial
from math import prod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.batching import BLOCK_ITEMS, map_blocks, map_blocks_in_two_steps
from jaxfeat.linalg.jit import tuned_jit
from jaxfeat.linalg.primitive import inside_transformation
from jaxfeat.spectrum.plan import chunk_size, species_present
from jaxfeat.spectrum.reduce import JacobianGram, JacobianRows, reduce_to_gram, reduce_to_rows
from jaxfeat.spectrum.refine import gram_is_faster, spectra_from_gram
from jaxfeat.spectrum.sizes import check_spectra
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum


def singular_spectrum(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    equilibrated: bool = False,
    directions: bool | None = None,
    screened: bool = False,
) -> Spectrum:
    """Singular values and right singular vectors of dF/dr on the non-rigid displacements.

    Rigid motions (rotations about the fixed center of an environment; translations and rotations of a molecule;
    translations of a crystal) are projected out in closed form; then QR, then an SVD of R. Where directions are not
    asked for, of more than five neighbors, and derivatives along a few directions come cheap: large values from JᵀJ, as
    far as their errors stay well below the floor, and small ones from J on their directions.

    **Arguments:**

    - `f`: a featurizer with an `Environment`, or a structure map with a `Structure`; single or batched.
    - `equilibrated`: divide each atom's columns by their joint norm first, which takes out how much the cutoff and
      the radial basis weigh it. No null space changes. Judge blindness by this one, physics by the raw one.
    - `directions`: whether to work out right singular vectors, which takes longer; without, none are listed. By default
      yes, unless `screened`.
    - `screened`: take the values from JᵀJ, without directions, and certified ones only for those items that have one
      below the floor of that, about √eps of the largest. `certified` says which, `floor` holds for each.

    Inside jit, where the shape cannot depend on the positions, k is 3n - 3 for n > 1. A set of n atoms that all lie on
    a line with the center has one direction more, and that null direction is not listed there: `n_values` counts it.
    Nor can items be picked there: `screened` certifies none.

    Float32 knows nothing below about 1e-4 of the largest value; `floor` and `status` say so.

    A singular value has no derivative where it equals another one or vanishes, and a direction has none there either.
    So spectra are not differentiated: `jaxfeat.log_sensitivity` is, in positions and in the featurizer.

    **Raises:** `GeometryError` where `f` and `at` do not go together, otherwise as the featurizer does;
    `ValueError` for directions of a screened spectrum, `SizeError` for what does not fit into memory,
    `DerivativeError` under `jax.grad` and its like.
    """
    check_compatible(f, at)
    f = f.prepared()
    if screened and directions:
        raise ValueError("a screened spectrum has values alone; leave out screened or directions.")
    directions = not screened if directions is None else directions
    if inside_transformation():
        return _compiled(f, at, equilibrated, False, directions, screened)
    refined = (screened or not directions) and gram_is_faster(f, at)
    abreast = BLOCK_ITEMS if refined else chunk_size(f, at, screened)
    check_spectra(f, at, abreast=abreast, directions=directions, by_gram=refined or screened)
    if refined:
        found = _refined(f, species_present(f.environment_featurizer, at), at, equilibrated, screened)
    else:
        found = _compiled(f, at, equilibrated, True, directions, screened)
    if screened or not np.asarray(found.certified).all():
        found = _with_certified(found, f, at, equilibrated, screened)
    return _fitted(found)


def _with_certified(
    found: Spectrum,
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    equilibrated: bool,
    screened: bool,
) -> Spectrum:
    """The spectra, with those that are not certified and should be done again by QR."""
    n_axes, total = len(at.batch_shape), prod(at.batch_shape)
    host = jax.tree.map(np.asarray, found)
    doubtful = np.flatnonzero(~host.certified & ((host.n_null > 0) | (not screened)))
    if not doubtful.size:
        return found
    host = jax.tree.map(lambda x: x.copy().reshape(total, *x.shape[n_axes:]), host)
    # Few heights, few compilations: powers of two, and one between each pair of them.
    above = 2 ** (int(doubtful.size) - 1).bit_length()
    room = 3 * above // 4 if doubtful.size <= 3 * above // 4 else above
    picked = np.concatenate([doubtful, np.repeat(doubtful[:1], room - doubtful.size)])
    items = jax.tree.map(lambda x: np.asarray(x).reshape(total, *x.shape[n_axes:])[picked], at)
    again = jax.tree.map(np.asarray, _compiled(f, items, equilibrated, True, False, False))

    def put(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        old[doubtful] = new[: doubtful.size]
        return old.reshape((*at.batch_shape, *old.shape[1:]))

    return jax.tree.map(jnp.asarray, jax.tree.map(put, host, again))


@tuned_jit
def _refined(
    f: AbstractFeaturizer | AbstractStructureMap,
    subsets: Int[Array, "*b s"] | np.ndarray,
    at: Environment | Structure,
    equilibrated: bool,
    screened: bool,
) -> Spectrum:
    def of_batch(batch: tuple[Int[Array, "b s"] | np.ndarray, Environment | Structure]) -> Spectrum:
        return spectra_from_gram(f, *batch, [equilibrated], screened)[0]

    return map_blocks(of_batch, (subsets, at), len(at.batch_shape))


@tuned_jit
def _compiled(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    equilibrated: bool,
    every: bool,
    directions: bool,
    screened: bool,
) -> Spectrum:
    def reduce(item: Environment | Structure) -> JacobianRows | JacobianGram:
        return (reduce_to_gram if screened else reduce_to_rows)(f, item)

    def finish(reduced: JacobianRows | JacobianGram, item: Environment | Structure) -> Spectrum:
        how = {"equilibrated": equilibrated, "collinear": every, "directions": directions}
        return decompose(reduced, item, f, **how)

    return map_blocks_in_two_steps(reduce, finish, at, len(at.batch_shape), chunk_size(f, at, screened))


def _fitted(spectrum: Spectrum) -> Spectrum:
    """Outside jit: as many values as there are."""
    longest = int(np.asarray(spectrum.n_values).max(initial=0))
    return spectrum if longest == spectrum.values.shape[-1] else _cut(spectrum, longest)


@partial(jax.jit, static_argnames="longest")
def _cut(spectrum: Spectrum, longest: int) -> Spectrum:
    kept = spectrum.values[..., :longest], spectrum.directions[..., :longest, :, :]
    return eqx.tree_at(lambda s: (s.values, s.directions), spectrum, kept)
