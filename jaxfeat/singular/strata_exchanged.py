"""Strata in which an operation exchanges or holds some neighbors, and the others break the symmetry.

Neighbors are numbered from 0; 0 and 1 are the pair that moves. docs/strata derives the displacements.
"""

from jaxfeat.singular.conditions import Condition, equal_products, in_plane, opposite_heights
from jaxfeat.singular.rational import Draws, Rational
from jaxfeat.singular.stratum import MINUS, ONE, Stratum, displaced

Rows = list[list[Rational]]


def mirror_pairs(n: int, k: int, m: int = 0) -> Stratum:
    """Make A_k, or A_k,m: a mirror plane exchanges neighbors 0 and 1, and m pairs (2, 3), (4, 5), ..., and the last k
    neighbors are on it. The others are in a plane with 0 and 1. These two move out of it, to opposite sides."""
    pairs, outside = _pairs(m), range(n - k, n)

    def draw(draws: Draws) -> Rows:
        c, s = draws.circle()

        def pair(x: Rational, y: Rational, z: Rational) -> Rows:
            # A reflection across the line along (c, s).
            along, across = c * x + s * y, c * y - s * x
            return [[x, y, z], [c * along + s * across, s * along - c * across, z]]

        exchanged = [row for _ in pairs for row in pair(*draws.vector())]
        flat = [[draws.number(), draws.number(), 0] for _ in range(n - k - 2 - 2 * m)]
        on_mirror = [[t * c, t * s, draws.number()] for t in (draws.number() for _ in range(k))]
        return [*pair(draws.number(), draws.number(), 0), *exchanged, *flat, *on_mirror]

    conditions = [equal_products((0, 0), (1, 1)), *(equal_products((0, c), (1, c)) for c in outside)]
    for u, v in pairs:
        conditions += [equal_products((0, u), (1, v)), equal_products((0, v), (1, u))]
        conditions.append(equal_products((0, 1, u), (0, 1, v)))
    return Stratum(
        name=f"A_{k},{m}" if m else f"A_{k}",
        n_neighbors=n,
        nu=2,
        conditions=(*conditions, *(in_plane(0, 1, p) for p in range(2 + 2 * m, n - k))),
        like=((0, 1), *pairs),
        displacement=displaced(n, {0: (ONE, (0, 1)), 1: (MINUS, (0, 1))}),
        text="A mirror plane exchanges or holds some neighbors, and the others lie in a plane with one exchanged pair.",
        draw=draw,
    )


def twofold_pairs(n: int, m: int) -> Stratum:
    """Make the family in which a twofold axis exchanges neighbors 0 and 1, and m pairs (2, 3), (4, 5), ... The other
    neighbors are in a plane with 0 and 1. These two move out of it, to the same side."""
    pairs = _pairs(m)

    def draw(draws: Draws) -> Rows:
        x, y = draws.number(), draws.number()
        rows: Rows = [[x, y, 0], [x, -y, 0]]
        for _ in pairs:
            u, v, w = draws.vector()
            rows += [[u, v, w], [u, -v, -w]]
        return rows + [[draws.number(), draws.number(), 0] for _ in range(n - 2 - 2 * m)]

    conditions = [equal_products((0, 0), (1, 1))]
    for u, v in pairs:
        conditions += [equal_products((0, u), (1, v)), equal_products((0, v), (1, u)), opposite_heights(u, v, 0, 1)]
    return Stratum(
        name=f"twofold {m}",
        n_neighbors=n,
        nu=2,
        conditions=(*conditions, *(in_plane(0, 1, p) for p in range(2 + 2 * m, n))),
        like=((0, 1), *pairs),
        displacement=displaced(n, {0: (ONE, (0, 1)), 1: (ONE, (0, 1))}),
        text="A twofold axis exchanges pairs of neighbors, and the others lie in a plane with one of these pairs.",
        draw=draw,
    )


def flat_mirror(n: int, p: int) -> Stratum:
    """Make the family of environments in which all neighbors but the last one lie in a plane, and a line in this plane
    exchanges p pairs (0, 1), (2, 3), ..., and holds the other neighbors. Neighbors 0 and 1 turn about the last one."""
    pairs, line, last = _pairs(p - 1), range(2 * p, n - 1), n - 1

    def draw(draws: Draws) -> Rows:
        exchanged = [[x, sign * y, 0] for x, y, _ in (draws.vector() for _ in range(p)) for sign in (1, -1)]
        return exchanged + [[draws.number(-2.2, 2.2), 0, 0] for _ in line] + [draws.vector()]

    conditions = [equal_products((0, 0), (1, 1)), *(equal_products((0, s), (1, s)) for s in line)]
    for u, v in pairs:
        # In the plane of 0 and 1 these make v the image of u.
        conditions += [equal_products((0, u), (1, v)), equal_products((0, v), (1, u))]
    return Stratum(
        name=f"flat mirror {p}",
        n_neighbors=n,
        nu=2,
        conditions=(*conditions, *(in_plane(0, 1, j) for j in range(2, last))),
        like=((0, 1), *pairs),
        displacement=displaced(n, {0: (ONE, (last, 0)), 1: (ONE, (last, 1))}),
        nullity=1 + n - p,
        text="All neighbors but one lie in a plane, and a line exchanges them in pairs or holds them.",
        draw=draw,
    )


def pole(n: int, m: int) -> Stratum:
    """Make the family in which a twofold axis exchanges m pairs (0, 1), (2, 3), ..., and the others are on a line
    perpendicular to it. Neighbors 0 and 1 turn about this line."""
    pairs, first = _pairs(m - 1), 2 * m

    def draw(draws: Draws) -> Rows:
        points, (c, s) = [draws.vector() for _ in range(m)], draws.circle()
        rows: Rows = [[x, sign * y, sign * z] for x, y, z in points for sign in (1, -1)]
        lengths = [draws.number(-2.2, 2.2) for _ in range(first, n)]
        return rows + [[0, t * c, t * s] for t in lengths]

    conditions = [equal_products((u, u), (v, v)) for u, v in [(0, 1), *pairs]]
    for u, v in pairs:
        conditions += [equal_products((0, u), (1, v)), equal_products((0, v), (1, u))]
    conditions.append(Condition(((1, ((first, 0),)), (1, ((first, 1),)))))
    return Stratum(
        name=f"pole {m}",
        n_neighbors=n,
        nu=2,
        conditions=(*conditions, *(in_plane(first, p, i) for p in range(first + 1, n) for i in (0, 1))),
        like=((0, 1), *pairs),
        displacement=displaced(n, {0: (ONE, (first, 0)), 1: (ONE, (first, 1))}),
        nullity=2 + m,
        text="A twofold axis exchanges pairs of neighbors, and the others are on a line perpendicular to it.",
        draw=draw,
    )


def _pairs(m: int) -> list[tuple[int, int]]:
    return [(2 + 2 * i, 3 + 2 * i) for i in range(m)]
