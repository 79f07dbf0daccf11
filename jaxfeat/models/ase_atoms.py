"""Structures as the objects that other packages take."""

from typing import Any

import numpy as np

from jaxfeat.geometry.structure import Structure


def as_atoms(structure: Structure) -> Any:
    """Make `ase.Atoms` of one structure of NumPy arrays without padding."""
    from ase import Atoms

    cell = np.asarray(structure.cell)
    pbc = cell.any(1) if structure.periodic else False
    return Atoms(numbers=structure.species, positions=structure.positions, cell=cell, pbc=pbc)
