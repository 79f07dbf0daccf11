"""POSCAR files of VASP, which name no elements in the format of VASP 4: ASE looks for some in words of the title."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from jaxfeat.geometry.files.elements import numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

NAMES = 5
"""The line of the elements, counted from 0; in VASP 4 that of their numbers of atoms."""


def parse(text: str, reading: ReadOptions) -> Atoms:
    """Make atoms of a file. **Raises:** `ParseError` where it names no elements, or not one for each kind of atoms."""
    from ase.io.vasp import read_vasp

    lines = text.splitlines()
    words = _words(lines, NAMES)
    named = not words[:1] or not words[0].isdecimal()
    # Potentials have names such as Na_pv, and hashes after a slash.
    names = (
        [word.split("/")[0].split("_")[0] for word in words] if named else _unnamed(lines[0].split(), words, reading)
    )
    counts = _words(lines, NAMES + 1) if named else words
    if len(names) != len(counts):
        raise ParseError(f"there are {len(names)} elements for {len(counts)} kinds of atoms; mend the line.", NAMES + 1)
    _check_numbers(lines, NAMES + named, counts)
    numbers = numbers_of(names, reading, [NAMES + 1] * len(names))
    symbols = " ".join(SYMBOLS[number] for number in numbers)
    try:
        return read_vasp(io.StringIO("\n".join([*lines[:NAMES], symbols, *lines[NAMES + named :], ""])))
    except (AssertionError, IndexError, RuntimeError, ValueError) as error:
        raise ParseError(f"the file cannot be read ({error!r:.100}); mend it.") from error


def _check_numbers(lines: list[str], at: int, counts: list[str]) -> None:
    """Raise `ParseError` for lines of the scale, the cell and the atoms without numbers; counts are in line `at`."""
    if not counts or not all(count.isdecimal() for count in counts):
        raise ParseError("this is not a line of numbers of atoms; mend the file.", at + 1)
    selective = at + 1 < len(lines) and lines[at + 1].strip()[:1].lower() == "s"
    first = at + 2 + selective
    needed = {1: 1} | dict.fromkeys([2, 3, 4], 3) | dict.fromkeys(range(first, first + sum(map(int, counts))), 3)
    for k, n in needed.items():
        words = _words(lines, k)[:n]
        try:
            if len([float(word) for word in words]) < n:
                raise ValueError
        except ValueError:
            raise ParseError(f"there should be {n} number{'s' * (n > 1)} here; mend the line.", k + 1) from None


def _words(lines: list[str], k: int) -> list[str]:
    """Split a line before its comment."""
    return lines[k].split("!")[0].split() if k < len(lines) else []


def _unnamed(title: list[str], counts: list[str], reading: ReadOptions) -> list[str]:
    """Name the kinds of a file of VASP 4 by their places, where a user tells of these, or by a title of symbols."""
    places = [str(k + 1) for k in range(len(counts))]
    if all(place in reading.types for place in places):
        return places
    if len(title) == len(counts) and set(title) <= set(SYMBOLS):
        return title
    cure = " ".join(f"{place}=SYMBOL" for place in places)
    raise ParseError(
        f"no elements are named before the numbers of atoms; name them there, or with --types {cure}.", NAMES + 1
    )
