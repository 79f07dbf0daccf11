"""Dump files of LAMMPS, whose atoms have types. ASE takes the number of a type for an atomic number."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from jaxfeat.geometry.files.elements import elements_of_types, explain_types, parse_elements
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import Lines, ParseError
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms


def split(file: Iterable[str]) -> Iterator[Lines]:
    """Split a file into time steps."""
    lines: list[str] = []
    first, begun, listed = 1, False, False
    for number, line in enumerate(file, 1):
        item = line.startswith("ITEM: ")
        # A time step starts with its number, or with a time before its number.
        if item and (listed or (begun and line.startswith("ITEM: TIMESTEP"))):
            yield Lines(first, lines)
            lines, first, begun, listed = [], number, False, False
        begun, listed = begun or line.startswith("ITEM: TIMESTEP"), listed or line.startswith("ITEM: ATOMS")
        lines.append(line)
    if any(line.strip() for line in lines):
        yield Lines(first, lines)


def parse(step: Lines, options: ReadOptions) -> Atoms:
    """Make atoms of one time step. **Raises:** `ParseError` for missing atoms, and for types without an element."""
    from ase.io.lammpsrun import read_lammps_dump_text

    items = {line[6:].strip(): k for k, line in enumerate(step.lines) if line.startswith("ITEM: ")}
    _check_units(step, items, options)
    at = next((k for item, k in items.items() if item.split()[:1] == ["ATOMS"]), None)
    counted = items.get("NUMBER OF ATOMS")
    if at is None or counted is None:
        raise ParseError("the time step has no atoms; complete or remove it.", step.first)
    if not any(item.startswith("BOX BOUNDS") for item in items) or not step.lines[counted + 1].strip().isdecimal():
        raise ParseError("the time step has no box, or no number of atoms; fix it.", step.first)
    n_atoms, names = int(step.lines[counted + 1]), step.lines[at].split()[2:]
    rows, first = [line.split() for line in step.lines[at + 1 :] if line.strip()], step.first + at + 1
    if len(rows) != n_atoms:
        raise ParseError(f"there are {len(rows)} of {n_atoms} atoms; complete or remove the time step.", first - 1)
    for k, row in enumerate(rows):
        if len(row) != len(names):
            raise ParseError(f"the line has {len(row)} columns instead of {len(names)}; fix it.", first + k)
    numbers = _parse_numbers(names, rows, first, options)
    # ASE takes elements from this column.
    kept = [k for k, name in enumerate(names) if name != "element"]
    text = [*step.lines[:at], f"ITEM: ATOMS {' '.join(names[k] for k in kept)} element\n"]
    for row, number in zip(rows, numbers.tolist(), strict=True):
        text.append(f"{' '.join(row[k] for k in kept)} {SYMBOLS[number]}\n")
    try:
        return read_lammps_dump_text(io.StringIO("".join(text)), index=0)
    except (ValueError, LookupError, NameError, RuntimeError, TypeError, StopIteration) as error:
        reason = f"the time step cannot be read ({' '.join(str(error).split())}); fix it."
        raise ParseError(reason, step.first) from error


def _check_units(step: Lines, items: Mapping[str, int], options: ReadOptions) -> None:
    """Raise `ParseError` if the file gives another unit of length than the options."""
    if "UNITS" not in items:
        return
    style = step.lines[items["UNITS"] + 1].strip()
    units = {"real": "angstrom", "metal": "angstrom", "electron": "bohr"}.get(style)
    if units is None:
        raise ParseError(f"lengths of the style {style} are not in Å; convert the file to real or metal units.")
    if units != options.units:
        raise ParseError(f"lengths of the style {style} are in {units}; say so with --units {units}.")


def _parse_numbers(names: list[str], rows: list[list[str]], first: int, options: ReadOptions) -> np.ndarray:
    """Find atomic numbers in the columns `element`, `type` and `mass`, as far as the file has them."""
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    kinds = columns.get("type", [])
    if "element" in columns and not set(kinds) & options.types.keys():
        # LAMMPS writes C for every type unless it knows the elements.
        if set(columns["element"]) == {"C"} and len(set(kinds)) > 1:
            raise ParseError(explain_types(dict.fromkeys(kinds, "C")), first)
        return parse_elements(columns["element"], options, range(first, first + len(rows)))
    masses = dict(zip(kinds, columns.get("mass", ()), strict=False))
    if not kinds and "mass" in columns:
        kinds = columns["mass"]
        masses = {mass: mass for mass in kinds}
    if not kinds:
        raise ParseError("no column names the elements; dump the columns type or element too.", first - 1)
    hints = {kind: f"mass {masses[kind]}" if masses else "" for kind in kinds}
    known = elements_of_types(hints, masses, options.types, first)
    return np.asarray([known[kind] for kind in kinds])
