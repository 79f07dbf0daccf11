"""Sums and products of integer polynomials in brackets, with equal terms collected."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from itertools import permutations
from math import gcd
from operator import and_

from jaxfeat.singular.conditions import Bracket, Terms

Polynomial = dict[tuple[Bracket, ...], int]
"""Coefficients by products of brackets. Brackets have ascending indices, and so do products."""


def bracket(*indices: int) -> Polynomial:
    """Make the polynomial of one bracket. A determinant of repeated neighbors is zero."""
    if len(indices) == 2:
        return {(tuple(sorted(indices)),): 1}
    if len(set(indices)) < 3:
        return {}
    return {(tuple(sorted(indices)),): permutation_sign([sorted(indices).index(i) for i in indices])}


def permutation_sign(order: Sequence[int]) -> int:
    """Compute the sign of a permutation."""
    return -1 if sum(a > b for k, a in enumerate(order) for b in order[k + 1 :]) % 2 else 1


def add(polynomials: Iterable[Polynomial], factors: Iterable[int] | None = None) -> Polynomial:
    """Add polynomials, each times an integer (1 by default)."""
    total: Polynomial = {}
    listed = list(polynomials)
    for polynomial, factor in zip(listed, [1] * len(listed) if factors is None else factors, strict=True):
        for brackets, n in polynomial.items():
            total[brackets] = total.get(brackets, 0) + factor * n
    return {brackets: n for brackets, n in total.items() if n}


def multiply(*polynomials: Polynomial) -> Polynomial:
    """Multiply polynomials."""
    product: Polynomial = {(): 1}
    for polynomial in polynomials:
        expanded: Polynomial = {}
        for brackets, n in product.items():
            for others, m in polynomial.items():
                key = tuple(sorted(brackets + others, key=lambda b: (len(b), b)))
                expanded[key] = expanded.get(key, 0) + n * m
        product = {brackets: n for brackets, n in expanded.items() if n}
    return product


def determinant(matrix: Sequence[Sequence[Polynomial]]) -> Polynomial:
    """Expand the determinant of a small matrix of polynomials; 1 if it is empty."""
    orders = list(permutations(range(len(matrix))))
    products = [multiply(*(row[j] for row, j in zip(matrix, order, strict=True))) for order in orders]
    return add(products, [permutation_sign(order) for order in orders])


def without_common_factors(polynomials: Sequence[Polynomial], removable: Collection[Bracket]) -> list[Polynomial]:
    """Divide polynomials by the integer, and by the `removable` brackets, that all of their terms have in common."""
    terms = [(brackets, n) for polynomial in polynomials for brackets, n in polynomial.items()]
    if not terms:
        return list(polynomials)
    divisor = gcd(*(n for _, n in terms))
    common = reduce(and_, (Counter(b for b in brackets if b in removable) for brackets, _ in terms))

    def divided(brackets: tuple[Bracket, ...]) -> tuple[Bracket, ...]:
        rest = Counter(brackets) - common
        return tuple(sorted(rest.elements(), key=lambda b: (len(b), b)))

    return [{divided(brackets): n // divisor for brackets, n in p.items()} for p in polynomials]


def as_terms(polynomial: Mapping[tuple[Bracket, ...], int]) -> Terms:
    """Write a polynomial as the terms of a condition."""
    return tuple((n, brackets) for brackets, n in polynomial.items())
