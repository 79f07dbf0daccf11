"""Grids of bases, and the features that each larger l_max adds."""

import numpy as np
import pytest

from jaxfeat import Bispectrum, Correlations, Environment, PowerSpectrum, RadialSpectrum
from jaxfeat.choose.evaluate import Grid, Sizes

SPECIES = ("C", "H")
F = PowerSpectrum(SPECIES)
GENERIC = Environment.from_neighbors(np.random.default_rng(0).normal(size=(4, 3)), ["H"] * 4, "C")


def test_grids_ascend_and_hold_each_basis_once():
    assert list(Grid(F, (3, 1, 3), (2, 0))) == [(1, 0), (1, 2), (3, 0), (3, 2)]
    assert list(Grid(RadialSpectrum(SPECIES), (2,), (4, 5))) == [(2, 0)]


FEATURIZERS = [
    PowerSpectrum(SPECIES, n_max=2),
    PowerSpectrum(SPECIES, n_max=2, radial="gto-rascal"),
    PowerSpectrum(SPECIES, n_max=2, radial="laplacian"),
    Bispectrum(SPECIES, n_max=2, pseudoscalars=True),
    Correlations(SPECIES, n_max=1, nu=4),
    RadialSpectrum(SPECIES, n_max=2),
]


@pytest.mark.parametrize("f", FEATURIZERS, ids=lambda f: f"{type(f).__name__}-{type(f.radial).__name__}")
def test_features_of_a_smaller_l_max_are_among_those_of_the_largest(f):
    n_max, env = f.sizes["n_max"], GENERIC
    grid = Grid(f, (n_max,), (0, 2))
    shells, whole = grid.shells(n_max, 2), np.asarray(grid.of(n_max)(env))
    assert sorted(np.concatenate(shells.added)) == list(range(len(whole)))
    for k, l in enumerate(grid.l_max):
        small = np.asarray(f.with_sizes(n_max=n_max, l_max=l)(env)) if "l_max" in f.sizes else whole
        assert shells.n_features[k] == len(small)
        picked = np.sort(np.concatenate(shells.added[: k + 1]))
        np.testing.assert_allclose(whole[picked], small, rtol=1e-12, atol=1e-14 * np.abs(whole).max())


@pytest.mark.parametrize("cls, options", [(PowerSpectrum, {}), (Bispectrum, {}), (Correlations, {"nu": 4})])
def test_features_of_many_species_are_counted_without_a_list(cls, options):
    f = cls(("H", "C", "N", "O", "F", "S"), n_max=1, l_max=1, **options)
    assert Grid(f, (1,), (1,)).n_features(Sizes(1, 1), 6) == f.n_features
