"""Which products of density coefficients are features: each unordered product once, with its multiplicity.

An invariant of order ν couples ν coefficients c_{q l}, q = (species, n), left to right: l_1 x l_2 -> L_2, L_2 x l_3
-> L_3, and so on to L_{ν-1} x l_ν -> 0, which needs L_{ν-1} = l_ν. Reordering the factors recombines the L among
themselves by an orthogonal matrix, so it is enough to keep the factors in ascending order of (l, q) and to weigh each
by the square root of the number of orders that it stands for: the norm of the features is then that of the tensor.
"""

from functools import lru_cache
from itertools import combinations_with_replacement, pairwise
from math import factorial
from typing import NamedTuple

import numpy as np


class Block(NamedTuple):
    """Features that share their angular momenta.

    - `ls`: l_1 <= ... <= l_ν. `couplings`: L_2 ... L_{ν-2}, those that the l do not determine.
    - `channels`: `(n, ν)`, the q of each feature's factors.
    - `weights`: `(n,)`, square roots of multiplicities.
    """

    ls: tuple[int, ...]
    couplings: tuple[int, ...]
    channels: np.ndarray
    weights: np.ndarray


@lru_cache(maxsize=64)
def blocks(nu: int, n_channels: int, l_max: int, pseudoscalars: bool) -> tuple[Block, ...]:
    """All features of order `nu`, in order: by l, then couplings, then channels."""
    found = []
    for ls in combinations_with_replacement(range(l_max + 1), nu):
        if sum(ls) % 2 and not pseudoscalars:
            continue
        for chain in _chains(ls):
            path = (ls[0], *chain)
            # Two equal factors annihilate a coupling that is antisymmetric in them.
            no_equal_first = nu >= 3 and (ls[0] + ls[1] + path[1]) % 2 == 1
            no_equal_last = nu >= 3 and (path[nu - 3] + ls[-2] + ls[-1]) % 2 == 1
            ties = tuple(a == b for a, b in pairwise(ls))
            channels, weights = _channel_tuples(n_channels, ties, no_equal_first, no_equal_last)
            if len(channels):
                found.append(Block(ls, chain[: max(nu - 3, 0)], channels, weights))
    return tuple(found)


def _chains(ls: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Intermediate angular momenta L_2 ... L_{ν-1}."""
    if len(ls) == 1:
        return [()] if ls[0] == 0 else []
    chains: list[tuple[int, ...]] = [(ls[0],)]
    for l in ls[1:-1]:
        chains = [(*chain, L) for chain in chains for L in range(abs(chain[-1] - l), chain[-1] + l + 1)]
    return [chain[1:] for chain in chains if chain[-1] == ls[-1]]


@lru_cache(maxsize=256)
def _channel_tuples(
    n_channels: int, ties: tuple[bool, ...], no_equal_first: bool, no_equal_last: bool
) -> tuple[np.ndarray, np.ndarray]:
    nu = len(ties) + 1
    q = np.indices((n_channels,) * nu).reshape(nu, -1)
    keep = np.ones(q.shape[1], bool)
    equal = []
    for k, tie in enumerate(ties):
        equal.append((q[k] == q[k + 1]) if tie else np.zeros(q.shape[1], bool))
        if tie:
            keep &= q[k] <= q[k + 1]
    if no_equal_first and nu > 1:
        keep &= ~equal[0]
    if no_equal_last and nu > 1:
        keep &= ~equal[-1]
    # Dividing ν! by the length of the run of equal factors so far, at every factor, divides by each run's factorial.
    orders, run = np.full(q.shape[1], float(factorial(nu))), np.ones(q.shape[1])
    for same in equal:
        run = np.where(same, run + 1, 1)
        orders = orders / run
    return np.ascontiguousarray(q.T[keep]), np.sqrt(orders[keep])
