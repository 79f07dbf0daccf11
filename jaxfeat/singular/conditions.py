"""Conditions on environments: integer polynomials in brackets that vanish (docs/strata, "Conditions").

A *bracket* is a tuple of neighbor indices: (i, j) is the dot product r_i·r_j, and (i, j, k) is det(r_i, r_j, r_k). By
Cramer's rule the coefficients of a linear relation of four neighbors are determinants. So equal radii, equal angles,
neighbors in a plane, and relations are all polynomials in brackets with small integers, and they can be evaluated in
any kind of numbers: floats, fractions, or balls.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.linalg.subspaces import Gap, robust_svd

Bracket = tuple[int, ...]
Terms = tuple[tuple[int, tuple[Bracket, ...]], ...]
"""A polynomial: each term is an integer and the brackets by which it is multiplied."""

RANK_CUTOFF = 1e-6
"""Singular values of differentials are zero below this, relative to the largest. Points are exact to 1e-8 Å or better,
so zeros are below 1e-8, and differentials of independent conditions are rarely parallel to four digits."""


def cross(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """Multiply two vectors of three numbers of any kind."""
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Compute the dot product of two vectors of three numbers of any kind."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def bracket_value(bracket: Bracket, positions: Any) -> Any:
    """Compute a dot product, for two indices, or a determinant, for three."""
    first, *rest = (positions[i] for i in bracket)
    return dot(first, rest[0] if len(rest) == 1 else cross(*rest))


def polynomial_value(terms: Terms, positions: Any) -> Any:
    """Compute a polynomial in brackets at N rows of three numbers of any kind. Only sums and products are taken."""
    return sum(n * prod(bracket_value(b, positions) for b in brackets) for n, brackets in terms)


def polynomial_gradient(terms: Terms, positions: Any) -> list[list[Any]]:
    """Compute the derivatives of a polynomial in brackets by N rows of three numbers, as N rows of the same kind."""
    rows: list[list[Any]] = [[0, 0, 0] for _ in positions]
    for n, brackets in terms:
        values = [bracket_value(b, positions) for b in brackets]
        for k, bracket in enumerate(brackets):
            factor = n * prod(values[:k]) * prod(values[k + 1 :])
            for slot, i in enumerate(bracket):
                # A determinant does not change if its slots move on in a circle.
                others = [positions[j] for j in (*bracket[slot + 1 :], *bracket[:slot])]
                by_vector = others[0] if len(others) == 1 else cross(*others)
                rows[i] = [old + factor * new for old, new in zip(rows[i], by_vector, strict=True)]
    return rows


def relabeled_terms(terms: Terms, order: Sequence[int] | Mapping[int, int]) -> Terms:
    """Replace each neighbor i by `order[i]`."""
    return tuple((n, tuple(tuple(int(order[i]) for i in b) for b in brackets)) for n, brackets in terms)


@dataclass(frozen=True)
class Condition:
    """A polynomial in brackets that vanishes.

    **Attributes:** `terms`: Tuple of terms, each an integer and a tuple of brackets. A bracket is a tuple of two
    neighbor indices for a dot product, or of three for a determinant.
    """

    terms: Terms

    def __post_init__(self) -> None:
        for _, brackets in self.terms:
            for bracket in brackets:
                if len(bracket) not in (2, 3) or (len(bracket) == 3 and len(set(bracket)) < 3):
                    raise GeometryError(f"bracket {bracket} must hold two neighbors, or three different ones.")

    @property
    def degree(self) -> int:
        """The degree in the coordinates. A term that is a plain integer has degree 0."""
        return max(sum(map(len, brackets)) for _, brackets in self.terms)

    @property
    def neighbors(self) -> tuple[int, ...]:
        """The neighbors that take part, ascending."""
        return tuple(sorted({i for _, brackets in self.terms for bracket in brackets for i in bracket}))

    def value(self, positions: Any) -> Any:
        """Compute the polynomial at N rows of three numbers: floats, JAX arrays, fractions, or balls. It has the unit
        Å to the power of `degree`."""
        return polynomial_value(self.terms, positions)

    def gradient(self, positions: Any) -> list[list[Any]]:
        """Compute the derivatives by the positions: N rows of three numbers of the same kind."""
        return polynomial_gradient(self.terms, positions)

    def relabeled(self, order: Sequence[int] | Mapping[int, int]) -> "Condition":
        """Return the condition on the neighbors `order[i]` in place of the neighbors i."""
        return Condition(relabeled_terms(self.terms, order))

    def __str__(self) -> str:
        if len(self.terms) == 1 and len(self.terms[0][1]) == 1 and len(self.terms[0][1][0]) == 3:
            return f"{', '.join(f'r_{i}' for i in self.terms[0][1][0])} lie in a plane with the center"
        left = [(n, brackets) for n, brackets in self.terms if n > 0]
        right = [(-n, brackets) for n, brackets in self.terms if n < 0]
        squares = [brackets for _, brackets in self.terms if len(brackets) == 1 and len(set(brackets[0])) == 1]
        if len(squares) == len(self.terms) == 2 and [n for n, _ in left + right] == [1, 1] and left and right:
            return f"|r_{left[0][1][0][0]}| = |r_{right[0][1][0][0]}|"
        return f"{_sum_text(left)} = {_sum_text(right)}"


def _sum_text(terms: Sequence[tuple[int, tuple[Bracket, ...]]]) -> str:
    """Write a sum of terms with positive integers."""

    def factor(bracket: Bracket) -> str:
        names = [f"r_{i}" for i in bracket]
        return "·".join(names) if len(names) == 2 else f"det({', '.join(names)})"

    def term(n: int, brackets: tuple[Bracket, ...]) -> str:
        single = len(brackets) == 1
        factors = [factor(b) if single or len(b) == 3 else f"({factor(b)})" for b in brackets]
        return " ".join(([str(n)] if n != 1 or not factors else []) + factors)

    return " + ".join(term(n, brackets) for n, brackets in terms) or "0"


def equal_products(first: Bracket, second: Bracket) -> Condition:
    """Make the condition that two dot products, or two determinants, are equal. Equal radii are dot products too."""
    return Condition(((1, (first,)), (-1, (second,))))


def zero_product(i: int, j: int) -> Condition:
    """Make the condition that two neighbors are at a right angle."""
    return Condition(((1, ((i, j),)),))


def in_plane(i: int, j: int, k: int) -> Condition:
    """Make the condition that three neighbors lie in a plane with the center."""
    return Condition(((1, ((i, j, k),)),))


def opposite_heights(b: int, other: int, i: int, j: int) -> Condition:
    """Make the condition that two neighbors are at opposite heights over the plane of the neighbors i and j."""
    return Condition(((1, ((b, i, j),)), (1, ((other, i, j),))))


def residuals(conditions: Sequence[Condition], positions: Any) -> np.ndarray:
    """Compute the polynomials of m conditions at `(N, 3)` positions, Å: `(m,)` float64."""
    rows = np.asarray(positions, np.float64)
    return np.asarray([condition.value(rows) for condition in conditions], np.float64)


def differential(conditions: Sequence[Condition], positions: Any) -> np.ndarray:
    """Compute the derivatives of `residuals` by the positions, `(m, 3 N)` float64."""
    rows = np.asarray(positions, np.float64)
    return np.asarray([condition.gradient(rows) for condition in conditions], np.float64).reshape(-1, rows.size)


def scaled(conditions: Sequence[Condition], positions: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute residuals in Å, `(m,)`, and their differential in numbers of order one, `(m, 3 N)`: both divided by the
    root mean square distance from the center to the power of the degree minus one."""
    rows = np.asarray(positions, np.float64)
    scale = np.sqrt((rows**2).sum(-1).mean())
    units = np.asarray([scale ** (condition.degree - 1) for condition in conditions])
    return residuals(conditions, rows) / units, differential(conditions, rows) / units[:, None]


class Codimension(NamedTuple):
    """The rank of the differential of some conditions, with the largest singular value taken for zero and the smallest
    other one, relative to the largest. If these two are close, the rank is ambiguous."""

    rank: int
    gap: Gap


def codimension(conditions: Sequence[Condition], positions: Any) -> Codimension:
    """Compute the codimension of the set of environments that satisfy conditions, near `(N, 3)` positions on it.

    It is the number of conditions if their differentials are independent, and the rank of the differential in general.
    """
    if not conditions:
        return Codimension(0, (0.0, np.inf))
    values = robust_svd(scaled(conditions, positions)[1])[1]
    values = values / max(values.max(), np.finfo(float).tiny)
    rank = int((values > RANK_CUTOFF).sum())
    return Codimension(rank, (float(values[rank:].max(initial=0.0)), float(values[:rank].min(initial=np.inf))))


def independent(conditions: Sequence[Condition], positions: Any) -> tuple[Condition, ...]:
    """Choose conditions, the first ones first, whose differentials are independent at `(N, 3)` positions and span those
    of all."""
    rows, chosen = scaled(conditions, positions)[1], []
    basis = np.zeros((0, rows.shape[1]))
    largest = max(np.linalg.norm(rows, axis=1).max(initial=0.0), np.finfo(float).tiny)
    for condition, row in zip(conditions, rows, strict=True):
        # Twice, so that rounding leaves nothing in the span.
        rest = row - basis.T @ (basis @ row)
        rest = rest - basis.T @ (basis @ rest)
        if np.linalg.norm(rest) > RANK_CUTOFF * largest:
            chosen.append(condition)
            basis = np.concatenate([basis, rest[None] / np.linalg.norm(rest)])
    return tuple(chosen)
