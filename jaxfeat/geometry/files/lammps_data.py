"""Data files of LAMMPS, whose atoms have types. ASE takes the number of a type for an atomic number."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import numpy as np

from jaxfeat.geometry.files.elements import elements_of_types
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import ParseError
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

_BEGINNING = re.compile(rb"^\s*\d+\s+atoms\b.*^.*\bxlo\s+xhi", re.MULTILINE | re.DOTALL)
_BOX = re.compile(r"\bavec\b|(?=.*\bxlo\s+xhi)(?=.*\bylo\s+yhi)(?=.*\bzlo\s+zhi)", re.DOTALL)
_HEADING = re.compile(r"[A-Z]\w*(?: [A-Z]\w*)*\s*(?:#.*)?")


def looks_like_data(beginning: bytes) -> bool:
    """Tell whether the beginning of a file may be that of a data file."""
    return _BEGINNING.search(beginning) is not None


def split(file: IO[str]) -> Iterator[str]:
    """Yield the whole text, because a file holds one structure."""
    yield file.read()


def parse(text: str, options: ReadOptions) -> Atoms:
    """Make atoms of a file. **Raises:** `ParseError` for missing atoms, and for types without an element."""
    from ase.io.lammpsdata import read_lammps_data

    lines = text.splitlines()
    at = _find_section(lines, "Atoms")
    counted = re.search(r"^\s*(\d+)\s+atoms\b", text, re.MULTILINE)
    if at is None or counted is None:
        raise ParseError("there is no number of atoms or no section Atoms; fix the file.")
    n_found = sum(1 for _ in _rows(lines, at))
    if n_found != int(counted[1]):
        reason = f"there are {n_found} of {counted[1]} atoms; complete the section, or correct the number."
        raise ParseError(reason, at + 1)
    n_types = re.search(r"^\s*(\d+)\s+atom\s+types\b", text, re.MULTILINE)
    if n_types is None or not _BOX.search(text):
        raise ParseError("the header has no number of atom types, or no box; fix the file.")
    numbers = _elements(lines, int(n_types[1]), options)
    try:
        # ASE sorts atoms by their ids, but not the labels of their types.
        atoms = read_lammps_data(io.StringIO(text), Z_of_type=numbers, sort_by_id=False)
    except (RuntimeError, ValueError, LookupError, AttributeError, StopIteration) as error:
        cure = (
            "name the style of the atoms in that line, as in 'Atoms # charge'" if "tyle" in str(error) else "fix them"
        )
        raise ParseError(f"the atoms cannot be read ({error}); {cure}.", at + 1) from error
    for name in ("bonds", "angles", "dihedrals"):
        # These arrays refer to atoms by their places before the sort.
        atoms.arrays.pop(name, None)
    return atoms[np.argsort(atoms.arrays["id"], kind="stable")]


def _elements(lines: list[str], n_types: int, options: ReadOptions) -> dict[int, int]:
    """Find the atomic numbers of types by the options, the labels of types and the masses, in this order."""
    labels, masses = _parse_section(lines, "Atom Type Labels"), _parse_section(lines, "Masses")
    types = {kind: SYMBOLS.index(label) for kind, label in labels.items() if label in SYMBOLS[1:]}
    types |= {kind: options.types[label] for kind, label in labels.items() if label in options.types}
    types |= options.types
    kinds = [str(k + 1) for k in range(n_types)]
    hints = {kind: f"mass {masses[kind]}" if kind in masses else labels.get(kind, "") for kind in kinds}
    return {int(kind): number for kind, number in elements_of_types(hints, masses, types, None).items()}


def _find_section(lines: list[str], name: str) -> int | None:
    return next((k for k, line in enumerate(lines) if line.split("#")[0].strip() == name), None)


def _parse_section(lines: list[str], name: str) -> dict[str, str]:
    """Collect the second word of each row of a section by the first; empty without the section."""
    heading = _find_section(lines, name)
    return {} if heading is None else {row[0]: row[1] for row in _rows(lines, heading) if len(row) > 1}


def _rows(lines: list[str], heading: int) -> Iterator[list[str]]:
    """Yield the words of each row of a section, without comments."""
    for line in lines[heading + 1 :]:
        if _HEADING.fullmatch(line.strip()):
            return
        if words := line.split("#")[0].split():
            yield words
