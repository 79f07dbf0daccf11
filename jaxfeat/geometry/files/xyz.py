"""Frames of xyz and extended xyz files.

ASE's reader leaves out what follows a blank line, takes keys that are not spelt as it expects for text, and so makes
molecules of crystals, and ends in a KeyError for a word that it does not know. Here the line of each fault is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxfeat.geometry.files.elements import numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions
from jaxfeat.geometry.species import SYMBOLS

if TYPE_CHECKING:
    from ase import Atoms

_VALUE = r"""\s*=\s*("[^"]*"|'[^']*'|\{[^}]*\}|\[.*?\](?=\s|$)|\S+)"""
_KEYS = re.compile(rf"(?<!\S)(lattice|properties|pbc){_VALUE}", re.IGNORECASE)
_CELL = re.compile(
    r"(?<!\S)(?:cell|box|unit_?cell|(?:cell|lattice)_?(?:vectors?|parameters?))\s*=\W*(?:[-+.\de]+[\s,]+){2}[-+.\d]"
    r"|(?<!\w)cell[{(]\w+[)}]\s*:",
    re.IGNORECASE,
)
"""Cells as other programs write them, i-PI among them, which extended xyz does not know."""

_UNITS = re.compile(r"(?<!\w)positions\{(\w+)\}", re.IGNORECASE)
"""Units as i-PI writes them."""

_COLUMNS = re.compile(r"([^:]+(?:::[^:]+)*):([RISL]):(\d+)(?::|$)", re.IGNORECASE)
_ROLES = {"species": "symbols", "symbols": "symbols", "pos": "positions", "positions": "positions", "z": "numbers"}
_ROLES["numbers"] = "numbers"
_TRUTH = {"T": True, "TRUE": True, "1": True, "F": False, "FALSE": False, "0": False}
_PLAIN = "species:S:1:pos:R:3"


class Frame(NamedTuple):
    """Lines of a frame as they stand in the file, and the number of the first."""

    first: int
    lines: list[str]


class _Column(NamedTuple):
    name: str
    kind: str
    where: slice


def split(file: Iterable[str]) -> Iterator[Frame]:
    """Tell frames apart. Blank lines between them are skipped. **Raises:** `ParseError` for anything else there."""
    lines = iter(file)
    number = 0
    held: list[str] = []
    while True:
        line = held.pop() if held else next(lines, None)
        if line is None:
            return
        number += 1
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            cure = "remove what does not belong to a frame, or mend the number of the frame before"
            if number == 1:
                cure = "mend the file, or name its format with --format"
            raise ParseError(f"{_shown(line)} is where the number of atoms of a frame should be; {cure}.", number)
        n_atoms = int(line)
        body = list(islice(lines, n_atoms + 1))
        if len(body) < n_atoms + 1:
            found = max(len(body) - 1, 0)
            raise ParseError(
                f"the file ends after {found} of {n_atoms} atoms; complete or remove the last frame.", number
            )
        first, frame = number, [line, *body]
        while (following := next(lines, None)) is not None:
            if not following.lstrip().startswith("VEC"):
                held.append(following)
                break
            frame.append(following)
        number += len(frame) - 1
        yield Frame(first, frame)


def parse(frame: Frame, reading: ReadOptions) -> Atoms:
    """Make atoms of a frame. **Raises:** `ParseError` for what is missing or makes no sense."""
    from ase import Atoms

    comment, n_atoms = frame.lines[1].strip(), int(frame.lines[0])
    try:
        keys = _keys(comment)
        columns = _columns(keys.get("properties", _PLAIN))
        cell = _numbers(keys["lattice"], "Lattice", 9).reshape(3, 3) if "lattice" in keys else None
        pbc = _truths(keys["pbc"]) if "pbc" in keys else [cell is not None] * 3
        _check_cell(comment, cell, any(pbc) or "pbc" not in keys, reading)
        _check_units(comment, reading)
    except ParseError as fault:
        raise ParseError(str(fault), frame.first + 1) from None
    rows = [line.split() for line in frame.lines[2 : 2 + n_atoms]]
    first = frame.first + 2
    width = max(column.where.stop for column in columns.values())
    for k, row in enumerate(rows):
        # A plain file may have more columns, as of charges; one that lists its columns has those.
        if len(row) < width or (len(row) > width and "properties" in keys):
            raise ParseError(
                f"there are {len(row)} columns and should be {width}; mend the line or the count.", first + k
            )
    arrays = {name: _array(column, rows, first) for name, column in columns.items()}
    if n_vectors := len(frame.lines) - n_atoms - 2:
        cell, pbc = _vectors(frame.lines[-n_vectors:], first + n_atoms), [k < n_vectors for k in range(3)]
    numbers = _species(arrays, rows, first, reading)
    atoms = Atoms(numbers=numbers, positions=arrays.pop("positions"), cell=cell, pbc=pbc)
    _annotate(atoms, comment, arrays)
    return atoms


def _keys(comment: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _KEYS.finditer(comment):
        key, value = match[1].lower(), match[2]
        value = value[1:-1] if value[0] in "\"'{[" and len(value) > 1 else value
        if found.setdefault(key, value) != value:
            raise ParseError(f"{match[1]} is given twice, with different values; remove one of them.")
    return found


def _columns(text: str) -> dict[str, _Column]:
    """Find the columns of a frame, by the names that ASE has for them."""
    columns, start, position = {}, 0, 0
    while position < len(text):
        match = _COLUMNS.match(text, position)
        if match is None:
            raise ParseError(f"Properties has {text[position:]!r}; write NAME:TYPE:COLUMNS, with type S, R, I or L.")
        name, n = _ROLES.get(match[1].lower(), match[1]), int(match[3])
        if name in columns:
            raise ParseError(f"Properties names {match[1]} twice; give each column a name of its own.")
        columns[name] = _Column(match[1], match[2].upper(), slice(start, start + n))
        start, position = start + n, match.end()
    sizes = {name: column.where.stop - column.where.start for name, column in columns.items()}
    if sizes.get("positions") != 3 or 1 not in (sizes.get("symbols"), sizes.get("numbers")):
        raise ParseError("Properties lacks species or positions; name them species:S:1 (or Z:I:1) and pos:R:3.")
    return columns


def _numbers(text: str, what: str, n: int) -> np.ndarray:
    words = text.replace(",", " ").split()
    try:
        values = np.asarray([float(word) for word in words])
    except ValueError:
        values = np.zeros(0)
    if len(values) != n:
        raise ParseError(f"{what} is {_shown(text)}; give {n} numbers.")
    return values


def _truths(text: str) -> list[bool]:
    words = text.upper().replace(",", " ").split()
    if len(words) not in (1, 3) or not set(words) <= _TRUTH.keys():
        raise ParseError(f"pbc is {_shown(text)}; write T or F for each of the three cell vectors.")
    return [_TRUTH[word] for word in words] * (3 // len(words))


def _check_cell(comment: str, cell: np.ndarray | None, periodic: bool, reading: ReadOptions) -> None:
    """Raise `ParseError` for a cell that would not be seen."""
    match = _CELL.search(comment) if cell is None and periodic and not reading.isolated else None
    if match is not None:
        raise ParseError(
            f"{_shown(match[0])} gives a cell in a way that is not that of extended xyz; write Lattice with nine "
            "numbers, or leave the cell out with --ignore cell."
        )


def _check_units(comment: str, reading: ReadOptions) -> None:
    """Raise `ParseError` for units that a user does not know of."""
    match = _UNITS.search(comment)
    told = {"angstrom": "angstrom", "atomic_unit": "bohr"}.get(match[1].lower()) if match is not None else reading.units
    if match is not None and told != reading.units:
        cure = f"say so with --units {told}" if told else "write them in Å"
        raise ParseError(f"the positions are in units of {match[1]}; {cure}.")


def _array(column: _Column, rows: list[list[str]], first: int) -> np.ndarray:
    kind, where = column.kind, column.where
    words = [row[where] for row in rows]
    convert: Any = {"R": float, "I": int, "S": str, "L": lambda word: _TRUTH[word.upper()]}[kind]
    try:
        values = [[convert(word) for word in row] for row in words]
    except (ValueError, KeyError):
        raise _wrong_word(column, words, convert, first) from None
    shape = (len(rows), where.stop - where.start)
    array = np.asarray(values, {"R": float, "I": int, "S": object, "L": bool}[kind]).reshape(shape)
    return array[:, 0] if shape[1] == 1 else array


def _wrong_word(column: _Column, words: list[list[str]], convert: Any, first: int) -> ParseError:
    for k, row in enumerate(words):
        for word in row:
            try:
                convert(word)
            except (ValueError, KeyError):
                what = {"R": "number", "I": "whole number", "L": "T or F"}[column.kind]
                number = re.sub(r"\*\^|[dD]", "e", word)
                cure = f"write {number}" if re.fullmatch(r"[-+.\d]+e[-+]?\d+", number) else "mend it"
                return ParseError(f"{_shown(word)} in the column {column.name} is no {what}; {cure}.", first + k)
    raise AssertionError("one of the words could not be converted.")


def _species(arrays: dict[str, np.ndarray], rows: list[list[str]], first: int, reading: ReadOptions) -> np.ndarray:
    lines = range(first, first + len(rows))
    symbols, numbers = arrays.pop("symbols", None), arrays.pop("numbers", None)
    if symbols is None:
        assert numbers is not None, "one of the two is among the columns"
        by_definition = {str(number): number for number in range(len(SYMBOLS))}
        words = [str(number) for number in numbers.tolist()]
        return numbers_of(words, reading._replace(types={**by_definition, **reading.types}), lines)
    found = numbers_of(symbols.tolist(), reading, lines)
    if numbers is not None and (found != numbers).any():
        k = int(np.argmax(found != numbers))
        raise ParseError(f"{symbols[k]} is not the element of number {numbers[k]}; mend species or Z.", first + k)
    return found


def _vectors(lines: list[str], first: int) -> np.ndarray:
    """Read cell vectors after the atoms, as ADF writes them."""
    cell = np.zeros((3, 3))
    for k, line in enumerate(lines):
        name, *words = line.split()
        try:
            if name != f"VEC{k + 1}" or k > 2:
                raise ParseError(f"{name} is not the next of VEC1, VEC2 and VEC3; mend it.")
            cell[k] = _numbers(" ".join(words), name, 3)
        except ParseError as fault:
            raise ParseError(str(fault), first + k) from None
    return cell


def _annotate(atoms: Atoms, comment: str, arrays: dict[str, np.ndarray]) -> None:
    """Hand on the other columns and keys as ASE does: properties that it knows go to a calculator."""
    from ase.io.extxyz import key_val_str_to_dict, set_calc_and_arrays

    try:
        info = key_val_str_to_dict(comment)
        atoms.info = {key: value for key, value in info.items() if key.lower() not in ("lattice", "properties", "pbc")}
        set_calc_and_arrays(atoms, arrays)
    except (ValueError, TypeError, LookupError, AssertionError, RuntimeError):
        # Text that only looks like keys and values. Nothing of it says where atoms are.
        atoms.calc, atoms.info = None, {"comment": comment}
        for name, array in arrays.items():
            atoms.set_array(name, array)


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) < 60 else f"{text[:57]}...")
