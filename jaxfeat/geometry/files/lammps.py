"""Data and dump files of LAMMPS, whose atoms have types. ASE takes the number of a type for that of an element."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxfeat.geometry.files.elements import number_of_mass, numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

_LOOKS = re.compile(rb"^\s*\d+\s+atoms\b.*^.*\bxlo\s+xhi", re.MULTILINE | re.DOTALL)
_BOX = re.compile(r"\bavec\b|(?=.*\bxlo\s+xhi)(?=.*\bylo\s+yhi)(?=.*\bzlo\s+zhi)", re.DOTALL)
_HEADING = re.compile(r"[A-Z]\w*(?: [A-Z]\w*)*\s*(?:#.*)?")


class Snapshot(NamedTuple):
    """Lines of one time step, and the number of the first."""

    first: int
    lines: list[str]


def looks_like_data(start: bytes) -> bool:
    """Tell whether a file that starts so may be a data file."""
    return _LOOKS.search(start) is not None


def split_dump(file: Iterable[str]) -> Iterator[Snapshot]:
    """Tell the time steps of a dump file apart."""
    lines: list[str] = []
    first, begun, listed = 1, False, False
    for number, line in enumerate(file, 1):
        item = line.startswith("ITEM: ")
        # A time step starts with its number, or with the time before that.
        if item and (listed or (begun and line.startswith("ITEM: TIMESTEP"))):
            yield Snapshot(first, lines)
            lines, first, begun, listed = [], number, False, False
        begun, listed = begun or line.startswith("ITEM: TIMESTEP"), listed or line.startswith("ITEM: ATOMS")
        lines.append(line)
    if any(line.strip() for line in lines):
        yield Snapshot(first, lines)


def parse_dump(snapshot: Snapshot, reading: ReadOptions) -> Atoms:
    """Make atoms of one time step. **Raises:** `ParseError` for what is missing or not told."""
    from ase.io.lammpsrun import read_lammps_dump_text

    items = {line[6:].strip(): k for k, line in enumerate(snapshot.lines) if line.startswith("ITEM: ")}
    _check_units(snapshot, items, reading)
    at = next((k for item, k in items.items() if item.split()[:1] == ["ATOMS"]), None)
    counted = items.get("NUMBER OF ATOMS")
    if at is None or counted is None:
        raise ParseError("the time step has no atoms; complete or remove it.", snapshot.first)
    if not any(item.startswith("BOX BOUNDS") for item in items) or not snapshot.lines[counted + 1].strip().isdecimal():
        raise ParseError("the time step has no box, or no number of atoms; mend it.", snapshot.first)
    n_atoms, names = int(snapshot.lines[counted + 1]), snapshot.lines[at].split()[2:]
    rows = [line.split() for line in snapshot.lines[at + 1 :] if line.strip()]
    if len(rows) != n_atoms:
        raise ParseError(
            f"there are {len(rows)} of {n_atoms} atoms; complete or remove the time step.", snapshot.first + at
        )
    for k, row in enumerate(rows):
        if len(row) != len(names):
            raise ParseError(f"there are {len(row)} columns and should be {len(names)}.", snapshot.first + at + 1 + k)
    numbers = _of_columns(names, rows, snapshot.first + at + 1, reading)
    kept = [k for k, name in enumerate(names) if name != "element"]
    text = [
        *snapshot.lines[:at],
        f"ITEM: ATOMS {' '.join(names[k] for k in kept)} element\n",
        *(
            f"{' '.join(row[k] for k in kept)} {SYMBOLS[number]}\n"
            for row, number in zip(rows, numbers.tolist(), strict=True)
        ),
    ]
    try:
        return read_lammps_dump_text(io.StringIO("".join(text)), index=0)
    except (ValueError, LookupError, NameError, RuntimeError, TypeError, StopIteration) as error:
        raise ParseError(
            f"the time step cannot be read ({' '.join(str(error).split())}); mend it.", snapshot.first
        ) from error


def _check_units(snapshot: Snapshot, items: Mapping[str, int], reading: ReadOptions) -> None:
    """Raise `ParseError` for units of length that a user does not know of."""
    if "UNITS" not in items:
        return
    style = snapshot.lines[items["UNITS"] + 1].strip()
    expected = {"real": "angstrom", "metal": "angstrom", "electron": "bohr"}.get(style)
    if expected is None:
        raise ParseError(
            f"lengths in units of the style {style} are not in Å; convert the file to real or metal units."
        )
    if expected != reading.units:
        raise ParseError(f"lengths in units of the style {style} are in {expected}; say so with --units {expected}.")


def _of_columns(names: list[str], rows: list[list[str]], first: int, reading: ReadOptions) -> np.ndarray:
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    lines = range(first, first + len(rows))
    kinds = columns.get("type", [])
    if "element" in columns and not set(kinds) & reading.types.keys():
        # LAMMPS writes C for every type unless it is told the elements.
        if set(columns["element"]) == {"C"} and len(set(kinds)) > 1:
            raise ParseError(_asked(dict.fromkeys(kinds, "C")), first)
        return numbers_of(columns["element"], reading, lines)
    masses = dict(zip(kinds, columns.get("mass", ()), strict=False))
    if not kinds and "mass" in columns:
        kinds = columns["mass"]
        masses = {mass: mass for mass in kinds}
    if not kinds:
        raise ParseError("no column tells what the atoms are; dump type or element as well.", first - 1)
    known = _of_types({kind: f"mass {masses[kind]}" if masses else "" for kind in kinds}, masses, reading.types, first)
    return np.asarray([known[kind] for kind in kinds])


def _of_types(
    kinds: Mapping[str, str], masses: Mapping[str, str], types: Mapping[str, int], line: int | None
) -> dict[str, int]:
    """Find the atomic numbers of types, which a user says or their masses tell."""
    found = {}
    for kind in kinds:
        number = types[kind] if kind in types else number_of_mass(masses.get(kind, ""))
        if number is None:
            raise ParseError(_asked({kind: said for kind, said in kinds.items() if kind not in types}), line)
        found[kind] = number
    return found


def _asked(kinds: Mapping[str, str]) -> str:
    told = ", ".join(f"{kind} ({said})" if said else kind for kind, said in sorted(kinds.items()))
    cure = " ".join(f"{kind}=SYMBOL" for kind in sorted(kinds))
    return f"no element is told of the types {told}; say which they are with --types {cure}."


def parse_data(text: str, reading: ReadOptions) -> Atoms:
    """Make atoms of a data file. **Raises:** `ParseError` for what is missing or not told."""
    from ase.io.lammpsdata import read_lammps_data

    lines = text.splitlines()
    at = next((k for k, line in enumerate(lines) if line.split("#")[0].strip() == "Atoms"), None)
    counted = re.search(r"^\s*(\d+)\s+atoms\b", text, re.MULTILINE)
    if at is None or counted is None:
        raise ParseError("there is no number of atoms or no section Atoms; mend the file.")
    rows = list(_rows(lines, at))
    if len(rows) != int(counted[1]):
        raise ParseError(
            f"there are {len(rows)} of {counted[1]} atoms; complete the section, or mend the number.", at + 1
        )
    labels = {row[0]: row[1] for row in _section(lines, "Atom Type Labels")}
    masses = {row[0]: row[1] for row in _section(lines, "Masses")}
    n_types = re.search(r"^\s*(\d+)\s+atom\s+types\b", text, re.MULTILINE)
    if n_types is None or not _BOX.search(text):
        raise ParseError("the head has no number of atom types, or no box; mend the file.")
    kinds = [str(k + 1) for k in range(int(n_types[1]))]
    elements = {kind: SYMBOLS.index(label) for kind, label in labels.items() if label in SYMBOLS[1:]}
    asked = {kind: reading.types[label] for kind, label in labels.items() if label in reading.types}
    said = {kind: f"mass {masses[kind]}" if kind in masses else labels.get(kind, "") for kind in kinds}
    numbers = _of_types(said, masses, {**elements, **asked, **reading.types}, None)
    try:
        # ASE sorts atoms by their ids, but not the labels of their types.
        atoms = read_lammps_data(
            io.StringIO(text), Z_of_type={int(kind): number for kind, number in numbers.items()}, sort_by_id=False
        )
    except (RuntimeError, ValueError, LookupError, AttributeError, StopIteration) as error:
        cure = "name the style of the atoms in that line, as in 'Atoms # charge'" if "tyle" in str(error) else "mend it"
        raise ParseError(f"the atoms cannot be read ({error}); {cure}.", at + 1) from error
    for name in ("bonds", "angles", "dihedrals"):
        # They name atoms by their places before they are sorted.
        atoms.arrays.pop(name, None)
    return atoms[np.argsort(atoms.arrays["id"], kind="stable")]


def _section(lines: list[str], name: str) -> list[list[str]]:
    at = next((k for k, line in enumerate(lines) if line.split("#")[0].strip() == name), None)
    return [] if at is None else [row for row in _rows(lines, at) if len(row) > 1]


def _rows(lines: list[str], heading: int) -> Iterator[list[str]]:
    """Yield the rows of a section, without comments."""
    for line in lines[heading + 1 :]:
        if _HEADING.fullmatch(line.strip()):
            return
        words = line.split("#")[0].split()
        if words:
            yield words
