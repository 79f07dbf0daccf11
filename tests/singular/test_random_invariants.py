"""Random invariants are invariant, and distinguish the pairs that their order distinguishes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat import Environment, manifolds
from jaxfeat.errors import BasisError
from jaxfeat.singular.random_invariants import random_invariants

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
NAMES = ["H", "H", "O", "H"]


def values(f, x, names=("H",) * 4):
    return np.asarray(f(Environment.from_neighbors(jnp.asarray(x), list(names), "C").padded(len(names))))


@pytest.mark.parametrize("group", ["O3", "SO3"])
def test_they_are_invariant(group):
    f = random_invariants(4, 3, group, 1.2, np.random.default_rng(1))
    q = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    q *= np.linalg.det(q)
    here = values(f, X, NAMES)
    np.testing.assert_allclose(values(f, X @ q.T, NAMES), here, atol=1e-11)
    np.testing.assert_allclose(values(f, X[[3, 0, 2, 1]], NAMES), here, atol=1e-11)
    assert np.abs(values(f, X[[2, 1, 0, 3]], NAMES) - here).max() > 0.1
    assert (np.abs(values(f, -X, NAMES) - here).max() > 0.1) == (group == "SO3")
    f5 = random_invariants(5, 3, group, 1.2, np.random.default_rng(1))
    padded = f5(Environment.from_neighbors(jnp.asarray(X), NAMES, "C").padded(5))
    np.testing.assert_allclose(padded, f5(Environment.from_neighbors(jnp.asarray(X), NAMES, "C")), atol=1e-11)


def test_their_order_tells_pairs_apart():
    parameters = (-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8)
    plus, minus = (manifolds.pair_family(*parameters, sign).positions for sign in (1, -1))
    for order, equal in ((2, True), (3, False)):
        f = random_invariants(4, order, "O3", 1.0, np.random.default_rng(2))
        assert (np.abs(values(f, plus) - values(f, minus)).max() < 1e-11) == equal


def test_too_many_tuples_are_refused():
    with pytest.raises(BasisError, match="order 4, which for 12 neighbors"):
        random_invariants(12, 4, "O3", 1.0, np.random.default_rng(0))
