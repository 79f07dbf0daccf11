"""Coincidence patterns of a few neighbors, and the displacements that each of them hides from order 3: exact algebra.

A pattern says which radii of like neighbors are equal, and which dot products of pairs between the same shells: it is a
complete graph with colored nodes and edges. Order 3 knows, for each kind of triangle, sums of changes of dot products.
So a pattern decides, without positions, which changes E of dot products order 3 can miss at all. Those are as many as
the changes that symmetry hides, unless the rank of the sums is below the number of orbits of the pattern's
automorphisms. A displacement beyond symmetry needs a pattern with a smaller rank, positions that have this pattern,
and a change E that belongs to a displacement. `realize` looks for both by Gauss-Newton steps.
"""

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

CHUNK = 20_000  # patterns whose ranks are computed at once
STEPS, LONGEST_STEP, SOLVED = 60, 0.3, 1e-9


class Pattern(NamedTuple):
    """Shells of the neighbors and colors of the edges (0, 1), (0, 2), (1, 2), (0, 3), ...; `excess` is the number of
    changes that order 3 misses and symmetry does not hide."""

    shells: tuple[int, ...]
    colors: tuple[int, ...]
    excess: int


def edges(n: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(n) for i in range(j)]


def partitions(total: int, largest: int) -> Iterator[tuple[int, ...]]:
    if total == 0:
        yield ()
    for part in range(min(total, largest), 0, -1):
        yield from ((part, *rest) for rest in partitions(total - part, part))


def count_patterns(n: int, largest: int) -> tuple[int, list[Pattern]]:
    """Count the patterns of n neighbors, up to relabeling of all but the last one, with shells of up to `largest` like
    neighbors, and list those with an excess."""
    total, found = 0, []
    for sizes in partitions(n, largest):
        shells = tuple(i for i, size in enumerate(sizes) for _ in range(size))
        rows = np.zeros((1, 0), np.int8)
        for k in range(2, n):
            rows = smallest_labels(np.concatenate(list(extended(rows, shells[:k]))), shells[:k])[0]
        for some in extended(rows, shells):
            total += len(some)
            for first in range(0, len(some), CHUNK):
                found += with_excess(some[first : first + CHUNK], shells)
    return total, list(dict.fromkeys(found))


def extended(rows: np.ndarray, shells: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Color the edges of one more node in all ways. Edges between different pairs of shells have different colors."""
    n = len(shells) - 1
    kinds = [tuple(sorted((shells[i], shells[n]))) for i in range(n)]
    for row in rows:
        used = {(tuple(sorted((shells[i], shells[j]))), c) for (i, j), c in zip(edges(n), row.tolist(), strict=True)}
        ways = [((), used, max(row.tolist(), default=-1) + 1)]
        for kind in kinds:
            ways = [
                (*((*colors, c), known | {(kind, c)}, max(fresh, c + 1)),)
                for colors, known, fresh in ways
                for c in [*sorted(c for k, c in known if k == kind), fresh]
            ]
        new = np.asarray([colors for colors, _, _ in ways], np.int8).reshape(len(ways), n)
        yield np.concatenate([np.broadcast_to(row, (len(new), len(row))), new], 1)


def relabelings(shells: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """List permutations of the nodes that keep shells, with those of the edges."""
    n = len(shells)
    number = {edge: k for k, edge in enumerate(edges(n))}
    kept = [p for p in permutations(range(n)) if all(shells[i] == shells[j] for i, j in enumerate(p))]
    return [(np.asarray(p), np.asarray([number[tuple(sorted((p[i], p[j])))] for i, j in edges(n)])) for p in kept]


def renumbered(rows: np.ndarray) -> np.ndarray:
    """Number the colors of each row in the order in which they appear."""
    first = (rows[:, :, None] == rows[:, None]).argmax(2)
    new = first == np.arange(rows.shape[1])
    return np.take_along_axis(np.cumsum(new, 1) - 1, first, 1).astype(np.int8)


def smallest_labels(rows: np.ndarray, shells: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Keep one pattern of each orbit of relabelings: the rows, and which ones they are."""

    def key(some: np.ndarray) -> np.ndarray:
        return renumbered(some).astype(np.uint64) @ (np.uint64(16) ** np.arange(rows.shape[1], dtype=np.uint64)[::-1])

    kept, own = np.arange(len(rows)), key(rows)
    for _, order in relabelings(shells):
        kept = kept[key(rows[kept][:, order]) >= own[kept]]
    return renumbered(rows[kept]), kept


def slots(n: int) -> tuple[np.ndarray, np.ndarray]:
    """List the edges of each triangle, `(t, 3)`, and the node opposite to each of them."""
    number = {edge: k for k, edge in enumerate(edges(n))}
    triangles = list(combinations(range(n), 3))
    by_edge = [[number[i, j], number[i, k], number[j, k]] for i, j, k in triangles]
    return np.asarray(by_edge), np.asarray([[k, j, i] for i, j, k in triangles])


def ranks(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the ranks of the sums over equal triangles, for edges and for nodes, from their Gram matrices."""
    sides, opposite = slots(n)
    colors = rows[:, sides].astype(np.int64)
    kind = np.sort(colors, 2) @ np.asarray([32**3, 32**2, 32])
    # Two slots are summed together if the triangles are of one kind and the sides of one color.
    label = (kind[:, :, None] + colors).reshape(len(rows), -1)
    same = (label[:, :, None] == label[:, None]).astype(np.float32)
    into = np.zeros((sides.size, rows.shape[1] + n), np.float32)
    into[np.arange(sides.size), sides.ravel()] = into[np.arange(sides.size), rows.shape[1] + opposite.ravel()] = 1
    gram = (into.T @ (same @ into)).astype(float)
    parts = gram[:, : rows.shape[1], : rows.shape[1]], gram[:, rows.shape[1] :, rows.shape[1] :]
    return tuple((np.linalg.eigvalsh(part) > 1e-6).sum(1) for part in parts)


def with_excess(rows: np.ndarray, shells: tuple[int, ...]) -> list[Pattern]:
    """List the patterns whose sums have a smaller rank than there are orbits of edges and nodes."""
    n = len(shells)
    by_edge, by_node = ranks(rows, n)
    some = (by_edge < rows.shape[1]) | (by_node < n)
    rows, kept = smallest_labels(rows[some], shells)
    found = []
    for row, rank in zip(rows, (by_edge + by_node)[some][kept], strict=True):
        excess = len(orbit_sums(shells, row)) - int(rank)
        if excess > 0:
            found.append(Pattern(shells, tuple(row.tolist()), excess))
    return found


def orbit_sums(shells: tuple[int, ...], colors: np.ndarray) -> np.ndarray:
    """Make the sums over orbits of nodes and of edges under the automorphisms of a pattern: orthonormal rows."""
    nodes, sides = np.arange(len(shells)), np.arange(len(colors))
    for by_node, by_edge in relabelings(shells):
        if np.array_equal(np.asarray(colors)[by_edge], colors):
            nodes, sides = np.minimum(nodes, by_node), np.minimum(sides, by_edge)
    labels = np.concatenate([nodes, len(shells) + sides])
    sums = (labels == np.unique(labels)[:, None]).astype(float)
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def triangle_sums(shells: tuple[int, ...], colors: tuple[int, ...]) -> np.ndarray:
    """Make the sums of changes of squared radii and of dot products that order 3 knows: orthonormal rows."""
    n, sums = len(shells), {}
    sides, opposite = slots(n)

    def add(key: object, column: int) -> None:
        sums.setdefault(key, np.zeros(n + len(colors)))[column] += 1

    for triangle, nodes in zip(sides.tolist(), opposite.tolist(), strict=True):
        kind = tuple(sorted(colors[side] for side in triangle))
        for side, node in zip(triangle, nodes, strict=True):
            add((kind, colors[side], "edge"), n + side)
            add((kind, colors[side], "node"), node)
    return row_space(np.asarray(list(sums.values())))


def row_space(rows: np.ndarray) -> np.ndarray:
    _, values, right = np.linalg.svd(rows)
    return right[: int((values > 1e-9).sum())]


def realize(pattern: Pattern, n_starts: int, rng: np.random.Generator) -> np.ndarray:
    """Look for positions with a pattern and a displacement that order 3 misses and symmetry does not hide, from random
    starts: `(k, n, 3)`. They may have more coincidences than the pattern, and more symmetry."""
    n, shells = len(pattern.shells), np.asarray(pattern.shells)
    first, second = (np.asarray([*range(n), *(edge[k] for edge in edges(n))]) for k in (0, 1))
    groups = [np.flatnonzero(shells == s) for s in set(pattern.shells)]
    groups += [n + np.flatnonzero(np.asarray(pattern.colors) == c) for c in set(pattern.colors)]
    equal = [np.eye(len(first))[group[0]] - np.eye(len(first))[i] for group in groups for i in group[1:]]
    equal, known = row_space(np.asarray(equal)), triangle_sums(pattern.shells, pattern.colors)
    seen = orbit_sums(pattern.shells, np.asarray(pattern.colors))
    x = rng.normal(size=(n_starts, n, 3))
    x *= (np.exp(0.3 * rng.normal(size=shells.max() + 1))[shells] / np.linalg.norm(x, axis=2))[..., None]
    v, entries, size = rng.normal(size=x.shape), np.arange(len(first)), np.full(n_starts, np.inf)

    def by_positions(vectors: np.ndarray) -> np.ndarray:
        slopes = np.zeros((n_starts, len(first), n, 3))
        slopes[:, entries, first] += vectors[:, second]
        slopes[:, entries, second] += vectors[:, first]
        return slopes.reshape(n_starts, len(first), 3 * n)

    def crossed(vectors: np.ndarray) -> np.ndarray:
        return np.cross(vectors[:, None], np.eye(3)[:, None]).reshape(n_starts, 3, 3 * n)

    for _ in range(STEPS):
        gram, change = (
            (x[:, first] * x[:, second]).sum(2),
            (x[:, first] * v[:, second] + v[:, first] * x[:, second]).sum(2),
        )
        by_x, by_v, sums = by_positions(x), by_positions(v), change @ seen.T
        zero = np.zeros((n_starts, len(equal), 3 * n))
        both = 2 * np.einsum("bo,bok->bk", sums, seen @ np.concatenate([by_v, by_x], 2))
        scale = np.concatenate([2 * x.reshape(n_starts, -1) / n, np.zeros((n_starts, 3 * n))], 1)
        parts = gram @ equal.T, change @ known.T, np.cross(x, v).sum(1), (sums**2).sum(1, keepdims=True) - 1
        value = np.concatenate([*parts, (x**2).sum((1, 2))[:, None] / n - 1], 1)
        rows = np.concatenate(
            [np.concatenate([equal @ by_x, zero], 2), np.concatenate([known @ by_v, known @ by_x], 2),
             np.concatenate([crossed(v), -crossed(x)], 2), both[:, None], scale[:, None]], 1
        )  # fmt: skip
        size = np.linalg.norm(value, axis=1)
        normal = rows @ rows.mT + (0.05 * np.minimum(size, 1) + 1e-14)[:, None, None] * np.eye(rows.shape[1])
        move = -(rows.mT @ np.linalg.solve(normal, value[..., None]))[..., 0]
        move *= np.minimum(1, LONGEST_STEP / np.abs(move[:, : 3 * n]).max(1))[:, None]
        x, v = x + move[:, : 3 * n].reshape(x.shape), v + move[:, 3 * n :].reshape(x.shape)
    return x[size < SOLVED]
