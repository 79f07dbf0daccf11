"""Symmetric sites of crystals and molecules, and supercells of crystals."""

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import bulk, graphene, molecule, mx2

import jaxfeat

IDEAL = (8 / 3) ** 0.5  # c/a of a hexagonal close packing of spheres
FERROCENE = {"C": (1.225, 1.661), "H": (2.329, 1.661)}
"""Radius of the rings and height above iron, Å, eclipsed: C-C 1.440 Å, Fe-C 2.064 Å and C-H 1.104 Å from electron
diffraction (Haaland and Nilsson, Acta Chem. Scand. 22, 2653 (1968)), with hydrogens in the planes of the rings."""


class Site(NamedTuple):
    """Atoms, the radius (Å) of the environment and the index of its center; the centroid if the index is -1."""

    atoms: Atoms
    r_cut: float
    center: int = 0


def perovskite():
    places = [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return Atoms("SrTiO3", scaled_positions=places, cell=[3.905] * 3, pbc=True)


def layer(atoms):
    atoms.pbc = (True, True, False)
    return atoms


def ferrocene():
    angles = 2 * np.pi * np.arange(5) / 5
    rings = [("Fe", (0.0, 0.0, 0.0))]
    for symbol, (radius, height) in FERROCENE.items():
        rings += [(symbol, (radius * np.cos(a), radius * np.sin(a), z)) for z in (height, -height) for a in angles]
    return Atoms([symbol for symbol, _ in rings], positions=[place for _, place in rings])


def sulfur_hexafluoride():
    return Atoms("SF6", positions=[(0, 0, 0), *1.561 * np.concatenate([np.eye(3), -np.eye(3)])])


def buckyball():
    """C60 with all bonds of one length, 1.42 Å: the truncated icosahedron."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, 1, 3 * golden), (1, 2 + golden, 2 * golden), (golden, 2, golden**3)]
    found = set()
    for corner in corners:
        for signs in np.ndindex(2, 2, 2):
            point = np.asarray(corner) * (1 - 2 * np.asarray(signs))
            found |= {tuple(np.roll(point, k).round(12) + 0.0) for k in range(3)}
    return Atoms("C60", positions=0.71 * np.asarray(sorted(found)))


SITES = {
    "simple cubic, 6": Site(bulk("Po", "sc", a=3.35), 3.4),
    "simple cubic, 18": Site(bulk("Po", "sc", a=3.35), 4.8),
    "fcc, 12": Site(bulk("Cu"), 2.7),
    "fcc, 18": Site(bulk("Cu"), 3.7),
    "fcc, 42": Site(bulk("Cu"), 4.6),
    "bcc, 8": Site(bulk("Fe"), 2.6),
    "bcc, 14": Site(bulk("Fe"), 3.0),
    "bcc, 26": Site(bulk("Fe"), 4.2),
    "hcp, ideal c/a, 12": Site(bulk("Mg", "hcp", a=3.2, c=3.2 * IDEAL), 3.3),
    "hcp, Mg, 12": Site(bulk("Mg", "hcp", a=3.21, c=5.21), 3.3),
    "hcp, Mg, 18": Site(bulk("Mg", "hcp", a=3.21, c=5.21), 4.6),
    "diamond, 4": Site(bulk("Si"), 2.5),
    "diamond, 16": Site(bulk("Si"), 3.9),
    "diamond, 28": Site(bulk("Si"), 4.6),
    "rock salt, 6": Site(bulk("NaCl", "rocksalt", a=5.64), 3.0),
    "rock salt, 18": Site(bulk("NaCl", "rocksalt", a=5.64), 4.2),
    "rock salt, 26": Site(bulk("NaCl", "rocksalt", a=5.64), 5.0),
    "perovskite, Ti, 14": Site(perovskite(), 3.5, 1),
    "perovskite, Sr, 20": Site(perovskite(), 3.5, 0),
    "perovskite, O, 14": Site(perovskite(), 2.9, 2),
    "graphene, 3": Site(layer(graphene(vacuum=5)), 1.5),
    "graphene, 9": Site(layer(graphene(vacuum=5)), 2.5),
    "graphene, 12": Site(layer(graphene(vacuum=5)), 2.9),
    "MoS2, Mo, 6": Site(layer(mx2("MoS2", vacuum=5)), 2.5, 0),
    "MoS2, Mo, 12": Site(layer(mx2("MoS2", vacuum=5)), 3.3, 0),
    "MoS2, S, 10": Site(layer(mx2("MoS2", vacuum=5)), 3.3, 1),
    "methane, C": Site(molecule("CH4"), 3.0, 0),
    "methane, H": Site(molecule("CH4"), 3.0, 1),
    "benzene, C": Site(molecule("C6H6"), 6.0, 0),
    "benzene, centroid": Site(molecule("C6H6"), 6.0, -1),
    "SF6, S": Site(sulfur_hexafluoride(), 2.0, 0),
    "ferrocene, Fe": Site(ferrocene(), 4.0, 0),
    "C60, C, 9": Site(buckyball(), 2.6, 0),
    "C60, centroid": Site(buckyball(), 6.0, -1),
}
"""By name, with the number of neighbors where the radius sets it. Lattice constants are those of ASE where none is
given. Only ratios of distances matter."""

SUPERCELLS = {
    "fcc": (bulk("Cu") * (5, 5, 5), (2.7, 3.7)),
    "bcc": (bulk("Fe") * (5, 5, 5), (2.6, 3.0)),
    "hcp, ideal c/a": (bulk("Mg", "hcp", a=3.2, c=3.2 * IDEAL) * (5, 5, 3), (3.3,)),
    "hcp, Mg": (bulk("Mg", "hcp", a=3.21, c=5.21) * (5, 5, 3), (3.3,)),
    "diamond": (bulk("Si") * (4, 4, 4), (2.5, 3.9)),
    "rock salt": (bulk("NaCl", "rocksalt", a=5.64) * (4, 4, 4), (3.0, 4.2)),
    "perovskite": (perovskite() * (3, 3, 3), (2.0, 2.8)),
    "graphene": (layer(graphene(size=(6, 6, 1), vacuum=5)), (1.5, 2.5)),
    "MoS2": (layer(mx2("MoS2", size=(4, 4, 1), vacuum=5)), (2.5, 3.3)),
}
"""Supercells, each with radii of the sites in Å. The shortest translation is at least four times as long as the longest
bond within the radius, but for fcc with 18 neighbors. Force constants of images of an atom then do not add up."""


def turned(site, seed):
    """Cut out the environment of a site in a random orientation, at a random scale, and with random elements in the
    place of its own. Return it with the distances of the nearest and the farthest neighbor (Å)."""
    rng = np.random.default_rng(seed)
    if site.center < 0:
        positions, species = site.atoms.positions - site.atoms.positions.mean(0), site.atoms.numbers
    else:
        env = jaxfeat.environments(site.atoms, site.r_cut, [site.center])[0]
        present = np.asarray(env.mask)
        positions, species = np.asarray(env.positions)[present], np.asarray(env.species)[present]
    kinds, index = np.unique(species, return_inverse=True)
    drawn = rng.choice(np.arange(1, 80), len(kinds), replace=False)[index]
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = rng.uniform(0.5, 2) * positions @ turn
    distances = np.linalg.norm(moved, axis=1)
    return jaxfeat.Environment.from_neighbors(moved, drawn), distances.min(), distances.max()
