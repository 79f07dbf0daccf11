"""Which products of density coefficients are features: each unordered product once, with its multiplicity.

An invariant of order ν couples ν coefficients c_{q l}, q = (species, n), left to right: l_1 x l_2 -> L_2, L_2 x l_3
-> L_3, and so on to L_{ν-1} x l_ν -> 0, which needs L_{ν-1} = l_ν. Reordering the factors recombines the L among
themselves by an orthogonal matrix, so it is enough to keep the factors in ascending order of (l, q) and to weigh each
by the square root of the number of orders that it stands for: the norm of the features is then that of the tensor.

Which rows of which tables a feature is made of is settled here, too, in integers, before anything is traced.
"""

from functools import lru_cache
from itertools import combinations_with_replacement, groupby, pairwise
from math import comb, factorial, prod, sqrt
from typing import NamedTuple

import numpy as np

from jaxfeat.so3.coupling import can_couple


class Chain(NamedTuple):
    """Factors of angular momenta `ls`, coupled left to right by way of `path` = L_1 ... L_n, L_1 = l_1.

    Its rows are the channels of its factors, q_1 <= q_2 where the first two share their l.
    """

    ls: tuple[int, ...]
    path: tuple[int, ...]

    @property
    def L(self) -> int:
        """What they are coupled to."""
        return self.path[-1]

    def n_rows(self, n_channels: int) -> int:
        if len(self.ls) == 1:
            return n_channels
        return len(pairs(n_channels, self.ls[0] == self.ls[1])[0]) * n_channels ** (len(self.ls) - 2)

    def rows(self, channels: np.ndarray, n_channels: int) -> np.ndarray:
        """Rows of channels `(n, len(ls))`."""
        if len(self.ls) == 1:
            return channels[:, 0]
        i, j = channels[:, 0], channels[:, 1]
        row = i * n_channels + j
        if self.ls[0] == self.ls[1]:
            row = row - i * (i + 1) // 2
        for q in channels[:, 2:].T:
            row = row * n_channels + q
        return row


def single(l: int) -> Chain:
    """One factor."""
    return Chain((l,), (l,))


def pair(l1: int, l2: int, L: int) -> Chain:
    """Two factors, coupled to L."""
    return Chain((l1, l2), (l1, L))


@lru_cache(maxsize=64)
def pairs(n_channels: int, ordered: bool) -> tuple[np.ndarray, np.ndarray]:
    """Channels of two factors, in the order of the rows of a chain."""
    first, second = np.triu_indices(n_channels) if ordered else np.indices((n_channels,) * 2).reshape(2, -1)
    return first, second


class Block(NamedTuple):
    """Features that share their angular momenta: Σ_M left_M right_M of two chains that are coupled to the same.

    - `ls`: l_1 <= ... <= l_ν. `couplings`: L_2 ... L_{ν-2}, those that the l do not determine.
    - `channels`: `(n, ν)`, the q of each feature's factors.
    - `weights`: `(n,)`, square roots of multiplicities.
    """

    ls: tuple[int, ...]
    couplings: tuple[int, ...]
    channels: np.ndarray
    weights: np.ndarray

    @property
    def left(self) -> Chain:
        """All factors but the last two; of two factors, the first."""
        return single(self.ls[0]) if len(self.ls) == 2 else Chain(self.ls[:-2], (self.ls[0], *self.couplings))

    @property
    def right(self) -> Chain:
        """The last two factors, coupled to what those on the left are; of two factors, the second."""
        return single(self.ls[1]) if len(self.ls) == 2 else pair(self.ls[-2], self.ls[-1], self.left.L)

    @property
    def scale(self) -> np.ndarray:
        """`(n,)`: the weights, times what makes couplings by tensors of unit norm orthogonal."""
        if len(self.ls) == 2:
            return self.weights / sqrt(2 * self.ls[0] + 1)
        return self.weights * sqrt(prod(2 * L + 1 for L in self.couplings))

    def sides(self, n_channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the two chains, `(n,)` each."""
        n = len(self.left.ls)
        return self.left.rows(self.channels[:, :n], n_channels), self.right.rows(self.channels[:, n:], n_channels)


@lru_cache(maxsize=256)
def count(nu: int, n_channels: int, l_max: int, pseudoscalars: bool) -> int:
    """Count the features of order `nu` without listing them.

    Angular momenta are gone through one tuple at a time, couplings and channels are counted.
    """
    if nu == 1:
        return n_channels
    total = 0
    for ls in combinations_with_replacement(range(l_max + 1), nu):
        if sum(ls) % 2 and not pseudoscalars:
            continue
        runs = [len(list(run)) for _, run in groupby(ls)]
        for (first, last), chains in _n_chains(ls).items():
            total += chains * _n_channel_tuples(n_channels, runs, first, last)
    return total


def _n_chains(ls: tuple[int, ...]) -> dict[tuple[bool, bool], int]:
    """How many chains there are, by whether the first two factors and the last two couple antisymmetrically."""
    if len(ls) == 2:
        return {(False, False): int(ls[0] == ls[1])}
    paths: dict[tuple[int, bool], int] = {(ls[0], False): 1}
    for k, l in enumerate(ls[1:-2]):
        longer: dict[tuple[int, bool], int] = {}
        for (before, odd), chains in paths.items():
            for L in range(abs(before - l), before + l + 1):
                key = (L, odd if k else bool((ls[0] + l + L) % 2))
                longer[key] = longer.get(key, 0) + chains
        paths = longer
    found: dict[tuple[bool, bool], int] = {}
    for (L, odd), chains in paths.items():
        if can_couple(L, ls[-2], ls[-1]):
            last = bool((L + ls[-2] + ls[-1]) % 2)
            key = (last if len(ls) == 3 else odd, last)
            found[key] = found.get(key, 0) + chains
    return found


def _n_channel_tuples(n_channels: int, runs: list[int], no_equal_first: bool, no_equal_last: bool) -> int:
    """How many tuples of channels ascend inside `runs` of equal l, where the first two or the last two may differ."""

    def ascending(length: int) -> int:
        return comb(n_channels + length - 1, length)

    found = 1
    for k, length in enumerate(runs):
        first = no_equal_first and k == 0 and length > 1
        last = no_equal_last and k == len(runs) - 1 and length > 1
        # By inclusion and exclusion: factors that are equal count as one.
        both = ascending(max(length - 2, 1)) if first and last else 0
        found *= ascending(length) - (first + last) * ascending(length - 1) + both
    return found


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


class Triples(NamedTuple):
    """The features of ν = 3, each seen from its three factors: Σ_m c_m B_m, B the other two, coupled to c's l.

    - `partners`: the chains of two, by L; their rows follow each other in one table.
    - `factors`: `(n, 3)`, l n_channels + q of each factor. `others`: `(n, 3)`, rows of its partners.
    - `weights`: `(n,)`, and `swapped`, those of the second factor: its partners stand in the reversed cyclic order.
    """

    partners: tuple[Chain, ...]
    factors: np.ndarray
    others: np.ndarray
    weights: np.ndarray
    swapped: np.ndarray


@lru_cache(maxsize=64)
def triples(n_channels: int, l_max: int, pseudoscalars: bool) -> Triples:
    """The features of ν = 3, in order."""
    found = blocks(3, n_channels, l_max, pseudoscalars)
    without = [[1, 2], [0, 2], [0, 1]]
    partners = [[pair(b.ls[i], b.ls[j], b.ls[k]) for k, (i, j) in enumerate(without)] for b in found]
    chains, first = _listed([chain for of_block in partners for chain in of_block], n_channels)
    others = [
        np.stack([first[c] + c.rows(b.channels[:, rest], n_channels) for c, rest in zip(chain, without, strict=True)])
        for b, chain in zip(found, partners, strict=True)
    ]
    return Triples(
        chains,
        np.concatenate([b.channels + n_channels * np.asarray(b.ls) for b in found]),
        np.concatenate(others, 1).T,
        np.concatenate([b.scale for b in found]),
        np.concatenate([b.scale * (-1) ** sum(b.ls) for b in found]),
    )


class Halves(NamedTuple):
    """Features whose two sides are coupled to the same L.

    - `chains`: all sides; their rows follow each other in one table. `left`, `right`: `(n,)`, rows of it.
    - `weights`: `(n,)`. `features`: `(n,)`, which they are.
    """

    chains: tuple[Chain, ...]
    left: np.ndarray
    right: np.ndarray
    weights: np.ndarray
    features: np.ndarray


@lru_cache(maxsize=64)
def halves(nu: int, n_channels: int, l_max: int, pseudoscalars: bool) -> tuple[Halves, ...]:
    """The features of order `nu`, by L."""
    found = blocks(nu, n_channels, l_max, pseudoscalars)
    start = np.cumsum([0, *(len(b.weights) for b in found)])
    groups = []
    for L in sorted({b.left.L for b in found}):
        these = [(b, at) for b, at in zip(found, start, strict=False) if b.left.L == L]
        chains, first = _listed([chain for b, _ in these for chain in (b.left, b.right)], n_channels)
        rows = [b.sides(n_channels) for b, _ in these]
        groups.append(
            Halves(
                chains,
                np.concatenate([first[b.left] + left for (b, _), (left, _) in zip(these, rows, strict=True)]),
                np.concatenate([first[b.right] + right for (b, _), (_, right) in zip(these, rows, strict=True)]),
                np.concatenate([b.scale for b, _ in these]),
                np.concatenate([at + np.arange(len(b.weights)) for b, at in these]),
            )
        )
    return tuple(groups)


def _listed(chains: list[Chain], n_channels: int) -> tuple[tuple[Chain, ...], dict[Chain, int]]:
    """Each chain once, by L, and the first row of each in a table of all their rows."""
    each = sorted(set(chains), key=lambda chain: (chain.L, chain))
    first = np.cumsum([0, *(chain.n_rows(n_channels) for chain in each)])
    return tuple(each), dict(zip(each, first.tolist(), strict=False))
