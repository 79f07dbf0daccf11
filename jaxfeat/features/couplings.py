"""The products of density coefficients that are features: each unordered product once, with its multiplicity.

An invariant of order ν couples ν coefficients c_{q l}, with channels q = (species, n), from left to right: l_1 x l_2
to L_2, L_2 x l_3 to L_3, and so on to L_{ν-1} x l_ν to 0, which requires L_{ν-1} = l_ν. Another order of the factors
mixes the values of L by an orthogonal matrix. So the factors are kept in ascending order of (l, q), and each product is
weighted by the square root of the number of orders for which it stands. The norm of the features is then that of the
tensor. Everything here is done in integers and before tracing.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import combinations_with_replacement, groupby, pairwise
from math import comb, factorial, prod, sqrt
from typing import NamedTuple

import numpy as np

from jaxfeat.so3.coupling import can_couple


class CoupledFactors(NamedTuple):
    """Factors of angular momenta `ls`, coupled from left to right by way of `path` = L_1 ... L_n, with L_1 = l_1. Its
    values form a table with one row for each choice of the factors' channels, where q_1 <= q_2 if l_1 = l_2."""

    ls: tuple[int, ...]
    path: tuple[int, ...]

    @classmethod
    def two(cls, l1: int, l2: int, L: int) -> CoupledFactors:
        return cls((l1, l2), (l1, L))

    @property
    def L(self) -> int:
        """The total angular momentum."""
        return self.path[-1]

    def n_rows(self, n_channels: int) -> int:
        if len(self.ls) == 1:
            return n_channels
        n_pairs = n_channels * (n_channels + 1) // 2 if self.ls[0] == self.ls[1] else n_channels**2
        return n_pairs * n_channels ** (len(self.ls) - 2)

    def rows(self, channels: np.ndarray, n_channels: int) -> np.ndarray:
        """Return the rows of channels `(n, len(ls))`."""
        if len(self.ls) == 1:
            return channels[:, 0]
        i, j = channels[:, 0], channels[:, 1]
        row = i * n_channels + j
        if self.ls[0] == self.ls[1]:
            row = row - i * (i + 1) // 2
        for q in channels[:, 2:].T:
            row = row * n_channels + q
        return row


class CouplingScheme(NamedTuple):
    """Features that share the angular momenta of their factors and of their intermediate couplings.

    For ν >= 3 a feature is Σ_M left_M right_M, where both sides are coupled to the same L. `ls` are l_1 <= ... <= l_ν,
    and `couplings` L_2 ... L_{ν-2}, which the l do not determine. `channels`, `(n, ν)`, has that of each factor of each
    feature. `weights`, `(n,)`, are square roots of multiplicities, times the factor that makes couplings isometric.
    """

    ls: tuple[int, ...]
    couplings: tuple[int, ...]
    channels: np.ndarray
    weights: np.ndarray

    @property
    def left(self) -> CoupledFactors:
        """All factors but the last two."""
        return CoupledFactors(self.ls[:-2], (self.ls[0], *self.couplings))

    @property
    def right(self) -> CoupledFactors:
        """The last two factors."""
        return CoupledFactors.two(self.ls[-2], self.ls[-1], self.left.L)

    def rows_of_sides(self, n_channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the row of the left and of the right side of each feature, `(n,)` each."""
        n = len(self.left.ls)
        return self.left.rows(self.channels[:, :n], n_channels), self.right.rows(self.channels[:, n:], n_channels)


@lru_cache(maxsize=256)
def count_features(nu: int, n_channels: int, l_max: int, pseudoscalars: bool) -> int:
    """Count the features of order `nu`. Only the tuples of l are listed; paths and channels are counted."""
    if nu == 1:
        return n_channels
    total = 0
    for ls in _angular_momenta(nu, l_max, pseudoscalars):
        runs = [len(list(run)) for _, run in groupby(ls)]
        for (first, last), paths in _count_paths(ls).items():
            total += paths * _count_channels(n_channels, runs, first, last)
    return total


def _count_paths(ls: tuple[int, ...]) -> Counter[tuple[bool, bool]]:
    """Count the paths by whether the first two and the last two factors couple antisymmetrically."""
    if len(ls) == 2:
        return Counter({(False, False): int(ls[0] == ls[1])})
    counts: Counter[tuple[int, bool]] = Counter({(ls[0], False): 1})
    for k, l in enumerate(ls[1:-2]):
        longer: Counter[tuple[int, bool]] = Counter()
        for (before, odd), count in counts.items():
            for L in range(abs(before - l), before + l + 1):
                longer[L, odd if k else bool((ls[0] + l + L) % 2)] += count
        counts = longer
    found: Counter[tuple[bool, bool]] = Counter()
    for (L, odd), count in counts.items():
        if can_couple(L, ls[-2], ls[-1]):
            last = bool((L + ls[-2] + ls[-1]) % 2)
            found[last if len(ls) == 3 else odd, last] += count
    return found


def _count_channels(n_channels: int, runs: list[int], first_differ: bool, last_differ: bool) -> int:
    """Count channels that ascend inside `runs` of equal l, and whose first or last two perhaps must not be equal."""

    def ascending(length: int) -> int:
        return comb(n_channels + length - 1, length)

    found = 1
    for k, length in enumerate(runs):
        first = first_differ and k == 0 and length > 1
        last = last_differ and k == len(runs) - 1 and length > 1
        # By inclusion and exclusion, where equal factors count as one.
        both = ascending(max(length - 2, 1)) if first and last else 0
        found *= ascending(length) - (first + last) * ascending(length - 1) + both
    return found


@lru_cache(maxsize=64)
def coupling_schemes(nu: int, n_channels: int, l_max: int, pseudoscalars: bool) -> tuple[CouplingScheme, ...]:
    """List all features of order `nu` in their order: by l, then by couplings, then by channels."""
    found = []
    for ls in _angular_momenta(nu, l_max, pseudoscalars):
        for path in _paths(ls):
            # Two equal factors annihilate a coupling that is antisymmetric in them.
            first_differ = nu >= 3 and (ls[0] + ls[1] + path[1]) % 2 == 1
            last_differ = nu >= 3 and (path[nu - 3] + ls[-2] + ls[-1]) % 2 == 1
            ties = tuple(a == b for a, b in pairwise(ls))
            channels, weights = _list_channels(n_channels, ties, first_differ, last_differ)
            if len(channels):
                couplings = path[1 : nu - 2]
                scale = sqrt(prod(2 * L + 1 for L in couplings))
                found.append(CouplingScheme(ls, couplings, channels, weights * scale))
    return tuple(found)


def _angular_momenta(nu: int, l_max: int, pseudoscalars: bool) -> list[tuple[int, ...]]:
    """List the angular momenta l_1 <= ... <= l_ν of scalars, and of pseudoscalars if they are wanted."""
    every = combinations_with_replacement(range(l_max + 1 if nu > 1 else 1), nu)
    return [ls for ls in every if pseudoscalars or sum(ls) % 2 == 0]


def _paths(ls: tuple[int, ...]) -> list[tuple[int, ...]]:
    """List the paths L_1 ... L_{ν-1}, from L_1 = l_1 to L_{ν-1} = l_ν."""
    paths: list[tuple[int, ...]] = [(ls[0],)]
    for l in ls[1:-1]:
        paths = [(*path, L) for path in paths for L in range(abs(path[-1] - l), path[-1] + l + 1)]
    return [path for path in paths if path[-1] == ls[-1]]


@lru_cache(maxsize=256)
def _list_channels(
    n_channels: int, ties: tuple[bool, ...], first_differ: bool, last_differ: bool
) -> tuple[np.ndarray, np.ndarray]:
    """List the channels `(n, ν)` that `_count_channels` counts, and their weights; `ties` marks equal l in a row."""
    nu = len(ties) + 1
    q = np.indices((n_channels,) * nu).reshape(nu, -1)
    tied = np.asarray(ties, bool)[:, None]
    equal, keep = tied & (q[:-1] == q[1:]), ~(tied & (q[:-1] > q[1:])).any(0)
    if first_differ:
        keep &= ~equal[0]
    if last_differ:
        keep &= ~equal[-1]
    # Dividing ν! at every factor by the length of the run of equal factors so far divides by each run's factorial.
    orders, run = np.full(q.shape[1], float(factorial(nu))), np.ones(q.shape[1])
    for same in equal:
        run = np.where(same, run + 1, 1)
        orders = orders / run
    return np.ascontiguousarray(q.T[keep]), np.sqrt(orders[keep])


class SingleFactorTerms(NamedTuple):
    """Features of ν = 3 seen from each factor c: Σ_m c_m B_m, where B are the other two, coupled to the l of c.

    `partners` are all B, by L, with tables whose rows follow each other. For the three factors of each feature,
    `factors` is l n_channels + q, and `others` the row of its B. `weights` are those of the first and the third factor;
    the partners of the second stand in reversed cyclic order, and its weights are `swapped`.
    """

    partners: tuple[CoupledFactors, ...]
    factors: np.ndarray
    others: np.ndarray
    weights: np.ndarray
    swapped: np.ndarray


@lru_cache(maxsize=64)
def single_factor_terms(n_channels: int, l_max: int, pseudoscalars: bool) -> SingleFactorTerms:
    """Tabulate the features of ν = 3 in their order."""
    schemes, rest, n = coupling_schemes(3, n_channels, l_max, pseudoscalars), ([1, 2], [0, 2], [0, 1]), n_channels
    partners = [[CoupledFactors.two(s.ls[i], s.ls[j], s.ls[k]) for k, (i, j) in enumerate(rest)] for s in schemes]
    tables, start = _table_starts([partner for of_scheme in partners for partner in of_scheme], n)
    parts = []
    for s, of_scheme in zip(schemes, partners, strict=True):
        others = [start[p] + p.rows(s.channels[:, ij], n) for p, ij in zip(of_scheme, rest, strict=True)]
        swapped = s.weights * (-1) ** sum(s.ls)
        parts.append((s.channels + n * np.asarray(s.ls), np.stack(others, -1), s.weights, swapped))
    return SingleFactorTerms(tables, *map(np.concatenate, zip(*parts, strict=True)))


class TwoSidedTerms(NamedTuple):
    """Features, by index, whose two sides are coupled to the same L. `tables` are all sides, with tables whose rows
    follow each other; `left` and `right` are the rows of both sides of each feature."""

    tables: tuple[CoupledFactors, ...]
    left: np.ndarray
    right: np.ndarray
    weights: np.ndarray
    features: np.ndarray


@lru_cache(maxsize=64)
def two_sided_terms(nu: int, n_channels: int, l_max: int, pseudoscalars: bool) -> tuple[TwoSidedTerms, ...]:
    """Tabulate the features of order `nu`, grouped by L."""
    schemes = coupling_schemes(nu, n_channels, l_max, pseudoscalars)
    first = np.cumsum([0, *(len(s.weights) for s in schemes)])
    groups = []
    for L in sorted({s.left.L for s in schemes}):
        chosen = [(s, at) for s, at in zip(schemes, first, strict=False) if s.left.L == L]
        tables, start = _table_starts([side for s, _ in chosen for side in (s.left, s.right)], n_channels)
        parts = []
        for s, at in chosen:
            left, right = s.rows_of_sides(n_channels)
            parts.append((start[s.left] + left, start[s.right] + right, s.weights, at + np.arange(len(left))))
        groups.append(TwoSidedTerms(tables, *map(np.concatenate, zip(*parts, strict=True))))
    return tuple(groups)


def _table_starts(
    sides: list[CoupledFactors], n_channels: int
) -> tuple[tuple[CoupledFactors, ...], dict[CoupledFactors, int]]:
    """Sort distinct factors by L, and return the first row of each if their tables follow each other."""
    tables = sorted(set(sides), key=lambda side: (side.L, side))
    start = np.cumsum([0, *(table.n_rows(n_channels) for table in tables)])
    return tuple(tables), dict(zip(tables, start.tolist(), strict=False))
