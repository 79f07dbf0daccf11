"""Positions, Å, with null directions that theory knows."""

import itertools

import numpy as np

TETRAHEDRON = 0.63 * np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
OCTAHEDRON = 1.56 * np.concatenate([np.eye(3), -np.eye(3)])

PARSAEIFARD_GOEDECKER = [
    (-0.487769, -0.041057, 0.974419),
    (0.747395, -0.586838, -0.532971),
    (0.784215, 0.602362, 0.4569),
    (-0.696015, 0.835322, 0.069546),
]
"""Hydrogens of a methane, to six digits, next to a point that is singular for ν = 2."""

PAIR = (-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8)
"""Parameters of `jaxfeat.manifolds.pair_family`, away from the loci where the two members meet."""

LOCI = {"az": 1, "by": 3, "bz": 4, "cy": 6}
"""Parameters of the pair family, by index, that make the members meet where they vanish."""


LATTICES = {
    "fcc": [(0, 1, 1), (1, 0, 1), (1, 1, 0)],
    "bcc": [(-1, 1, 1), (1, -1, 1), (1, 1, -1)],
    "sc": [(1, 0, 0), (0, 1, 0), (0, 0, 1)],
    "hcp": [(1, 0, 0), (-0.5, 0.75**0.5, 0), (0, 0, (8 / 3) ** 0.5)],
    "diamond": [(0, 2, 2), (2, 0, 2), (2, 2, 0)],
    "graphene": [(3**0.5, 0, 0), (0.75**0.5, 1.5, 0), (0, 0, 9)],
}
SECOND_ATOM = {"hcp": (0, 0.75**0.5 * 2 / 3, (2 / 3) ** 0.5), "diamond": (1, 1, 1), "graphene": (0, 1, 0)}


def shell(lattice, n):
    """List the n atoms of a crystal nearest to one of its atoms."""
    images = np.array(list(itertools.product(range(-5, 6), repeat=3))) @ np.array(LATTICES[lattice], float)
    found = np.concatenate([images, *([images + SECOND_ATOM[lattice]] if lattice in SECOND_ATOM else [])])
    distances = np.linalg.norm(found, axis=1)
    order = np.argsort(distances)
    assert distances[order[n + 1]] > distances[order[n]] + 0.01
    return found[order[1 : n + 1]]


def rotated(positions, rng):
    """Turn positions by a random rotation or rotary reflection."""
    return positions @ np.linalg.qr(rng.normal(size=(3, 3)))[0]


def on_locus(index, value=0.0):
    """The parameters of the pair family with one of them replaced."""
    return np.where(np.arange(7) == index, value, PAIR).tolist()


def pair_positions(ax, az, bx, by, bz, cx, cy):
    """One member of the pair family, written down without the package."""
    return np.array([(ax, 0, az), (bx, by, bz), (bx, -by, -bz), (cx, cy, 0)])


def coincident(seed, most):
    """Draw positions and species with coinciding invariants: lattice points, equal radii, mirror images, or a
    coalesced pair, by `seed % 4`. One species, or two if `seed % 3` is 0; 2 to `most` neighbors."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, most + 1))
    if seed % 4 == 0:
        lattice = np.array(list(itertools.product([-1, 0, 1], repeat=3)), float)
        positions = rng.choice(lattice[np.abs(lattice).sum(1) > 0], n, replace=False)
    elif seed % 4 == 1:
        positions = rng.normal(size=(n, 3))
        positions /= np.linalg.norm(positions, axis=1, keepdims=True)
    elif seed % 4 == 2:
        half = rng.normal(size=((n + 1) // 2, 3))
        half *= rng.uniform(0.8, 1.6, (len(half), 1)) / np.linalg.norm(half, axis=1, keepdims=True)
        positions = np.concatenate([half, half * [1, 1, -1]])[:n]
    else:
        positions = pair_positions(*on_locus(rng.choice(list(LOCI.values()))))
    species = ["H", *rng.choice(["H", "F"] if seed % 3 == 0 else ["H"], len(positions) - 1).tolist()]
    return rotated(positions, rng), species
