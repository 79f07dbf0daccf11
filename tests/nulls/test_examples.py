"""Environments to look at, with the displacements that a featurizer does not see."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxfeat
from jaxfeat import Environment
from jaxfeat.nulls.examples import MAX_PER_CAUSE, make_examples

NEIGHBORS = np.array([(0.9, 0.1, 0), (0, 1.2, 0.2), (0.3, 0, 1.5)])
BATCH = Environment.stack([Environment.from_neighbors(NEIGHBORS[:n], ["H"] * n, "C").padded(3) for n in (3, 1)])


@pytest.fixture(scope="module")
def examples():
    """Of the sum of squared distances, a single feature."""
    f = jaxfeat.function(lambda x, species, mask: jnp.where(mask, jnp.sum(x**2, -1), 0).sum()[None], nu=1)
    calls = []
    found = make_examples(f, BATCH, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    return found


def test_null_directions_are_listed_by_cause(examples):
    blind = examples[0]
    assert (len(blind.positions), blind.species.tolist(), blind.center_species) == (3, [1, 1, 1], 6)
    causes = {one.cause for one in blind.directions}
    for cause in causes:
        listed = [one for one in blind.directions if one.cause == cause]
        assert [one.number for one in listed] == list(range(1, len(listed) + 1)) and len(listed) <= MAX_PER_CAUSE
        assert listed[0].of >= len(listed)
        assert cause in blind.cause
    for one in blind.directions:
        assert np.linalg.norm(one.displacement) == pytest.approx(1)
        assert abs(np.vdot(NEIGHBORS, one.displacement)) < 1e-12


def test_without_null_directions_the_least_visible_one_is_listed(examples):
    (only,) = examples[1].directions
    assert (only.cause, only.number, only.of) == ("least", 1, 1)
    np.testing.assert_allclose(np.abs(only.displacement[0]), NEIGHBORS[0] / np.linalg.norm(NEIGHBORS[0]), atol=1e-12)
