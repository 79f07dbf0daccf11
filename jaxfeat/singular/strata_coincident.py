"""Strata of coincidences alone: enough dot products are equal that no relation between neighbors is needed.

Their displacements follow from the equations of `jaxfeat.singular.pair_patterns` at one member, and hold for all.
"""

from dataclasses import replace
from functools import cache

import numpy as np

from jaxfeat.linalg.subspaces import complement_within, robust_svd
from jaxfeat.nulls.kernel import kernel_of_edges, site_edges
from jaxfeat.singular.conditions import cross, equal_products
from jaxfeat.singular.pair_classes import find_pair_classes
from jaxfeat.singular.pair_patterns import pattern_strata
from jaxfeat.singular.rational import Draws, Rational
from jaxfeat.singular.stratum import Stratum

Rows = list[list[Rational]]
SAMPLE_TOLERANCE = 1e-9  # Å. Members are exact to rounding.


@cache
def chain() -> Stratum:
    """Make the family of four neighbors of which 1 and 2 are on a cone about 3, and 0 and 3 on a cone about 2, so that
    r_0·r_2 = r_2·r_3 = r_3·r_1."""

    def draw(draws: Draws) -> Rows:
        second, third = draws.vector(), draws.vector()
        return [draws.turned(third, second), draws.turned(second, third), second, third]

    conditions = [equal_products((0, 0), (3, 3)), equal_products((1, 1), (2, 2))]
    conditions += [equal_products((2, 3), (0, 2)), equal_products((2, 3), (1, 3))]
    text = "Two like pairs of radii, and a chain of three equal dot products through the four neighbors."
    return _with_displacement(Stratum("chain", 4, 2, tuple(conditions), ((0, 3), (1, 2)), None, text=text, draw=draw))


@cache
def detour() -> Stratum:
    """Make the family of five neighbors: 0, 1 and 2 are at one radius, 2 and 3 on a mirror plane of 0 and 1, and 4 is
    at equal angles with 0 and 2."""

    def draw(draws: Draws) -> Rows:
        radius, (x, y, z) = draws.size(), draws.rotation()[0]
        first: list[Rational] = [radius * x, radius * y, radius * z]
        second: list[Rational] = [0, 0, radius]
        s, t, normal = draws.number(), draws.number(), cross(first, second)
        last = [s * (a + b) + t * c for a, b, c in zip(first, second, normal, strict=True)]
        return [first, [first[0], -first[1], first[2]], second, [draws.number(), 0, draws.number()], last]

    conditions = [equal_products((0, 0), (i, i)) for i in (1, 2)]
    conditions += [equal_products((0, c), (1, c)) for c in (2, 3)] + [equal_products((0, 4), (2, 4))]
    text = "A mirror plane exchanges two neighbors and holds two, and the fifth is at equal angles with one of each."
    return _with_displacement(Stratum("detour", 5, 2, tuple(conditions), ((0, 1, 2),), None, text=text, draw=draw))


@cache
def four_equal_angles() -> Stratum:
    """Make the family of five neighbors of which 0, 1 and 2, 3 are pairs at like radii, with r_i·r_j equal for all i in
    one pair and j in the other. The fifth is anywhere."""

    def draw(draws: Draws) -> Rows:
        x, y, (up, down, _) = draws.number(), draws.number(), draws.vector()
        return [[x, 0, up], [-x, 0, up], [0, y, down], [0, -y, down], draws.vector()]

    conditions = [equal_products((0, 0), (1, 1)), equal_products((2, 2), (3, 3))]
    conditions += [equal_products((0, 2), pair) for pair in ((0, 3), (1, 2), (1, 3))]
    text = "Two pairs cross in two mirror planes, which the fifth neighbor breaks."
    return _with_displacement(
        Stratum("four equal angles", 5, 2, tuple(conditions), ((0, 1), (2, 3)), None, text=text, draw=draw)
    )


def _with_displacement(stratum: Stratum) -> Stratum:
    """Add the displacement that the equations at one member lead to."""
    x = np.asarray(stratum.rational_member(), np.float64)
    # Only like neighbors coincide, so that nothing but the conditions enters.
    species = np.arange(1, len(x) + 1)
    for group in stratum.like:
        species[list(group)] = species[group[0]]
    rotations = robust_svd(np.asarray([np.cross(axis, x).reshape(-1) for axis in np.eye(3)]))[2]
    hidden = complement_within(kernel_of_edges(site_edges(x, species), 2, False, SAMPLE_TOLERANCE).rows, rotations)
    (found,) = pattern_strata(x, find_pair_classes(x, species, SAMPLE_TOLERANCE), hidden.reshape(-1, *x.shape))
    return replace(stratum, displacement=found.displacement)
