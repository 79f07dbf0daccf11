"""Molecules of structure-data files, of which ASE reads the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from jaxfeat.geometry.files.elements import numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions

if TYPE_CHECKING:
    from ase import Atoms


class Record(NamedTuple):
    """Lines of a molecule, and the number of the first."""

    first: int
    lines: list[str]


def split(file: Iterable[str]) -> Iterator[Record]:
    """Tell molecules apart, which end with four dollar signs."""
    lines: list[str] = []
    first = 1
    for number, line in enumerate(file, 1):
        if line.startswith("$$$$"):
            yield Record(first, lines)
            lines, first = [], number + 1
        else:
            lines.append(line)
    if any(line.strip() for line in lines):
        yield Record(first, lines)


def parse(record: Record, reading: ReadOptions) -> Atoms:
    """Make atoms of a molecule. **Raises:** `ParseError` for what is missing or makes no sense."""
    from ase import Atoms

    counts = record.lines[3] if len(record.lines) > 3 else ""
    # Three columns for the number of atoms, which may be followed by that of bonds without a blank.
    if "V3000" in counts or not counts[:3].strip().isdecimal():
        raise ParseError(
            "this is not the number of atoms of a molecule in the format V2000; convert it.", record.first + 3
        )
    n_atoms = int(counts[:3])
    rows = [line.split() for line in record.lines[4 : 4 + n_atoms]]
    if len(rows) < n_atoms:
        raise ParseError(
            f"there are {len(rows)} of {n_atoms} atoms; complete or remove the molecule.", record.first + 3
        )
    positions = []
    for k, row in enumerate(rows):
        try:
            x, y, z, _ = row[:4]
            positions.append([float(x), float(y), float(z)])
        except ValueError:
            raise ParseError(
                "the line of an atom has three numbers and a symbol; mend it.", record.first + 4 + k
            ) from None
    lines = range(record.first + 4, record.first + 4 + n_atoms)
    return Atoms(numbers=numbers_of([row[3] for row in rows], reading, lines), positions=positions)
