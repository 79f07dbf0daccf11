"""The density's factors and their derivatives in NumPy, for environments too few to be worth a compilation. A compiled
program takes seconds to make and microseconds to run. NumPy takes about a millisecond for each environment and needs no
compilation, so it answers first up to some hundred environments. Both are tested against each other."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.features.factorized_density import gradient_tensors
from jaxfeat.geometry.environment import Environment
from jaxfeat.so3.harmonics import solid_harmonics_on_host


class HostDensity(NamedTuple):
    """The factors of b densities of n neighbors each, without padding, as in `FactorizedDensity`. Harmonics are ordered
    as by `solid_harmonics`, and `center` is the share of the center in c_{q 0 0}, divided by Y_00."""

    radial: Float[np.ndarray, "l b q n"]
    slopes: Float[np.ndarray, "l b q n"]
    center: Float[np.ndarray, "b q"]
    harmonics: Float[np.ndarray, "b n l m"]
    gradients: Float[np.ndarray, "b n l m 3"]


def host_density(f: DensityFeaturizer, batch: Environment, present: np.ndarray) -> HostDensity:
    """Compute the factors of the densities of environments `(b,)` of NumPy arrays that have no padding. Row i of
    `present` lists the species that item i is described in, then -1."""
    positions, l_max, known = np.asarray(batch.positions), f.l_max, np.asarray(f.species)
    weights = ((present[..., None] == known) * np.asarray(f.weights)).sum(-1)
    values, slopes = host_radial_factors(f, (positions**2).sum(-1))
    of_neighbor = np.where(batch.species[..., None] == present[:, None], weights[:, None], 0)
    of_center = np.where(batch.center_species[:, None] == present, weights, 0)
    at_origin = float(f.center_weight) * f.radial_series().at_origin_on_host()
    center = (of_center[..., None] * at_origin).reshape(len(of_center), -1)

    def in_channels(factor: np.ndarray) -> np.ndarray:
        # (n_max, l, b, k) and (b, k, a) make (l, b, a, n_max, k).
        placed = np.einsum("nlbk,bka->lbank", factor, of_neighbor)
        return placed.reshape(*placed.shape[:2], center.shape[1], placed.shape[-1])

    harmonics = solid_harmonics_on_host(l_max, positions)
    gradients = np.zeros((*harmonics.shape, 3))
    for l, tensor in enumerate(gradient_tensors(l_max), 1):
        first, last = l_max - l, l_max + l + 1
        below = harmonics[..., l - 1, :] @ tensor[:, : 2 * l + 1].reshape(-1, 2 * l_max + 1).T
        gradients[..., l, first:last, :] = below.reshape(*below.shape[:-1], 3, 2 * l + 1).swapaxes(-1, -2)
    return HostDensity(in_channels(values), in_channels(slopes), center, harmonics, gradients)


def host_radial_factors(f: DensityFeaturizer, s: Float[np.ndarray, "*batch"]) -> tuple[np.ndarray, np.ndarray]:
    """Compute `DensityFeaturizer.radial_factor` at squared distances `s`, and its derivative by `s`."""
    r, r_cut = np.sqrt(s), float(f.r_cut)
    weight, slope = f.cutoff.with_slope(r, r_cut)
    if f.radial_scaling is not None:
        scaling, scaling_slope = f.radial_scaling.with_slope(r)
        weight, slope = weight * scaling, slope * scaling + weight * scaling_slope
    functions, of_functions = f.radial_series().with_slopes_on_host(s / r_cut**2)
    # d/ds = d/dr / (2 r). At the origin the functions of s are flat.
    by_s = np.where(r > 0, slope / np.where(r > 0, 2 * r, 1), 0)
    return weight * functions, by_s * functions + weight * of_functions / r_cut**2
