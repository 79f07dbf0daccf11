"""Tuples of neighbors, the values of their invariants, and which values are equal.

An *edge* leads from a center to a neighbor. A tuple holds ν edges of one center, repeats included. Its value g_t lists,
slot by slot, the species and the invariants of its vectors: dot products of all pairs and, on demand, triple products.

Permuting the slots of a tuple permutes the entries of g_t (triple products up to sign). So the tuples with a permuted
value are the permuted tuples, and one value of each such orbit is enough. Edges are sorted by *shell*: species, and
radius up to chains of steps within the tolerance. Equal values have equal squared radii slot by slot, hence equal
shells, and every orbit has a value whose shells ascend. Other tuples are never built. Two of the remaining clusters
belong to one orbit if and only if they hold permutations of one tuple, and one of them is kept.
"""

from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import scipy  # which loads its parts when they are used
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from jaxfeat.geometry.point_group import label_shells

MAX_COMPARED = 128  # comparisons for each value. SciPy's tree needs fewer for many values, and takes 0.05 s to load.


class Edges(NamedTuple):
    """Vectors from centers to neighbors, `(e, 3)` Å, with equal `kinds`, `(e,)`, for the same species. `moves`,
    `(3 e, 3 n)`, maps displacements of n atoms to displacements of the vectors."""

    vectors: np.ndarray
    centers: np.ndarray
    kinds: np.ndarray
    moves: csr_array

    @property
    def scale(self) -> float:
        """The root mean square length, Å."""
        return float(np.sqrt((self.vectors**2).sum(1).mean())) if len(self.vectors) else 1.0


@dataclass(frozen=True, eq=False)
class Coincidences:
    """Tuples `(t, nu)` of edges, with the cluster of equal value `(t,)` of each, one for each orbit of values. `spread`
    (Å) is the largest difference of an entry inside a cluster, and `clearance` (Å) that between the first tuples of the
    closest two clusters: infinity if there is one."""

    tuples: np.ndarray
    clusters: np.ndarray
    n_clusters: int
    spread: float
    clearance: float


def invariant_slots(nu: int, pseudoscalars: bool) -> list[tuple[int, ...]]:
    """List the slots of each invariant of ν vectors: two for a dot product, three for a triple product."""
    pairs = list(combinations_with_replacement(range(nu), 2))
    return pairs + (list(combinations(range(nu), 3)) if pseudoscalars else [])


def find_coincidences(edges: Edges, nu: int, pseudoscalars: bool, tolerance: float) -> tuple[Edges, Coincidences]:
    """Sort the edges by center and shell, and sort their ν-tuples, one of each orbit, into clusters of equal value."""
    shell = label_shells(edges.kinds, (edges.vectors**2).sum(1) / edges.scale, tolerance)
    order = np.lexsort((shell, edges.centers))
    moves = edges.moves[(3 * order[:, None] + np.arange(3)).ravel()]
    edges = Edges(edges.vectors[order], edges.centers[order], edges.kinds[order], moves)
    tuples = ascending_tuples(edges.centers, shell[order], nu)
    values = tuple_invariants(edges.vectors, tuples, edges.scale, pseudoscalars)
    return edges, cluster_tuples(tuples, edges.kinds, values, tolerance)


def ascending_tuples(centers: np.ndarray, shells: np.ndarray, nu: int) -> np.ndarray:
    """Build the tuples `(t, nu)` of edges of one center whose shells ascend, for edges sorted by center, then shell."""
    keys = centers * (shells.max(initial=0) + 1) + shells
    starts = np.searchsorted(keys, keys)
    counts = np.searchsorted(centers, centers, side="right") - starts
    tuples = np.arange(len(centers))[:, None]
    for _ in range(nu - 1):
        last = tuples[:, -1]
        repeats = counts[last]
        # Each tuple is continued by all edges from the first of its last shell on: 0, 1, ... within each run.
        step = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        tuples = np.column_stack([np.repeat(tuples, repeats, axis=0), np.repeat(starts[last], repeats) + step])
    return tuples


def tuple_invariants(vectors: np.ndarray, tuples: np.ndarray, scale: float, pseudoscalars: bool) -> np.ndarray:
    """Compute the invariants `(t, k)`, Å, of tuples: dot products over `scale` (Å), triple products over its square."""
    columns = []
    for slots in invariant_slots(tuples.shape[1], pseudoscalars):
        first, *rest = (vectors[tuples[:, slot]] for slot in slots)
        other = rest[0] / scale if len(rest) == 1 else np.cross(*rest) / scale**2
        columns.append(np.einsum("ti,ti->t", first, other))
    return np.column_stack(columns)


def invariant_gradients(vectors: np.ndarray, products: np.ndarray, scale: float) -> np.ndarray:
    """Compute the gradients `(t, m, 3)` of invariants of m = 2 or 3 edges `(t, m)`, scaled as in `tuple_invariants`."""
    factors = np.moveaxis(vectors[products], 1, 0)
    if len(factors) == 2:
        return np.stack([factors[1], factors[0]], axis=1) / scale
    a, b, c = factors
    return np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1) / scale**2


def gradient_rows(edges: Edges, products: np.ndarray, rows: np.ndarray, n_rows: int, weights: Any = 1.0) -> csr_array:
    """Write gradients of the invariants of edges `(t, m)` into a sparse matrix `(n_rows, 3 e)`. `rows` and `weights`,
    `(t,)`, are the row and the factor of each gradient. Gradients of one row are added up."""
    gradients = np.reshape(weights, (-1, 1, 1)) * invariant_gradients(edges.vectors, products, edges.scale)
    columns = 3 * products[..., None] + np.arange(3)
    rows = np.broadcast_to(rows[:, None, None], columns.shape)
    shape = n_rows, 3 * len(edges.vectors)
    return coo_array((gradients.ravel(), (rows.ravel(), columns.ravel())), shape=shape).tocsr()


def cluster_tuples(tuples: np.ndarray, kinds: np.ndarray, values: np.ndarray, tolerance: float) -> Coincidences:
    """Cluster tuples `(t, nu)` of edges of the same kinds whose values `(t, k)` agree entry by entry, in chains of
    steps within the tolerance."""
    if not len(tuples):
        return Coincidences(tuples, np.zeros(0, int), n_clusters=0, spread=0.0, clearance=np.inf)
    # An extra coordinate separates tuples of different kinds, by more than values ever differ.
    stride = 4 * np.abs(values).max() + 4 * tolerance
    kind_lists = np.ravel_multi_index(tuple(kinds[tuples].T), (int(kinds.max()) + 1,) * tuples.shape[1])
    points = np.column_stack([values, np.unique(kind_lists, return_inverse=True)[1] * stride])
    labels = connected_parts(*_close_pairs(points, tolerance), len(points))
    keep = _one_of_each_orbit(tuples, labels)
    order = np.argsort(labels, kind="stable")
    first = np.searchsorted(labels[order], np.arange(labels.max() + 1))
    ranked = points[order]
    spread = np.maximum.reduceat(ranked, first) - np.minimum.reduceat(ranked, first)
    # The closest value may belong to the same orbit, so each is compared with all of them.
    clearance = _least_distance(ranked[first], keep)
    chosen = np.flatnonzero(np.isin(labels, keep))
    return Coincidences(
        tuples=tuples[chosen],
        clusters=np.searchsorted(keep, labels[chosen]),
        n_clusters=len(keep),
        spread=float(spread.max()),
        clearance=clearance if clearance < stride / 2 else np.inf,
    )


def _close_pairs(points: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """List the pairs of points `(t, k)` that differ by the tolerance at most in every entry."""
    # Points are compared if they are close along a line, in whose direction hardly any two points agree by symmetry.
    direction = np.random.default_rng(0).normal(size=points.shape[1])
    line = points @ direction
    order, reach = np.argsort(line), tolerance * np.abs(direction).sum() + 1e-12 * np.abs(line).max()
    counts = np.searchsorted(line[order], line[order] + reach, side="right") - np.arange(1, len(line) + 1)
    if counts.sum() > MAX_COMPARED * len(points):
        first, second = scipy.spatial.cKDTree(points).query_pairs(tolerance, p=np.inf, output_type="ndarray").T
        return first, second
    first = np.repeat(np.arange(len(line)), counts)
    second = first + np.arange(1, len(first) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
    close = np.abs(points[order[first]] - points[order[second]]).max(1, initial=0) <= tolerance
    return order[first[close]], order[second[close]]


def _least_distance(points: np.ndarray, chosen: np.ndarray) -> float:
    """Find the least distance, the largest difference of an entry, of `chosen` points from others; infinity if none."""
    if len(points) <= 2 * MAX_COMPARED:
        distances = np.abs(points[chosen, None] - points).max(-1)
        distances[np.arange(len(chosen)), chosen] = np.inf
        return float(distances.min())
    tree, least = scipy.spatial.cKDTree(points), np.inf
    # The least distance of the first points bounds the search about the others, which is then fast.
    for some in np.split(chosen, [32]):
        found = tree.query(points[some], k=2, p=np.inf, distance_upper_bound=least)[0][:, 1]
        least = min(least, float(found.min(initial=np.inf)))
    return least


def _one_of_each_orbit(tuples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Pick one label, ascending, for each set of clusters that hold permutations of each other's tuples."""
    size = (int(tuples.max()) + 1,) * tuples.shape[1]
    multisets = np.unique(np.ravel_multi_index(tuple(np.sort(tuples, axis=1).T), size), return_inverse=True)[1]
    n_labels = int(labels.max()) + 1
    orbits = connected_parts(labels, n_labels + multisets, n_labels + int(multisets.max()) + 1)[:n_labels]
    return np.sort(np.unique(orbits, return_index=True)[1])


def connected_parts(first: np.ndarray, second: np.ndarray, n: int) -> np.ndarray:
    """Label the connected components, `(n,)`, of a graph of n nodes, given the two nodes of each link."""
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1]
