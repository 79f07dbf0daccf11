"""Models of files of the Protein Data Bank.

ASE takes an atom's name for an element where the columns of the element are empty, so that the carbon CA becomes
calcium; it gives the cell to the first model alone, and adds a model without atoms after the last.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from jaxfeat.geometry.files.elements import numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

_ATOMS = ("ATOM", "HETATM")
_ORGANIC = "HCNOSPF"
"""Elements of one letter that names in column 14 begin with."""


class Model(NamedTuple):
    """Lines of a model that say where its atoms are, with their numbers, and those of the cell."""

    cell: list[tuple[int, str]]
    atoms: list[tuple[int, str]]


def split(file: Iterable[str]) -> Iterator[Model]:
    """Tell models apart. The cell of one is that of those after it which have none."""
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


def parse(model: Model, reading: ReadOptions) -> Atoms:
    """Make atoms of a model. **Raises:** `ParseError` for what is not told, or told of a part of a structure only."""
    from ase.io.proteindatabank import read_proteindatabank

    if not reading.whole:
        _check_whole(model)
    for number, line in model.atoms:
        _check_coordinates(number, line)
    words = [_word(line) for _, line in model.atoms]
    unknown = dict.fromkeys(word for word in words if word.strip() not in reading.types and word != word.strip())
    if unknown:
        names = [word.strip() for word in unknown]
        cure = " ".join(f"{name}=SYMBOL" for name in names[:12])
        raise ParseError(
            f"the atom {names[0]} has no element in columns 77 and 78, and its name does not tell; write elements "
            f"there, or say which they are with --types {cure}.",
            model.atoms[words.index(next(iter(unknown)))][0],
        )
    numbers = numbers_of([word.strip() for word in words], reading, [number for number, _ in model.atoms])
    # Columns 77 and 78 are those of the element.
    atoms = [f"{line:76.76}{SYMBOLS[z]:>2}\n" for (_, line), z in zip(model.atoms, numbers.tolist(), strict=True)]
    header = [line for number, line in model.cell if not line.startswith("CRYST1") or _is_cell(number, line, reading)]
    told = all(line[54:60].strip() for _, line in model.atoms)
    text = io.StringIO("".join([*header, *atoms, "END\n"]))
    try:
        (found,) = read_proteindatabank(text, index=slice(None), read_arrays=told)
    except ValueError as error:
        raise ParseError(f"the model cannot be read ({error}); mend it.", model.atoms[0][0]) from error
    found.numbers = numbers
    return found


def _check_coordinates(number: int, line: str) -> None:
    for text in (line[30:38], line[38:46], line[46:54]):
        try:
            float(text)
        except ValueError:
            raise ParseError(
                f"{text.strip()!r} in the columns of the coordinates, 31 to 54, is no number; mend it.", number
            ) from None


def _word(line: str) -> str:
    """Read the element of an atom, or else its name with a blank before it, where that does not tell."""
    element, name = line[76:78].strip(), line[12:16]
    if element:
        # The standard has capitals.
        return element.capitalize() if element.isalpha() else element
    if name[0] in " 0123456789" and name[1] in _ORGANIC and line[17:21].strip() != name.strip():
        # By the standard an element of two letters starts in column 13, where nothing is.
        return name[1]
    return f" {name.strip()}"


def _is_cell(number: int, line: str, reading: ReadOptions) -> bool:
    """Tell whether there is a cell. **Raises:** `ParseError` where the atoms are not all that it holds."""
    lengths = [line[6:15].strip(), line[15:24].strip(), line[24:33].strip()]
    # By the standard, cells of 1 Å are those of structures that have none.
    try:
        values = [float(text) for text in (*lengths, line[33:40], line[40:47], line[47:54])]
    except ValueError:
        raise ParseError("the cell is not one of six numbers in columns 7 to 54; mend it.", number) from None
    if reading.isolated or values[:3] == [1, 1, 1]:
        return False
    group = line[55:66].strip()
    if group.replace(" ", "") not in ("", "P1"):
        raise ParseError(
            f"the cell is one of space group {group}, and only a part of its atoms is listed; expand it to P 1, or "
            "leave the cell out with --ignore cell.",
            number,
        )
    return True


def _check_whole(model: Model) -> None:
    """Raise `ParseError` for atoms that are there in part, or in one of several places."""
    occupancies = [_occupancy(line) for _, line in model.atoms]
    # Programs that know of no occupancies write 0 for all.
    unused = not any(occupancies)
    places: dict[str, str] = {}
    for (number, line), occupancy in zip(model.atoms, occupancies, strict=True):
        name, atom = line[12:16].strip(), line[12:16] + line[17:27]
        if places.setdefault(atom, line[16]) != line[16]:
            raise ParseError(_partial(f"the atom {name} is listed at several places"), number)
        if not unused and occupancy < 1:
            raise ParseError(_partial(f"the atom {name} is there in part, with an occupancy of {occupancy:g}"), number)


def _partial(what: str) -> str:
    return f"{what}; choose one structure, or read every listed site as a whole atom with --ignore occupancies."


def _occupancy(line: str) -> float:
    text = line[54:60].strip()
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 1.0
