"""Strata with displacements in closed form: their conditions, displacements and rational parametrizations.

Neighbors are numbered from 0. Each function says which neighbor has which part. docs/strata derives the displacements.
"""

from collections.abc import Sequence
from fractions import Fraction

from jaxfeat.errors import GeometryError
from jaxfeat.singular.conditions import Condition, Terms, cross, dot, equal_products, in_plane
from jaxfeat.singular.rational import Draws, Rational
from jaxfeat.singular.stratum import MINUS, ONE, Stratum, displaced

Rows = list[list[Rational]]


def planar(n: int, nu: int = 2) -> Stratum:
    """Make the family of planar environments, which a mirror plane hides: for reference, because it is symmetric."""

    def draw(draws: Draws) -> Rows:
        return [[draws.number(), draws.number(), 0] for _ in range(n)]

    return Stratum(
        name="planar",
        n_neighbors=n,
        nu=nu,
        conditions=tuple(in_plane(0, 1, j) for j in range(2, n)),
        like=(),
        displacement=displaced(n, {2: (ONE, (0, 1))}),
        nullity=n + 1,
        text="All neighbors lie in a plane with the center: the mirror plane hides displacements out of it.",
        draw=draw,
    )


def cones(sizes: Sequence[int]) -> Stratum:
    """Make the family in which neighbor 0 moves alone: the others form cones about it, and the sums of the cones lie in
    a plane with it. A cone holds like neighbors at one radius and one angle with neighbor 0. Sizes descend."""
    n = 1 + sum(sizes)
    starts = [1 + sum(sizes[:i]) for i in range(len(sizes))]
    groups = [range(first, first + size) for first, size in zip(starts, sizes, strict=True)]
    # The plane is spanned by neighbor 0 and this sum. The sum of a pair may be along neighbor 0, so others come first.
    base = next((g for g in reversed(groups) if len(g) == 1), groups[0] if sizes[0] > 2 else groups[-1])
    # Members are drawn with this cone anywhere, and the plane through its sum.
    free = groups[0] if sizes[0] > 2 else base if len(base) > 1 else None
    conditions = []
    for group in groups:
        conditions += [equal_products((group[0], group[0]), (b, b)) for b in group[1:]]
        conditions += [equal_products((0, group[0]), (0, b)) for b in group[1:]]
    conditions += [
        Condition(tuple((1, ((0, b, p),)) for b in group for p in base)) for group in groups if group != base
    ]

    def draw(draws: Draws) -> Rows:
        plane = [draws.number(), draws.number()]
        rows: Rows = [[0, 0, draws.sign() * draws.size()]]
        for group in groups:
            height = draws.number()
            if len(group) == 1:
                t = draws.number()
                rows.append([t * plane[0], t * plane[1], height])
            elif group != free:
                x, y = draws.number(), draws.number()
                rows += [[x, y, height], [-x, -y, height]]
            else:
                radius, points = draws.size(), [draws.circle() for _ in group]
                plane = [sum(c for c, _ in points), sum(s for _, s in points)]  # type: ignore[list-item]
                rows += [[radius * c, radius * s, height] for c, s in points]
        return rows

    text = "One neighbor moves along the normal of a plane that holds it and the sums of the cones about it."
    opposite = sizes[0] == 2 and sum(sizes) == len(sizes) + 1
    if opposite:
        text = "All neighbors but two lie in a plane; these two are at opposite heights and make equal angles with one."
    return Stratum(
        name="opposite heights" if opposite else f"cones {' + '.join(map(str, sizes))}",
        n_neighbors=n,
        nu=2,
        conditions=tuple(conditions),
        like=tuple(tuple(group) for group in groups if len(group) > 1),
        displacement=displaced(n, {0: [(ONE, (0, p)) for p in base]}),
        text=text,
        draw=draw if sum(size > 2 for size in sizes) < 2 else None,
    )


def two_planes(n: int, crossed: bool = False) -> Stratum:
    """Make D: |r_0| = |r_2|, |r_1| = |r_3|, r_0·r_1 = r_2·r_3, in two planes through a line that holds the neighbors
    from 4 on. One plane holds 0 and 2, the other 1 and 3, and neighbors 0 and 3 turn about the line. If `crossed`, the
    planes hold 0 and 3, and 1 and 2, and neighbors 0 and 2 turn. With four neighbors the two are one."""
    partner, last = (3, 2) if crossed else (2, 3)
    conditions = [equal_products((0, 0), (2, 2)), equal_products((1, 1), (3, 3)), equal_products((0, 1), (2, 3))]
    turning: dict[int, tuple[Terms, tuple[int, ...]]]
    if n == 4:
        conditions.append(Condition(((1, ((1, 2, 3), (0, 2, 3))), (-1, ((0, 1, 3), (0, 1, 2))))))
        # The line is where the planes meet: along det(0, 1, 3) r_2 - det(2, 1, 3) r_0 = det(0, 2, 3) r_1 - ...
        turning = {0: (((1, ((0, 1, 3),)),), (2, 0)), 3: (((1, ((0, 2, 3),)),), (1, 3))}
    else:
        conditions += [in_plane(4, 0, partner), in_plane(4, 1, last)]
        conditions.append(Condition(((1, ((4, 0, 1),)), (1 if crossed else -1, ((4, 2, 3),)))))
        conditions += [in_plane(4, p, q) for p in range(5, n) for q in (0, 1)]
        turning = {0: (ONE, (4, 0)), last: (ONE, (4, last))}

    def draw(draws: Draws) -> Rows:
        (a, b), (c, d), (e, f) = draws.circle(), draws.circle(), draws.circle()
        r, s = draws.size(), draws.size()
        out, up = (draws.sign(), draws.sign())
        if crossed and out == up:
            out = -up  # Otherwise neighbors 0 and 3, and 1 and 2, are collinear.
        first, second = [1, 0], [e, f]
        sheets = (first, second, *((second, first) if crossed else (first, second)))
        places = ((r * a, r * b), (s * c, s * d), (r * out * c, r * up * d), (s * out * a, s * up * b))
        rows: Rows = [[q * x, q * y, z] for (x, y), (q, z) in zip(sheets, places, strict=True)]
        return rows + [[0, 0, draws.number()] for _ in range(n - 4)]

    return Stratum(
        name="D crossed" if crossed else "D",
        n_neighbors=n,
        nu=2,
        conditions=tuple(conditions),
        like=((0, 2), (1, 3)),
        displacement=displaced(n, turning),
        text="Pairs of like radii and equal angles lie in two planes, the others on the line where these meet.",
        draw=draw,
    )


def breathing(n: int, size: int = 2) -> Stratum:
    """Make the family of two congruent groups of `size` neighbors, all at one radius: 0, 1, ... and size, size + 1, ...
    For pairs, each other neighbor makes equal angles with 0 and 2, and with 1 and 3. One group moves outward, and the
    other one inward."""
    if size == 3 and n != 6:
        raise GeometryError(f"n is {n}; two groups of three are six neighbors.")
    first, second = range(size), range(size, 2 * size)
    conditions = [equal_products((0, 0), (i, i)) for i in range(1, 2 * size)]
    conditions += [equal_products((i, j), (i + size, j + size)) for i in first for j in range(i)]
    conditions += [equal_products((c, i), (c, i + size)) for c in range(2 * size, n) for i in first]

    def draw(draws: Draws) -> Rows:
        radius, turn = draws.size(), draws.rotation()
        group = [[radius * row[0] for row in draws.rotation()] for _ in first]
        sign = draws.sign()
        image = [[sign * dot(row, r) for row in turn] for r in group]
        line = cross(*([a - b for a, b in zip(group[i], image[i], strict=True)] for i in (0, 1)))
        longest = max(map(abs, line)) or Fraction(1)
        scales = [draws.sign() * draws.size() / longest for _ in range(2 * size, n)]
        return group + image + [[t * v for v in line] for t in scales]

    return Stratum(
        name="equal angles" if size == 2 else "equal triangles",
        n_neighbors=n,
        nu=2,
        conditions=tuple(conditions),
        like=(tuple(range(2 * size)),),
        displacement=displaced(n, {i: (ONE if i in first else MINUS, (i,)) for i in (*first, *second)}),
        text="Two congruent groups of neighbors are at one radius: one can move outward while the other moves inward.",
        draw=draw,
    )


def rings() -> Stratum:
    """Make the two isosceles rings of ν = 3: apexes 0 and 3, wings 1, 2 and 4, 5, and the pole 6 on the axis. The two
    apexes turn about the axis."""

    def draw(draws: Draws) -> Rows:
        (c, s), (e, f) = draws.circle(), draws.circle()
        r, height = draws.size(), draws.size(0.3, 1.2)
        ring: Rows = [[1, 0], [c, s], [c, -s]]
        upper = [[r * x, r * y, height] for x, y in ring]
        lower = [[r * (e * x - f * y), r * (f * x + e * y), -height] for x, y in ring]
        return [*upper, *lower, [0, 0, draws.size()]]

    conditions = [equal_products((0, 0), (i, i)) for i in range(1, 6)]
    conditions += [equal_products((6, 0), (6, i)) for i in (1, 2)] + [equal_products((6, 3), (6, i)) for i in (4, 5)]
    conditions.append(Condition(((1, ((6, 0),)), (1, ((6, 3),)))))
    conditions += [equal_products((0, 1), (0, 2)), equal_products((3, 4), (3, 5)), equal_products((0, 1), (3, 4))]
    return Stratum(
        name="rings",
        n_neighbors=7,
        nu=3,
        conditions=tuple(conditions),
        like=(tuple(range(6)),),
        displacement=displaced(7, {0: (ONE, (6, 0)), 3: (ONE, (6, 3))}),
        pseudoscalars=True,
        text="Two congruent isosceles rings at opposite heights, and a neighbor on their axis.",
        draw=draw,
    )
