"""Bases of several sizes, and the features that each larger l_max adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, product
from math import comb
from typing import NamedTuple

import numpy as np

from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer

MAX_GRID_ENTRIES = 10_000_000
"""Entries of the largest Jacobian of one environment: 80 MB."""


class Sizes(NamedTuple):
    """A basis of the grid."""

    n_max: int
    l_max: int


class Shells(NamedTuple):
    """The features of one n_max, sorted by the l_max that adds them.

    **Attributes:** `added`: for each l_max, ascending, the features that it adds, as indices into those of the largest.
    `n_features`: the number of features of each l_max, `(l,)`.
    """

    added: tuple[np.ndarray, ...]
    n_features: np.ndarray


class Grid:
    """A featurizer in every basis of a grid of n_max and l_max, each ascending and without repeats.

    **Raises:** `BasisError` for an empty grid, for sizes that define no basis, and for featurizers without a basis.
    """

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
        """Count the features for a number of species."""
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
