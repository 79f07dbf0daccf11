"""Featurizers that compile in a second, and environments for them."""

import equinox as eqx
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


MONOMIALS = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]


class Polynomials(eqx.Module):
    """Polynomials in p and q, the distances of two neighbors from the center less 1 Å, and in the cosine c.

    All of them share one compiled program.
    """

    rows: np.ndarray

    def __call__(self, positions, species, mask):
        r = jnp.sqrt(jnp.sum(positions**2, -1))
        shape = jnp.stack([r[0] - 1, r[1] - 1, positions[0] @ positions[1] / (r[0] * r[1])])
        powers = [shape**0, shape, shape**2, shape**3]
        return jnp.asarray(self.rows) @ jnp.stack([powers[i][0] * powers[j][1] * powers[k][2] for i, j, k in MONOMIALS])


def polynomials(*features, **options):
    """Make features of at most five polynomials, for example {"pp": 1, "c": -2}."""
    rows = np.zeros((5, len(MONOMIALS)))
    for row, polynomial in zip(rows, features, strict=False):
        for name, factor in polynomial.items():
            row[MONOMIALS.index(tuple(name.count(letter) for letter in "pqc"))] = factor
    return jaxfeat.function(Polynomials(rows), **options)


P, Q, C, CC = {"p": 1.0}, {"q": 1.0}, {"c": 1.0}, {"cc": 1.0}


def two_neighbors(p, q, c, symbols=("H", "O")):
    """Make an environment of two neighbors with given p, q and c, turned away from all axes."""
    first, second = np.asarray([1.0, 0, 0]), np.asarray([c, np.sqrt(1 - c**2), 0])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return Environment.from_neighbors(np.stack([(1 + p) * first, (1 + q) * second]) @ turn.T, symbols, "C")


def coordinates_of(batch):
    """Compute p, q and c of a batch."""
    x = np.asarray(batch.positions)
    r = np.linalg.norm(x, axis=-1)
    return r[:, 0] - 1, r[:, 1] - 1, np.sum(x[:, 0] * x[:, 1], -1) / r.prod(1)
