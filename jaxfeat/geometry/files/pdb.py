"""Models of files of the Protein Data Bank. If the columns of the element are empty, ASE takes the name of an atom for
its element, so that the carbon CA becomes calcium. It gives the cell to the first model alone, and adds a model without
atoms at the end."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import MOST_NAMED, ParseError, is_number, option_for, parse_elements, read_with_ase
from jaxfeat.geometry.species import SYMBOLS, Atoms

_ORGANIC = "HCNOSPF"  # elements of one letter that may stand in column 14, at the beginning of a name


class Model(NamedTuple):
    """Lines of the cell and of the atoms of a model, each with its number in the file."""

    cell: list[tuple[int, str]]
    atoms: list[tuple[int, str]]


def split(file: Iterable[str]) -> Iterator[Model]:
    """Split a file into models. A model without a cell has the cell of the model before."""
    cell: list[tuple[int, str]] = []
    atoms: list[tuple[int, str]] = []
    for number, line in enumerate(file, 1):
        if line.startswith(("ATOM", "HETATM")):
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
    unknown: dict[str, int] = {}
    words = []
    for number, line in model.atoms:
        for text in (line[30:38], line[38:46], line[46:54]):
            if not is_number(text):
                reason = f"{text.strip()!r} in the columns of the coordinates, 31 to 54, is not a number; fix it."
                raise ParseError(reason, number)
        word, known = _element_or_name(line)
        words.append(word)
        if not known and word not in options.types:
            unknown.setdefault(word, number)
    if unknown:
        names = list(unknown)
        reason = f"the atom {names[0]} has no element in columns 77 and 78, and its name does not show it"
        cure = f"write elements there, or name them with {option_for(names[:MOST_NAMED])}"
        raise ParseError(f"{reason}; {cure}.", unknown[names[0]])
    numbers = parse_elements(words, options, [number for number, _ in model.atoms])
    # ASE takes elements from columns 77 and 78.
    rows = [f"{line:76.76}{SYMBOLS[z]:>2}\n" for (_, line), z in zip(model.atoms, numbers.tolist(), strict=True)]
    header = [line for number, line in model.cell if not line.startswith("CRYST1") or _has_cell(number, line, options)]
    text, occupied = "".join([*header, *rows, "END\n"]), all(line[54:60].strip() for _, line in model.atoms)
    atoms = read_with_ase(read_proteindatabank, text, model.atoms[0][0], index=0, read_arrays=occupied)
    atoms.numbers = numbers
    return atoms


def _element_or_name(line: str) -> tuple[str, bool]:
    """Read the element of an atom and True, or its name and False if neither columns nor name show the element."""
    element, name = line[76:78].strip(), line[12:16]
    if element:
        # The standard writes elements in capitals.
        return (element.capitalize() if element.isalpha() else element), True
    if name[0] in " 0123456789" and name[1] in _ORGANIC and line[17:21].strip() != name.strip():
        # By the standard, an element of two letters starts in column 13, which is empty here.
        return name[1], True
    return name.strip(), False


def _has_cell(number: int, line: str, options: ReadOptions) -> bool:
    """Tell whether a model has a cell. **Raises:** `ParseError` if the cell holds more atoms than the file lists."""
    words = [line[i:j] for i, j in pairwise((6, 15, 24, 33, 40, 47, 54))]
    if not all(map(is_number, words)):
        raise ParseError("the cell needs six numbers in columns 7 to 54; fix it.", number)
    # By the standard, a structure without a cell has one of 1 Å.
    if options.without_cell or [float(word) for word in words[:3]] == [1, 1, 1]:
        return False
    group = line[55:66].strip()
    if group.replace(" ", "") not in ("", "P1"):
        reason = f"the cell has the space group {group}, so only a part of its atoms is listed"
        raise ParseError(f"{reason}; expand it to P 1, or leave the cell out with --ignore cell.", number)
    return True


def _check_occupancies(model: Model) -> None:
    """Raise `ParseError` for partial occupancies, and for an atom that is listed at several places."""
    occupancies = [float(text) if is_number(text := line[54:60]) else 1.0 for _, line in model.atoms]
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
