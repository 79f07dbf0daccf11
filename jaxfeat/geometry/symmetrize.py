"""Structures that are moved to their nearest symmetric geometries before anything is computed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.crystal_symmetry import symmetrize_crystal
from jaxfeat.geometry.neighbors import structures
from jaxfeat.geometry.species import Atoms
from jaxfeat.geometry.symmetry import nearby_stabilizers, symmetric_positions, write_symbol
from jaxfeat.progress import Progress

UNMOVED = 1e-12  # Å. Shorter displacements are rounding, and the structure is symmetric already.


@dataclass(frozen=True)
class Symmetrized:
    """Structures at symmetric geometries.

    - `atoms`: `ase.Atoms`, all of them. Those without symmetry are the given ones.
    - `distances`: Å, the largest displacement in each that has moved. In a crystal it is that of a neighbor relative
      to its center, and includes the strain of the cell.
    - `groups`: How many of these have each point group or space group.
    - `failures`: Why structures stay as they are although they may be nearly symmetric, by the index of the structure.
    """

    atoms: list[Atoms]
    distances: list[float]
    groups: Counter[str]
    failures: dict[int, str]

    def describe(self, tolerance: float) -> str:
        """Say how many structures have moved, how far and to which groups."""
        n = len(self.atoms)
        text = f"none of {n:,} structures moved: each is symmetric already, or has no symmetry within {tolerance:g} Å"
        if self.distances:
            groups = ", ".join(f"{count:,} to {symbol}" for symbol, count in self.groups.most_common())
            moved = f"{len(self.distances):,} of {n:,} structures moved to symmetric geometries"
            text = f"{moved}, by {max(self.distances):.1e} Å at most: {groups}"
        if self.failures:
            i, why = next(iter(self.failures.items()))
            text += f"; {len(self.failures):,} cannot be symmetrized, such as structure {i}: {why.rstrip('.')}"
        return f"{text}."


def symmetrize_atoms(
    atoms: Sequence[Atoms], r_cut: float, tolerance: float, progress: Progress | None = None
) -> Symmetrized:
    """Move each structure to the nearest geometry of the largest symmetry within a tolerance (Å)."""
    if not tolerance > 0:
        raise GeometryError(f"the symmetry tolerance is {tolerance}; give a positive length in Å.")
    found = Symmetrized([], [], Counter(), {})
    for i, one in enumerate(atoms):
        moved, symbol, distance = one, "", 0.0
        try:
            moved, symbol, distance = (_symmetrize_crystal if one.pbc.any() else _symmetrize_molecule)(
                one, r_cut, tolerance
            )
        except GeometryError as error:
            found.failures[i] = str(error)
        found.atoms.append(moved if distance > UNMOVED else one)
        if distance > UNMOVED:
            found.distances.append(distance)
            found.groups[symbol] += 1
        if progress is not None:
            progress(i + 1, len(atoms))
    return found


def _symmetrize_molecule(atoms: Atoms, r_cut: float, tolerance: float) -> tuple[Atoms, str, float]:
    origin = atoms.positions.mean(0)
    points = atoms.positions - origin
    group = nearby_stabilizers(points, atoms.numbers, "O3", tolerance)[-1]
    symmetric = symmetric_positions(group, points)
    moved = atoms.copy()
    moved.positions = origin + symmetric
    return moved, write_symbol(group), float(np.linalg.norm(symmetric - points, axis=1).max())


def _symmetrize_crystal(atoms: Atoms, r_cut: float, tolerance: float) -> tuple[Atoms, str, float]:
    found = symmetrize_crystal(structures(atoms, r_cut), tolerance)
    moved = atoms.copy()
    moved.set_cell(np.where(atoms.pbc[:, None], np.asarray(found.structure.cell), atoms.cell.array))
    moved.positions = np.asarray(found.structure.positions)
    return moved, found.symbol, found.distance
