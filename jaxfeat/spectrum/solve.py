"""From a reduced Jacobian to its spectrum: rigid motions are projected out, then the rest is decomposed."""

from math import sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import any_coincide
from jaxfeat.geometry.rigid import RigidMotions, item_rigid_motions
from jaxfeat.geometry.structure import Item
from jaxfeat.linalg.eigen import psd_eigenvalues
from jaxfeat.linalg.svd import right_svd
from jaxfeat.spectrum.reduce import ReducedJacobian
from jaxfeat.spectrum.spectrum import STATUS_NAMES, Spectrum, Status

LEAST_ROUNDING = 256  # rounding error of σ_max in eps, at least: radial functions add up large terms that nearly cancel


def decompose(
    reduced: ReducedJacobian,
    at: Item,
    f: FeatureMap | None = None,
    *,
    equilibrated: bool,
    directions: bool = True,
    collinear: bool = True,
) -> Spectrum:
    """Compute the spectrum of one item. Without `f`, the status reports no unknown species and no wrong radius.
    `collinear` leaves room for the direction that atoms on a line have beyond the 3n - 3 (3n - 6) of other sets."""
    part = project_out_rigid(reduced, at, equilibrated=equilibrated)
    if reduced.squared:
        values = jnp.sqrt(psd_eigenvalues(part.matrix, part.rigid.valid))
        coordinates, floor = jnp.zeros((len(values), 0), values.dtype), part.floor_of_gram(values)
    else:
        values, coordinates = right_svd(part.matrix, part.rigid.valid, directions)
        floor = part.floor_of_rows(values)
    certified = jnp.asarray(not reduced.squared)
    return make_spectrum(part, at, f, values, coordinates, floor, certified, collinear=collinear)


class NonrigidJacobian(NamedTuple):
    """A reduced Jacobian, or JᵀJ, in the coordinates that `rigid` leaves, over the `scale` of a `Spectrum`, with the
    `contributions` of a `ReducedJacobian` over `scale`. `rounding` is eps times the number of rounding errors that add
    up. `norms_known` is False if an atom's columns cancelled so far that JᵀJ has lost their norm."""

    matrix: Float[Array, "k c"]
    rigid: RigidMotions
    scale: Float[Array, " n"]
    contributions: Float[Array, " n"]
    rounding: Float[Array, ""]
    finite: Bool[Array, ""]
    norms_known: Bool[Array, ""]

    @property
    def n_values(self) -> Int[Array, ""]:
        return jnp.sum(self.rigid.valid)

    def largest(self, values: Float[Array, " c"]) -> Float[Array, ""]:
        """Compute the size that rounding errors are in proportion to: σ_max, or more if contributions cancel. If
        nothing cancels, it is σ_max, because the joint norm of an atom's three columns is at most √3 σ_max."""
        return jnp.maximum(values.max(initial=0), self.contributions.max(initial=0) / sqrt(3))

    def floor_of_rows(self, values: Float[Array, " c"]) -> Float[Array, ""]:
        """Bound the rounding error of a singular value that comes from rows of J."""
        return self.rounding * self.largest(values) / self.rigid.clearance

    def floor_of_gram(self, values: Float[Array, " c"]) -> Float[Array, ""]:
        """Bound the error of a value from JᵀJ, whose entries are wrong by `rounding` times two columns' lengths."""
        return jnp.maximum(self.floor_of_rows(values), jnp.sqrt(self.rounding * jnp.sum(self.contributions**2)))


def project_out_rigid(reduced: ReducedJacobian, at: Item, *, equilibrated: bool) -> NonrigidJacobian:
    """Equilibrate one item's reduced Jacobian if asked to, and project rigid motions out of it."""
    matrix, contributions, squared = reduced.matrix, reduced.contributions, reduced.squared
    n, dtype = at.positions.shape[0], matrix.dtype
    # An entry that is not finite makes the norm of its column not finite.
    finite = jnp.isfinite(contributions).all() & jnp.isfinite(at.positions).all()
    matrix, contributions = jnp.where(finite, matrix, 0), jnp.where(finite, contributions, 0)
    rounding = jnp.maximum(jnp.asarray(reduced.n_features, dtype), max(3 * n, LEAST_ROUNDING)) * jnp.finfo(dtype).eps
    scale, norms_known = jnp.ones(n, dtype), jnp.asarray(True)
    if equilibrated:
        squares = jnp.diagonal(matrix) if squared else jnp.sum(matrix**2, 0)
        norms = jnp.sqrt(jnp.sum(squares.reshape(n, 3), 1))
        # Columns that cancelled down to rounding errors must not be blown up to signals.
        reliable = norms > (jnp.sqrt(rounding) if squared else rounding) * contributions
        norms_known = (reliable | (contributions == 0)).all()
        norms = jnp.where(reliable, norms, contributions)
        most = contributions.max(initial=0)
        scale = jnp.where(norms > 0, norms, jnp.where(most > 0, most, 1))
    rigid = item_rigid_motions(at, scale if equilibrated else None)
    of_columns = jnp.repeat(scale, 3)
    matrix = rigid.project(matrix / of_columns[None])
    if squared:
        matrix = jnp.where(rigid.valid[:, None], rigid.project(matrix.T / of_columns[None]), 0)
    return NonrigidJacobian(matrix, rigid, scale, contributions / scale, rounding, finite, norms_known)


def make_spectrum(
    part: NonrigidJacobian,
    at: Item,
    f: FeatureMap | None,
    values: Float[Array, " c"],
    coordinates: Float[Array, "c k"],
    floor: Float[Array, ""],
    certified: Bool[Array, ""],
    *,
    collinear: bool,
) -> Spectrum:
    """Make the `Spectrum` of one item from its values, descending, and its right singular vectors as columns."""
    n, rigid, n_values = at.positions.shape[0], part.rigid, part.n_values
    most = values.shape[0] if collinear else 3 * n - rigid.n_rigid_generic
    rows = rigid.lift(coordinates).T[:most]
    known = (jnp.arange(most) < n_values) & part.finite
    return Spectrum(
        values=jnp.where(known, values[:most], jnp.nan),
        directions=jnp.where(known[: len(rows), None, None], rows.reshape(len(rows), n, 3), 0),
        scale=part.scale,
        n_values=n_values,
        n_rigid=rigid.n_rigid,
        floor=jnp.where(part.finite, floor, jnp.nan),
        certified=certified,
        status=_status(f, at, part, values, floor),
    )


def _status(
    f: FeatureMap | None, at: Item, part: NonrigidJacobian, values: Float[Array, " c"], floor: Float[Array, ""]
) -> Status:
    """Name the first thing that is wrong, in an order in which causes come before their consequences."""
    listed = jnp.where(jnp.arange(values.shape[0]) < part.n_values, values, jnp.inf)
    environments = at if isinstance(at, Environment) else at.environments()
    known = reaches = smooth = lambda _: jnp.asarray(True)
    if f is not None:
        featurizer = f.environment_featurizer
        known, reaches, smooth = featurizer.accepts_species, featurizer.accepts_radius, featurizer.is_smooth_at
    if not isinstance(at, Environment):
        known, reaches, smooth = jax.vmap(known), jax.vmap(reaches), jax.vmap(smooth)
    wrong = {
        "unsearchable": (at.r_cut == 0).any(),
        "wrong-radius": ~reaches(environments).all(),
        "empty": ~environments.mask.any(),
        "non-finite": ~part.finite,
        "coincident": any_coincide(environments.positions, environments.mask).any(),
        "unknown-species": ~known(environments).all(),
        "not-smooth": ~smooth(environments).all(),
        "no-signal": ~(values.max(initial=0) > floor) & (part.n_values > 0),
        "float32-floor": (listed.min(initial=jnp.inf) <= floor) & (jnp.finfo(values.dtype).bits < 64),
    }
    code = jnp.asarray(STATUS_NAMES.index("ok"))
    for name, holds in reversed(wrong.items()):
        code = jnp.where(holds, STATUS_NAMES.index(name), code)
    return Status(code)
