"""The singular spectrum of a Jacobian without its rigid null directions."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer, AbstractStructureMap, featurizer_of
from jaxfeat.geometry.environment import COINCIDENT, Environment, concrete, on_host
from jaxfeat.geometry.rigid import RigidMotions, rigid_motions
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.lanes import FEW, in_chunks
from jaxfeat.linalg.svd import right_svd
from jaxfeat.sensitivity.reduced import Reduced, few_rows, gram
from jaxfeat.sensitivity.status import NAMES, Status

LEAST_ROUNDING = 256
"""In units of eps. However few the features: radial functions add up large terms that nearly cancel."""


class Spectrum(eqx.Module):
    """Singular values of J on the displacements that are not rigid.

    **Attributes** (of each item of a batch):

    - `values`: `(..., k)`, descending, features per Å (without unit where equilibrated). Items that have fewer than k
      non-rigid directions, because they have fewer neighbors than the batch has room for, end in NaN: not values.
    - `directions`: `(..., k, n, 3)`, the orthonormal right singular vectors, zero on padding and past the last value.
      Of an equilibrated spectrum, in the scaled coordinates: divide by `scale` for displacements.
    - `scale`: `(..., n)`, the joint norm of each atom's three columns where equilibrated, one otherwise.
    - `n_values`: `(...)`, how many values there are: 3 times the number of atoms less `n_rigid`.
    - `n_rigid`: `(...)`, rigid motions projected out.
    - `floor`: `(...)`, the value below which nothing is known: max(features, coordinates, 256) eps σ_max, or more where
      contributions cancel by symmetry and for nearly collinear atoms. Values below it are null as far as this
      floating-point type can tell.
    - `certified`: `(...)`, whether the values come from QR; if not, from JᵀJ, and the floor is that of JᵀJ.
    - `status`: a `Status`.
    """

    values: Float[Array, "*batch k"]
    directions: Float[Array, "*batch k n 3"]
    scale: Float[Array, "*batch n"]
    n_values: Int[Array, "*batch"]
    n_rigid: Int[Array, "*batch"]
    floor: Float[Array, "*batch"]
    certified: Bool[Array, "*batch"]
    status: Status

    @property
    def ratio(self) -> Float[Array, "*batch"]:
        """σ_min/σ_max, the sensitivity ratio; NaN where there are no values."""
        return _ratio(self) if on_host(self.values) else _ratio_on_device(self)

    @property
    def n_null(self) -> Int[Array, "*batch"]:
        """How many values lie below the floor: non-rigid null directions."""
        return _n_null(self) if on_host(self.values) else _n_null_on_device(self)


def _ratio(spectrum: Spectrum) -> Any:
    if spectrum.values.shape[-1] == 0:
        return np.full(spectrum.n_values.shape, np.nan, spectrum.values.dtype)
    at = np if on_host(spectrum.values) else jnp
    last = at.maximum(spectrum.n_values - 1, 0)[..., None]
    with np.errstate(invalid="ignore"):
        # Of what has no signal, or no spectrum, it is NaN.
        return at.take_along_axis(spectrum.values, last, -1)[..., 0] / spectrum.values[..., 0]


def _n_null(spectrum: Spectrum) -> Any:
    return (spectrum.values <= spectrum.floor[..., None]).sum(-1)


# One program each, rather than one for each operation.
_ratio_on_device, _n_null_on_device = eqx.filter_jit(_ratio), eqx.filter_jit(_n_null)


def singular_spectrum(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    equilibrated: bool = False,
    directions: bool = True,
    screened: bool = False,
) -> Spectrum:
    """Singular values and right singular vectors of dF/dr on the non-rigid displacements.

    Rigid motions (rotations about the fixed center of an environment; translations and rotations of a molecule;
    translations of a crystal) are projected out in closed form; then QR, then an SVD of R.

    **Arguments:**

    - `f`: a featurizer with an `Environment`, or a structure map with a `Structure`; single or batched.
    - `equilibrated`: divide each atom's columns by their joint norm first, which takes out how much the cutoff and
      the radial basis weigh it. No null space changes. Judge blindness by this one, physics by the raw one.
    - `directions`: whether to work out right singular vectors, which takes longer; without, none are listed.
    - `screened`: take the values from JᵀJ, without directions, and by QR only for those items that have one below the
      floor of that, about √eps of the largest. `certified` says which, `floor` holds for each.

    Inside jit, where the shape cannot depend on the positions, k is 3n - 3 for n > 1. A set of n atoms that all lie on
    a line with the center has one direction more, and that null direction is not listed there: `n_values` counts it.
    Nor can items be picked there: `screened` certifies none.

    Float32 knows nothing below about 1e-4 of the largest value; `floor` and `status` say so.

    **Raises:** `SpeciesError`, as the featurizer does.
    """
    environments = at if isinstance(at, Environment) else at.environments()
    featurizer_of(f).check(environments)
    if concrete(at.positions) is None:
        return _compiled(f, at, equilibrated, False, directions, screened)
    n = at.max_neighbors if isinstance(at, Environment) else at.positions.shape[-2]
    at = at.trimmed() if isinstance(at, Environment) else at
    found = _compiled(f, at, equilibrated, True, directions, screened)
    if screened:
        found = _with_certified(found, f, at, equilibrated)
    return _fitted(found, n)


def _with_certified(
    found: Spectrum, f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, equilibrated: bool
) -> Spectrum:
    """The screened spectra, with those that have values below their floor done again by QR."""
    n_axes, total = len(at.batch_shape), prod(at.batch_shape)
    host = jax.tree.map(lambda x: np.array(x).reshape(total, *x.shape[n_axes:]), found)
    doubtful = np.flatnonzero(host.n_null)
    if not doubtful.size:
        return found
    # Few heights, few compilations: powers of two, and one between each pair of them.
    above = 2 ** (int(doubtful.size) - 1).bit_length()
    room = 3 * above // 4 if doubtful.size <= 3 * above // 4 else above
    picked = np.concatenate([doubtful, np.repeat(doubtful[:1], room - doubtful.size)])
    items = jax.tree.map(lambda x: np.asarray(x).reshape(total, *x.shape[n_axes:])[picked], at)
    again = jax.tree.map(np.asarray, _compiled(f, items, equilibrated, True, False, False))

    def put(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        old[doubtful] = new[: doubtful.size]
        return old.reshape(*at.batch_shape, *old.shape[1:])

    return jax.tree.map(jnp.asarray, jax.tree.map(put, host, again))


LANE_BYTES = 2_000_000
"""Rows of Jacobians that are worked on at a time: about what the caches of a core hold. Measured."""


@eqx.filter_jit
def _compiled(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    equilibrated: bool,
    every: bool,
    directions: bool,
    screened: bool,
) -> Spectrum:
    def reduce(item: Environment | Structure) -> Reduced:
        return (gram if screened else few_rows)(f, item)

    def finish(reduced: Reduced, item: Environment | Structure) -> Spectrum:
        how = {"equilibrated": equilibrated, "every": every, "directions": directions, "squared": screened}
        return spectrum_of(reduced, f, item, **how)

    return in_chunks(reduce, finish, at, len(at.batch_shape), chunk_size(f, at, screened))


def chunk_size(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, screened: bool) -> int:
    """Items that are best worked on side by side."""
    n, centers = (at.max_neighbors, 1) if isinstance(at, Environment) else (at.neighbor.shape[-1], at.center.shape[-1])
    if isinstance(at, Structure) and n > FEW:
        # Their centers go one by one.
        return 1
    # JᵀJ comes from a few matrices of its own size.
    rows, most = (24 * n, 64) if screened else (featurizer_of(f).n_condensed(n), 32)
    fit = LANE_BYTES // max(at.positions.dtype.itemsize * rows * 3 * n, 1)
    return max(min(max(fit, 8), most) // centers, 1)


def spectrum_of(
    reduced: Reduced,
    f: AbstractFeaturizer | AbstractStructureMap | None,
    at: Environment | Structure,
    *,
    equilibrated: bool,
    every: bool,
    directions: bool = True,
    squared: bool = False,
) -> Spectrum:
    """The spectrum of one item from what its Jacobian has been reduced to, or from all its rows.

    `f` is asked which species it knows; `None` where they have been checked on the host. `every` leaves room for the
    direction more that collinear atoms have. `squared`: from JᵀJ, without directions.
    """
    matrix, added, n_features = reduced
    n, dtype = at.positions.shape[0], matrix.dtype
    # Whatever is wrong with an entry is wrong with the norm of its column.
    finite = jnp.isfinite(added).all() & jnp.isfinite(at.positions).all()
    matrix, added = jnp.where(finite, matrix, 0), jnp.where(finite, added, 0)
    rounding = jnp.maximum(jnp.asarray(n_features, dtype), max(3 * n, LEAST_ROUNDING)) * jnp.finfo(dtype).eps
    scale = jnp.ones(n, dtype)
    if equilibrated:
        squares = jnp.diagonal(matrix) if squared else jnp.sum(matrix**2, 0)
        norms = jnp.sqrt(jnp.sum(squares.reshape(n, 3), 1))
        # Columns that cancelled down to rounding errors must not be blown up to signals.
        norms = jnp.where(norms > (jnp.sqrt(rounding) if squared else rounding) * added, norms, added)
        scale = jnp.where(norms > 0, norms, jnp.where(added.max(initial=0) > 0, added.max(initial=0), 1))
    rigid = _rigid(at, scale if equilibrated else None)
    wide = jnp.repeat(scale, 3)
    matrix = rigid.project(matrix / wide[None])
    if squared:
        matrix = jnp.where(rigid.valid[:, None], rigid.project(matrix.T / wide[None]), 0)
    values, coordinates = right_svd(matrix, rigid.valid, directions and not squared)
    if squared:
        # The singular values of a positive matrix are its eigenvalues.
        values = jnp.sqrt(values)
    n_values = jnp.sum(rigid.valid)
    room = values.shape[0] if every else 3 * n - rigid.n_rigid_generic
    rows = rigid.lift(coordinates).T[:room]
    listed = jnp.arange(room) < n_values
    # An atom's three columns have a joint norm of at most √3 times the largest singular value: where nothing cancels,
    # the floor is that of the values alone.
    largest = jnp.maximum(values.max(initial=0), (added / scale).max(initial=0) / sqrt(3))
    floor = rounding * largest / rigid.clearance
    if squared:
        # Entries of JᵀJ are wrong by rounding times the lengths of two columns.
        floor = jnp.maximum(floor, jnp.sqrt(rounding * jnp.sum((added / scale) ** 2)))
    status = _status(f, at, finite, n_values, values.max(initial=0) > floor)
    below = jnp.where(jnp.arange(values.shape[0]) < n_values, values, jnp.inf).min(initial=jnp.inf) <= floor
    short = (status.code == NAMES.index("ok")) & below & (jnp.finfo(dtype).bits < 64)
    status = Status(jnp.where(short, NAMES.index("float32-floor"), status.code))
    known = listed & finite
    return Spectrum(
        values=jnp.where(known, values[:room], jnp.nan),
        directions=jnp.where(known[: len(rows), None, None], rows.reshape(len(rows), n, 3), 0),
        scale=scale,
        n_values=n_values,
        n_rigid=rigid.n_rigid,
        floor=jnp.where(finite, floor, jnp.nan),
        certified=jnp.asarray(not squared),
        status=status,
    )


def _rigid(at: Environment | Structure, weights: Float[Array, " n"] | None = None) -> RigidMotions:
    if isinstance(at, Environment):
        return rigid_motions(at.positions, at.mask, weights=weights)
    return rigid_motions(at.positions, at.mask, translations=True, rotations=not at.periodic, weights=weights)


def _status(
    f: AbstractFeaturizer | AbstractStructureMap | None,
    at: Environment | Structure,
    finite: Array,
    n_values: Array,
    signal: Array,
) -> Status:
    """The first thing that is wrong, in the order of what explains what."""
    environments = at if isinstance(at, Environment) else at.environments()
    known = (lambda _: jnp.asarray(True)) if f is None else featurizer_of(f).known
    known = known if isinstance(at, Environment) else jax.vmap(known)
    coincident = _coincident if isinstance(at, Environment) else jax.vmap(_coincident)
    wrong = {
        "empty": ~environments.mask.any(),
        "non-finite": ~finite,
        "coincident": coincident(environments).any(),
        "unknown-species": ~known(environments).all(),
        "no-signal": ~signal & (n_values > 0),
    }
    code = jnp.asarray(NAMES.index("ok"))
    for name, holds in reversed(wrong.items()):
        code = jnp.where(holds, NAMES.index(name), code)
    return Status(code)


def _coincident(env: Environment) -> Array:
    """Whether two atoms of an environment, its center among them, are at one point."""
    n = env.max_neighbors
    if n == 0:
        return jnp.asarray(False)
    points = jnp.concatenate([jnp.zeros((1, 3), env.positions.dtype), env.positions])
    present = jnp.concatenate([jnp.ones(1, bool), env.mask])
    near = (jnp.abs(points[:, None] - points[None]).max(-1) < COINCIDENT) & present[:, None] & present[None]
    return near.sum() > present.sum()


def _fitted(spectrum: Spectrum, n: int) -> Spectrum:
    """Outside jit: as many values as there are, and directions on all of `n` atoms though padding was cut."""
    longest = int(np.asarray(spectrum.n_values).max(initial=0))
    fits = (longest, n) == (spectrum.values.shape[-1], spectrum.scale.shape[-1])
    return spectrum if fits else _resized(spectrum, longest, n)


@eqx.filter_jit
def _resized(spectrum: Spectrum, longest: int, n: int) -> Spectrum:
    missing = n - spectrum.scale.shape[-1]
    batch = [(0, 0)] * (spectrum.scale.ndim - 1)
    return eqx.tree_at(
        lambda s: (s.values, s.directions, s.scale),
        spectrum,
        (
            spectrum.values[..., :longest],
            jnp.pad(spectrum.directions[..., :longest, :, :], [*batch, (0, 0), (0, missing), (0, 0)]),
            jnp.pad(spectrum.scale, [*batch, (0, missing)], constant_values=1),
        ),
    )
