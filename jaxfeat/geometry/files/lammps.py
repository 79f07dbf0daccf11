"""Data and dump files of LAMMPS, whose atoms have types. ASE takes the number of a type for an atomic number."""

import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import (
    Lines,
    ParseError,
    elements_of_types,
    explain_types,
    parse_elements,
    read_with_ase,
)
from jaxfeat.geometry.species import NUMBERS, SYMBOLS, Atoms

_DATA = re.compile(rb"^\s*\d+\s+atoms\b.*^.*\bxlo\s+xhi", re.MULTILINE | re.DOTALL)
_BOX = re.compile(r"\bavec\b|(?=.*\bxlo\s+xhi)(?=.*\bylo\s+yhi)(?=.*\bzlo\s+zhi)", re.DOTALL)
_HEADING = re.compile(r"[A-Z]\w*(?: [A-Z]\w*)*\s*(?:#.*)?")
_UNITS = {"real": "angstrom", "metal": "angstrom", "electron": "bohr"}  # units of length by LAMMPS's styles of units


def looks_like_data(beginning: bytes) -> bool:
    """Tell whether the beginning of a file may be that of a data file."""
    return _DATA.search(beginning) is not None


def parse_data(text: str, options: ReadOptions) -> Atoms:
    """Make atoms of a data file. **Raises:** `ParseError` for missing atoms, and for types without an element."""
    from ase.io.lammpsdata import read_lammps_data

    sections = _split_sections(text.splitlines())
    n_atoms, n_types = (re.search(rf"^\s*(\d+)\s+{what}\b", text, re.MULTILINE) for what in ("atoms", r"atom\s+types"))
    if "Atoms" not in sections or n_atoms is None:
        raise ParseError("there is no number of atoms or no section Atoms; fix the file.")
    heading, rows = sections["Atoms"]
    if len(rows) != int(n_atoms[1]):
        reason = f"there are {len(rows)} of {n_atoms[1]} atoms; complete the section, or correct the number."
        raise ParseError(reason, heading)
    if n_types is None or not _BOX.search(text):
        raise ParseError("the header has no number of atom types, or no box; fix the file.")
    numbers = _elements_of_data(sections, int(n_types[1]), options)
    cure = "fix the atoms, or name their style in that line, as in 'Atoms # charge'"
    # ASE sorts atoms by their ids, but not the labels of their types.
    atoms = read_with_ase(read_lammps_data, text, heading, cure, Z_of_type=numbers, sort_by_id=False)
    for name in ("bonds", "angles", "dihedrals"):
        # These arrays refer to atoms by their places before the sort.
        atoms.arrays.pop(name, None)
    return atoms[np.argsort(atoms.arrays["id"], kind="stable")]


def _split_sections(lines: list[str]) -> dict[str, tuple[int, list[list[str]]]]:
    """Find the number of each section's heading line, and the words of its rows without comments."""
    sections: dict[str, tuple[int, list[list[str]]]] = {}
    rows: list[list[str]] = []
    for number, line in enumerate(lines, 1):
        content = line.split("#")[0].strip()
        if _HEADING.fullmatch(line.strip()):
            rows = []
            sections.setdefault(content, (number, rows))
        elif content:
            rows.append(content.split())
    return sections


def _elements_of_data(
    sections: Mapping[str, tuple[int, list[list[str]]]], n_types: int, options: ReadOptions
) -> dict[int, int]:
    """Find the atomic numbers of types by the options, the labels of types and the masses, in this order."""
    labels, masses = (
        {row[0]: row[1] for row in sections.get(name, (0, []))[1] if len(row) > 1}
        for name in ("Atom Type Labels", "Masses")
    )
    known = {symbol: number for symbol, number in NUMBERS.items() if number} | dict(options.types)
    types = {kind: known[label] for kind, label in labels.items() if label in known} | dict(options.types)
    kinds = [str(k + 1) for k in range(n_types)]
    hints = {kind: f"mass {masses[kind]}" if kind in masses else labels.get(kind, "") for kind in kinds}
    return {int(kind): number for kind, number in elements_of_types(hints, masses, types, None).items()}


def split_dump(file: Iterable[str]) -> Iterator[Lines]:
    """Split a dump file into time steps."""
    lines: list[str] = []
    first, begun, listed = 1, False, False
    for number, line in enumerate(file, 1):
        # A time step starts with its number, or with a time before its number.
        if line.startswith("ITEM: ") and (listed or (begun and line.startswith("ITEM: TIMESTEP"))):
            yield Lines(first, lines)
            lines, first, begun, listed = [], number, False, False
        begun, listed = begun or line.startswith("ITEM: TIMESTEP"), listed or line.startswith("ITEM: ATOMS")
        lines.append(line)
    if any(line.strip() for line in lines):
        yield Lines(first, lines)


def parse_dump(step: Lines, options: ReadOptions) -> Atoms:
    """Make atoms of one time step. **Raises:** `ParseError` for missing atoms, and for types without an element."""
    from ase.io.lammpsrun import read_lammps_dump_text

    items = {line[6:].strip(): k for k, line in enumerate(step.lines) if line.startswith("ITEM: ")}
    if "UNITS" in items:
        _check_units(step.lines[items["UNITS"] + 1].strip(), options)
    at = next((k for item, k in items.items() if item.split()[:1] == ["ATOMS"]), None)
    counted = items.get("NUMBER OF ATOMS")
    if at is None or counted is None:
        raise ParseError("the time step has no atoms; complete or remove it.", step.first)
    if not any(item.startswith("BOX BOUNDS") for item in items) or not step.lines[counted + 1].strip().isdecimal():
        raise ParseError("the time step has no box, or no number of atoms; fix it.", step.first)
    n_atoms, names = int(step.lines[counted + 1]), step.lines[at].split()[2:]
    if len(set(names)) < len(names):
        raise ParseError("two columns have the same name; leave one of them out.", step.first + at)
    rows, first = [line.split() for line in step.lines[at + 1 :] if line.strip()], step.first + at + 1
    if len(rows) != n_atoms:
        raise ParseError(f"there are {len(rows)} of {n_atoms} atoms; complete or remove the time step.", first - 1)
    for k, row in enumerate(rows):
        if len(row) != len(names):
            raise ParseError(f"the line has {len(row)} columns instead of {len(names)}; fix it.", first + k)
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    # ASE takes elements from this column.
    columns["element"] = [SYMBOLS[number] for number in _elements_of_dump(columns, first, options)]
    text = [*step.lines[:at], f"ITEM: ATOMS {' '.join(columns)}\n"]
    text += [f"{' '.join(row)}\n" for row in zip(*columns.values(), strict=True)]
    return read_with_ase(read_lammps_dump_text, "".join(text), step.first, index=0)


def _check_units(style: str, options: ReadOptions) -> None:
    if style not in _UNITS:
        raise ParseError(f"lengths of the style {style} are not in Å; convert the file to real or metal units.")
    if _UNITS[style] != options.units:
        raise ParseError(f"lengths of the style {style} are in {_UNITS[style]}; say so with --units {_UNITS[style]}.")


def _elements_of_dump(columns: Mapping[str, list[str]], first: int, options: ReadOptions) -> list[int]:
    """Find atomic numbers in the columns `element`, `type` and `mass`, as far as the file has them."""
    kinds = columns.get("type", [])
    if "element" in columns and not set(kinds) & options.types.keys():
        # LAMMPS writes C for every type unless it knows the elements.
        if set(columns["element"]) == {"C"} and len(set(kinds)) > 1:
            raise ParseError(explain_types(dict.fromkeys(kinds, "C")), first)
        words = columns["element"]
        return parse_elements(words, options, range(first, first + len(words))).tolist()
    kinds = kinds or columns.get("mass", [])
    if not kinds:
        raise ParseError("no column names the elements; dump the columns type or element too.", first - 1)
    masses = dict(zip(kinds, columns.get("mass", ()), strict=False))
    hints = {kind: f"mass {masses[kind]}" if masses else "" for kind in kinds}
    known = elements_of_types(hints, masses, options.types, first)
    return [known[kind] for kind in kinds]
