"""Orders of neighbors in which an environment is a member of a known stratum."""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxfeat.singular.conditions import Condition
from jaxfeat.singular.stratum import Stratum

MAX_PLACED = 20_000  # Neighbors placed in a search for one stratum; a second or two at most.


def match_orders(
    stratum: Stratum, positions: np.ndarray, species: Sequence[int] | np.ndarray, tolerance: float
) -> Iterator[list[int]]:
    """List orders such that neighbor `order[i]` of an environment takes the part of neighbor i of a stratum.

    Neighbors are placed one by one. Each condition is checked, within the tolerance (Å), when its last neighbor is
    placed. The search ends after `MAX_PLACED` neighbors, because symmetric environments match in very many orders.
    """
    n = stratum.n_neighbors
    if len(positions) != n:
        return
    scale = float(np.sqrt((positions**2).sum(1).mean()))
    rows = positions.tolist()
    checks: list[list[tuple[Condition, float]]] = [[] for _ in range(n)]
    for condition in stratum.conditions:
        checks[condition.neighbors[-1]].append((condition, tolerance * scale ** (condition.degree - 1)))
    partners = [[group[0] for group in stratum.like if i in group[1:]] for i in range(n)]
    placed = 0

    def place(order: list[int]) -> Iterator[list[int]]:
        nonlocal placed
        i = len(order)
        if i == n:
            yield order
            return
        for j in range(n):
            if j in order or any(species[order[p]] != species[j] for p in partners[i]) or placed > MAX_PLACED:
                continue
            placed += 1
            there = [rows[k] for k in (*order, j)]
            if all(abs(condition.value(there)) <= limit for condition, limit in checks[i]):
                yield from place([*order, j])

    yield from place([])
