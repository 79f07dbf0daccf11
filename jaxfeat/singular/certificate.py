"""Certificates of incomplete environments, checked from scratch (docs/proofs).

The checker reads one JSON object, computes with integers, fractions and the balls of python-flint, and uses nothing
else of jaxfeat. A *bracket* is a tuple of neighbor indices: (i, j) is r_i·r_j, and (i, j, k) is det(r_i, r_j, r_k). A
polynomial in brackets is a dictionary from sorted tuples of brackets to integers.

`check_certificate` takes four steps:

1. A Krawczyk step proves that an exact zero x* of the conditions lies within the radius, and encloses it in balls.
2. The conditions become rules for rewriting brackets. A lemma, p = 0, adds a rule: q p is zero by rules and by
   identities, and the ball of q at x* does not contain zero.
3. Tuples of ν neighbors with equal invariants by the rules form classes. For each class and each invariant, the
   derivatives along u add up to zero by the rules. So no feature of order ν changes along u.
4. A tuple of a higher order has an invariant whose derivative along u is not zero in balls, and of one sign on all
   tuples that may have the same invariants. So features of this order change along u: u is neither rigid nor symmetric.
"""

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from jaxfeat.singular.bracket_algebra import (
    Bracket,
    Polynomial,
    Relations,
    differentiate,
    find_changing_class,
    follows,
    list_slots,
    make_polynomial,
)

Ball = Any  # flint.arb; or numbers of another kind, in what searches for proofs
Rows = Any  # N rows of three balls, or of other numbers

FORMAT = "jaxfeat certificate"
VERSION = 1
PRECISION = 192  # bits of the balls


class InvalidCertificate(ValueError):
    """A certificate that does not prove its statement. The message names the step that fails."""


class working_precision:
    """A `with` block in which balls have `PRECISION` bits."""

    def __enter__(self) -> None:
        try:
            from flint import ctx
        except ImportError:
            raise ImportError("proofs need python-flint; pip install 'jaxfeat[proof]' brings it.") from None

        self.context, self.before = ctx, ctx.prec
        ctx.prec = PRECISION

    def __exit__(self, *_: object) -> None:
        self.context.prec = self.before


def bracket_value(bracket: Bracket, rows: Rows) -> Ball:
    """Compute a dot product or a determinant of rows of three numbers."""
    first, *others = (rows[i] for i in bracket)
    second = others[0] if len(others) == 1 else _cross(*others)
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


def _cross(a: Sequence, b: Sequence) -> list:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def evaluate(polynomial: Polynomial, rows: Rows) -> Ball:
    """Compute a polynomial at rows of three numbers."""
    total = 0 * rows[0][0]
    for monomial, number in polynomial.items():
        product = number
        for bracket in monomial:
            product = product * bracket_value(bracket, rows)
        total = total + product
    return total


def gradient(polynomial: Polynomial, rows: Rows) -> list:
    """Compute the derivatives of a polynomial by all coordinates, as one list."""
    total = [0 * rows[0][0] for _ in range(3 * len(rows))]
    for monomial, number in polynomial.items():
        for place, bracket in enumerate(monomial):
            factor = evaluate({monomial[:place] + monomial[place + 1 :]: number}, rows)
            for slot, i in enumerate(bracket):
                others = [rows[j] for j in (*bracket[slot + 1 :], *bracket[:slot])]
                by_vector = others[0] if len(others) == 1 else _cross(*others)
                for axis in range(3):
                    total[3 * i + axis] = total[3 * i + axis] + factor * by_vector[axis]
    return total


def enclose(conditions: list[Polynomial], positions: list[list[Fraction]]) -> tuple[Rows, Ball]:
    """Enclose an exact zero of the conditions near exact positions in balls, by a Krawczyk step on the normal slice.

    The slice is x0 + B y with B = Cᵀ(C Cᵀ)⁻¹ and C the differential at x0. On a box Y about zero, y - c(x0 + B y) lies
    in K(Y) = -c(x0) + (1 - c'(x0 + B Y) B) Y. If K(Y) is in Y, Brouwer's theorem gives a zero in K(Y).

    **Returns:** the balls of x*, and a bound on the distance of x* from x0 (norm over all coordinates).
    """
    from flint import arb, arb_mat, fmpq

    exact = [[arb(fmpq(x.numerator, x.denominator)) for x in row] for row in positions]
    size, m = 3 * len(positions), len(conditions)
    if not m:
        return exact, arb(0)
    values = [evaluate(c, exact) for c in conditions]
    slope = arb_mat(m, size, [x.mid() for c in conditions for x in gradient(c, exact)])
    try:
        inverse = (slope * slope.transpose()).inv()
    except ZeroDivisionError:
        raise InvalidCertificate("the differentials of the conditions may be dependent at the positions.") from None
    slices = arb_mat(size, m, [x.mid() for x in (slope.transpose() * inverse).entries()])
    half = 2 * max(float(v.abs_upper()) for v in values) + 1e-40
    box = arb_mat(m, 1, [arb(0, half)] * m)
    around = _moved(exact, slices * box)
    derivative = arb_mat(m, size, [x for c in conditions for x in gradient(c, around)])
    one = arb_mat(m, m, [int(a == b) for a in range(m) for b in range(m)])
    image = (one - derivative * slices) * box - arb_mat(m, 1, values)
    if not all(x.contains(y) for x, y in zip(box.entries(), image.entries(), strict=True)):
        raise InvalidCertificate("the Krawczyk step does not contract: the positions are too far from the conditions.")
    shift = slices * image
    return _moved(exact, shift), sum((x.abs_upper() ** 2 for x in shift.entries()), arb(0)).sqrt()


def _moved(rows: Rows, shift: Ball) -> Rows:
    moves = shift.entries()
    return [[x + moves[3 * i + axis] for axis, x in enumerate(row)] for i, row in enumerate(rows)]


def witness_signs(
    species: Sequence[str],
    members: Sequence[int],
    slots: tuple[int, ...],
    pseudoscalars: bool,
    displacement: Sequence,
    rows: Rows,
) -> list:
    """Compute the derivative along u of one invariant of a tuple, and of all tuples that may have its invariants."""
    survivors: list[tuple[int, ...]] = [()]
    values: dict = {}

    def value(bracket: Bracket) -> Ball:
        if bracket not in values:
            values[bracket] = bracket_value(bracket, rows)
        return values[bracket]

    for place in range(len(members)):
        new = [s for s in list_slots(place + 1, pseudoscalars) if place in s]
        survivors = [
            (*t, j)
            for t in survivors
            for j in range(len(species))
            if species[j] == species[members[place]]
            and all(value(tuple((*t, j)[a] for a in s)).overlaps(value(tuple(members[a] for a in s))) for s in new)
        ]
    return [evaluate(differentiate(tuple(t[a] for a in slots), displacement), rows) for t in survivors]


def check_certificate(certificate: dict | str) -> str:
    """Verify a certificate from scratch.

    **Arguments:**

    - `certificate`: The object that JSON holds, as a dictionary, or the JSON text.

    **Returns:** the statement that is proved, as one English sentence.

    **Raises:** `InvalidCertificate` if the certificate does not prove its statement. `ImportError` if python-flint is
    missing; `pip install 'jaxfeat[proof]'` brings it.

    **Source:** docs/proofs.
    """
    with working_precision():
        try:
            return _check(json.loads(certificate) if isinstance(certificate, str) else certificate)
        except InvalidCertificate:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise InvalidCertificate(f"the certificate is malformed: {type(error).__name__}: {error}") from error


def _check(certificate: dict) -> str:
    _require((certificate["format"], certificate["version"]) == (FORMAT, VERSION), "the format is unknown.")
    species, nu, chiral = certificate["species"], certificate["nu"], certificate["pseudoscalars"]
    _require(type(nu) is int and nu >= 1 and type(chiral) is bool, "nu or pseudoscalars have a wrong type.")
    displacement, positions = certificate["displacement"], certificate["positions"]
    _require(len(species) == len(displacement) == len(positions) > 0, "the numbers of neighbors differ.")
    _require(all(type(symbol) is str for symbol in species), "the species must be strings.")
    read = _Reader(len(species))
    positions = [[Fraction(x) for x in row] for row in positions]
    _require(all(len(row) == 3 for row in positions), "a position must have three coordinates.")
    conditions = [read.polynomial(terms) for terms in certificate["conditions"]]
    for terms, vector in (one for row in displacement for one in row):
        read.polynomial(terms)
        _require(len(vector) in (1, 2) and all(map(read.is_neighbor, vector)), "a vector names one or two neighbors.")

    rows, distance = enclose(conditions, positions)
    radius = Fraction(certificate["radius"])
    _require(bool(distance <= _ball(radius)), "the exact point may be farther away than the radius.")

    relations = Relations(conditions)
    for number, lemma in enumerate(certificate["lemmas"]):
        zero, multiplier = read.polynomial(lemma["zero"]), read.polynomial(lemma["multiplier"])
        minors = [(read.polynomial(terms), rows, columns) for terms, rows, columns in lemma["minors"]]
        for _, row, columns in minors:
            _require(all(map(read.is_neighbor, (*row, *columns))), "a minor is not about neighbors.")
            _require((len(row), len(columns)) in ((3, 3), (4, 4), (4, 1)), "a minor has a wrong size.")
        _require(follows(relations, zero, multiplier, minors), f"lemma {number} does not follow.")
        _require(not evaluate(multiplier, rows).contains(0), f"the multiplier of lemma {number} may vanish.")
        relations.add(zero)

    changing = find_changing_class(species, nu, chiral, relations, displacement)
    _require(changing is None, f"features of order {nu} may change along the displacement: {changing}.")

    members, slots = certificate["witness"]["neighbors"], tuple(certificate["witness"]["slots"])
    _require(len(members) > nu and all(map(read.is_neighbor, members)), "the witness is no tuple of a higher order.")
    _require(slots in list_slots(len(members), chiral), "the witness has no such invariant.")
    signs = witness_signs(species, members, slots, chiral, displacement, rows)
    seen = all(s > 0 for s in signs) or all(s < 0 for s in signs)
    _require(seen, "the witness may not change along the displacement.")
    _require(certificate["statement"] == make_statement(certificate), "the statement is not the one that is proved.")
    return certificate["statement"]


def make_statement(certificate: dict) -> str:
    """Write the sentence that a certificate proves."""
    nu, order = certificate["nu"], len(certificate["witness"]["neighbors"])
    group = "rotations" if certificate["pseudoscalars"] else "rotations and reflections"
    return (
        f"Within {certificate['radius']} Å of these positions of {len(certificate['species'])} neighbors, as a norm "
        f"over all coordinates, there are exact positions at which the displacement is null for all features of body "
        f"order {nu} that are invariant under {group}, in any basis, and not null for features of body order {order}, "
        f"hence neither rigid nor due to symmetry."
    )


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InvalidCertificate(otherwise)


def _ball(number: Fraction) -> Ball:
    from flint import arb, fmpq

    return arb(fmpq(number.numerator, number.denominator))


class _Reader:
    """Reads polynomials in brackets of N neighbors, and refuses everything else."""

    def __init__(self, size: int) -> None:
        self.size = size

    def is_neighbor(self, index: object) -> bool:
        return type(index) is int and 0 <= index < self.size

    def polynomial(self, terms: list) -> Polynomial:
        for number, brackets in terms:
            _require(type(number) is int, "the coefficients of polynomials must be integers.")
            for bracket in brackets:
                _require(len(bracket) in (2, 3) and all(map(self.is_neighbor, bracket)), f"{bracket} is no bracket.")
        return make_polynomial(terms)
