"""Featurizers for the tests of the search that compile in a second, and environments for them."""

import jax.numpy as jnp
import numpy as np

import jaxfeat
from jaxfeat import Environment
from jaxfeat.singular.random_invariants import random_invariants

PAIR = (-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8)


class Complete:
    """Random invariants of order 2: as blind as any features of this order, and no blinder."""

    def __init__(self, n=4):
        self.drawn = random_invariants(n, 2, "O3", 1.0, np.random.default_rng(7))

    def __call__(self, positions, species, mask):
        zero = jnp.zeros((), jnp.int32)
        return self.drawn(Environment(positions, species, mask, zero, zero, zero))


COMPLETE = jaxfeat.function(Complete(), nu=2)


def pairs(off, names=("cy",), b=2, seed=2):
    """Four neighbors where the members of pair families coalesce, moved at random by about `off` Å; `(b, 4, 3)`."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(b):
        values = np.asarray(PAIR) * rng.uniform(0.8, 1.2, 7)
        for name in names:
            values[("ax", "az", "bx", "by", "bz", "cx", "cy").index(name)] = 0
        positions = np.asarray(jaxfeat.manifolds.pair_family(*values.tolist(), 1).positions)
        found.append(positions + off * rng.normal(size=(4, 3)))
    return np.asarray(found)


def batch(positions, species="H", center="C"):
    """Environments of like neighbors; positions are not looked at."""
    b, n = positions.shape[:2]
    one = Environment.from_neighbors(np.eye(n, 3) + np.arange(n)[:, None], [species] * n, center)
    leaves = (one.species, one.mask, one.center_species, one.structure_index, one.center_index)
    return Environment(jnp.asarray(positions), *(jnp.broadcast_to(leaf, (b, *leaf.shape)) for leaf in leaves))
