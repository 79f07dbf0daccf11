"""Tuples, their invariants, and clusters of equal values."""

import itertools

import numpy as np
import pytest

from jaxfeat.nulls.coincidences import cluster_tuples, find_coincidences, invariant_gradients, tuple_invariants
from jaxfeat.nulls.kernel import site_edges

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(4, 3))


def test_chains_of_near_values_are_one_cluster():
    """Each value is within the tolerance of the next one. The clearance is that of the first values of clusters."""
    values = np.array([[0.0], [0.9], [1.8], [4.0]])
    tuples = np.arange(4)[:, None]
    found = cluster_tuples(tuples, np.zeros(4, int), values, 1.0)
    assert found.n_clusters == 2 and found.clusters.tolist() == [0, 0, 0, 1]
    assert found.spread == pytest.approx(1.8) and found.clearance == pytest.approx(4.0)


def test_species_keep_equal_values_apart():
    found = cluster_tuples(np.arange(2)[:, None], np.array([0, 1]), np.zeros((2, 1)), 1e-5)
    assert found.n_clusters == 2


@pytest.mark.parametrize("nu", [1, 2, 3])
def test_generic_positions_have_one_cluster_for_each_multiset(nu):
    """Permuted tuples have permuted values, and one of each orbit is kept."""
    _, found = find_coincidences(site_edges(VECTORS, np.ones(4, int)), nu, False, 1e-5)
    assert found.n_clusters == len(list(itertools.combinations_with_replacement(range(4), nu)))


@pytest.mark.parametrize("slots", [(0, 1), (0, 0), (0, 1, 2)])
def test_gradients_are_those_of_the_invariants(slots):
    scale, step = 1.3, 1e-6
    edges = np.array([slots])
    gradients = invariant_gradients(VECTORS, edges, scale)[0]
    for member, axis in itertools.product(range(len(slots)), range(3)):
        ends = []
        for sign in (1, -1):
            factors = [VECTORS[e].copy() for e in slots]
            factors[member][axis] += sign * step
            product = factors[0] @ (factors[1] / scale if len(slots) == 2 else np.cross(*factors[1:]) / scale**2)
            ends.append(product)
        np.testing.assert_allclose(gradients[member, axis], (ends[0] - ends[1]) / (2 * step), atol=1e-9)


def test_triple_products_change_sign_in_a_mirror():
    tuples = np.array([[0, 1, 2]])
    here, there = (tuple_invariants(x, tuples, 1.0, True)[0] for x in (VECTORS, VECTORS * [1, 1, -1]))
    np.testing.assert_allclose(there, [*here[:-1], -here[-1]], atol=1e-14)
