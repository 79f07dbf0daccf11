"""Strata of order 3: neighbors in a plane with the center, and poles on its normal.

A triple of a pole and two neighbors of the plane knows the two distances, the angle between them and both heights. So
order 3 knows, for each distance and angle, the sums of heights over the pairs that have them, and no more.
"""

from jaxfeat.singular.conditions import equal_products, in_plane, zero_product
from jaxfeat.singular.rational import Draws, Rational
from jaxfeat.singular.stratum import MINUS, ONE, Stratum, displaced

Rows = list[list[Rational]]


def heptagon(n: int) -> Stratum:
    """Make the family of a pole 0 and four corners of a regular heptagon: 1, its neighbors 2 and 3, and 4, which is two
    corners behind 2. Neighbors from 5 on are poles too. The corners move along the axis by -1, -1, 3 and -1 parts.

    Each of the three distances between corners occurs twice, so order 3 knows three sums of four heights.
    """
    conditions = [zero_product(0, i) for i in range(1, 5)]
    conditions += [equal_products((1, 1), (i, i)) for i in (2, 3, 4)]
    conditions += [equal_products((1, 2), (1, 3)), equal_products((2, 3), (2, 4)), equal_products((1, 4), (3, 4))]
    conditions += [zero_product(pole, i) for pole in range(5, n) for i in (1, 2)]
    along = (0,)
    return Stratum(
        name="heptagon",
        n_neighbors=n,
        nu=3,
        conditions=tuple(conditions),
        like=((1, 2, 3, 4),),
        displacement=displaced(n, {1: (MINUS, along), 2: (MINUS, along), 3: (((3, ()),), along), 4: (MINUS, along)}),
        text="Four corners of a regular heptagon are in a plane with the center, and the others on its axis.",
    )


def rods(n: int) -> Stratum:
    """Make the family of a pole 0 and two rods in a plane through the center: 1 and 2 are opposite to each other, and 3
    and 4 are. Neighbors from 5 on are in the plane, at right angles with the first rod, which rocks out of the plane.

    Half a turn about the pole exchanges the ends of both rods. A mirror plane through the pole exchanges the ends of
    the first one, and keeps the neighbors from 5 on. No operation does both, but triples of the pole, an end of the
    first rod and any other neighbor need only one.
    """

    def draw(draws: Draws) -> Rows:
        (c, s), first, second = draws.circle(), draws.size(), draws.size()
        end: Rows = [[first, 0, 0], [-first, 0, 0], [second * c, second * s, 0], [-second * c, -second * s, 0]]
        return [[0, 0, draws.number()], *end, *([0, draws.number(), 0] for _ in range(n - 5))]

    conditions = [zero_product(0, i) for i in range(1, n)] + [zero_product(1, i) for i in range(5, n)]
    for i in (1, 3):
        conditions += [equal_products((i, i), (i + 1, i + 1)), in_plane(0, i, i + 1)]
    return Stratum(
        name="rods",
        n_neighbors=n,
        nu=3,
        conditions=tuple(conditions),
        like=((1, 2), (3, 4)),
        displacement=displaced(n, {1: (ONE, (0,)), 2: (MINUS, (0,))}),
        text="Two pairs of opposite neighbors and others at right angles with one pair are in a plane below a pole.",
        draw=draw,
    )


def achiral_triples(n: int) -> Stratum:
    """Make the family of a pole 0 and an isosceles ring about it in a plane with the center: the apex 1 and the wings 2
    and 3. Neighbors from 4 on are poles too. The apex moves along the ring.

    The environment becomes chiral, but every triple keeps two like neighbors at one distance and one angle with the
    third, or stays in a plane. So each triple is its own mirror image, and only order 4 tells left from right.
    """

    def draw(draws: Draws) -> Rows:
        (c, s), radius = draws.circle(), draws.size()
        ring: Rows = [[radius, 0, 0], [radius * c, radius * s, 0], [radius * c, -radius * s, 0]]
        poles: Rows = [[0, 0, draws.number()] for _ in range(n - 3)]
        return [poles[0], *ring, *poles[1:]]

    conditions = [zero_product(0, i) for i in (1, 2, 3)] + [equal_products((1, 1), (i, i)) for i in (2, 3)]
    conditions += [equal_products((1, 2), (1, 3))] + [zero_product(p, i) for p in range(4, n) for i in (1, 2)]
    return Stratum(
        name="achiral triples",
        n_neighbors=n,
        nu=3,
        conditions=tuple(conditions),
        like=((1, 2, 3),),
        displacement=displaced(n, {1: (ONE, (0, 1))}),
        pseudoscalars=True,
        text="An isosceles ring of three is in a plane with the center, and the others on its axis.",
        draw=draw,
    )
