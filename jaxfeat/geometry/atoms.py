"""The type of `ase.Atoms`, for annotations alone: ASE takes long to load, and most work does without it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ase import Atoms as Atoms
else:
    Atoms = Any
