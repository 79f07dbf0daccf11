"""The singular spectrum of a Jacobian without its rigid null directions."""

from __future__ import annotations

from functools import partial
from math import sqrt

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer, AbstractStructureMap, featurizer_of
from jaxfeat.geometry.environment import COINCIDENT, Environment, concrete
from jaxfeat.geometry.rigid import RigidMotions, rigid_motions
from jaxfeat.geometry.structure import Structure
from jaxfeat.sensitivity.jacobian import weighed_jacobian
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
    - `status`: a `Status`.
    """

    values: Float[Array, "*batch k"]
    directions: Float[Array, "*batch k n 3"]
    scale: Float[Array, "*batch n"]
    n_values: Int[Array, "*batch"]
    n_rigid: Int[Array, "*batch"]
    floor: Float[Array, "*batch"]
    status: Status

    @property
    def ratio(self) -> Float[Array, "*batch"]:
        """σ_min/σ_max, the sensitivity ratio; NaN where there are no values."""
        if self.values.shape[-1] == 0:
            return jnp.full(self.n_values.shape, jnp.nan, self.values.dtype)
        last = jnp.maximum(self.n_values - 1, 0)[..., None]
        return jnp.take_along_axis(self.values, last, -1)[..., 0] / self.values[..., 0]

    @property
    def n_null(self) -> Int[Array, "*batch"]:
        """How many values lie below the floor: non-rigid null directions."""
        return jnp.sum(self.values <= self.floor[..., None], -1)


def singular_spectrum(
    f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, equilibrated: bool = False
) -> Spectrum:
    """Singular values and right singular vectors of dF/dr on the non-rigid displacements.

    Rigid motions (rotations about the fixed center of an environment; translations and rotations of a molecule;
    translations of a crystal) are projected out in closed form, then QR, then an SVD of R.

    **Arguments:**

    - `f`: a featurizer with an `Environment`, or a structure map with a `Structure`; single or batched.
    - `equilibrated`: divide each atom's columns by their joint norm first, which takes out how much the cutoff and
      the radial basis weigh it. No null space changes. Judge blindness by this one, physics by the raw one.

    Inside jit, where the shape cannot depend on the positions, k is 3n - 3 for n > 1. A set of n atoms that all lie on
    a line with the center has one direction more, and that null direction is not listed there: `n_values` counts it.

    Float32 knows nothing below about 1e-4 of the largest value; `floor` and `status` say so.

    **Raises:** `SpeciesError`, as the featurizer does.
    """
    environments = at if isinstance(at, Environment) else at.environments()
    featurizer_of(f).check(environments)
    if concrete(at.positions) is None:
        return _compiled(f, at, equilibrated, False)
    if isinstance(at, Structure):
        return _fitted(_compiled(f, at, equilibrated, True), at.positions.shape[-2])
    return _fitted(_compiled(f, at.trimmed(), equilibrated, True), at.max_neighbors)


@eqx.filter_jit
def _compiled(
    f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, equilibrated: bool, every: bool
) -> Spectrum:
    call = partial(single_spectrum, equilibrated=equilibrated, every=every)
    for _ in at.batch_shape:
        call = jax.vmap(call, in_axes=(None, 0))
    return call(f, at)


def single_spectrum(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    *,
    equilibrated: bool,
    every: bool,
) -> Spectrum:
    """The spectrum of one item. `every` leaves room for the direction more that collinear atoms have."""
    return jacobian_spectrum(*weighed_jacobian(f, at), f, at, equilibrated=equilibrated, every=every)


def jacobian_spectrum(
    jacobian: Float[Array, "d n 3"],
    added: Float[Array, " n"],
    f: AbstractFeaturizer | AbstractStructureMap | None,
    at: Environment | Structure,
    *,
    equilibrated: bool,
    every: bool,
    directions: bool = True,
    n_features: Int[Array, ""] | np.ndarray | int | None = None,
) -> Spectrum:
    """The spectrum of a Jacobian that is at hand already, as `weighed_jacobian` gives it.

    `f` is asked which species it knows; `None` where they have been checked on the host.
    Without `directions`, which take most of the time, none are listed. `n_features` is how many rows there were, if
    they have been reduced.
    """
    d, n, _ = jacobian.shape
    dtype = jacobian.dtype
    finite = jnp.isfinite(jacobian).all() & jnp.isfinite(at.positions).all()
    jacobian, added = jnp.where(finite, jacobian, 0), jnp.where(finite, added, 0)
    height = jnp.asarray(d if n_features is None else n_features, dtype)
    rounding = jnp.maximum(height, max(3 * n, LEAST_ROUNDING)) * jnp.finfo(dtype).eps
    scale = jnp.ones(n, dtype)
    if equilibrated:
        norms = jnp.sqrt(jnp.sum(jacobian**2, (0, 2)))
        # Columns that cancelled down to rounding errors must not be blown up to signals.
        norms = jnp.where(norms > rounding * added, norms, added)
        scale = jnp.where(norms > 0, norms, jnp.where(added.max(initial=0) > 0, added.max(initial=0), 1))
    rigid = _rigid(at, scale if equilibrated else None)
    matrix = rigid.project((jacobian / scale[None, :, None]).reshape(d, 3 * n))
    values, coordinates = _decompose(matrix, rigid.valid, directions)
    n_values = jnp.sum(rigid.valid)
    room = values.shape[0] if every else 3 * n - rigid.n_rigid_generic
    rows = rigid.lift(coordinates).T[:room]
    listed = jnp.arange(room) < n_values
    # An atom's three columns have a joint norm of at most √3 times the largest singular value: where nothing cancels,
    # the floor is that of the values alone.
    largest = jnp.maximum(values.max(initial=0), (added / scale).max(initial=0) / sqrt(3))
    floor = rounding * largest / rigid.clearance
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
        status=status,
    )


def _decompose(
    matrix: Float[Array, "d c"], valid: Bool[Array, " c"], vectors: bool
) -> tuple[Float[Array, " c"], Float[Array, "c k"]]:
    """Singular values of the valid columns, then zeros, and right singular vectors as columns alike, or none."""
    c = matrix.shape[1]
    if c == 0:
        return jnp.zeros(0, matrix.dtype), jnp.zeros((0, 0), matrix.dtype)
    matrix = jnp.where(valid[None], matrix, 0)
    # Invalid columns get a singular value of their own above all others. As zeros they would mix with the true null
    # directions; decoupled and on top, they can be taken off.
    on_top = jnp.linalg.norm(matrix)
    marks = jnp.diag(jnp.where(valid, 0, jnp.where(on_top > 0, 2 * on_top, 1)))
    r = jnp.linalg.qr(jnp.concatenate([matrix, marks]), mode="r")
    n_valid = jnp.sum(valid)
    order = (jnp.arange(c) + c - n_valid) % c
    kept = jnp.arange(c) < n_valid
    if not vectors:
        return jnp.where(kept, jnp.linalg.svd(r, compute_uv=False)[order], 0), jnp.zeros((c, 0), matrix.dtype)
    _, values, rows = jnp.linalg.svd(r, full_matrices=False)
    return jnp.where(kept, values[order], 0), jnp.where(kept[None], rows[order].T, 0)


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
