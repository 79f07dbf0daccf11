"""Invariants of tuples of neighbors: features in the limit of a complete basis, without a featurizer."""

from itertools import product

import numpy as np


def tuple_invariants(env, order, pseudoscalars=False):
    """Sort the invariants of all ordered tuples of `order` neighbors, `(n**order, invariants)`."""
    positions = np.asarray(env.positions)
    gram = positions @ positions.T
    first, second = np.triu_indices(order)
    index = np.asarray(list(product(range(len(positions)), repeat=order)))
    values = gram[index[:, first], index[:, second]]
    if pseudoscalars:
        volumes = np.linalg.det(positions[index[:, :3]])
        values = np.concatenate([values, volumes[:, None]], -1)
    values = np.round(values, 9) + 0.0
    return values[np.lexsort(values.T)]


def invariants_agree(a, b, order, pseudoscalars=False):
    """Tell whether two environments have the same invariants of tuples."""
    found = (tuple_invariants(env, order, pseudoscalars) for env in (a, b))
    return np.allclose(*found, rtol=0, atol=1e-8)
