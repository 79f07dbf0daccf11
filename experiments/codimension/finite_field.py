"""Environments over a finite field: their ν = 2 null directions by exact linear algebra, many environments at a time.

The field with p elements takes the place of the real numbers. Dot products, coincidences, differentials and ranks are
defined there as well, and nothing is rounded. If a set has dimension d, then about c p^d of the points with coordinates
in the field belong to it, where c is the number of its components of dimension d (Lang and Weil). So shares of random
points that lie in the set measure its codimension, over all patterns of coincidences at once.
"""

from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np

CHUNK = 20_000  # environments at a time: 0.2 GB for six neighbors


class Count(NamedTuple):
    """Random points of one kind of radii: how many were drawn, how many of them have a null direction that changes dot
    products, how many are incomplete beyond symmetry, and how many of these lie in A_k or in opposite heights."""

    points: int
    changing: int
    incomplete: int
    known: int


def inverses(p):
    """Tabulate 1/x modulo p for x = 0 ... p - 1, with 0 for x = 0."""
    return np.asarray([0] + [pow(x, -1, p) for x in range(1, p)], np.int64)


def ranks(matrices, p):
    """Compute the ranks `(b,)` of matrices `(b, m, n)` modulo p."""
    rest, inverse = np.array(matrices % p, np.int64), inverses(p)
    rank, item = np.zeros(len(rest), np.int64), np.arange(len(rest))
    for column in range(rest.shape[2]):
        # The rows above `rank` are used up. They are set to zero, so that no row has to be exchanged.
        pivot = (rest[:, :, column] != 0).argmax(1)
        row = rest[item, pivot]
        found = row[:, column] != 0
        row = row * inverse[row[:, column]][:, None] % p
        rest = (rest - rest[:, :, column, None] * row[:, None]) % p
        rank += found
    return rank


def values(positions, p):
    """Compute one number for the value (r², r'², r·r') of each ordered pair, `(b, n, n)`."""
    gram = positions @ positions.transpose(0, 2, 1) % p
    squares = np.diagonal(gram, axis1=1, axis2=2)
    return (squares[:, :, None] * p + squares[:, None, :]) * p + gram


def class_rows(positions, equal):
    """Make the rows that vanish on N₂. `equal`, `(b, n, n, n, n)`, tells which ordered pairs share a value."""
    b, n, _ = positions.shape
    ordered = equal.reshape(b, n * n, n, n).astype(np.int64)
    firsts = ordered.sum(3)[..., None] * positions[:, None]
    unordered = equal[:, *np.triu_indices(n)].astype(np.int64)
    products = (unordered + unordered.swapaxes(2, 3)) @ positions[:, None]
    return np.concatenate([products, firsts], 1).reshape(b, -1, 3 * n)


def gram_rows(positions):
    """Make the rows of the differential of all dot products, `(b, n (n + 1) / 2, 3 n)`."""
    n = positions.shape[1]
    alone = np.eye(n * n, dtype=np.int64).reshape(n, n, n, n)[np.triu_indices(n)]
    return ((alone + alone.swapaxes(1, 2)) @ positions[:, None]).reshape(len(positions), -1, 3 * n)


def orbit_rows(positions, key):
    """Make the rows of one environment that vanish on what symmetry hides: sums of dG over orbits of pairs."""
    n = len(positions)
    order = np.asarray(list(permutations(range(n))))
    order = order[(key[order[:, :, None], order[:, None, :]] == key).all((1, 2))]
    orbit = (order[:, :, None] * n + order[:, None, :]).min(0)
    equal = orbit[:, :, None, None] == orbit
    unordered = equal[np.triu_indices(n)].astype(np.int64)
    return ((unordered + unordered.swapaxes(1, 2)) @ positions).reshape(-1, 3 * n)


def seen_rigidly(positions, key, p):
    """Tell where neighbors that share no dot product span space. No null direction changes a dot product there.

    A pair alone in its class keeps its dot product. A neighbor alone in all its pairs keeps its distance as well, if a
    neighbor with another distance exists.
    """
    n = positions.shape[1]
    i, j = np.triu_indices(n, 1)
    pairs = np.minimum(key[:, i, j], key[:, j, i])
    shared = (pairs[:, :, None] == pairs[:, None, :]).sum(2) > 1
    loose = np.zeros((len(positions), n), bool)
    for k in range(len(i)):
        loose[:, i[k]] |= shared[:, k]
        loose[:, j[k]] |= shared[:, k]
    spanned = np.zeros(len(positions), bool)
    for triple in combinations(range(n), 3):
        a, b, c = (positions[:, k] for k in triple)
        volume = (a * (np.cross(b, c) % p)).sum(1) % p
        spanned |= (volume != 0) & ~loose[:, triple].any(1)
    return spanned


def draw(shells, p, count, rng, planar=False):
    """Draw environments whose neighbors have equal radii inside each shell, and different ones otherwise.

    Neighbors with r² = 0 are left out, because over the real numbers they lie on the center.
    """
    axis = np.arange(p)
    vectors = np.stack(np.meshgrid(axis, axis, axis[:1] if planar else axis, indexing="ij"), -1).reshape(-1, 3)
    squares = (vectors**2).sum(1) % p
    order = np.argsort(squares, kind="stable")
    vectors, squares = vectors[order], squares[order]
    start = np.searchsorted(squares, np.arange(p + 1))
    radius = np.stack([squares[rng.integers(start[1], len(squares), count)] for _ in shells], 1)
    radius = np.repeat(radius, shells, axis=1)
    chosen = start[radius] + (rng.random(radius.shape) * (start[radius + 1] - start[radius])).astype(np.int64)
    shell = np.repeat(np.arange(len(shells)), shells)
    same = (radius[:, :, None] == radius[:, None, :]) != (shell[:, None] == shell)
    collide = np.triu(chosen[:, :, None] == chosen[:, None, :], 1)
    return vectors[chosen[~(same | collide).any((1, 2))]]


def in_a_known_family(positions, key, p):
    """Tell whether one environment lies in A_k or in opposite heights, or in their closures."""
    n = len(positions)
    for b, other in combinations(range(n), 2):
        if key[b, b] != key[other, other]:
            continue
        rest = [k for k in range(n) if k not in (b, other)]
        alike = [k for k in rest if key[k, b] == key[k, other]]
        plane = positions[[b, other, *(k for k in rest if k not in alike)]]
        if alike and int(ranks(plane[None], p)[0]) < 3:
            return True
        normal, in_plane = _normal(positions[rest], p)
        if alike and in_plane and normal @ (positions[b] + positions[other]) % p == 0:
            return True
    return False


def _normal(vectors, p):
    """Find a normal of the plane that holds all vectors, and tell whether it exists and is unique."""
    for a, b in combinations(vectors, 2):
        normal = np.cross(a, b) % p
        if normal.any():
            return normal, not (vectors @ normal % p).any()
    return np.zeros(3, np.int64), False


def count_points(shells, p, wanted, rng, planar=False, screen=True):
    """Count incomplete points among random environments with these shells."""
    n, points, changing, incomplete, known = sum(shells), 0, 0, 0, 0
    while points < wanted:
        positions = draw(shells, p, CHUNK, rng, planar)[: wanted - points]
        points += len(positions)
        key = values(positions, p)
        if screen and len(shells) > 1:
            left = ~seen_rigidly(positions, key, p)
            i, j = np.triu_indices(n, 1)
            pairs = np.sort(np.minimum(key[:, i, j], key[:, j, i]), axis=1)
            left &= (pairs[:, 1:] == pairs[:, :-1]).any(1)
            positions, key = positions[left], key[left]
        if not len(positions):
            continue
        kernel = ranks(class_rows(positions, key[:, :, :, None, None] == key[:, None, None]), p)
        short = kernel < 3 * n - 3
        positions, key, kernel = positions[short], key[short], kernel[short]
        if not len(positions):
            continue
        short = kernel < ranks(gram_rows(positions), p)
        changing += int(short.sum())
        for x, k, rank in zip(positions[short], key[short], kernel[short], strict=True):
            if rank < ranks(orbit_rows(x, k)[None], p)[0]:
                incomplete += 1
                known += in_a_known_family(x, k, p)
    return Count(points, changing, incomplete, known)
