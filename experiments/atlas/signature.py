"""Coincidences in an environment, and the closed form of singular points to which they belong."""

from collections import Counter
from itertools import combinations, permutations

import numpy as np

TOLERANCE = 1e-5
"""Tolerance of radii (Å) and of cosines. Points are exact to 1e-8 Å or better."""


def labels(values):
    """Number groups of equal values: `(n,)` integers."""
    order = np.argsort(values, kind="stable")
    groups = np.concatenate([[0], np.cumsum(np.diff(values[order]) > TOLERANCE)])
    return groups[np.argsort(order, kind="stable")]


def coincidences(positions, species):
    """Find equal distances of like neighbors and equal angles between pairs of like distances, and count the equations.

    What ν = 2 knows is the list of (r, r', angle): where nothing in it coincides, nothing is hidden. Groups of equal
    angles are named by their number and how they hang together: v with an atom in common, d without.
    """
    r = np.linalg.norm(positions, axis=1)
    cosines = positions @ positions.T / np.outer(r, r)
    shells = labels(r + 100.0 * species)
    pairs = list(combinations(range(len(r)), 2))
    kinds = {}
    for i, j in pairs:
        kinds.setdefault(tuple(sorted((shells[i], shells[j]))), []).append((i, j))
    angles, equations = [], len(r) - len(set(shells))
    for alike in kinds.values():
        groups = labels(np.asarray([cosines[pair] for pair in alike]))
        for group in set(groups):
            members = [set(pair) for pair, each in zip(alike, groups, strict=True) if each == group]
            if len(members) > 1:
                angles.append(f"{len(members)}{'v' if set.intersection(*members) else 'd'}")
                equations += len(members) - 1
    sizes = sorted((size for size in Counter(shells).values() if size > 1), reverse=True)
    return " + ".join(map(str, sizes)) or "none", " + ".join(sorted(angles, reverse=True)) or "none", equations


def closed_form(positions, species):
    """Name the closed form for ν = 2 and four neighbors that covers an environment, or return an empty text."""
    if len(positions) != 4:
        return ""
    for a, b, c, d in permutations(range(4)):
        if species[b] == species[c] and _pair(*positions[[a, b, c, d]]):
            return "pairs"
    r = np.linalg.norm(positions, axis=1)
    cosines = positions @ positions.T / np.outer(r, r)
    if np.ptp(r) < TOLERANCE:
        for (i, j), (k, l) in (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))):
            alike = species[i] == species[j] and species[k] == species[l]
            if alike and abs(cosines[i, j] - cosines[k, l]) < TOLERANCE:
                return "opposite angles"
    return ""


def _pair(a, b, c, d):
    """Tell whether the members of a degenerate pair meet in a and c, with b and its image under a twofold axis.

    X± = { (ax, 0, az), (bx, by, bz), (bx, -by, -bz), (cx, ±cy, 0) }: across the axis, a and d are perpendicular; the
    members meet where one of the two vanishes, or b lies along one of them.
    """
    axis, across = b + c, (b - c) / 2
    if abs(np.linalg.norm(b) - np.linalg.norm(c)) > TOLERANCE or np.linalg.norm(axis) < TOLERANCE:
        return False
    axis = axis / np.linalg.norm(axis)
    first, last = (v - axis * (v @ axis) for v in (a, d))
    meet = [np.linalg.norm(first), np.linalg.norm(last)]
    meet += [np.linalg.norm(np.cross(across, v)) / np.linalg.norm(across) for v in (first, last)]
    return abs(first @ last) < TOLERANCE and min(meet) < TOLERANCE
