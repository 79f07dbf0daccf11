"""Shared parts of parsers: errors that know their line, and elements of words, types and masses, never guessed."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.species import NUMBERS, SYMBOLS, Atoms

_GHOST = re.compile(r"x\d*|xx|du|gh\d*|gh\(.*\)|bq.*|@.+|.+-bq|.+:", re.IGNORECASE)
"""Ghosts and dummy atoms, as NWChem, Gaussian, Q-Chem, Psi4, ORCA and ASE write them."""

_ISOTOPES = {"D": "deuterium", "T": "tritium"}
MASS_TOLERANCE = 0.05  # u; files round masses by less, and the masses of two elements up to bismuth differ by more
MOST_TOLD = 200  # characters of a message of another package
MOST_NAMED = 12  # unknown words that a message proposes an option for


class ParseError(Exception):
    """Reason and cure for a frame that cannot be read, and the line at fault; `trajectory` adds the file and frame."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class Lines(NamedTuple):
    """Lines of one frame, and the number that the first of them has in the file."""

    first: int
    lines: list[str]


def describe_exception(error: Exception) -> str:
    """Describe an exception of another package in one line: by its message, or by its class if it has none."""
    message = " ".join(str(error).split())[:MOST_TOLD].rstrip(".")
    if isinstance(error, KeyError):
        return f"there is no {message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return message or type(error).__name__


def is_number(text: str) -> bool:
    """Tell whether Python reads a text as a float."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def whole_text(file: IO[str]) -> Iterator[str]:
    """Yield the whole text of a file that holds one structure."""
    yield file.read()


def read_with_ase(
    reader: Callable[..., Any], text: str, line: int | None = None, cure: str = "fix it", **options: Any
) -> Atoms:
    """Let a reader of ASE read the text of one structure. **Raises:** `ParseError` at `line` if the reader fails."""
    try:
        return reader(io.StringIO(text), **options)
    # The readers raise whatever their parsers stumble over.
    except Exception as error:
        raise ParseError(f"ASE cannot read the structure ({describe_exception(error)}); {cure}.", line) from error


def parse_elements(words: Sequence[str], options: ReadOptions, lines: Sequence[int] | None = None) -> np.ndarray:
    """Find the atomic numbers `(n,)` of words for atoms, 0 for ghosts. `lines` are the words' lines, for messages."""
    known = {word: _parse_element(word, options.types) for word in dict.fromkeys(words)}
    unknown = [word for word, number in known.items() if number is None]
    ghosts = [word for word, number in known.items() if number == 0 and options.ghosts == "refuse"]
    if unknown or ghosts:
        line = None if lines is None else lines[list(words).index((unknown or ghosts)[0])]
        raise ParseError(_explain_unknown(unknown) if unknown else explain_ghost(ghosts[0]), line)
    return np.asarray([known[word] for word in words], int)


def elements_of_types(
    hints: Mapping[str, str], masses: Mapping[str, str], types: Mapping[str, int], line: int | None
) -> dict[str, int]:
    """Find the atomic numbers of types, from `types` or by their masses. Messages show `hints` beside the types."""
    found = {kind: types[kind] if kind in types else element_of_mass(masses.get(kind, "")) for kind in hints}
    if None in found.values():
        raise ParseError(explain_types({kind: hint for kind, hint in hints.items() if kind not in types}), line)
    return {kind: number for kind, number in found.items() if number is not None}


def element_of_mass(text: str) -> int | None:
    """Find the atomic number that belongs to a mass in u; `None` if no element or no single one fits."""
    from ase.data import atomic_masses

    try:
        mass = float(text)
    except ValueError:
        return None
    difference = np.abs(atomic_masses[1:84] - mass)
    # In reduced units every particle has the mass 1.
    return int(difference.argmin()) + 1 if difference.min() <= MASS_TOLERANCE and mass != 1 else None


def explain_ghost(name: str) -> str:
    """Say that an atom is a ghost, and how to leave it out."""
    return f"{name} is a ghost or dummy atom, not an element; leave ghosts out with --skip-ghosts, or remove it."


def explain_types(hints: Mapping[str, str]) -> str:
    """Say that types lack elements, and how to name them."""
    listed = ", ".join(f"{kind} ({hint})" if hint else kind for kind, hint in sorted(hints.items()))
    return f"the file does not name the elements of the types {listed}; name them with {option_for(sorted(hints))}."


def option_for(words: Iterable[str]) -> str:
    """Write the option that names the elements of words, with a blank for each element to fill in."""
    return f"--types {' '.join(f'{word}=SYMBOL' for word in words)}"


def _parse_element(word: str, types: Mapping[str, int]) -> int | None:
    if word in types or word in NUMBERS:
        return types.get(word, NUMBERS.get(word))
    if _GHOST.fullmatch(word):
        return 0
    # CA may be calcium or the name of a carbon atom; AL is aluminium, because no element is called A.
    unambiguous = word.islower() or (word.isupper() and word[0] not in NUMBERS)
    return NUMBERS.get(word.capitalize()) if unambiguous else None


def _explain_unknown(unknown: Sequence[str]) -> str:
    word, symbol = unknown[0], unknown[0].capitalize()
    reason = f"{word!r} is not a chemical symbol; name the element with --types"
    if word in _ISOTOPES:
        reason = f"{word!r} is not a chemical symbol; {_ISOTOPES[word]} is hydrogen to a descriptor, so add --types"
    elif word.isdecimal():
        reason = f"{word!r} is not a chemical symbol, but an atomic number or a type; name the elements with --types"
    elif symbol in NUMBERS:
        reason = f"{word!r} may be {symbol} or the name of an atom; name the element with --types"
    return f"{reason} {' '.join(f'{each}={_propose(each)}' for each in unknown[:MOST_NAMED])}."


def _propose(word: str) -> str:
    if word in _ISOTOPES:
        return "H"
    if word.isdecimal() and 0 < int(word) < len(SYMBOLS):
        return SYMBOLS[int(word)]
    stem = re.sub(r"[^A-Za-z].*", "", word)
    return stem if stem in NUMBERS else "SYMBOL"
