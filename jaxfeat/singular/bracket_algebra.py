"""Polynomials in brackets that vanish at a point, and what they say about features (docs/proofs).

This module belongs to the checker of certificates (`jaxfeat.singular.certificate`), so it computes with integers alone
and imports types only. A *bracket* is a tuple of neighbor indices: (i, j) is the dot product r_i·r_j, and (i, j, k) is
the determinant det(r_i, r_j, r_k). A polynomial is a dictionary from monomials, which are sorted tuples of sorted
brackets, to integers.
"""

from collections.abc import Iterable, Sequence

Bracket = tuple[int, ...]
Monomial = tuple[Bracket, ...]
Polynomial = dict[Monomial, int]

PERMUTATIONS: dict[int, list[tuple[int, tuple[int, ...]]]] = {
    3: [(1, (0, 1, 2)), (1, (1, 2, 0)), (1, (2, 0, 1)), (-1, (0, 2, 1)), (-1, (2, 1, 0)), (-1, (1, 0, 2))],
}
PERMUTATIONS[4] = [
    ((-1) ** place * sign, (*order[:place], 3, *order[place:]))
    for sign, order in ((-sign, order) for sign, order in PERMUTATIONS[3])
    for place in range(4)
]


def sort_bracket(indices: Bracket) -> tuple[int, Bracket]:
    """Return the sign and the sorted indices of a bracket. The sign is 0 for a determinant with a repeated index."""
    if len(indices) == 2:
        return 1, (min(indices), max(indices))
    if len(set(indices)) < 3:
        return 0, ()
    swaps = sum(indices[a] > indices[b] for a, b in ((0, 1), (0, 2), (1, 2)))
    return (-1) ** swaps, tuple(sorted(indices))


def make_polynomial(terms: Iterable) -> Polynomial:
    """Make a polynomial from terms: pairs of an integer and a list of brackets."""
    total: Polynomial = {}
    for number, brackets in terms:
        signs, sorted_brackets = zip(*map(sort_bracket, brackets), strict=True) if brackets else ((), ())
        for sign in signs:
            number = number * sign
        add_to(total, {tuple(sorted(sorted_brackets)): number})
    return total


def add_to(total: Polynomial, polynomial: Polynomial, factor: int = 1) -> None:
    """Add a multiple of a polynomial to `total`, in place."""
    for monomial, number in polynomial.items():
        total[monomial] = total.get(monomial, 0) + factor * number
        if not total[monomial]:
            del total[monomial]


def multiply(first: Polynomial, second: Polynomial) -> Polynomial:
    """Multiply two polynomials."""
    total: Polynomial = {}
    for monomial, number in first.items():
        add_to(total, {tuple(sorted(monomial + other)): n for other, n in second.items()}, number)
    return total


def gram_determinant(rows: Bracket, columns: Bracket) -> Polynomial:
    """Expand det(r_i·r_j) over three or four rows i and columns j. For three it is det(rows) det(columns), and for four
    it is zero in three dimensions."""
    return make_polynomial(
        (sign, [(row, columns[place]) for row, place in zip(rows, order, strict=True)])
        for sign, order in PERMUTATIONS[len(rows)]
    )


def minor_identity(rows: Bracket, columns: Bracket) -> Polynomial:
    """Make a polynomial that is zero for all vectors in three dimensions, from rows i and columns j:

    - three and three: det(r_i·r_j) minus the product of the two determinants;
    - four and four: det(r_i·r_j);
    - four and one: the determinant of the rows (r_i, r_i·r_j), by Cramer's rule.
    """
    if len(columns) == 1:
        places = range(4)
        others = [tuple(rows[other] for other in places if other != place) for place in places]
        return make_polynomial(((-1) ** place, [(rows[place], columns[0]), others[place]]) for place in places)
    total = gram_determinant(rows, columns)
    if len(rows) == 3:
        add_to(total, make_polynomial([(-1, [rows, columns])]))
    return total


def is_rule(polynomial: Polynomial) -> bool:
    """Tell whether a polynomial is a multiple of one bracket, or of the sum or difference of two of one kind."""
    lengths = {tuple(map(len, monomial)) for monomial in polynomial}
    numbers = {abs(number) for number in polynomial.values()}
    return lengths in ({(2,)}, {(3,)}) and len(polynomial) in (1, 2) and len(numbers) == 1


class Relations:
    """Polynomials that vanish at x*: rules that replace a bracket by one bracket, its negative or zero, and others."""

    def __init__(self, polynomials: Iterable[Polynomial] = ()) -> None:
        self.rules: dict[Bracket, Polynomial] = {}
        self.rest: list[Polynomial] = []
        for polynomial in polynomials:
            self.add(polynomial)

    def add(self, polynomial: Polynomial) -> None:
        """Add a polynomial that vanishes at x*."""
        reduced = self.reduce(polynomial)
        if is_rule(reduced):
            last, *others = sorted(reduced, reverse=True)
            opposite = -1 if others and reduced[last] == reduced[others[0]] else 1
            self.rules[last[0]] = {others[0]: opposite} if others else {}
        elif reduced:
            self.rest.append(polynomial)

    def reduce(self, polynomial: Polynomial) -> Polynomial:
        """Apply the rules, and replace products of two determinants by determinants of dot products, until no more
        applies. The value at x* stays."""
        while True:
            reduced: Polynomial = {}
            for monomial, number in polynomial.items():
                add_to(reduced, self._rewrite(monomial), number)
            if reduced == polynomial:
                return polynomial
            polynomial = reduced

    def _rewrite(self, monomial: Monomial) -> Polynomial:
        known = [place for place, bracket in enumerate(monomial) if bracket in self.rules]
        if known:
            others = monomial[: known[0]] + monomial[known[0] + 1 :]
            return multiply({others: 1}, self.rules[monomial[known[0]]])
        triples = [place for place, bracket in enumerate(monomial) if len(bracket) == 3]
        if len(triples) < 2:
            return {monomial: 1}
        others = tuple(bracket for place, bracket in enumerate(monomial) if place not in triples[:2])
        return multiply({others: 1}, gram_determinant(monomial[triples[0]], monomial[triples[1]]))

    def vanishes(self, polynomial: Polynomial) -> bool:
        """Tell whether a polynomial is zero at x* by the rules, or a multiple of a polynomial that is."""
        reduced = self.reduce(polynomial)
        return not reduced or any(
            divides(known, polynomial) or divides(self.reduce(known), reduced) for known in self.rest
        )


def follows(relations: Relations, zero: Polynomial, multiplier: Polynomial, minors: Iterable) -> bool:
    """Tell whether a multiple of a polynomial is zero, by the rules and by multiples of identities: a polynomial, rows
    and columns each. The polynomial itself is then zero where the multiplier is not."""
    total = multiply(multiplier, zero)
    for factor, rows, columns in minors:
        add_to(total, multiply(factor, minor_identity(rows, columns)), -1)
    return relations.vanishes(total)


def divides(divisor: Polynomial, polynomial: Polynomial) -> bool:
    """Tell whether a polynomial is a multiple of another one, up to a number, by division from the leading term on."""
    if not divisor:
        return False
    lead = max(divisor, key=_rank)
    while polynomial:
        last = max(polynomial, key=_rank)
        rest = list(last)
        for bracket in lead:
            if bracket not in rest:
                return False
            rest.remove(bracket)
        scaled: Polynomial = {}
        add_to(scaled, polynomial, divisor[lead])
        add_to(scaled, multiply({tuple(rest): 1}, divisor), -polynomial[last])
        polynomial = scaled
    return True


def _rank(monomial: Monomial) -> tuple[int, Monomial]:
    """Order monomials by degree, then by the exponents of their brackets. Products keep this order."""
    return len(monomial), monomial


def differentiate(bracket: Bracket, displacement: Sequence) -> Polynomial:
    """Differentiate a bracket along the displacement, as a polynomial in brackets."""
    total: Polynomial = {}
    for slot, neighbor in enumerate(bracket):
        # A determinant does not change if its slots move on in a circle.
        others = (*bracket[slot + 1 :], *bracket[:slot])
        for terms, vector in displacement[neighbor]:
            if len(vector) == 1 or len(others) == 1:
                product: list = [(1, [(*vector, *others)])]
            else:
                (j, k), (b, c) = vector, others
                product = [(1, [(j, b), (k, c)]), (-1, [(j, c), (k, b)])]
            add_to(total, multiply(make_polynomial(terms), make_polynomial(product)))
    return total


def list_slots(order: int, pseudoscalars: bool) -> list[tuple[int, ...]]:
    """List the slots of each invariant of a tuple: two for a dot product, three for a determinant."""
    slots: list[tuple[int, ...]] = [(a, b) for a in range(order) for b in range(a, order)]
    if pseudoscalars:
        slots += [(a, b, c) for a in range(order) for b in range(a + 1, order) for c in range(b + 1, order)]
    return slots


def make_classes(
    species: Sequence[str], order: int, pseudoscalars: bool, relations: Relations
) -> list[list[tuple[int, ...]]]:
    """Collect ordered tuples of neighbors, repeats included, whose species and invariants are equal by the rules."""
    tuples: list[tuple[int, ...]] = [()]
    reduced: dict[Bracket, tuple] = {}
    classes: dict[tuple, list[tuple[int, ...]]] = {}
    for _ in range(order):
        tuples = [(*t, j) for t in tuples for j in range(len(species))]
    for t in tuples:
        value: list = [species[j] for j in t]
        for slots in list_slots(order, pseudoscalars):
            bracket = tuple(t[slot] for slot in slots)
            if bracket not in reduced:
                reduced[bracket] = tuple(sorted(relations.reduce(make_polynomial([(1, [bracket])])).items()))
            value.append(reduced[bracket])
        classes.setdefault(tuple(value), []).append(t)
    return list(classes.values())


def sum_derivatives(members: list, slots: tuple[int, ...], displacement: Sequence) -> Polynomial:
    """Add the derivatives along the displacement of one invariant of several tuples."""
    total: Polynomial = {}
    for t in members:
        add_to(total, differentiate(tuple(t[slot] for slot in slots), displacement))
    return total


def find_changing_class(
    species: Sequence[str], order: int, pseudoscalars: bool, relations: Relations, displacement: Sequence
) -> tuple[list[tuple[int, ...]], tuple[int, ...]] | None:
    """Return a class of tuples, and the slots of an invariant whose derivatives over the class do not add up to zero by
    the rules. Return None if there is none, that is, if no feature of this order changes at x*."""
    derivatives: dict[Bracket, Polynomial] = {}
    known: set[frozenset] = set()
    for members in make_classes(species, order, pseudoscalars, relations):
        for slots in list_slots(order, pseudoscalars):
            total: Polynomial = {}
            for t in members:
                bracket = tuple(t[slot] for slot in slots)
                if bracket not in derivatives:
                    derivatives[bracket] = relations.reduce(differentiate(bracket, displacement))
                add_to(total, derivatives[bracket])
            if total and frozenset(total.items()) not in known:
                if not relations.vanishes(sum_derivatives(members, slots, displacement)):
                    return members, slots
                known.add(frozenset(total.items()))
    return None
