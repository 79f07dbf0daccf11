"""Chemical symbols and atomic numbers, and the type of `ase.Atoms` for annotations."""

from collections.abc import Iterable
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
