"""Lemmas by factors, for sums of derivatives that vanish for more than equal brackets.

Polynomials in dot products that are zero by identities are collected: Gram determinants of four neighbors, those of
three in a plane, and sums of those whose determinants are equal. Each is factorized. A factor that is zero at the point
is a lemma, and the other factors are its multiplier. The factors of a sum of derivatives become polynomials in dot
products too, if they are multiplied by a determinant where that is needed. These are zero by the rules, or multiples of
one of the first factors.

Everything is guessed from a numerical point. The checker of certificates verifies it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, combinations
from typing import Any

import numpy as np

from jaxfeat.singular.bracket_algebra import (
    Bracket,
    Polynomial,
    Relations,
    add_to,
    divides,
    gram_determinant,
    make_polynomial,
    minor_identity,
    multiply,
    sort_bracket,
)
from jaxfeat.singular.lemmas import is_clear, to_terms
from jaxfeat.singular.polynomials import add

ONE: Polynomial = {(): 1}
Minor = tuple[Polynomial, Bracket, Bracket]


class Lemma:
    """A polynomial that is zero, its multiplier, and the identities that show it."""

    def __init__(self, zero: Polynomial, multiplier: Polynomial, minors: Iterable[Minor] = ()) -> None:
        self.zero, self.multiplier, self.minors = zero, multiplier, tuple(minors)

    def as_dict(self) -> dict[str, Any]:
        """Write the lemma as in a certificate."""
        minors = [[to_terms(factor), list(rows), list(columns)] for factor, rows, columns in self.minors]
        return {"zero": to_terms(self.zero), "multiplier": to_terms(self.multiplier), "minors": minors}


def find_lemmas_of_sum(relations: Relations, positions: np.ndarray, total: Polynomial) -> Iterator[dict[str, Any]]:
    """Find a lemma by which a sum of derivatives vanishes, and add it to the relations."""
    zeros = [factor for factor in _factorize(total)[1] if not is_clear(factor, positions)]
    lemmas = chain.from_iterable(_explain_in_plane(factor, relations, positions) for factor in zeros)
    if (lemma := next(lemmas, None)) is None:
        # This takes a second or more for seven neighbors.
        factors = _Factors(relations, positions)
        found = next(filter(None, map(factors.explain, zeros)), [])
    else:
        found = [lemma]
    for lemma in found:
        relations.add(lemma.zero)
        yield lemma.as_dict()


class _Factors:
    """Factors, zero at a point, of polynomials in dot products that are zero by identities."""

    def __init__(self, relations: Relations, positions: np.ndarray) -> None:
        self.relations, self.positions = relations, positions
        self.found: list[Lemma] = []
        seen = set()
        for polynomial, minors in self._identities():
            key = frozenset(polynomial.items())
            if not polynomial or key in seen:
                continue
            seen.add(key)
            number, parts = _factorize(polynomial)
            for place, factor in enumerate(parts):
                if not is_clear(factor, positions):
                    others: Polynomial = {(): number}
                    for part in parts[:place] + parts[place + 1 :]:
                        others = multiply(others, part)
                    if is_clear(others, positions):
                        self.found.append(Lemma(factor, others, minors))

    def _identities(self) -> Iterator[tuple[Polynomial, list[Minor]]]:
        size = range(len(self.positions))
        reduce = self.relations.reduce
        grams: dict[Bracket, Polynomial] = {q: reduce(gram_determinant(q, q)) for q in combinations(size, 4)}
        for one, gram in grams.items():
            yield gram, [(ONE, one, one)]
        for (one, gram), (other, second) in combinations(grams.items(), 2):
            if len(gram) == len(second):
                yield add([gram, second], [1, -1]), [(ONE, one, one), ({(): -1}, other, other)]
        triples: list[Bracket] = list(combinations(size, 3))
        groups: dict[tuple, list] = {}
        for triple in triples:
            reduced = reduce({(triple,): 1})
            groups.setdefault(tuple(reduced), []).append((triple, sum(reduced.values())))
        for volume, members in groups.items():
            first, sign = members[0]
            for triple, turn in members if not volume else members[1:]:
                number = 0 if not volume else -sign * turn
                for columns in triples:
                    total, used = reduce(gram_determinant(triple, columns)), [(ONE, triple, columns)]
                    if number:
                        add_to(total, reduce(gram_determinant(first, columns)), number)
                        used.append(({(): number}, first, columns))
                    yield total, used
                if number:
                    squared = [reduce(gram_determinant(each, each)) for each in (triple, first)]
                    total = add(squared, [1, -1])
                    yield total, [(ONE, triple, triple), ({(): -1}, first, first)]

    def explain(self, zero: Polynomial) -> list[Lemma]:
        """Find a lemma that a polynomial is zero, after the one that it needs; an empty list if there is none."""
        odd = any(sum(len(bracket) == 3 for bracket in monomial) % 2 for monomial in zero)
        triples = combinations(range(len(self.positions)), 3)
        multipliers: list[Polynomial] = [{((t),): 1} for t in triples] if odd else [{(): 1}]
        for multiplier in filter(lambda one: is_clear(one, self.positions), multipliers):
            lemma, total = Lemma(zero, multiplier), self.relations.reduce(multiply(multiplier, zero))
            if self.relations.vanishes(total):
                return [lemma]
            for factor in self.found:
                if divides(self.relations.reduce(factor.zero), total):
                    return [factor, lemma]
        return []


def _explain_in_plane(zero: Polynomial, relations: Relations, positions: np.ndarray) -> list[Lemma]:
    """Find a lemma that a sum of determinants is zero. All of them have a neighbor e in common, and their others are in
    a plane with two neighbors of a base, a and c. There det(a, b, e) |a x c|² = det(a, c, e) (a x b)·(a x c)."""
    if any(len(monomial) != 1 or len(monomial[0]) != 3 for monomial in zero):
        return []
    size = range(len(positions))
    for e in set.intersection(*(set(monomial[0]) for monomial in zero)):
        for base in combinations([i for i in size if i != e], 2):
            square = make_polynomial([(1, [base, base]), (-1, [(base[0],) * 2, (base[1],) * 2])])
            if not is_clear(square, positions):
                continue
            total, minors = multiply(square, zero), []
            for (bracket,), number in zero.items():
                if len(set(bracket) & set(base)) != 1:
                    continue
                (a,) = set(bracket) & set(base)
                (b,), (c,) = set(bracket) - {a, e}, set(base) - {a}
                number = number * sort_bracket((a, b, e))[0]
                minors += [
                    (make_polynomial([(number, [(a, c)])]), (a, b, c, e), (a,)),
                    (make_polynomial([(-number, [(a, a)])]), (a, b, c, e), (c,)),
                ]
            for factor, rows, columns in minors:
                add_to(total, multiply(factor, minor_identity(rows, columns)), -1)
            if not relations.reduce(total):
                return [Lemma(zero, square, minors)]
    return []


def _factorize(polynomial: Polynomial) -> tuple[int, list[Polynomial]]:
    """Write a polynomial as an integer times polynomials that have no factors."""
    from flint import Ordering, fmpz_mpoly_ctx

    brackets = sorted({bracket for monomial in polynomial for bracket in monomial})
    if not brackets:
        return polynomial.get((), 0), []
    context = fmpz_mpoly_ctx.get([f"x{k}" for k in range(len(brackets))], Ordering.lex)
    exponents = {tuple(map(monomial.count, brackets)): number for monomial, number in polynomial.items()}
    factors = []
    number, powers_of = context.from_dict(exponents).factor()
    for factor, power in powers_of:
        terms = {
            tuple(bracket for bracket, n in zip(brackets, powers, strict=True) for _ in range(int(n))): int(value)
            for powers, value in factor.to_dict().items()
        }
        factors += [terms] * int(power)
    return int(number), factors
