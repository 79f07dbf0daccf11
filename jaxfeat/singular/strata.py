"""The known strata of each number of neighbors and order ν."""

from collections.abc import Iterator

from jaxfeat.errors import BasisError, SizeError
from jaxfeat.singular.strata_closed import breathing, cones, planar, rings, two_planes
from jaxfeat.singular.strata_coincident import chain, detour, four_equal_angles
from jaxfeat.singular.strata_exchanged import flat_mirror, mirror_pairs, pole, twofold_pairs
from jaxfeat.singular.strata_poles import achiral_triples, heptagon, rods
from jaxfeat.singular.stratum import Stratum

MAX_NEIGHBORS = 12  # Cones are listed by the partitions of N - 1, which are 56 for 12 neighbors.


def strata(n_neighbors: int, nu: int = 2, pseudoscalars: bool = False) -> dict[str, Stratum]:
    """List the known families of environments that hide displacements from every map of one order, by name.

    Except for "planar", which is listed for reference, no symmetry hides their displacements. The families from "rings"
    on are of order 3, the others of order 2:

    - "A_k": two like neighbors b, b' at one radius; k neighbors at equal angles with both; others in their plane.
    - "A_k,m": as A_k, with m more pairs outside of the plane that the same mirror plane exchanges.
    - "opposite heights": all neighbors but b, b' in a plane, these two at opposite heights and equal angles with one.
    - "cones 3 + 1", and other sizes: one neighbor moves alone, and the others form cones about it.
    - "twofold m": an axis exchanges b, b' and m more pairs; the others lie in a plane with b and b'.
    - "flat mirror p": all neighbors but one lie in a plane, where a line exchanges p pairs and holds the others.
    - "pole m": a twofold axis exchanges m pairs, and the other neighbors are on a line perpendicular to it.
    - "D" and "D crossed": two equal angles without a neighbor in common.
    - "chain", "detour" and "four equal angles": enough angles of four or five neighbors are equal.
    - "equal angles" and "equal triangles": congruent groups at one radius that breathe in and out.
    - "rings": two isosceles rings of three and a pole, with and without pseudoscalars.
    - "heptagon": four corners of a regular heptagon, and poles on its axis, without pseudoscalars.
    - "rods": two pairs of opposite neighbors in a plane below a pole, without pseudoscalars.
    - "achiral triples": an isosceles ring of three and poles on its axis, with pseudoscalars. A mirror plane hides
        their displacement from maps without pseudoscalars.

    **Arguments:**

    - `n_neighbors`: The number of neighbors N, from 4 to 12.
    - `nu`: The body order ν, 2 or 3.
    - `pseudoscalars`: True for maps that tell mirror images apart.

    **Returns:** A dictionary of `Stratum` objects, those of the smallest codimension first. It is empty if no family
    is known.

    **Raises:** `SizeError` for another number of neighbors; `BasisError` for another order.

    **Source:** docs/strata.
    """
    if not 4 <= n_neighbors <= MAX_NEIGHBORS:
        raise SizeError(f"n_neighbors is {n_neighbors}; strata are listed for 4 to {MAX_NEIGHBORS} neighbors.")
    if nu not in (2, 3):
        raise BasisError(f"nu is {nu}; strata are listed for the orders 2 and 3.")
    found = list(_of_order_2(n_neighbors) if nu == 2 else _of_order_3(n_neighbors, pseudoscalars))
    return {stratum.name: stratum for stratum in sorted(found, key=lambda stratum: stratum.codimension)}


def _of_order_2(n: int) -> Iterator[Stratum]:
    # One neighbor at least is left to break the mirror plane or the axis.
    sizes = [(k, m) for m in range(n // 2) for k in range(n - 2 - 2 * m) if k + m]
    yield from (mirror_pairs(n, k, m) for k, m in sizes)
    yield from (cones(sizes) for sizes in _partitions(n - 1, n - 1) if sizes[0] > 1)
    yield from (twofold_pairs(n, m) for k, m in sizes if k == 0)
    # Flat mirrors of one pair are where several families of "opposite heights" meet.
    yield from (flat_mirror(n, p) for p in range(2, (n + 1) // 2))
    if n == 4:
        yield chain()
    if n == 5:
        yield detour()
        yield four_equal_angles()
    yield from (pole(n, m) for m in range(2, (n + 1) // 2))
    yield two_planes(n)
    if n > 4:
        yield two_planes(n, crossed=True)
    yield breathing(n)
    if n == 6:
        yield breathing(6, size=3)
    yield planar(n)


def _of_order_3(n: int, pseudoscalars: bool) -> Iterator[Stratum]:
    if n == 7:
        yield rings()
    if pseudoscalars:
        yield achiral_triples(n)
        return
    if n > 4:
        yield heptagon(n)
    if n > 5:
        yield rods(n)
    yield planar(n, nu=3)


def _partitions(total: int, largest: int) -> Iterator[tuple[int, ...]]:
    """List the partitions of a number into parts up to `largest`, each in descending order."""
    if total == 0:
        yield ()
    for part in range(min(total, largest), 0, -1):
        yield from ((part, *rest) for rest in _partitions(total - part, part))
