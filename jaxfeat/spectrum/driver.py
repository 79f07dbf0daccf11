"""Singular spectra of one batch, or of batches of mixed sizes in blocks. Both plan, compute a block with one compiled
function, and certify what JᵀJ tells too little of in the same way."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import flatten_on_host
from jaxfeat.features.structure_map import FeatureMap, resolve_map
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, species_present
from jaxfeat.linalg.batching import map_blocks, map_blocks_in_two_steps
from jaxfeat.linalg.compilations import tuned_jit
from jaxfeat.linalg.lanes import inside_transformation
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.spectrum.blocks import (
    CACHE_FILLS,
    RAW_AND_EQUILIBRATED,
    Block,
    block_of,
    blocks_by_shape,
    few_of_their_size,
    restrict_species,
)
from jaxfeat.spectrum.devices import devices, share_among_devices
from jaxfeat.spectrum.host import spectra_on_host, structure_spectra_on_host
from jaxfeat.spectrum.plan import Plan, check_spectra, choose_chunk_length, make_plan, runs_on_host
from jaxfeat.spectrum.reduce import ReducedJacobian, reduce_to_gram, reduce_to_rows
from jaxfeat.spectrum.refine import spectra_from_gram
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum


def singular_spectrum(
    f: FeatureMap,
    at: Item,
    equilibrated: bool = False,
    directions: bool | None = None,
    screened: bool = False,
    *,
    center: int | None = None,
) -> Spectrum:
    """Compute the singular values of the Jacobian dF/dr on the non-rigid displacements.

    Rigid motions are projected out in closed form before the decomposition: rotations about the fixed center of an
    environment, translations and rotations of a molecule, translations of a crystal. The Jacobian is reduced by QR, and
    the SVD is taken of the triangle. If directions are not wanted and features offer fast derivatives, large values of
    environments with more than five neighbors come from JᵀJ instead, as far as its errors stay well below the floor,
    and small values come from J on their own directions.

    **Arguments:**

    - `f`: The featurizer, or a structure map.
    - `at`: The environment (for a featurizer) or structure (for a map); one item or a batch of any shape.
    - `equilibrated`: If True, divide the three columns of each atom by their joint norm first. This removes the weight
        that the cutoff and the radial basis give to an atom, and changes no null space.
    - `directions`: If True, compute right singular vectors too, which takes longer. The default is True unless
        `screened`.
    - `screened`: If True, take the values from JᵀJ, which is faster. Items with a value below the floor of JᵀJ, about
        √eps of the largest, get certified values. `certified` tells which these are, and `floor` holds for each item.
    - `center`: The index of an atom of a structure: the spectrum is that of this atom's features alone, and a
        featurizer does as well as a map. `None` for all centers.

    **Returns:** A `Spectrum` with `values` of shape `(*batch, k)`, descending, in feature units per Å (dimensionless if
    equilibrated), in the dtype of the positions. In float32, values below about 1e-4 of the largest are unknown;
    `floor` and `status` say so.

    Inside jit, shapes cannot depend on positions. There k is 3n - 3 for n > 1 neighbors. If all n atoms lie on a line
    with the center, there is one direction more; `n_values` counts it, and `values` does not list it. `screened`
    certifies no item inside jit.

    **Raises:** `GeometryError` if `f` and `at` do not go together or an environment was cut at the wrong radius;
    `SpeciesError` if `at` holds an element that `f` does not know; `SizeError` if the spectra do not fit into memory;
    `ValueError` if `directions` and `screened` are both True; `DerivativeError` under `jax.grad` and its like, because
    singular values have no derivatives if they coincide or vanish (`jaxfeat.log_sensitivity` has).

    **Source:** docs/theory, "The map and its Jacobian"; Pozdnyakov et al., Open Research Europe 1, 126 (2021).
    """
    f, at = resolve_map(f, at, center)
    f = f.prepared()
    if screened and directions:
        raise ValueError("a screened spectrum has values alone; leave out screened or directions.")
    directions = not screened if directions is None else directions
    traced = inside_transformation()
    how = {"directions": directions, "screened": screened, "refine": not traced, "collinear": not traced}
    plan = make_plan(f, at, (equilibrated,), **how)
    if traced:
        return compute_spectra(f, None, at, plan)[0]
    check_spectra(f, at, plan)
    if runs_on_host(f, at, *at.room_and_number(), "call"):
        return _on_host(f, at, equilibrated, directions)
    present = species_present(f.environment_featurizer.species, at) if plan.route == "refined" else None
    (found,) = compute_spectra(f, present, at, plan)
    if plan.route != "rows":
        found = _certify(found, f, at, plan)
    most = int(np.asarray(found.n_values).max(initial=0))
    return found if most == found.values.shape[-1] else _cut_on_device(found, most)


@tuned_jit
def compute_spectra(f: FeatureMap, present: Int[Array, "*b s"] | None, at: Item, plan: Plan) -> tuple[Spectrum, ...]:
    """Compute the spectra of a batch of any shape as planned, one `Spectrum` for each of `plan.scalings`. The prepared
    `f` is restricted to the species `present` in each item, if given, which leaves fewer features."""
    items, n_axes = (present, at), len(at.batch_shape)

    def restricted(present: Any) -> FeatureMap:
        featurizer = f.environment_featurizer
        if present is None or featurizer.species is None:
            return f
        return f.with_environment_featurizer(featurizer.restricted_to_species(present))

    if plan.route == "refined":
        return map_blocks(lambda block: spectra_from_gram(f, restricted, block, plan), items, n_axes, plan.n_together)

    def reduce(item: Any) -> ReducedJacobian:
        return (reduce_to_gram if plan.route == "gram" else reduce_to_rows)(restricted(item[0]), item[1])

    def finish(reduced: ReducedJacobian, item: Any) -> tuple[Spectrum, ...]:
        how: dict[str, bool] = {"directions": plan.directions, "collinear": plan.collinear}
        return tuple(decompose(reduced, item[1], f, equilibrated=scaled, **how) for scaled in plan.scalings)

    return map_blocks_in_two_steps(reduce, finish, items, n_axes, plan.n_together)


def _on_host(f: Any, at: Item, equilibrated: bool, directions: bool) -> Spectrum:
    """Compute the spectrum of one item, or of each item of a batch of any shape, in NumPy."""
    flat = flatten_on_host(at)
    if isinstance(flat, Environment):
        (found,) = spectra_on_host(f, flat, species_present(f.species, flat), (equilibrated,), directions)
    else:
        (found,) = structure_spectra_on_host(f, flat, (equilibrated,), directions)
    found = _cut(found, int(found.n_values.max(initial=0)))
    return jax.device_put(jax.tree.map(lambda leaf: leaf.reshape((*at.batch_shape, *leaf.shape[1:])), found))


HOST_BLOCK_ITEMS = 1024  # environments that NumPy computes between two calls of progress


def spectra_in_blocks(
    f: AbstractFeaturizer, batch: Environment, screened: bool = False, chunk_length: int | None = None
) -> Iterator[tuple[np.ndarray, tuple[Spectrum, ...]]]:
    """Yield indices into a batch `(b,)` of environments of mixed sizes, with their raw and equilibrated spectra.

    The spectra are NumPy arrays without directions. Environments that need rows of J come last. Several devices share
    each block; singular values are then those of one device within some ten eps of the largest. If the batch is a chunk
    of a stream, `chunk_length` is the length of all chunks but the last. Chunks then share their programs.
    """
    f = f.prepared()
    host = jax.tree.map(np.asarray, batch)
    followed = chunk_length is not None and len(batch) >= chunk_length
    few = few_of_their_size(f, host, "chunk" if followed else "job")
    if few.any():
        small = host[np.flatnonzero(few)].trimmed()
        check_spectra(restrict_species(f, small), small[0], make_plan(f, small[0], RAW_AND_EQUILIBRATED, refine=False))
        # Progress is called every few seconds, and an interruption waits for no more.
        length = min(choose_chunk_length(f, small) // 4, HOST_BLOCK_ITEMS)
        for part in np.split(np.flatnonzero(few), range(length, few.sum(), length)):
            items = host[part].trimmed()
            yield part, spectra_on_host(f, items, species_present(f.species, items), RAW_AND_EQUILIBRATED)
    many = np.flatnonzero(~few)
    batch = host[many]
    over = devices()[: None if chunk_length else max(len(batch), 1)]
    blocks = partial(blocks_by_shape, f, chunk_length=chunk_length, n_devices=len(over))
    uncertain = [np.zeros(0, int)]
    for block in blocks(batch, screened=screened, cache_fills=CACHE_FILLS):
        found = _run(f, block, over)
        again = _needs_rows(found, screened)
        uncertain.append(block.indices[again])
        if not again.all():
            yield many[block.indices[~again]], jax.tree.map(lambda leaf, again=again: leaf[~again], found)
    indices = np.concatenate(uncertain)
    if indices.size:
        rest = jax.tree.map(lambda leaf: leaf[indices], batch)
        for block in blocks(rest, by_rows=True, cache_fills=CACHE_FILLS if chunk_length is None else 1):
            yield many[indices[block.indices]], _run(f, block, over)


def _run(f: FeatureMap, block: Block, over: Sequence[jax.Device]) -> tuple[Spectrum, ...]:
    """Compute the spectra of a block on some devices, as NumPy arrays without the repeated items at its end."""
    with one_blas_thread(of_xla=True):
        found = share_among_devices(compute_spectra, over, f, (block.present, block.items), block.plan)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(block.indices)], found)


def _needs_rows(spectra: Sequence[Spectrum], screened: bool) -> np.ndarray:
    """Tell which items have a spectrum from JᵀJ to be certified. If screened, it has a value at or below its floor."""
    return np.any([~one.certified & ((one.n_null > 0) | (not screened)) for one in spectra], 0)


def _certify(found: Spectrum, f: FeatureMap, at: Item, plan: Plan) -> Spectrum:
    host = jax.tree.map(np.asarray, found)
    indices = np.flatnonzero(_needs_rows([host], plan.screened))
    if not indices.size:
        return found
    items = flatten_on_host(at)
    block = block_of(items, indices, make_plan(f, items, plan.scalings, refine=False))
    (exact,) = _run(f, block, devices()[:1])

    def put(leaf: np.ndarray, of_exact: np.ndarray) -> jax.Array:
        new = leaf.copy()
        new.reshape(len(items), *of_exact.shape[1:])[indices] = of_exact
        return jnp.asarray(new)

    return jax.tree.map(put, host, exact)


def _cut(spectrum: Spectrum, most: int) -> Spectrum:
    kept = spectrum.values[..., :most], spectrum.directions[..., :most, :, :]
    return eqx.tree_at(lambda s: (s.values, s.directions), spectrum, kept)


_cut_on_device = jax.jit(_cut, static_argnames="most")
