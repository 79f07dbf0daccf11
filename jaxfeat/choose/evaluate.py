"""Grids of bases, and one environment in every basis: spectra, and the null directions that the basis causes. For one
n_max, the features of every l_max are among those of the largest. So one Jacobian serves all of them, reduced to
triangles shell by shell. The directions that no basis of the order sees (docs/theory: symmetry and N_ν) depend on the
positions alone. The other null directions of a basis are due to truncation."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, product
from math import comb
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.lapack import one_blas_thread, qr_triangle
from jaxfeat.linalg.subspaces import orthogonal_complement
from jaxfeat.nulls.classify import POSITION_TOLERANCE
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.scan_records import CLASSIFY_BELOW
from jaxfeat.nulls.sites import Sites, list_sites
from jaxfeat.nulls.visibility import CLEAR_RATIO, least_visibility, visibility_rows
from jaxfeat.spectrum.blocks import Block
from jaxfeat.spectrum.jacobian import item_jacobian
from jaxfeat.spectrum.reduce import ReducedJacobian
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum

MAX_GRID_ENTRIES = 10_000_000  # entries of the largest Jacobian of one environment: 80 MB


class Sizes(NamedTuple):
    """A basis of the grid."""

    n_max: int
    l_max: int


class Shells(NamedTuple):
    """The features of one n_max: those that each l_max adds, ascending, as indices into those of the largest."""

    added: tuple[np.ndarray, ...]
    n_features: np.ndarray


class Grid:
    """A featurizer in every basis of a grid of n_max and l_max, each ascending and without repeats."""

    def __init__(self, f: AbstractFeaturizer, n_max: Sequence[int], l_max: Sequence[int]) -> None:
        if "n_max" not in f.sizes:
            raise BasisError(f"{type(f).__name__} has no n_max to vary; give a featurizer with a radial basis.")
        for name, sizes in (("n_max", n_max), ("l_max", l_max)):
            if not len(sizes):
                raise BasisError(f"{name} is empty; give at least one size to try.")
        # The radial spectrum has no l_max: its features are those of l = 0.
        angular = "l_max" in f.sizes
        self.n_max, self.l_max = sorted(set(n_max)), sorted(set(l_max)) if angular else [0]
        self._bases = {
            sizes: f.with_sizes(**sizes._asdict()) if angular else f.with_sizes(n_max=sizes.n_max)
            for sizes in map(Sizes._make, product(self.n_max, self.l_max))
        }
        self.shells = cache(self._shells)
        self.n_features = cache(self._n_features)

    def __iter__(self) -> Iterator[Sizes]:
        return iter(self._bases)

    def __len__(self) -> int:
        return len(self._bases)

    def of(self, n_max: int) -> AbstractFeaturizer:
        """Return the featurizer of one n_max and the largest l_max."""
        return self._bases[Sizes(n_max, self.l_max[-1])]

    def check(self, n_species: int, n_neighbors: int) -> None:
        """Raise `BasisError` if the Jacobian of an environment of this size is too large for some basis."""
        for sizes in self:  # ascending: the first one that is too large is still small enough to be counted
            n_features = self.n_features(sizes, n_species)
            if 3 * n_neighbors * n_features > MAX_GRID_ENTRIES:
                raise BasisError(
                    f"n_max = {sizes.n_max}, l_max = {sizes.l_max} make {n_features} features of {n_species} species "
                    f"and derivatives by {n_neighbors} neighbors, too many for memory; choose smaller sizes or r_cut."
                )

    def _n_features(self, sizes: Sizes, n_species: int) -> int:
        f = self._bases[sizes]
        if f.species is None:
            return f.n_features
        # The number of features is a polynomial of degree ν in the number of species, evaluated by its differences at
        # 0. The features of the many species of a set of crystals are too many to list.
        known = min(n_species, f.nu) if f.nu is not None else n_species
        species = np.arange(1, known + 1, dtype=np.int32)
        counts = [0, *(f.restricted_to_species(species[:k]).n_features for k in range(1, known + 1))]
        return sum(comb(n_species, k) * int(np.diff(counts, k)[0]) for k in range(known + 1))

    def _shells(self, n_max: int, n_species: int) -> Shells:
        """Sort the features of one n_max, for environments that hold this number of species."""
        species = np.arange(1, n_species + 1, dtype=np.int32)
        labels = [self._bases[Sizes(n_max, l)].restricted_to_species(species).labels for l in self.l_max]
        index = {label: k for k, label in enumerate(labels[-1])}
        columns = [np.asarray([index[label] for label in some], int) for some in labels]
        added = [columns[0], *(np.setdiff1d(new, old) for old, new in pairwise(columns))]
        return Shells(tuple(added), np.asarray([len(some) for some in columns]))


class BlindDirections(NamedTuple):
    """Directions of one environment that no basis of the order sees. `symmetry` and `incompleteness` count them by
    cause, without rigid motions. `directions`, `(k, 3 n)`, are orthonormal and include rigid motions; `rounding` is
    their error. `classified` is False if there are too many neighbors to tell."""

    symmetry: int
    incompleteness: int
    directions: np.ndarray
    rounding: float
    classified: bool


class BasisResults(NamedTuple):
    """One environment in all bases of a grid. `truncation`, `(bases,)`, counts the null directions that some other
    basis sees, and may be wrong where `doubtful`. `ratios`, `(2, bases)`, equilibrated and raw, are σ_vis/σ_max where
    `known`, otherwise the floor above it, and NaN if there is nothing to see. `exact` is False if the largest basis
    sees a little of the blind directions, as it does if positions are rounded."""

    truncation: np.ndarray
    doubtful: np.ndarray
    ratios: np.ndarray
    known: np.ndarray
    exact: bool
    blind: BlindDirections


def evaluate_bases(f: AbstractFeaturizer, grid: Grid, block: Block) -> list[BasisResults]:
    """Evaluate all bases for the environments of a block that have a spectrum."""
    triangles, spectra = [], []
    with one_blas_thread(of_xla=True):
        for n_max in grid.n_max:
            shells = grid.shells(n_max, block.present.shape[1])
            reduced = _reduce_each_l_max(grid.of(n_max).prepared(), shells.added, block.present, block.items)
            spectra.append(jax.tree.map(np.asarray, _spectra(reduced, shells.n_features, block.items)))
            triangles.append(np.asarray(reduced))
    jacobians = np.concatenate(triangles, 1)
    kinds = jax.tree.map(lambda *leaves: np.concatenate(leaves, 1), *spectra)
    # (kind, environment, basis, ...), as in `_judge_bases`.
    values, floors = np.stack([kind.values for kind in kinds]), np.stack([kind.floor for kind in kinds])
    status, n_values = kinds[0].status.names[:, 0], kinds[0].n_values[:, 0]
    usable = np.isin(status, ("ok", "no-signal")) & (n_values > 0)
    return [
        _judge_bases(f, block.items[row], jacobians[row], values[:, row, :, : n_values[row]], floors[:, row])
        for row in np.flatnonzero(usable[: len(block.indices)])
    ]


@eqx.filter_jit
def _reduce_each_l_max(
    f: AbstractFeaturizer, added: tuple[np.ndarray, ...], subsets: Int[Array, "b k"] | np.ndarray, batch: Environment
) -> Float[Array, "b l 3n n 3"]:
    """Reduce the Jacobian of each environment, for each l_max, to a triangle with the same singular values."""

    def of_one(subset: Int[Array, " k"] | np.ndarray, env: Environment) -> Float[Array, "l 3n n 3"]:
        jacobian = item_jacobian(f.restricted_to_species(subset) if f.species is not None else f, env)
        size = 3 * jacobian.shape[1]
        matrix = jacobian.reshape(-1, size)
        triangles = [jnp.zeros((size, size), matrix.dtype)]
        for rows in added:
            stacked = jnp.concatenate([triangles[-1], matrix[rows]])
            triangles.append(qr_triangle(stacked) if len(rows) else triangles[-1])
        return jnp.stack(triangles[1:]).reshape(-1, size, *jacobian.shape[1:])

    return jax.vmap(of_one)(subsets, batch)


@eqx.filter_jit
def _spectra(
    triangles: Float[Array, "b l 3n n 3"], n_features: Int[Array, " l"] | np.ndarray, batch: Environment
) -> tuple[Spectrum, Spectrum]:
    """Compute equilibrated and raw spectra, `(b, l)`, without directions. One program serves all n_max."""

    def of_one(
        triangle: Float[Array, "3n n 3"], n_features: Int[Array, ""] | np.ndarray, env: Environment
    ) -> tuple[Spectrum, Spectrum]:
        norms = jnp.sqrt(jnp.sum(triangle**2, (0, 2)))
        rows = ReducedJacobian(triangle.reshape(len(triangle), -1), norms, n_features)
        equilibrated, raw = (decompose(rows, env, equilibrated=scaled, directions=False) for scaled in (True, False))
        return equilibrated, raw

    return jax.vmap(jax.vmap(of_one, (0, 0, None)), (0, None, 0))(triangles, n_features, batch)


def _judge_bases(
    f: AbstractFeaturizer, env: Environment, jacobians: np.ndarray, values: np.ndarray, floors: np.ndarray
) -> BasisResults:
    """Judge one environment by its reduced Jacobians `(basis, d, n, 3)`, its singular values `(kind, basis, k)` and
    their floors `(kind, basis)`. Kind 0 is equilibrated, kind 1 is raw."""
    sites = list_sites(f, env, np.asarray(env.mask), POSITION_TOLERANCE)
    largest = np.where(values[..., 0] > 0, values[..., 0], 1)
    all_seen = bool((values[0, :, -1] > CLASSIFY_BELOW * largest[0]).any())
    blind = BlindDirections(0, 0, np.zeros((0, env.positions.size)), 0.0, all_seen)
    if not all_seen:
        blind = find_blind_directions(f, sites) or blind
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
        assert f.nu is not None
        rows = visibility_rows(sites, f.nu)[:, sites.present]
        seen, rounding = least_visibility(rows, orthogonal_complement(blind.directions[:, sites.present]))
        unclear = seen <= CLEAR_RATIO * np.maximum(floors[0] / largest[0], rounding)
    doubtful = close | ~certain | (unclear & (truncation > 0))
    return BasisResults(truncation, doubtful, ratios, known, bool(exact[-1]), blind)


def find_blind_directions(f: AbstractFeaturizer, sites: Sites) -> BlindDirections | None:
    """Find the directions that no basis sees; `None` if there are too many neighbors to tell."""
    try:
        filtration = build_filtration(sites, f.nu)
    except (BasisError, GeometryError, SizeError):
        return None
    if filtration.kernel is None:
        return None
    # N_ν holds what symmetry hides. For positions symmetric only within the tolerance it may come out smaller.
    larger = max(filtration.symmetry, filtration.kernel, key=len)
    n_symmetry = len(filtration.symmetry)
    rounding = 1e-15 / min(filtration.gap["kernel"][1], 1.0)
    return BlindDirections(n_symmetry - len(filtration.rigid), len(larger) - n_symmetry, larger, rounding, True)
