"""Consequences of conditions that a proof needs beside the conditions themselves.

Independent conditions imply further equations between brackets. Three kinds are found here:

- det A = 0, by the relation of Grassmann and Plücker between the determinants of five neighbors.
- det A = ±det B, because the squares of both are the same polynomial in dot products, and det A ± det B is not zero.
- r_i·r_j = ±r_k·r_l, because both are roots of the same polynomial of degree one or two: the Gram determinant of four
  neighbors, which is zero, or that of three, which is the square of their determinant. The multiplier is what is left
  when the difference of the two polynomials is divided by that of the roots.

Equations are guessed from a numerical point. The checker of certificates verifies each of them.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, combinations_with_replacement, permutations, product
from typing import Any

import numpy as np

from jaxfeat.singular.bracket_algebra import (
    Bracket,
    Monomial,
    Polynomial,
    Relations,
    add_to,
    gram_determinant,
    make_polynomial,
    multiply,
)
from jaxfeat.singular.certificate import bracket_value

EQUAL = 1e-9
"""Relative to the size of the brackets. Points are landed to rounding, and brackets that differ do so by more."""


def to_terms(polynomial: Polynomial) -> list[Any]:
    """Write a polynomial as the terms of a certificate."""
    return [[number, [list(bracket) for bracket in monomial]] for monomial, number in polynomial.items()]


def find_lemmas(
    relations: Relations, positions: np.ndarray, determinants: Iterable[Bracket]
) -> Iterator[dict[str, Any]]:
    """Find lemmas about `(N, 3)` positions on the stratum, and add each to the relations: about dot products and some
    determinants. A lemma may open the way to others, so the search starts again until it finds no more."""
    determinants = list(determinants)
    found = True
    while found:
        found = False
        for lemma in [
            *_zero_determinants(relations, positions, determinants),
            *_equal_determinants(relations, positions, determinants),
            *_equal_products(relations, positions),
        ]:
            zero = make_polynomial(lemma["zero"])
            # Another lemma of this round may have implied it.
            if relations.reduce(zero):
                relations.add(zero)
                found = True
                yield lemma


def _pairs(
    relations: Relations, positions: np.ndarray, brackets: Iterable[Bracket]
) -> Iterator[tuple[Bracket, Bracket, int]]:
    """List brackets that are equal, or opposite (sign -1), at the positions, and not yet so by the rules."""
    free = sorted({m[0] for b in brackets for m in relations.reduce({(b,): 1})})
    values = np.asarray([bracket_value(b, positions) for b in free], float)
    scale = max(np.abs(values).max(initial=0.0), np.finfo(float).tiny)
    for a, b in combinations(range(len(free)), 2):
        for sign in (1, -1):
            if abs(values[a] - sign * values[b]) < EQUAL * scale < abs(values[a]):
                yield free[a], free[b], sign


def _equal_determinants(
    relations: Relations, positions: np.ndarray, determinants: list[Bracket]
) -> Iterator[dict[str, Any]]:
    for first, second, sign in _pairs(relations, positions, determinants):
        zero: Polynomial = {(first,): 1, (second,): -sign}
        multiplier: Polynomial = {(first,): 1, (second,): sign}
        if not relations.reduce(multiply(zero, multiplier)):
            yield {"zero": to_terms(zero), "multiplier": to_terms(multiplier), "minors": []}


def _zero_determinants(
    relations: Relations, positions: np.ndarray, determinants: list[Bracket]
) -> Iterator[dict[str, Any]]:
    """Use det(a, b, c) det(a, d, e) = det(a, b, d) det(a, c, e) - det(a, b, e) det(a, c, d) with a right side of 0."""
    free = {m[0] for bracket in determinants for m in relations.reduce({(bracket,): 1})}
    scale = np.abs(positions).max() ** 3
    for bracket in sorted(free):
        if abs(bracket_value(bracket, positions)) > EQUAL * scale:
            continue
        turns = [(*bracket[k:], *bracket[:k]) for k in range(3)]
        others = [i for i in range(len(positions)) if i not in bracket]
        for (a, b, c), (d, e) in product(turns, permutations(others, 2)):
            if abs(bracket_value((a, d, e), positions)) > EQUAL * scale and not relations.reduce(
                make_polynomial([(1, [(a, b, d), (a, c, e)]), (-1, [(a, b, e), (a, c, d)])])
            ):
                yield {
                    "zero": [[1, [list(bracket)]]],
                    "multiplier": [[1, [[a, d, e]]]],
                    "minors": [[[[1, []]], [a, b, d], [a, c, e]], [[[-1, []]], [a, b, e], [a, c, d]]],
                }
                break


def _equal_products(relations: Relations, positions: np.ndarray) -> Iterator[dict[str, Any]]:
    """Use Gram determinants of four neighbors, which are zero, and those of three, which are equal if determinants
    are."""
    groups: dict[Monomial, dict[Bracket, Polynomial]] = {}
    for size in (3, 4):
        for members in combinations(range(len(positions)), size):
            volume = tuple(relations.reduce({(members,): 1})) if size == 3 else (4,)
            groups.setdefault(volume, {})[members] = relations.reduce(gram_determinant(members, members))
    for first, second, sign in _pairs(relations, positions, combinations_with_replacement(range(len(positions)), 2)):
        for minors in groups.values():
            if len(minors) > 1 and (lemma := _lemma_of_roots(first, second, sign, minors)):
                yield lemma
                break


def _lemma_of_roots(
    first: Bracket, second: Bracket, sign: int, minors: dict[Bracket, Polynomial]
) -> dict[str, Any] | None:
    """Find two sets of neighbors whose Gram determinants are the same polynomial in two dot products."""
    quadratics = [_as_quadratic(minor, first, second) for minor in minors.values()]
    partners = [_as_quadratic(minor, second, first, sign) for minor in minors.values()]
    for members, quadratic in zip(minors, quadratics, strict=True):
        if quadratic is not None and any(quadratic[:2]) and quadratic in partners:
            partner = list(minors)[partners.index(quadratic)]
            square, linear, _ = quadratic
            multiplier = multiply(square, {(first,): 1, (second,): sign})
            add_to(multiplier, linear)
            return {
                "zero": to_terms({(first,): 1, (second,): -sign}),
                "multiplier": to_terms(multiplier),
                "minors": [[[[1, []]], list(members), list(members)], [[[-1, []]], list(partner), list(partner)]],
            }
    return None


def _as_quadratic(
    polynomial: Polynomial, root: Bracket, absent: Bracket, sign: int = 1
) -> tuple[Polynomial, Polynomial, Polynomial] | None:
    """Write a polynomial as a x² + b x + c in x = sign · root, and return (a, b, c), or None if `absent` occurs."""
    parts: tuple[Polynomial, Polynomial, Polynomial] = ({}, {}, {})
    for monomial, number in polynomial.items():
        degree = monomial.count(root)
        if absent in monomial or degree > 2:
            return None
        parts[2 - degree][tuple(b for b in monomial if b != root)] = number * sign**degree
    return parts
