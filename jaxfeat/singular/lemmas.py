"""Consequences of conditions that a proof needs beside the conditions themselves.

Independent conditions imply further equations between brackets. These kinds are found here:

- det A = 0, by Cramer's rule for four neighbors, or by the relation of Grassmann and Plücker for five.
- det A = ±det B, because the squares of both are the same polynomial in dot products, and det A ± det B is not zero.
- x = 0 or x = ±y for dot products x and y, because a Gram determinant that is zero is a multiple of x or of x ∓ y.
- x = ±y, because both are roots of the same polynomial of degree one or two: Gram determinants of neighbors that span
  equal volumes. The multiplier is what is left when the difference of the two polynomials is divided by x ∓ y.

Equations are guessed from a numerical point. The checker of certificates verifies each of them.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, combinations, combinations_with_replacement, islice, permutations
from typing import Any

import numpy as np

from jaxfeat.singular.bracket_algebra import (
    Bracket,
    Polynomial,
    Relations,
    add_to,
    gram_determinant,
    make_polynomial,
    minor_identity,
    multiply,
)
from jaxfeat.singular.certificate import bracket_value, evaluate
from jaxfeat.singular.polynomials import add

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
        for search in (_zero_determinants, _equal_determinants, _dot_products):
            for lemma in search(relations, positions, determinants):
                zero = make_polynomial(lemma["zero"])
                # Another lemma of this round may have implied it.
                if relations.reduce(zero):
                    relations.add(zero)
                    found = True
                    yield lemma


def _lemma(zero: Polynomial, multiplier: Polynomial, *minors: tuple[int, Bracket, Bracket]) -> dict[str, Any]:
    written = [[[[number, []]], list(rows), list(columns)] for number, rows, columns in minors]
    return {"zero": to_terms(zero), "multiplier": to_terms(multiplier), "minors": written}


def _pairs(
    relations: Relations, positions: np.ndarray, brackets: Iterable[Bracket]
) -> Iterator[tuple[Bracket, Bracket | None, int]]:
    """List brackets that are equal, or opposite (sign -1), at the positions, or zero (`None`, sign 0), and not
    yet so by the rules."""
    free = sorted({m[0] for b in brackets for m in relations.reduce({(b,): 1})})
    values = np.asarray([bracket_value(b, positions) for b in free], float)
    scale = EQUAL * max(np.abs(values).max(initial=0.0), np.finfo(float).tiny)
    yield from ((bracket, None, 0) for bracket, value in zip(free, values, strict=True) if abs(value) < scale)
    for a, b in combinations(range(len(free)), 2):
        for sign in (1, -1):
            if abs(values[a] - sign * values[b]) < scale < abs(values[a]):
                yield free[a], free[b], sign


def _zero_determinants(
    relations: Relations, positions: np.ndarray, determinants: list[Bracket]
) -> Iterator[dict[str, Any]]:
    """Use relations between a determinant and others that are zero, by Cramer's rule and by Grassmann and Plücker."""
    size, scale = range(len(positions)), EQUAL * np.abs(positions).max() ** 3
    triples = combinations(size, 3)
    # In a plane all determinants are zero, and any of them may lead to others.
    for bracket in sorted({*determinants, *triples}):
        if abs(bracket_value(bracket, positions)) > scale or not relations.reduce({(bracket,): 1}):
            continue
        others = [i for i in size if i not in bracket]
        candidates: list[tuple] = [
            (make_polynomial([(1, [(a, e)])]), (1, (a, *bracket), (e,))) for a in others for e in size
        ]
        for a, b, c in ((*bracket[k:], *bracket[:k]) for k in range(3)):
            for d, e in permutations(others, 2):
                multiplier = make_polynomial([(1, [(a, d, e)])])
                candidates.append((multiplier, (1, (a, b, d), (a, c, e)), (-1, (a, b, e), (a, c, d))))
        for multiplier, *minors in candidates:
            total = multiply(multiplier, {(bracket,): 1})
            for number, rows, columns in minors:
                add_to(total, minor_identity(rows, columns), -number)
            if not relations.reduce(total) and is_clear(multiplier, positions):
                yield _lemma({(bracket,): 1}, multiplier, *minors)
                break


def _equal_determinants(
    relations: Relations, positions: np.ndarray, determinants: list[Bracket]
) -> Iterator[dict[str, Any]]:
    for first, second, sign in _pairs(relations, positions, determinants):
        if second is not None:
            zero: Polynomial = {(first,): 1, (second,): -sign}
            multiplier: Polynomial = {(first,): 1, (second,): sign}
            if not relations.reduce(multiply(zero, multiplier)):
                yield _lemma(zero, multiplier)


def _dot_products(relations: Relations, positions: np.ndarray, _: list[Bracket]) -> Iterator[dict[str, Any]]:
    """Use Gram determinants: those of four neighbors and of three in a plane, which are zero, and those of triples
    whose determinants are equal."""
    size = range(len(positions))
    groups: dict[tuple, dict[tuple[Bracket, Bracket], Polynomial]] = {}
    for length in (3, 4):
        for rows in combinations(size, length):
            volume = tuple(relations.reduce({(rows,): 1})) if length == 3 else ()
            others = combinations(size, 3) if length == 3 and not volume else [rows]
            for columns in others:
                minor = relations.reduce(gram_determinant(rows, columns))
                groups.setdefault(volume, {})[rows, columns] = minor
    for first, second, sign in _pairs(relations, positions, combinations_with_replacement(size, 2)):
        lemmas = [_lemmas_of_factors(first, second, sign, groups.get((), {}), positions)]
        if second is not None:
            lemmas += [_lemmas_of_roots(first, second, sign, minors, positions) for minors in groups.values()]
        # One lemma about a pair is enough.
        yield from islice(chain.from_iterable(lemmas), 1)


def _lemmas_of_factors(
    first: Bracket,
    second: Bracket | None,
    sign: int,
    minors: dict[tuple[Bracket, Bracket], Polynomial],
    positions: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """Divide polynomials that are zero by the difference x - y of two dot products, or by one that is zero."""
    y: Polynomial = {} if second is None else {(second,): sign}
    for (rows, columns), minor in minors.items():
        parts = _as_quadratic(minor, first)
        if parts is None or not any(parts[:2]):
            continue
        square, linear, rest = parts
        slope = add([linear, multiply(y, square)])
        if add([rest, multiply(y, slope)]):
            continue
        factor = add([multiply(square, {(first,): 1}), slope])
        if is_clear(factor, positions):
            yield _lemma(add([{(first,): 1}, y], [1, -1]), factor, (1, rows, columns))


def _lemmas_of_roots(
    first: Bracket,
    second: Bracket,
    sign: int,
    minors: dict[tuple[Bracket, Bracket], Polynomial],
    positions: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """Find two Gram determinants that are the same polynomial in one dot product and in the other."""
    quadratics = [_as_quadratic(minor, first, second) for minor in minors.values()]
    partners = [_as_quadratic(minor, second, first, sign) for minor in minors.values()]
    for members, quadratic in zip(minors, quadratics, strict=True):
        if quadratic is not None and any(quadratic[:2]) and quadratic in partners:
            partner = list(minors)[partners.index(quadratic)]
            factor = add([multiply(quadratic[0], {(first,): 1, (second,): sign}), quadratic[1]])
            if not is_clear(factor, positions):
                continue
            yield _lemma({(first,): 1, (second,): -sign}, factor, (1, *members), (-1, *partner))


def _as_quadratic(
    polynomial: Polynomial, root: Bracket, absent: Bracket | None = None, sign: int = 1
) -> tuple[Polynomial, Polynomial, Polynomial] | None:
    """Write a polynomial as a x² + b x + c in x = sign · root, and return (a, b, c), or None if `absent` occurs."""
    parts: tuple[Polynomial, Polynomial, Polynomial] = ({}, {}, {})
    for monomial, number in polynomial.items():
        degree = monomial.count(root)
        if absent in monomial or degree > 2:
            return None
        parts[2 - degree][tuple(b for b in monomial if b != root)] = number * sign**degree
    return parts


def is_clear(polynomial: Polynomial, positions: np.ndarray) -> bool:
    """Tell whether a polynomial is not zero at the positions, relative to the distances in its monomials."""
    radii = np.linalg.norm(positions, axis=1)
    sizes = [abs(n) * np.prod([radii[list(bracket)].prod() for bracket in m]) for m, n in polynomial.items()]
    return bool(abs(evaluate(polynomial, positions)) > EQUAL * sum(sizes))
