"""Elements of the words and masses that files have for atoms. A word that is no chemical symbol is never guessed at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from jaxfeat.geometry.files.options import ParseError, ReadOptions
from jaxfeat.geometry.species import SYMBOLS

_GHOST = re.compile(r"x\d*|xx|du|gh\d*|gh\(.*\)|bq.*|@.+|.+-bq|.+:", re.IGNORECASE)
"""Ghosts and dummy atoms, as NWChem, Gaussian, Q-Chem, Psi4, ORCA and ASE write them."""

_ISOTOPES = {"D": "deuterium", "T": "tritium"}
_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS)}

ALIKE = 0.05
"""u: the mass of an element as files round it. No two elements up to bismuth are as near to each other."""


def numbers_of(words: Sequence[str], reading: ReadOptions, lines: Sequence[int] | None = None) -> np.ndarray:
    """Find the atomic numbers `(n,)` of the words for atoms, 0 for ghosts.

    **Arguments:** `lines`: of the file, one for each word.

    **Raises:** `ParseError` for a word that is no chemical symbol, with the option that names it, and for a ghost
    that is neither to stay nor to be left out.
    """
    known = {word: _number(word, reading.types) for word in dict.fromkeys(words)}
    unknown = [word for word, number in known.items() if number is None]
    ghosts = [word for word, number in known.items() if number == 0 and reading.ghosts == "refuse"]
    if unknown or ghosts:
        first = list(words).index((unknown or ghosts)[0])
        raise ParseError(_reason(unknown) if unknown else ghost(ghosts[0]), None if lines is None else lines[first])
    return np.asarray([known[word] for word in words], int)


def ghost(what: str) -> str:
    """Say what is wrong with a ghost or dummy atom, and what to do."""
    return f"{what} is a ghost or dummy atom and no element; leave such atoms out with --skip-ghosts, or remove it."


def number_of_mass(text: str) -> int | None:
    """Find the element of a mass in u, `None` where that is not certain."""
    from ase.data import atomic_masses

    try:
        mass = float(text)
    except ValueError:
        return None
    apart = np.abs(atomic_masses[1:84] - mass)
    # A mass of exactly 1 is that of every particle in reduced units.
    return int(apart.argmin()) + 1 if apart.min() <= ALIKE and mass != 1 else None


def _number(word: str, types: Mapping[str, int]) -> int | None:
    if word in types:
        return types[word]
    if word in _NUMBERS:
        return _NUMBERS[word]
    if _GHOST.fullmatch(word):
        return 0
    other = word.capitalize()
    # CA may be calcium or an atom's name, of a carbon; AL is aluminium, since there is no element A.
    if other in _NUMBERS and (word.islower() or (word.isupper() and word[0] not in _NUMBERS)):
        return _NUMBERS[other]
    return None


def _reason(unknown: Sequence[str]) -> str:
    word = unknown[0]
    if word in _ISOTOPES:
        reason = f"{word!r} is no chemical symbol; {_ISOTOPES[word]} is hydrogen to a descriptor, so add --types"
    elif word.isdecimal():
        reason = f"{word!r} is no chemical symbol, and may be an atomic number or the number of a type; say which "
        reason += "elements these are with --types"
    elif word.capitalize() in _NUMBERS:
        reason = f"{word!r} may be {word.capitalize()} or the name of an atom; say which element it is with --types"
    else:
        reason = f"{word!r} is no chemical symbol; say which element it is with --types"
    return f"{reason} {' '.join(f'{each}={_proposal(each)}' for each in unknown[:12])}."


def _proposal(word: str) -> str:
    """Propose the element of a word where its spelling has one, for the user to judge."""
    if word in _ISOTOPES:
        return "H"
    if word.isdecimal() and 0 < int(word) < len(SYMBOLS):
        return SYMBOLS[int(word)]
    stem = re.sub(r"[^A-Za-z].*", "", word)
    return stem if stem in _NUMBERS else "SYMBOL"
