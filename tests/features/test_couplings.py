"""Tables of products list each feature once, and each row where it is looked up."""

from itertools import combinations_with_replacement

import numpy as np
from cases import R_CUT
from numpy.testing import assert_array_equal

import jaxfeat
from jaxfeat.features.couplings import CoupledFactors, two_sided_terms


def test_the_number_of_features_is_that_of_the_products():
    options = {"species": ("C", "H"), "r_cut": R_CUT, "n_max": 3, "l_max": 4}
    channels = 6
    assert jaxfeat.RadialSpectrum(**options).n_features == channels
    assert jaxfeat.PowerSpectrum(**options).n_features == 5 * channels * (channels + 1) // 2
    # Unordered triples of (l, q) within the triangle. Of an odd sum two equal factors leave nothing.
    factors = [(l, q) for l in range(5) for q in range(channels)]
    triples = [t for t in combinations_with_replacement(factors, 3) if 2 * t[2][0] <= sum(l for l, _ in t)]
    even = [t for t in triples if sum(l for l, _ in t) % 2 == 0]
    odd = [t for t in triples if sum(l for l, _ in t) % 2 and len(set(t)) == 3]
    assert jaxfeat.Bispectrum(**options).n_features == len(even)
    assert jaxfeat.Bispectrum(**options, pseudoscalars=True).n_features == len(even) + len(odd)


def test_rows_of_coupled_factors_are_their_channels_in_order():
    for factors in (
        CoupledFactors((1,), (1,)),
        CoupledFactors((1, 1), (1, 2)),
        CoupledFactors((1, 2), (1, 2)),
        CoupledFactors((1, 1, 2), (1, 2, 1)),
    ):
        if len(factors.ls) == 1:
            channels = np.arange(3)[:, None]
        else:
            both = np.indices((3, 3)).reshape(2, -1).T
            channels = both[both[:, 0] <= both[:, 1]] if factors.ls[0] == factors.ls[1] else both
        for _ in factors.ls[2:]:
            channels = np.concatenate([np.repeat(channels, 3, 0), np.tile(np.arange(3), len(channels))[:, None]], 1)
        assert factors.n_rows(3) == len(channels)
        assert_array_equal(factors.rows(channels, 3), np.arange(len(channels)))


def test_every_feature_has_two_sides_of_equal_L():
    groups = two_sided_terms(4, 2, 2, True)
    f = jaxfeat.Correlations(("C",), n_max=2, l_max=2, nu=4, pseudoscalars=True)
    assert_array_equal(np.sort(np.concatenate([group.features for group in groups])), np.arange(f.n_features))
    for group in groups:
        assert len({side.L for side in group.tables}) == 1
        assert max(group.left.max(), group.right.max()) < sum(side.n_rows(2) for side in group.tables)
