"""Pairs of neighbors that order 2 cannot tell apart, and all coincidences of an environment as conditions.

Order 2 knows the list of (r_i², r_j², r_i·r_j) over pairs of neighbors, with species. Pairs of one value form a class,
and order 2 sees sums over classes alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from jaxfeat.geometry.point_group import label_shells
from jaxfeat.singular.conditions import Condition, equal_products, in_plane

Pair = tuple[int, int]


@dataclass(frozen=True)
class PairClasses:
    """Neighbors sorted into shells of one species and radius, and pairs i < j sorted into classes of equal value.

    **Attributes:** `shells`: Groups of neighbors. `classes`: Groups of pairs; the two neighbors of each pair are in the
    same order of shells, so that `(i, j)` and `(k, l)` of one class have i and k in one shell. A pair inside of a shell
    has no such order.
    """

    shells: tuple[tuple[int, ...], ...]
    classes: tuple[tuple[Pair, ...], ...]

    def shell_of(self) -> dict[int, int]:
        return {i: k for k, shell in enumerate(self.shells) for i in shell}

    def name(self) -> str:
        """Name the coincidences: sizes of shells, and sizes of classes, v with a neighbor in common and d without."""
        shells = sorted((len(shell) for shell in self.shells if len(shell) > 1), reverse=True)
        angles = sorted(
            (f"{len(c)}{'v' if set.intersection(*map(set, c)) else 'd'}" for c in self.classes if len(c) > 1),
            reverse=True,
        )
        return f"radii {' + '.join(map(str, shells)) or 'none'}, angles {' + '.join(angles) or 'none'}"

    def conditions(self) -> list[Condition]:
        """List equal radii and equal dot products as conditions."""
        found = [equal_products((shell[0], shell[0]), (i, i)) for shell in self.shells for i in shell[1:]]
        return found + [equal_products(group[0], pair) for group in self.classes for pair in group[1:]]


def find_pair_classes(positions: np.ndarray, species: Sequence[int] | np.ndarray, tolerance: float) -> PairClasses:
    """Sort the neighbors `(N, 3)` into shells and their pairs into classes, in chains of steps within the tolerance
    (Å)."""
    n = len(positions)
    scale = float(np.sqrt((positions**2).sum(1).mean()))
    kinds = np.unique(np.asarray(species), return_inverse=True)[1]
    shell = label_shells(kinds, (positions**2).sum(1) / scale, tolerance).tolist()
    products = positions @ positions.T / scale
    groups: dict[tuple[int, int], list[Pair]] = {}
    for i, j in combinations(range(n), 2):
        pair = (i, j) if shell[i] <= shell[j] else (j, i)
        groups.setdefault((shell[pair[0]], shell[pair[1]]), []).append(pair)
    classes: list[tuple[Pair, ...]] = []
    for pairs in groups.values():
        values = np.asarray([products[pair] for pair in pairs])
        order = np.argsort(values, kind="stable")
        label = np.cumsum(np.diff(values[order], prepend=values[order[0]]) > tolerance)
        for k in range(int(label[-1]) + 1):
            classes.append(tuple(pairs[p] for p in sorted(order[label == k].tolist())))
    shells = tuple(tuple(i for i in range(n) if shell[i] == k) for k in sorted(set(shell)))
    return PairClasses(shells, tuple(classes))


def planes(positions: np.ndarray, tolerance: float) -> list[Condition]:
    """List the triples of neighbors that lie in a plane with the center, within the tolerance (Å)."""
    scale = np.sqrt((positions**2).sum(1).mean())
    triples = list(combinations(range(len(positions)), 3))
    found = np.linalg.det(positions[np.asarray(triples, int).reshape(-1, 3)]) / scale**2
    return [in_plane(*t) for t, value in zip(triples, found, strict=True) if abs(value) <= tolerance]
