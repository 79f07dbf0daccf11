"""Chemical symbols and atomic numbers, and the type of `ase.Atoms` for annotations."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxfeat.errors import SpeciesError

if TYPE_CHECKING:
    from ase import Atoms as Atoms
else:
    Atoms = Any  # ASE takes long to load, and most work does without it.

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu "
    "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
COVALENT_RADII = (
    ".31 .28 1.28 .96 .84 .76 .71 .66 .57 .58 1.66 1.41 1.21 1.11 1.07 1.05 1.02 1.06 2.03 "
    "1.76 1.70 1.60 1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.20 1.19 1.20 1.20 1.16 2.20 1.95 "
    "1.90 1.75 1.64 1.54 1.47 1.46 1.42 1.39 1.45 1.44 1.42 1.39 1.39 1.38 1.39 1.40 2.44 2.15 2.07 "
    "2.04 2.03 2.01 1.99 1.98 1.98 1.96 1.94 1.92 1.92 1.89 1.90 1.87 1.87 1.75 1.70 1.62 1.51 1.44 "
    "1.41 1.36 1.36 1.32 1.45 1.46 1.48 1.40 1.50 1.50 2.60 2.21 2.15 2.06 2.00 1.96 1.90 1.87 1.80 "
    "1.69"
).split()
"""Covalent radii in Å, as texts, of hydrogen to curium: Cordero et al., Dalton Trans., 2832 (2008)."""
NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS)}  # atomic numbers; 0 for X, a ghost


def atomic_number(species: str | int) -> int:
    """Return the atomic number of a chemical symbol or an atomic number. **Raises:** `SpeciesError` for any other."""
    if isinstance(species, str):
        if species in NUMBERS and species != "X":
            return NUMBERS[species]
    elif isinstance(species, (int, np.integer)) and 0 < species < len(SYMBOLS):
        return int(species)
    raise SpeciesError(f"{species!r} is not a chemical element; give a symbol such as 'C' or an atomic number.")


def atomic_numbers(species: Iterable[str | int]) -> np.ndarray:
    """Return the atomic numbers of symbols or atomic numbers, `(n,)` int32. **Raises:** `SpeciesError`."""
    items = np.asarray(species).tolist() if not isinstance(species, (list, tuple)) else species
    if isinstance(items, str):
        raise SpeciesError(f"species is the one string {items!r}; give one symbol for each atom, as in ['C', 'H'].")
    return np.asarray([atomic_number(s) for s in items], np.int32)


def distinct_atomic_numbers(species: Sequence[str | int]) -> np.ndarray:
    """Return atomic numbers, as `atomic_numbers` does. **Raises:** `SpeciesError` also for none, or one named twice."""
    numbers = atomic_numbers(species)
    if not len(numbers) or len(set(numbers.tolist())) != len(numbers):
        raise SpeciesError(f"species is {tuple(species)!r}; name at least one species, and each only once.")
    return numbers
