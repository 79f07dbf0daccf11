"""Sensitivities of environments in many descriptors, by NumPy, and the level of the least sensitive ones."""

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxfeat.choose.evaluate import find_blind_directions
from jaxfeat.errors import GeometryError
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.geometry.cutting import cut_at_radius
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import species_present
from jaxfeat.nulls.classify import POSITION_TOLERANCE
from jaxfeat.nulls.scan_records import CLASSIFY_BELOW
from jaxfeat.nulls.sites import list_sites
from jaxfeat.spectrum.host import spectra_on_host

UNKNOWN = 1e-13  # σ_vis/σ_max that stands for values below their floor, a usual floor


class Sensitivities:
    """Environments whose σ_vis/σ_max is asked for in many descriptors. σ_vis is the smallest singular value without the
    directions that symmetry or the order hides from every basis."""

    def __init__(self, batch: Environment, equilibrated: bool) -> None:
        self.batch: Environment = jax.tree.map(np.asarray, batch)
        self.equilibrated = equilibrated
        self._cuts: dict[float, Environment] = {}
        self._hidden: dict[tuple[float, int | None, int], int] = {}

    def __len__(self) -> int:
        return len(self.batch)

    def at_radius(self, r_cut: float) -> Environment:
        """Return the environments cut at a radius (Å)."""
        if r_cut not in self._cuts:
            self._cuts[r_cut] = cut_at_radius(self.batch, r_cut)
        return self._cuts[r_cut]

    def __call__(self, f: DensityFeaturizer, indices: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Compute σ_vis/σ_max of some environments, at most `UNKNOWN` if σ_vis is below its floor. The ratio is NaN
        without a spectrum, and without a visible direction."""
        f = f.prepared()
        r_cut = float(f.r_cut)
        batch = self.at_radius(r_cut)[indices]
        (found,) = spectra_on_host(f, batch, species_present(f.species, batch), (self.equilibrated,))
        ratios = np.full(len(indices), np.nan)
        for row in np.flatnonzero((found.n_values > 0) & (found.status.names == "ok")):
            values, floor = found.values[row], found.floor[row]
            n = int(found.n_values[row])
            if values[n - 1] <= CLASSIFY_BELOW * values[0]:
                n -= self._count_hidden(f, r_cut, batch[int(row)], int(indices[row]))
            if n > 0:
                # A high floor is no sensitivity.
                ratios[row] = values[n - 1] / values[0] if values[n - 1] > floor else min(floor / values[0], UNKNOWN)
        return ratios

    def _count_hidden(self, f: DensityFeaturizer, r_cut: float, env: Environment, index: int) -> int:
        """Count the directions of one environment that no basis sees; 0 if there are too many neighbors."""
        name = r_cut, f.nu, index
        if name not in self._hidden:
            try:
                found = find_blind_directions(f, list_sites(f, env, np.asarray(env.mask), POSITION_TOLERANCE))
            except GeometryError:
                # Like neighbors are too close for symmetry to tell them apart.
                found = None
            self._hidden[name] = 0 if found is None else found.symmetry + found.incompleteness
        return self._hidden[name]


def select_lowest(
    values: Float[np.ndarray, " b"], weights: Float[np.ndarray, " b"], species: Int[np.ndarray, " b"], share: float
) -> Float[np.ndarray, " b"]:
    """Weigh the least sensitive `share` of the environments of each species, and the others with 0. An environment at
    the limit counts in part. `weights` say how many environments of the data each one stands for."""
    kept = np.zeros(len(values))
    for one in np.unique(species):
        members = np.flatnonzero((species == one) & np.isfinite(values))
        order = members[np.argsort(values[members], kind="stable")]
        before = np.cumsum(weights[order]) - weights[order]
        kept[order] = np.clip(share * weights[members].sum() - before, 0, weights[order])
    return kept


def lowest_level(
    values: Float[np.ndarray, " b"], weights: Float[np.ndarray, " b"], species: Int[np.ndarray, " b"], share: float
) -> float:
    """Compute the weighted median over the least sensitive `share` of each species; NaN if nothing is known."""
    return weighted_median(values, select_lowest(values, weights, species, share))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Compute the median of values that stand for `weights` items each, between two neighbors as NumPy's does."""
    order = np.argsort(values, kind="stable")
    order = order[weights[order] > 0]
    if not len(order):
        return float("nan")
    ends = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.exp(np.interp(weights[order].sum() / 2, ends, np.log(values[order]))))
