"""POSCAR files of VASP. In the format of VASP 4 they name no elements, and ASE looks for some in the title."""

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import ParseError, is_number, option_for, parse_elements, read_with_ase
from jaxfeat.geometry.species import SYMBOLS, Atoms

NAMES = 5  # The line of the elements, counted from 0. In VASP 4 it holds the numbers of atoms.


def parse(text: str, options: ReadOptions) -> Atoms:
    """Make atoms of a file. **Raises:** `ParseError` unless each kind of atoms has an element and all numbers."""
    from ase.io.vasp import read_vasp

    lines = text.splitlines()
    words = _words(lines, NAMES)
    named = not words[:1] or not words[0].isdecimal()
    counts = _words(lines, NAMES + 1) if named else words
    # Potentials have names such as Na_pv, and hashes after a slash.
    names = [word.split("/")[0].split("_")[0] for word in words] if named else _name_kinds(lines[0], counts, options)
    if len(names) != len(counts):
        reason = f"the elements are {len(names)} and the numbers of atoms {len(counts)}; fix one of the two lines."
        raise ParseError(reason, NAMES + 1)
    _check_numbers(lines, NAMES + named, counts)
    numbers = parse_elements(names, options, [NAMES + 1] * len(names))
    symbols = " ".join(SYMBOLS[number] for number in numbers)
    return read_with_ase(read_vasp, "\n".join([*lines[:NAMES], symbols, *lines[NAMES + named :], ""]))


def _check_numbers(lines: list[str], at: int, counts: list[str]) -> None:
    """Check the numbers of the scale, the cell and the atoms, and those in `counts`, which line `at` holds."""
    if not counts or not all(count.isdecimal() for count in counts):
        raise ParseError("the line should hold the numbers of atoms; fix the file.", at + 1)
    selective = at + 1 < len(lines) and lines[at + 1].strip()[:1].lower() == "s"
    first = at + 2 + selective
    needed = {1: 1} | dict.fromkeys([2, 3, 4, *range(first, first + sum(map(int, counts)))], 3)
    for k, n in needed.items():
        words = _words(lines, k)[:n]
        if len(words) < n or not all(map(is_number, words)):
            raise ParseError(f"the line should hold {n} number{'s' * (n > 1)}; fix it.", k + 1)


def _words(lines: list[str], k: int) -> list[str]:
    return lines[k].split("!")[0].split() if k < len(lines) else []


def _name_kinds(title: str, counts: list[str], options: ReadOptions) -> list[str]:
    """Name the kinds of a file of VASP 4 by their places, if the options have these, or by a title of symbols."""
    places, symbols = [str(k + 1) for k in range(len(counts))], title.split()
    if all(place in options.types for place in places):
        return places
    if len(symbols) == len(counts) and set(symbols) <= set(SYMBOLS):
        return symbols
    reason = "the line before the numbers of atoms names no elements"
    raise ParseError(f"{reason}; name them there, or with {option_for(places)}.", NAMES + 1)
