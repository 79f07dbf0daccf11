"""The singular spectrum of a Jacobian without its rigid null directions, once the Jacobian has been reduced."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import COINCIDENCE_DISTANCE, Environment, on_host
from jaxfeat.geometry.rigid import RigidMotions, rigid_motions
from jaxfeat.geometry.structure import Structure
from jaxfeat.linalg.eigen import psd_eigenvalues
from jaxfeat.linalg.svd import right_svd
from jaxfeat.spectrum.reduce import Reduced
from jaxfeat.spectrum.status import NAMES, Status

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
    - `certified`: `(...)`, whether the values come from rows of J, or from JᵀJ only where that leaves them as exact; if
      not, all come from JᵀJ, and the floor is that of JᵀJ.
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


class Projected(NamedTuple):
    """A reduced Jacobian, or JᵀJ, on the displacements that are not rigid.

    **Attributes:**

    - `matrix`: its columns, and where squared its rows, in the coordinates that `rigid` leaves.
    - `scale`: `(n,)`, as in `Spectrum`. `added`: `(n,)`, what was added up to each atom's columns, over that.
    - `rounding`: eps times what errors add up to.
    - `finite`: whether all of it is. `sure`: whether no atom's columns cancelled so far that JᵀJ had lost their norm.
    """

    matrix: Float[Array, "k c"]
    rigid: RigidMotions
    scale: Float[Array, " n"]
    added: Float[Array, " n"]
    rounding: Float[Array, ""]
    finite: Bool[Array, ""]
    sure: Bool[Array, ""]

    @property
    def n_values(self) -> Int[Array, ""]:
        return jnp.sum(self.rigid.valid)

    def largest(self, values: Float[Array, " c"]) -> Float[Array, ""]:
        """The largest singular value, or more where contributions cancel: an atom's three columns have a joint norm of
        at most √3 times it, so that where nothing cancels it is that of the values alone."""
        return jnp.maximum(values.max(initial=0), self.added.max(initial=0) / sqrt(3))

    def floor(self, values: Float[Array, " c"], squared: bool) -> Float[Array, ""]:
        """Of what comes from a few rows; or from JᵀJ, entries of which are wrong by rounding times the lengths of two
        columns."""
        floor = self.rounding * self.largest(values) / self.rigid.clearance
        return jnp.maximum(floor, jnp.sqrt(self.rounding * jnp.sum(self.added**2))) if squared else floor


def projected(reduced: Reduced, at: Environment | Structure, *, equilibrated: bool, squared: bool) -> Projected:
    """One item's reduced Jacobian without rigid motions; `squared`: it is JᵀJ."""
    matrix, added, n_features = reduced
    n, dtype = at.positions.shape[0], matrix.dtype
    # Whatever is wrong with an entry is wrong with the norm of its column.
    finite = jnp.isfinite(added).all() & jnp.isfinite(at.positions).all()
    matrix, added = jnp.where(finite, matrix, 0), jnp.where(finite, added, 0)
    rounding = jnp.maximum(jnp.asarray(n_features, dtype), max(3 * n, LEAST_ROUNDING)) * jnp.finfo(dtype).eps
    scale, sure = jnp.ones(n, dtype), jnp.asarray(True)
    if equilibrated:
        squares = jnp.diagonal(matrix) if squared else jnp.sum(matrix**2, 0)
        norms = jnp.sqrt(jnp.sum(squares.reshape(n, 3), 1))
        # Columns that cancelled down to rounding errors must not be blown up to signals.
        told = norms > (jnp.sqrt(rounding) if squared else rounding) * added
        sure = (told | (added == 0)).all()
        norms = jnp.where(told, norms, added)
        scale = jnp.where(norms > 0, norms, jnp.where(added.max(initial=0) > 0, added.max(initial=0), 1))
    rigid = _rigid(at, scale if equilibrated else None)
    wide = jnp.repeat(scale, 3)
    matrix = rigid.project(matrix / wide[None])
    if squared:
        matrix = jnp.where(rigid.valid[:, None], rigid.project(matrix.T / wide[None]), 0)
    return Projected(matrix, rigid, scale, added / scale, rounding, finite, sure)


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
    seen = projected(reduced, at, equilibrated=equilibrated, squared=squared)
    if squared:
        values = jnp.sqrt(psd_eigenvalues(seen.matrix, seen.rigid.valid))
        coordinates = jnp.zeros((len(values), 0), values.dtype)
    else:
        values, coordinates = right_svd(seen.matrix, seen.rigid.valid, directions)
    floor = seen.floor(values, squared)
    return concluded(seen, f, at, values, coordinates, floor, jnp.asarray(not squared), every=every)


def concluded(
    seen: Projected,
    f: AbstractFeaturizer | AbstractStructureMap | None,
    at: Environment | Structure,
    values: Float[Array, " c"],
    coordinates: Float[Array, "c k"],
    floor: Float[Array, ""],
    certified: Bool[Array, ""],
    *,
    every: bool,
) -> Spectrum:
    """The spectrum of one item, given its values, descending, and right singular vectors as columns."""
    n, rigid = at.positions.shape[0], seen.rigid
    n_values = seen.n_values
    room = values.shape[0] if every else 3 * n - rigid.n_rigid_generic
    rows = rigid.lift(coordinates).T[:room]
    listed = jnp.arange(room) < n_values
    status = _status(f, at, seen.finite, n_values, values.max(initial=0) > floor)
    below = jnp.where(jnp.arange(values.shape[0]) < n_values, values, jnp.inf).min(initial=jnp.inf) <= floor
    short = (status.code == NAMES.index("ok")) & below & (jnp.finfo(values.dtype).bits < 64)
    status = Status(jnp.where(short, NAMES.index("float32-floor"), status.code))
    known = listed & seen.finite
    return Spectrum(
        values=jnp.where(known, values[:room], jnp.nan),
        directions=jnp.where(known[: len(rows), None, None], rows.reshape(len(rows), n, 3), 0),
        scale=seen.scale,
        n_values=n_values,
        n_rigid=rigid.n_rigid,
        floor=jnp.where(seen.finite, floor, jnp.nan),
        certified=certified,
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
    sure = lambda _: jnp.asarray(True)  # noqa: E731
    known, reaches = (sure, sure)
    if f is not None:
        known, reaches = f.environment_featurizer.accepts_species, f.environment_featurizer.accepts_radius
    coincident = _coincident
    if not isinstance(at, Environment):
        known, reaches, coincident = (jax.vmap(of_one) for of_one in (known, reaches, coincident))
    wrong = {
        "unsearchable": (at.r_cut == 0).any(),
        "wrong-radius": ~reaches(environments).all(),
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
    near = (jnp.abs(points[:, None] - points[None]).max(-1) < COINCIDENCE_DISTANCE) & present[:, None] & present[None]
    return near.sum() > present.sum()
