"""How large a basis must be: truncation and sensitivity over a grid of n_max and l_max, for all data or a sample."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from jaxfeat.choose.evaluate import BasisResults, Grid, evaluate_bases
from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64
from jaxfeat.geometry.structure import species_present
from jaxfeat.progress import Progress, show_progress
from jaxfeat.spectrum.blocks import blocks_by_shape

MIN_PER_PROGRAM = 300  # environments of one shape that are worth programs of their own, one for each n_max
QUANTILES = {"least": 0.0, "1%": 0.01, "10%": 0.1, "median": 0.5}


def converge(
    f: AbstractFeaturizer | Sequence[AbstractFeaturizer],
    batch: Environment,
    n_max: Sequence[int] = (2, 4, 6, 8),
    l_max: Sequence[int] = (2, 4, 6, 8),
    progress: Progress | bool | None = None,
) -> list[dict[str, Any]]:
    """Find out how large a basis must be: count the null directions that each basis of a grid causes.

    A basis truncates an environment if a larger basis of the same order ν sees more of it.

    **Arguments:**

    - `f`: A featurizer with a basis, or a list of several, for example of several orders. Their own n_max and l_max do
        not matter.
    - `batch`: Environments with one leading axis, in float64.
    - `n_max`, `l_max`: The sizes of the grid. Features without l_max (`RadialSpectrum`) have l_max 0.
    - `progress`: True to show progress on stderr or in the notebook; or a function, called as `progress(done, total)`
        with numbers of environments, over all featurizers.

    **Returns:** A list with one dictionary of plain numbers for each basis, by featurizer, n_max and l_max:

    - `nu`, `n_max`, `l_max`, `n_features`: The basis, and its features for all species of the featurizer.
    - `environments`: The number of environments that have a spectrum. The following counts are out of these.
    - `truncated`: Environments that the basis truncates. `truncation`: the null directions of this cause of all of them
        together.
    - `ambiguous`: Environments with values too close to the floor to tell whether they are truncated.
    - `unclassified`: Environments with null directions and too many neighbors to tell the cause.
    - `symmetric`, `incomplete`: Environments with null directions of this cause, which no basis of the order sees.
    - `nearly`: Environments that are symmetric or singular within 1e-5 Å, but not exactly. J sees a little of those
        directions, and `jaxfeat.scan` calls such environments ambiguous.
    - `equilibrated`, `raw`: σ_vis/σ_max for "least", "1%", "10%" and "median" of the environments. σ_vis is the
        smallest singular value apart from the directions that no basis of the order sees. Each entry has a `value` and
        `known`, which is False if σ_vis is below its floor; the value is then that floor over σ_max.

    **Raises:** `BasisError` for an empty grid, for sizes that define no basis, for Jacobians of more than 80 MB and for
    featurizers without a basis. `PrecisionError` if the positions are not float64. `SpeciesError` if the batch holds an
    element that a featurizer does not know.
    """
    grids = make_grids(f, batch, n_max, l_max)
    host = jax.tree.map(np.asarray, batch)
    records, done = [], 0
    with show_progress(progress, "environments", len(batch) * len(grids)) as report:
        for one, grid in zip(_listed(f), grids, strict=True):
            found: list[BasisResults] = []
            for block in blocks_by_shape(grid.of(grid.n_max[-1]), host, least_of_shape=MIN_PER_PROGRAM):
                found += evaluate_bases(one, grid, block)
                done += len(block.indices)
                report(done, len(batch) * len(grids))
            n_species = 0 if one.species is None else len(one.species)
            for k, sizes in enumerate(grid):
                size = {**sizes._asdict(), "n_features": grid.n_features(sizes, n_species)}
                records.append({"nu": one.nu, **size, **_summary(found, k)})
    return records


def make_grids(
    f: AbstractFeaturizer | Sequence[AbstractFeaturizer], batch: Environment, n_max: Sequence[int], l_max: Sequence[int]
) -> list[Grid]:
    """Make the grid of each featurizer for `converge`, and check it for all environments."""
    featurizers = _listed(f)
    for one in featurizers:
        check_compatible(one, batch)
    check_float64(batch.positions, "positions", "a count of null directions")
    grids = [Grid(one, n_max, l_max) for one in featurizers]
    for one, grid in zip(featurizers, grids, strict=True):
        held, counts = (species_present(one.species, batch) >= 0).sum(1), np.asarray(batch.n_neighbors)
        for n_species in np.unique(held).tolist():
            grid.check(n_species, int(counts[held == n_species].max()))
    return grids


def _listed(f: AbstractFeaturizer | Sequence[AbstractFeaturizer]) -> list[AbstractFeaturizer]:
    return list(f) if isinstance(f, Sequence) else [f]


def draw_sample(center_species: ArrayLike, size: int, seed: int = 0) -> np.ndarray:
    """Draw `size` environments, all if 0, in proportion to species of centers, at least one of each; ascending."""
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
    while numbers.sum() > size:  # rare species were rounded up to one
        numbers[np.argmax(np.where(numbers > 1, numbers - shares, -np.inf))] -= 1
    rng = np.random.default_rng(seed)
    members = [rng.choice(np.flatnonzero(kind == k), n, replace=False) for k, n in enumerate(numbers)]
    return np.sort(np.concatenate(members))


def _summary(seen: Sequence[BasisResults], basis: int) -> dict[str, Any]:
    beyond = np.asarray([one.truncation[basis] for one in seen], int)
    doubtful = np.asarray([one.doubtful[basis] for one in seen], bool)
    unclassified = np.asarray([not one.blind.classified for one in seen], bool) & (beyond > 0)
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
    # Values below their floors come first, whatever the floors, because they are the smaller ones.
    ascending = sorted(one for one in ratios if not np.isnan(one[1]))
    picked = {name: ascending[int(share * (len(ascending) - 1))] for name, share in QUANTILES.items() if ascending}
    return {name: {"value": value, "known": known} for name, (known, value) in picked.items()}
