"""Sums, products and determinants of integer polynomials in brackets, and their common factors."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from itertools import permutations
from math import gcd
from operator import and_

from jaxfeat.singular.bracket_algebra import Bracket, Polynomial, add_to, make_polynomial
from jaxfeat.singular.bracket_algebra import multiply as multiply_two
from jaxfeat.singular.conditions import Terms


def bracket(*indices: int) -> Polynomial:
    """Make the polynomial of one bracket. A determinant of repeated neighbors is zero."""
    return make_polynomial([(1, [indices])])


def add(polynomials: Iterable[Polynomial], factors: Iterable[int] | None = None) -> Polynomial:
    """Add polynomials, each times an integer (1 by default)."""
    total: Polynomial = {}
    listed = list(polynomials)
    for polynomial, factor in zip(listed, [1] * len(listed) if factors is None else factors, strict=True):
        add_to(total, polynomial, factor)
    return total


def multiply(*polynomials: Polynomial) -> Polynomial:
    """Multiply any number of polynomials."""
    one: Polynomial = {(): 1}
    return reduce(multiply_two, polynomials, one)


def permutation_sign(order: Sequence[int]) -> int:
    """Compute the sign of a permutation."""
    return -1 if sum(a > b for k, a in enumerate(order) for b in order[k + 1 :]) % 2 else 1


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
        return tuple(sorted(rest.elements()))

    return [{divided(brackets): n // divisor for brackets, n in p.items()} for p in polynomials]


def as_terms(polynomial: Polynomial) -> Terms:
    """Write a polynomial as the terms of a condition."""
    return tuple((n, brackets) for brackets, n in polynomial.items())
