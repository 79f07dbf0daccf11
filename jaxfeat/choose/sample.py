"""The environments on which `tune` compares descriptors: the least sensitive ones of each species, and some others.
Each environment stands for a number of those from which it was drawn. The level of any descriptor over its own least
sensitive share can so be estimated."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxfeat.choose.converge import draw_sample
from jaxfeat.choose.sensitivities import Sensitivities, lowest_level, select_lowest
from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.features.density import DensityFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.neighbors import environments
from jaxfeat.geometry.random import draw_evenly
from jaxfeat.geometry.structure import find_unknown_species

MAX_ATOMS = 20_000  # atoms of the structures whose neighbors are searched for; of larger data some structures are drawn
REST_RATIO = 2  # environments drawn from the rest of the data for each one of the least sensitive
TOGETHER = 256  # environments between two looks at the clock


class Sample(NamedTuple):
    """Environments for comparisons, in an order whose every beginning is a sample of all strata: of the `least`
    sensitive environments and the others, by species. `population` is the size of each environment's stratum."""

    at: Sensitivities
    species: Int[np.ndarray, " b"]
    least: np.ndarray
    population: Float[np.ndarray, " b"]

    def weights(self, indices: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """Count the environments of the data that each one of some environments stands for."""
        strata = np.stack([self.species[indices], self.least[indices]], 1)
        _, which, counts = np.unique(strata, axis=0, return_inverse=True, return_counts=True)
        return self.population[indices] / counts[which.ravel()]

    def level(self, values: Float[np.ndarray, " k"], share: float) -> float:
        """Estimate the median over the least sensitive `share` from the values of the first k environments."""
        first = np.arange(len(values))
        return lowest_level(values, self.weights(first), self.species[first], share)


class Drawn(NamedTuple):
    """Environments for comparisons and for a check. If `apart`, those of the check were not in the sample."""

    sample: Sample
    check: Sensitivities
    apart: bool


def list_elements(data: Any) -> list[int]:
    """List the atomic numbers in environments or structures, ascending."""
    if isinstance(data, Environment):
        numbers = np.concatenate([np.asarray(data.species).ravel(), np.asarray(data.center_species).ravel()])
    else:
        many, _, _ = _list_structures(data)
        numbers = np.concatenate([structure.numbers for structure in many])
    return [int(number) for number in np.unique(numbers) if number > 0]


def _list_structures(data: Any) -> tuple[list[Any], Any, Any]:
    """List the structures of `ase.Atoms`, a list or a `StructureSet`, and return its names and centers."""
    names = centers = None
    if isinstance(getattr(data, "names", None), list):
        data, names, centers = data.atoms, data.names, data.centers
    many = list(data) if isinstance(data, (list, tuple)) else [data]
    if not many:
        raise ReadError("the list of structures is empty; give at least one.")
    if not all(hasattr(structure, "numbers") for structure in many):
        raise ReadError(f"data is of type {type(data).__name__}; give ase.Atoms, a list of them, or environments.")
    return many, names, centers


def cut_data(data: Any, radius: float, centers: Any, seed: int) -> Environment:
    """Return environments on the host: those given, or those of `ase.Atoms`, a list or a `StructureSet` at a radius."""
    if isinstance(data, Environment):
        if len(data.batch_shape) != 1 or not len(data):
            raise GeometryError("give a batch of environments with one leading axis, and at least one of them.")
        return jax.tree.map(np.asarray, data)
    many, names, usual = _list_structures(data)
    centers = usual if centers is None else centers
    n_atoms = sum(map(len, many))
    if n_atoms > MAX_ATOMS and len(many) > 1:
        drawn = draw_evenly(len(many), max(len(many) * MAX_ATOMS // n_atoms, 1), seed)
        many, names = [many[k] for k in drawn], None if names is None else [names[k] for k in drawn]
    return jax.tree.map(np.asarray, environments(many, radius, centers, names=names))


def draw_stratified(
    f: DensityFeaturizer,
    every: Environment,
    *,
    share: float,
    most: int,
    sample: int,
    equilibrated: bool,
    seed: int,
    progress: Any,
) -> Drawn:
    """Compute the sensitivities of a random `sample` in a descriptor, and draw `most` of the least sensitive `share` of
    each species and twice as many of the others. Fresh environments for a check are those that were not in the sample,
    or all if there are too few of them."""
    _check_species(f, every)
    drawn = draw_sample(every.center_species, sample, seed)
    first, values = Sensitivities(every[drawn], equilibrated), []
    for part in np.split(np.arange(len(drawn)), range(TOGETHER, len(drawn), TOGETHER)):
        values.append(first(f, part))
        progress(int(part[-1]) + 1, len(drawn))
    ratios, species = np.concatenate(values), np.asarray(every.center_species)[drawn]
    known = np.isfinite(ratios)
    if not known.any():
        raise GeometryError("no environment has a spectrum: none has neighbors that the descriptor sees.")
    lowest = select_lowest(ratios, np.ones(len(ratios)), species, share) > 0
    chosen, groups = [], []
    for stratum, size in ((lowest, most), (known & ~lowest, REST_RATIO * most)):
        members = np.flatnonzero(stratum)
        if len(members):
            picked = members[draw_sample(species[members], max(size, len(np.unique(species[members]))), seed)]
            chosen.append(picked)
            groups.append(np.asarray([(stratum & (species == z)).sum() for z in species[picked]], float))
    where, population = np.concatenate(chosen), np.concatenate(groups)
    order = _spread(np.stack([species[where], lowest[where]], 1), seed)
    where, population = where[order], population[order]
    rest = np.setdiff1d(np.arange(len(every)), drawn)
    kinds = len(np.unique(species))
    apart = len(rest) >= max(len(drawn) // 4, 10 * kinds)
    fresh = rest if apart else np.arange(len(every))
    fresh = fresh[draw_sample(np.asarray(every.center_species)[fresh], max(len(drawn) // 2, kinds), seed + 1)]
    at = Sensitivities(every[drawn[where]], equilibrated)
    compared = Sample(at, species[where], lowest[where], population)
    return Drawn(compared, Sensitivities(every[fresh], equilibrated), apart)


def _spread(strata: np.ndarray, seed: int) -> np.ndarray:
    """Order items so that every beginning holds about the same share of each stratum."""
    rng, place = np.random.default_rng(seed), np.zeros(len(strata))
    _, which = np.unique(strata, axis=0, return_inverse=True)
    for k in range(which.max() + 1):
        members = rng.permutation(np.flatnonzero(which.ravel() == k))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    # The first member of each stratum comes first, however small the stratum is.
    place[[np.flatnonzero(which.ravel() == k)[place[which.ravel() == k].argmin()] for k in range(which.max() + 1)]] = 0
    return np.argsort(place, kind="stable")


def _check_species(f: DensityFeaturizer, every: Environment) -> None:
    unknown = find_unknown_species(every, np.asarray(f.species))
    if unknown is not None and unknown.size:
        f.check_atoms(every)
