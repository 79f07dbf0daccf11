"""Models of files of the Protein Data Bank.

If the columns of the element are empty, ASE takes the name of an atom for its element, so that the carbon CA becomes
calcium. It gives the cell to the first model alone, and adds a model without atoms at the end.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from jaxfeat.geometry.files.elements import MOST_NAMED, option_for, parse_elements
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import ParseError
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

_ATOMS = ("ATOM", "HETATM")
_ORGANIC = "HCNOSPF"
"""Elements of one letter that may stand in column 14, at the beginning of a name."""


class Model(NamedTuple):
    """Lines of the cell and of the atoms of a model, each with its number in the file."""

    cell: list[tuple[int, str]]
    atoms: list[tuple[int, str]]


def split(file: Iterable[str]) -> Iterator[Model]:
    """Split a file into models. A model without a cell has the cell of the model before."""
    cell: list[tuple[int, str]] = []
    atoms: list[tuple[int, str]] = []
    for number, line in enumerate(file, 1):
        if line.startswith(_ATOMS):
            atoms.append((number, line.rstrip("\r\n").ljust(80)))
        elif line.startswith("CRYST1"):
            cell = [held for held in cell if not held[1].startswith("CRYST1")] + [(number, line)]
        elif line.startswith("ORIGX"):
            cell.append((number, line))
        elif line.startswith(("END", "MODEL ")) and atoms:
            yield Model(cell, atoms)
            atoms = []
    if atoms:
        yield Model(cell, atoms)


def parse(model: Model, options: ReadOptions) -> Atoms:
    """Make atoms of a model. **Raises:** `ParseError` for missing elements, partial occupancies and partial cells."""
    from ase.io.proteindatabank import read_proteindatabank

    if not options.whole_sites:
        _check_occupancies(model)
    for number, line in model.atoms:
        _check_coordinates(number, line)
    words = [_word(line) for _, line in model.atoms]
    unknown = dict.fromkeys(word for word in words if word.strip() not in options.types and word != word.strip())
    if unknown:
        names = [word.strip() for word in unknown]
        raise ParseError(
            f"the atom {names[0]} has no element in columns 77 and 78, and its name does not show it; write elements "
            f"there, or name them with {option_for(names[:MOST_NAMED])}.",
            model.atoms[words.index(next(iter(unknown)))][0],
        )
    numbers = parse_elements([word.strip() for word in words], options, [number for number, _ in model.atoms])
    # ASE takes elements from columns 77 and 78.
    rows = [f"{line:76.76}{SYMBOLS[z]:>2}\n" for (_, line), z in zip(model.atoms, numbers.tolist(), strict=True)]
    header = [line for number, line in model.cell if not line.startswith("CRYST1") or _has_cell(number, line, options)]
    occupied = all(line[54:60].strip() for _, line in model.atoms)
    text = io.StringIO("".join([*header, *rows, "END\n"]))
    try:
        (atoms,) = read_proteindatabank(text, index=slice(None), read_arrays=occupied)
    except ValueError as error:
        raise ParseError(f"ASE cannot read the model ({error}); fix it.", model.atoms[0][0]) from error
    atoms.numbers = numbers
    return atoms


def _check_coordinates(number: int, line: str) -> None:
    for text in (line[30:38], line[38:46], line[46:54]):
        try:
            float(text)
        except ValueError:
            raise ParseError(
                f"{text.strip()!r} in the columns of the coordinates, 31 to 54, is not a number; fix it.", number
            ) from None


def _word(line: str) -> str:
    """Read the element of an atom; if columns and name do not show it, its name with a blank before it."""
    element, name = line[76:78].strip(), line[12:16]
    if element:
        # The standard writes elements in capitals.
        return element.capitalize() if element.isalpha() else element
    if name[0] in " 0123456789" and name[1] in _ORGANIC and line[17:21].strip() != name.strip():
        # By the standard, an element of two letters starts in column 13, which is empty here.
        return name[1]
    return f" {name.strip()}"


def _has_cell(number: int, line: str, options: ReadOptions) -> bool:
    """Tell whether a model has a cell. **Raises:** `ParseError` if the cell holds more atoms than the file lists."""
    lengths = [line[6:15].strip(), line[15:24].strip(), line[24:33].strip()]
    # By the standard, a structure without a cell has one of 1 Å.
    try:
        values = [float(text) for text in (*lengths, line[33:40], line[40:47], line[47:54])]
    except ValueError:
        raise ParseError("the cell needs six numbers in columns 7 to 54; fix it.", number) from None
    if options.without_cell or values[:3] == [1, 1, 1]:
        return False
    group = line[55:66].strip()
    if group.replace(" ", "") not in ("", "P1"):
        raise ParseError(
            f"the cell has the space group {group}, so only a part of its atoms is listed; expand it to P 1, or leave "
            "the cell out with --ignore cell.",
            number,
        )
    return True


def _check_occupancies(model: Model) -> None:
    """Raise `ParseError` for partial occupancies, and for an atom that is listed at several places."""
    occupancies = [_parse_occupancy(line) for _, line in model.atoms]
    # Programs without occupancies write 0 for every atom.
    unused = not any(occupancies)
    places: dict[str, str] = {}
    for (number, line), occupancy in zip(model.atoms, occupancies, strict=True):
        name, atom, fault = line[12:16].strip(), line[12:16] + line[17:27], ""
        if places.setdefault(atom, line[16]) != line[16]:
            fault = "is listed at several places"
        elif not unused and occupancy < 1:
            fault = f"has the occupancy {occupancy:g}"
        if fault:
            cure = "choose one structure, or read every listed site as a whole atom with --ignore occupancies"
            raise ParseError(f"the atom {name} {fault}; {cure}.", number)


def _parse_occupancy(line: str) -> float:
    text = line[54:60].strip()
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 1.0
