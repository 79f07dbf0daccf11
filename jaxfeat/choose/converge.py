"""How large a basis has to be: truncation nulls and sensitivity over a grid of n_max and l_max.

For one n_max, the features of every l_max are among those of the largest: one Jacobian serves all of them, reduced to
triangles shell by shell. What no basis of an order sees (theory, section 2: symmetry and N_ν) depends on the positions
alone and is worked out once for an environment; what a basis does not see beyond that is its truncation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxfeat.choose.grid import Grid
from jaxfeat.errors import BasisError, GeometryError, PrecisionError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lapack import qr_triangle
from jaxfeat.linalg.subspaces import orthogonal_complement
from jaxfeat.linalg.threads import one_blas_thread
from jaxfeat.nulls.ambiguity import CLEAR_RATIO
from jaxfeat.nulls.classify import POSITION_TOLERANCE
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.scan import CLASSIFY_BELOW
from jaxfeat.nulls.sites import Sites, list_sites
from jaxfeat.nulls.visibility import least_visibility, visibility_rows
from jaxfeat.spectrum.blocks import Block, Progress, blocks_by_shape
from jaxfeat.spectrum.jacobian import item_jacobian
from jaxfeat.spectrum.plan import species_present
from jaxfeat.spectrum.reduce import JacobianRows
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum

MIN_PER_PROGRAM = 300
"""Environments of one shape that are not worth compilations of their own: there is one for each n_max."""

QUANTILES = {"least": 0.0, "1%": 0.01, "10%": 0.1, "median": 0.5}


def converge(
    f: AbstractFeaturizer | Sequence[AbstractFeaturizer],
    batch: Environment,
    n_max: Sequence[int] = (2, 4, 6, 8),
    l_max: Sequence[int] = (2, 4, 6, 8),
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """What each basis of a grid does not see of some environments: one record per basis, n_max by n_max.

    **Arguments:**

    - `f`: a featurizer with a basis, or several, as of several orders; their own n_max and l_max do not matter.
    - `batch`: environments, `(b,)`, float64.
    - `n_max`, `l_max`: the grid. Of features that have no l_max (`RadialSpectrum`), it is 0.
    - `progress`: called with the number of environments done and their total, over all featurizers.

    **Returns:** dictionaries of plain numbers, featurizer by featurizer:

    - `nu`, `n_max`, `l_max`, `n_features`; `environments`: how many have a spectrum. The following count those.
    - `truncated`: those that a larger basis of the same order sees more of. `truncation`: their null directions of
      this cause, all together. `ambiguous`: those of which this cannot be told, because their null values are
      not clearly apart from the others. `unclassified`: those with null directions, and too many neighbors to tell why.
    - `symmetric`, `incomplete`: those with null directions that no basis of this order sees, by cause. `nearly`: those
      that would have some if their positions were exactly symmetric or singular, which they are within 1e-5 Å; J sees a
      little of these directions, and a scan calls such environments ambiguous.
    - `equilibrated`, `raw`: σ_vis/σ_max, "least", "1%", "10%" and "median" of the environments: each a `value` that
      occurs or, where it is not `known`, the floor that it lies below. σ_vis is the smallest singular value without the
      directions that no basis of this order sees, or would see at exact positions; σ_min of `scan` includes them.

    **Raises:** `BasisError` for an empty grid, sizes that define no basis, Jacobians of more than 80 MB, and
    featurizers without a basis; `PrecisionError` for positions that are not float64; `SpeciesError`, as the featurizer
    does.
    """
    grids = make_grids(f, batch, n_max, l_max)
    featurizers = _listed(f)
    host = jax.tree.map(np.asarray, batch)
    records, done = [], 0
    for one, grid in zip(featurizers, grids, strict=True):
        found: list[_GridResult] = []
        for chunk in blocks_by_shape(grid.of(grid.n_max[-1]), host, MIN_PER_PROGRAM):
            found += _evaluate(one, grid, chunk)
            done += len(chunk.indices)
            if progress is not None:
                progress(done, len(batch) * len(grids))
        n_species = 0 if one.species is None else len(one.species)
        for k, sizes in enumerate(grid):
            size = {**sizes._asdict(), "n_features": grid.n_features(sizes, n_species)}
            records.append({"nu": one.nu, **size, **_summary(found, k)})
    return records


def make_grids(
    f: AbstractFeaturizer | Sequence[AbstractFeaturizer], batch: Environment, n_max: Sequence[int], l_max: Sequence[int]
) -> list[Grid]:
    """The grid of each featurizer, once nothing is wrong with it for any of the environments.

    **Raises:** as `converge`, which starts with this.
    """
    featurizers = _listed(f)
    for one in featurizers:
        check_compatible(one, batch)
    if np.asarray(batch.positions).dtype != np.float64:
        raise PrecisionError(
            f"positions are {batch.positions.dtype}, and null directions are a matter of the last digits; "
            "enable jax_enable_x64 and give them in float64."
        )
    grids = []
    for one in featurizers:
        grid = Grid(one, n_max, l_max)
        held, counts = (species_present(one, batch) >= 0).sum(1), np.asarray(batch.n_neighbors)
        for n_species in np.unique(held).tolist():
            grid.check(n_species, int(counts[held == n_species].max()))
        grids.append(grid)
    return grids


def _listed(f: AbstractFeaturizer | Sequence[AbstractFeaturizer]) -> list[AbstractFeaturizer]:
    return list(f) if isinstance(f, Sequence) else [f]


def draw_sample(center_species: ArrayLike, size: int, seed: int = 0) -> np.ndarray:
    """Draw indices of `size` environments at random, each species of the center in proportion to its share.

    **Arguments:** `center_species`: `(b,)`, the species of all centers. `size`: at least one environment of each
    species is drawn; all of them if there are no more, or if `size` is 0.

    **Returns:** ascending indices, `(size,)`.

    **Raises:** `GeometryError` if `size` is less than the number of species, or if the seed is negative.
    """
    center_species = np.asarray(center_species)
    total = len(center_species)
    if seed < 0:
        raise GeometryError(f"the seed of a sample is {seed}; give a number of at least 0.")
    _, kind, counts = np.unique(center_species, return_inverse=True, return_counts=True)
    if size == 0 or size >= total:
        return np.arange(total)
    if size < len(counts):
        raise GeometryError(f"a sample of {size} cannot hold all {len(counts)} species of centers; draw more, or 0.")
    shares = counts * size / total
    numbers = np.maximum(np.floor(shares).astype(int), 1)
    while numbers.sum() < size:
        numbers[np.argmax(shares - numbers)] += 1
    while numbers.sum() > size:  # single ones of rare species came on top
        numbers[np.argmax(np.where(numbers > 1, numbers - shares, -np.inf))] -= 1
    rng = np.random.default_rng(seed)
    members = [rng.choice(np.flatnonzero(kind == k), n, replace=False) for k, n in enumerate(numbers)]
    return np.sort(np.concatenate(members))


class _BlindDirections(NamedTuple):
    """Directions of one environment that no basis of the order sees.

    - `symmetry`, `incompleteness`: their number by cause, without rigid motions.
    - `directions`: `(k, 3 n)`, orthonormal, rigid motions included. `rounding`: the error of these.
    - `classified`: False if there are too many neighbors to tell.
    """

    symmetry: int
    incompleteness: int
    directions: np.ndarray
    rounding: float
    classified: bool


class _GridResult(NamedTuple):
    """One environment in all bases of a grid; arrays are `(bases,)`.

    - `truncation`: null directions that some basis sees. `doubtful`: whether that number cannot be relied on.
    - `ratios`: equilibrated and raw, `(2, bases)`, σ_vis/σ_max, or the floor if σ_vis is below it (then not `known`).
        NaN if nothing is to be seen.
    - `exact`: whether the largest basis sees nothing of the blind directions. It does for rounded positions.
    """

    truncation: np.ndarray
    doubtful: np.ndarray
    ratios: np.ndarray
    known: np.ndarray
    exact: bool
    blind: _BlindDirections


def _evaluate(f: AbstractFeaturizer, grid: Grid, chunk: Block) -> list[_GridResult]:
    """The environments of a chunk that have a spectrum."""
    stacks, pairs = [], []
    with one_blas_thread():
        for n_max in grid.n_max:
            shells = grid.shells(n_max, chunk.species.shape[1])
            triangles = _triangles(grid.of(n_max).prepared(), shells.added, chunk.species, chunk.environments)
            spectra = _spectra(triangles, shells.n_features, chunk.environments)
            stacks.append(np.asarray(triangles))
            pairs.append([jax.tree.map(np.asarray, spectrum) for spectrum in spectra])
    # (kind, environment, basis, ...), kind 0 being equilibrated
    values = np.stack([np.concatenate([pair[kind].values for pair in pairs], 1) for kind in (0, 1)])
    floors = np.stack([np.concatenate([pair[kind].floor for pair in pairs], 1) for kind in (0, 1)])
    jacobians = np.concatenate(stacks, 1)
    first = pairs[0][0]
    usable = np.isin(first.status.names[:, 0], ("ok", "no-signal"))
    found = []
    for row in np.flatnonzero(usable[: len(chunk.indices)]):
        own = values[:, row, :, : first.n_values[row, 0]]
        if own.shape[-1]:
            env = jax.tree.map(lambda leaf, row=row: leaf[row], chunk.environments)
            found.append(_grid_result(f, env, jacobians[row], own, floors[:, row]))
    return found


def _grid_result(
    f: AbstractFeaturizer, env: Environment, jacobians: np.ndarray, values: np.ndarray, floors: np.ndarray
) -> _GridResult:
    """Judge one environment by its reduced Jacobians `(basis, d, n, 3)` and singular values `(kind, basis, k)`, with
    floors `(kind, basis)`; kind 0 is equilibrated."""
    sites = list_sites(f, env, np.asarray(env.mask), POSITION_TOLERANCE)
    largest = np.where(values[..., 0] > 0, values[..., 0], 1)
    blind = _blind_directions(f, sites, none=bool((values[0, :, -1] > CLASSIFY_BELOW * largest[0]).any()))
    n_blind = blind.symmetry + blind.incompleteness
    # The smallest values belong to the blind directions: null, or nearly so if positions were rounded.
    rest = values[..., : values.shape[-1] - n_blind]
    ratios, known = np.full(floors.shape, np.nan), np.zeros(floors.shape, bool)
    if rest.shape[-1]:
        known = rest[..., -1] > floors
        ratios = np.maximum(rest[..., -1], floors) / largest
    truncation = np.maximum((values[0] <= floors[0, :, None]).sum(-1) - n_blind, 0)
    close = ((rest[0] > floors[0, :, None]) & (rest[0] <= CLEAR_RATIO * floors[0, :, None])).any(-1)
    # If a basis sees a little of the blind directions because of rounding, its null directions may be others, even if
    # there are not more of them. All other values must then be well above the effect of rounding.
    moved = np.linalg.norm(jacobians.reshape(*jacobians.shape[:2], -1) @ blind.directions.T, axis=(1, 2))
    exact = moved <= CLEAR_RATIO * np.maximum(floors[1], blind.rounding * largest[1])
    certain = exact | ~(ratios[0] <= CLASSIFY_BELOW) | (truncation > 0)
    unclear = np.zeros(len(truncation), bool)
    if truncation.any() and len(blind.directions):
        # Next to a symmetric or singular point, not even a complete basis may see more than rounding.
        seen, rounding = _least_visibility(f, sites, blind.directions)
        unclear = seen <= CLEAR_RATIO * np.maximum(floors[0] / largest[0], rounding)
    doubtful = close | ~certain | (unclear & (truncation > 0))
    return _GridResult(truncation, doubtful, ratios, known, bool(exact[-1]), blind)


def _blind_directions(f: AbstractFeaturizer, sites: Sites, none: bool) -> _BlindDirections:
    """Find what no basis sees. `none`: whether some basis sees everything, so that nothing is hidden."""
    nothing = _BlindDirections(0, 0, np.zeros((0, sites.at.positions.size)), 0.0, none)
    if none:
        return nothing
    try:
        filtration = build_filtration(sites, f.nu)
    except (BasisError, GeometryError, SizeError):
        return nothing
    if filtration.kernel is None:
        return nothing
    # N_ν holds what symmetry hides. For positions symmetric only within the tolerance it may come out smaller.
    larger = max(filtration.symmetry, filtration.kernel, key=len)
    n_symmetry = len(filtration.symmetry)
    rounding = 1e-15 / min(filtration.gap["kernel"][1], 1.0)
    return _BlindDirections(n_symmetry - len(filtration.rigid), len(larger) - n_symmetry, larger, rounding, True)


def _least_visibility(f: AbstractFeaturizer, sites: Sites, blind: np.ndarray) -> tuple[float, float]:
    """Compute how clearly a complete basis sees the directions that are not blind, as `least_visibility` does."""
    assert f.nu is not None
    rows = visibility_rows(sites, f.nu)[:, sites.present]
    return least_visibility(rows, orthogonal_complement(blind[:, sites.present]))


@eqx.filter_jit
def _triangles(
    f: AbstractFeaturizer, added: tuple[np.ndarray, ...], subsets: Int[Array, "b k"] | np.ndarray, batch: Environment
) -> Float[Array, "b l 3n n 3"]:
    """Of each environment's Jacobian, for each l_max, a triangle with the same singular values."""

    def single(subset: Int[Array, " k"] | np.ndarray, env: Environment) -> Float[Array, "l 3n n 3"]:
        jacobian = item_jacobian(f.restricted_to_species(subset) if f.species is not None else f, env)
        size = 3 * jacobian.shape[1]
        matrix = jacobian.reshape(-1, size)
        triangles = [jnp.zeros((size, size), matrix.dtype)]
        for rows in added:
            stacked = jnp.concatenate([triangles[-1], matrix[rows]])
            triangles.append(qr_triangle(stacked) if len(rows) else triangles[-1])
        return jnp.stack(triangles[1:]).reshape(-1, size, *jacobian.shape[1:])

    return jax.vmap(single)(subsets, batch)


@eqx.filter_jit
def _spectra(
    triangles: Float[Array, "b l 3n n 3"], n_features: Int[Array, " l"] | np.ndarray, batch: Environment
) -> tuple[Spectrum, Spectrum]:
    """Equilibrated and raw, `(b, l)`, without directions. One program for all n_max."""

    def single(triangle: Float[Array, "3n n 3"], n_features: Int[Array, ""] | np.ndarray, env: Environment) -> Any:
        norms = jnp.sqrt(jnp.sum(triangle**2, (0, 2)))
        return tuple(
            decompose(
                JacobianRows(triangle.reshape(len(triangle), -1), norms, n_features), env,
                equilibrated=scaled, directions=False,
            )
            for scaled in (True, False)
        )  # fmt: skip

    return jax.vmap(jax.vmap(single, (0, 0, None)), (0, None, 0))(triangles, n_features, batch)


def _summary(seen: Sequence[_GridResult], basis: int) -> dict[str, Any]:
    """What a record says of all environments in one basis."""
    beyond = np.asarray([one.truncation[basis] for one in seen], int)
    doubtful = np.asarray([one.doubtful[basis] for one in seen], bool)
    unknown = np.asarray([not one.blind.classified for one in seen], bool)
    unclassified = unknown & (beyond > 0)
    truncated = ~unclassified & ~doubtful & (beyond > 0)
    return {
        "environments": len(seen),
        "truncated": int(truncated.sum()),
        "truncation": int(beyond[truncated].sum()),
        "ambiguous": int((doubtful & ~unclassified).sum()),
        "unclassified": int(unclassified.sum()),
        "symmetric": sum(one.exact and one.blind.symmetry > 0 for one in seen),
        "incomplete": sum(one.exact and one.blind.incompleteness > 0 for one in seen),
        "nearly": sum(not one.exact for one in seen),
        "equilibrated": _quantiles([(bool(one.known[0, basis]), float(one.ratios[0, basis])) for one in seen]),
        "raw": _quantiles([(bool(one.known[1, basis]), float(one.ratios[1, basis])) for one in seen]),
    }


def _quantiles(ratios: Sequence[tuple[bool, float]]) -> dict[str, dict[str, Any]]:
    # Those below their floors come first: they are the smaller ones, whatever the floors.
    ascending = sorted(one for one in ratios if not np.isnan(one[1]))
    picked = {name: ascending[int(share * (len(ascending) - 1))] for name, share in QUANTILES.items() if ascending}
    return {name: {"value": value, "known": known} for name, (known, value) in picked.items()}
