"""Strata of coincidences alone: enough dot products are equal that no relation between neighbors is needed."""

from jaxfeat.singular.conditions import Terms, cross, equal_products
from jaxfeat.singular.rational import Draws, Rational
from jaxfeat.singular.stratum import Stratum, displaced

Rows = list[list[Rational]]


def chain() -> Stratum:
    """Make the family of four neighbors of which 1 and 2 are on a cone about 3, and 0 and 3 on a cone about 2, so that
    r_0·r_2 = r_2·r_3 = r_3·r_1."""

    def draw(draws: Draws) -> Rows:
        second, third = draws.vector(), draws.vector()
        return [draws.turned(third, second), draws.turned(second, third), second, third]

    conditions = [equal_products((0, 0), (3, 3)), equal_products((1, 1), (2, 2))]
    conditions += [equal_products((2, 3), (0, 2)), equal_products((2, 3), (1, 3))]
    text = "Two like pairs of radii, and a chain of three equal dot products through the four neighbors."
    # With u_2 along r_1 x r_2 and u_3 along r_0 x r_3, the changes of the three products have to add up to zero.
    second: Terms = ((1, ((0, 3, 1),)), (1, ((0, 3, 2),)))
    third: Terms = ((-1, ((1, 2, 0),)), (-1, ((1, 2, 3),)))
    moves = displaced(4, {2: (second, (1, 2)), 3: (third, (0, 3))})
    return Stratum("chain", 4, 2, tuple(conditions), ((0, 3), (1, 2)), moves, text=text, draw=draw)


def detour() -> Stratum:
    """Make the family of five neighbors: 0, 1 and 2 are at one radius, 2 and 3 on a mirror plane of 0 and 1, and 4 is
    at equal angles with 0 and 2."""

    def draw(draws: Draws) -> Rows:
        radius, (x, y, z) = draws.size(), draws.rotation()[0]
        first: list[Rational] = [radius * x, radius * y, radius * z]
        second: list[Rational] = [0, 0, radius]
        s, t, normal = draws.number(), draws.number(), cross(first, second)
        fifth = [s * (a + b) + t * c for a, b, c in zip(first, second, normal, strict=True)]
        return [first, [first[0], -first[1], first[2]], second, [draws.number(), 0, draws.number()], fifth]

    conditions = [equal_products((0, 0), (i, i)) for i in (1, 2)]
    conditions += [equal_products((0, c), (1, c)) for c in (2, 3)] + [equal_products((0, 4), (2, 4))]
    text = "A mirror plane exchanges two neighbors and holds two, and the fifth is at equal angles with one of each."
    # Neighbors 2 and 3 leave the mirror plane along r_0 - r_1, and 4 moves along r_1 x r_4.
    second: Terms = ((-1, ((1, 4, 0),)), (-1, ((1, 4, 2),)))
    third: Terms = ((-1, ((1, 4, 3),)),)
    last: Terms = ((1, ((0, 4),)), (-1, ((1, 4),)))
    moves = {2: _along_difference(second, 0, 1), 3: _along_difference(third, 0, 1), 4: (last, (1, 4))}
    return Stratum("detour", 5, 2, tuple(conditions), ((0, 1, 2),), displaced(5, moves), text=text, draw=draw)


def four_equal_angles() -> Stratum:
    """Make the family of five neighbors of which 0, 1 and 2, 3 are pairs at like radii, with r_i·r_j equal for all i in
    one pair and j in the other. The fifth is anywhere."""

    def draw(draws: Draws) -> Rows:
        x, y, (up, down, _) = draws.number(), draws.number(), draws.vector()
        return [[x, 0, up], [-x, 0, up], [0, y, down], [0, -y, down], draws.vector()]

    conditions = [equal_products((0, 0), (1, 1)), equal_products((2, 2), (3, 3))]
    conditions += [equal_products((0, 2), pair) for pair in ((0, 3), (1, 2), (1, 3))]
    text = "Two pairs cross in two mirror planes, which the fifth neighbor breaks."
    # Neighbor 4 moves along r_4 x r_0, and 1, 2 and 3 leave a mirror plane each, so that no dot product with
    # neighbor 4 changes.
    first: Terms = ((-1, ((0, 4), (4, 0, 1))), (1, ((1, 4), (4, 0, 1))))
    moves = {1: _along_difference(first, 2, 3)}
    for i in (2, 3):
        turned: Terms = ((-1, ((2, 4), (4, 0, i))), (1, ((3, 4), (4, 0, i))))
        moves[i] = _along_difference(turned, 0, 1)
    last: Terms = tuple((m * n, ((p, 4), (q, 4))) for p, m in ((2, 1), (3, -1)) for q, n in ((0, 1), (1, -1)))
    return Stratum(
        name="four equal angles",
        n_neighbors=5,
        nu=2,
        conditions=tuple(conditions),
        like=((0, 1), (2, 3)),
        displacement=displaced(5, moves | {4: [(last, (4, 0))]}),
        text=text,
        draw=draw,
    )


def _along_difference(terms: Terms, i: int, j: int) -> list[tuple[Terms, tuple[int, ...]]]:
    """Write a polynomial times r_i - r_j."""
    return [(terms, (i,)), (tuple((-n, brackets) for n, brackets in terms), (j,))]
