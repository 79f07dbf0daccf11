"""Built-in sets of structures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.prl_methanes import BOND_LENGTH, place_hydrogens, published_angles
from jaxfeat.geometry.random import draw_methanes

if TYPE_CHECKING:
    from ase import Atoms

RANDOM_METHANE = "random-methane:N[:SEED]"
"""How a user asks for random methanes."""


class StructureSet(NamedTuple):
    """Structures of a file or of a built-in set.

    **Attributes:**

    - `atoms`: The structures.
    - `names`: A name of each structure, for messages and tables.
    - `centers`: The chemical symbol of the centers that a built-in set is about; `None` for every atom.
    """

    atoms: list[Atoms]
    names: list[str]
    centers: str | None

    def __repr__(self) -> str:
        n_atoms = sum(map(len, self.atoms))
        return f"StructureSet({len(self.atoms)} structures, {n_atoms} atoms, centers: {self.centers or 'every atom'})"


def is_random_methane(name: str) -> bool:
    """Tell whether this is the name of random methanes, with or without a number."""
    return name.split(":")[0] == "random-methane"


def make_set(name: str) -> StructureSet:
    """Make the structures of a built-in set. **Raises:** `ReadError` for a wrong number of random methanes."""
    return SETS.get(name, _make_random_methanes)(name)


def parse_random_methane(name: str) -> tuple[int, int]:
    """Read N and SEED in random-methane:N[:SEED]. **Raises:** `ReadError` for anything else."""
    options = name.split(":")[1:]
    if not 1 <= len(options) <= 2 or not all(option.isdecimal() for option in options) or int(options[0]) < 1:
        raise ReadError(f"{name}: write random-methane:N or random-methane:N:SEED with whole numbers, N at least 1.")
    return int(options[0]), int(options[1]) if len(options) == 2 else 0


def _load_collection(name: str) -> StructureSet:
    import ase.collections

    collection = getattr(ase.collections, name)
    # Beside the 148 molecules that the set is named for, ASE's g2 holds single atoms for atomization energies.
    kept = [(key, atoms) for key in collection.names if len(atoms := collection[key]) > 1 or name != "g2"]
    return StructureSet([atoms for _, atoms in kept], [key for key, _ in kept], None)


def _make_prl_methanes(_: str) -> StructureSet:
    names, hydrogens = [], []
    for sign, azimuth, elevation in product((-1, 1), *published_angles()):
        names.append(f"X{'-' if sign < 0 else '+'} (F = {azimuth / np.pi:.3f}π, L = {elevation / np.pi:.3f}π)")
        hydrogens.append(place_hydrogens(azimuth, elevation, sign))
    return StructureSet(_methanes(BOND_LENGTH * np.asarray(hydrogens)), names, "C")


def _make_random_methanes(name: str) -> StructureSet:
    n, seed = parse_random_methane(name)
    hydrogens = np.concatenate([block for _, block in draw_methanes(n, seed)])
    return StructureSet(_methanes(hydrogens), [f"random CH4 {k}" for k in range(n)], "C")


def _methanes(hydrogens: np.ndarray) -> list[Atoms]:
    from ase import Atoms

    return [Atoms("CH4", np.pad(positions, ((1, 0), (0, 0)))) for positions in hydrogens]


SETS: dict[str, Callable[[str], StructureSet]] = {
    **dict.fromkeys(("g2", "s22", "dcdft"), _load_collection),
    "prl-methane": _make_prl_methanes,
}
"""Built-in sets by their names. The names of random methanes hold numbers, so they are not listed."""
