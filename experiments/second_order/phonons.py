"""Fits of force constants to the forces on all atoms of a supercell in which one atom is displaced."""

from typing import NamedTuple

import ase.io
import numpy as np
from common import show

import jaxfeat

MATERIALS = {
    "si": (2.6, 4.2, 4.9, 5.6),
    "al": (3.2, 4.3, 5.2),
    "nacl": (3.2, 4.3, 5.2, 6.0),
    "mgo": (2.5, 3.2, 4.0, 4.5),
}
"""Radii of the sites, Å, between shells of neighbors."""

FORMULAS = {"si": "Si", "al": "Al", "nacl": "NaCl", "mgo": "MgO"}
TOLERANCE = 1e-3  # Å; positions in files are rounded


class Fit(NamedTuple):
    """Force constants of sites of one radius: neighbors, numbers by order, the number that the space group allows, and
    the shares of the forces that are left by order."""

    r_cut: float
    n_neighbors: int
    counts: dict[int, int]
    allowed: int
    left: dict[int, float]


def share_left(forms, displacements, forces):
    """Fit force constants `(m, n, 3, n, 3)` to forces `(k, n, 3)` of displacements, and return the norm of what is left
    over that of the forces."""
    flat = forms.reshape(len(forms), forces[0].size, forces[0].size)
    columns = -np.concatenate([flat @ u.ravel() for u in displacements], axis=1).T
    target = np.concatenate([force.ravel() for force in forces])
    fitted = columns @ np.linalg.lstsq(columns, target, rcond=1e-9)[0]
    return float(np.linalg.norm(target - fitted) / np.linalg.norm(target))


def fit_material(folder, name, orders):
    """Fit the force constants of each order and radius to one material, print a table, and return the fits."""
    perfect = ase.io.read(folder / f"{name}_perfect.extxyz")
    displaced = ase.io.read(folder / f"{name}_displaced.extxyz", index=":")
    displacements = [frame.positions - perfect.positions for frame in displaced]
    forces = [frame.get_forces() for frame in displaced]
    fits = []
    for r_cut in MATERIALS[name]:
        crystal = jaxfeat.structures(perfect, r_cut)
        counts, left = {}, {}
        for order in orders:
            found = jaxfeat.second_order(order, crystal, TOLERANCE)
            counts[order] = found.seen_by_order
            left[order] = share_left(found.forms(order), displacements, forces)
            print(f"{name}, {r_cut} Å, ν = {order}: {counts[order]} of {found.allowed}, {100 * left[order]:.2f} % left")
        n_neighbors = int(np.asarray(crystal.neighbor_mask).sum(1).max())
        fits.append(Fit(r_cut, n_neighbors, counts, found.allowed, left))
    rows = [
        (
            f"{fit.r_cut} Å",
            fit.n_neighbors,
            *fit.counts.values(),
            fit.allowed,
            *(f"{100 * x:.2f} %" for x in fit.left.values()),
        )
        for fit in fits
    ]
    heads = ("r_cut", "neighbors", *(f"ν = {k}" for k in orders), "allowed", *(f"left, ν = {k}" for k in orders))
    title = f"{name}: {len(perfect)} atoms, {len(displaced)} displacements; force constants, and forces that are left"
    show(title, heads, rows)
    return fits
