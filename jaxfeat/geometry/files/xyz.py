"""Frames of xyz and extended xyz files. ASE's reader drops all frames after a blank line, overlooks a `lattice` in
small letters, so that a crystal becomes a molecule, and raises a KeyError for an unknown word. The parser in this
module names the line of each error."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import Lines, ParseError, is_number, parse_elements
from jaxfeat.geometry.species import SYMBOLS, Atoms

_VALUE = r"""\s*=\s*("[^"]*"|'[^']*'|\{[^}]*\}|\[.*?\](?=\s|$)|\S+)"""
_KEYS = re.compile(rf"(?<!\S)(lattice|properties|pbc){_VALUE}", re.IGNORECASE)

_CELL = re.compile(  # of i-PI and other programs; extended xyz does not know these keys
    r"(?<!\S)(?:cell|box|unit_?cell|(?:cell|lattice)_?(?:vectors?|parameters?))\s*=\W*(?:[-+.\de]+[\s,]+){2}[-+.\d]"
    r"|(?<!\w)cell[{(]\w+[)}]\s*:",
    re.IGNORECASE,
)

_UNITS = re.compile(r"(?<!\w)positions\{(\w+)\}", re.IGNORECASE)  # units as i-PI writes them
_COLUMNS = re.compile(r"([^:]+(?:::[^:]+)*):([RISL]):(\d+)(?::|$)", re.IGNORECASE)
_PLAIN = "species:S:1:pos:R:3"
_ROLES = {"species": "symbols", "symbols": "symbols", "pos": "positions", "positions": "positions"}
_ROLES |= {"z": "numbers", "numbers": "numbers"}
"""ASE's names for the columns that make an `ase.Atoms`, by their names in files in small letters."""

_TRUTH = {"T": True, "TRUE": True, "1": True, "F": False, "FALSE": False, "0": False}

_KINDS: dict[str, tuple[Callable[[str], Any], Any, str]] = {
    "R": (float, float, "a number"),
    "I": (int, int, "a whole number"),
    "L": (lambda word: _TRUTH[word.upper()], bool, "T or F"),
    "S": (str, object, "a word"),
}
"""Kinds of columns: how to convert a word, the dtype, and the noun for messages."""


class _Column(NamedTuple):
    name: str
    kind: str
    words: slice


def split(file: Iterable[str]) -> Iterator[Lines]:
    """Split a file into frames; blank lines between frames are skipped. **Raises:** `ParseError` for other lines."""
    lines = iter(file)
    number, line = 1, next(lines, None)
    while line is not None:
        if not line.strip():
            number, line = number + 1, next(lines, None)
            continue
        if not line.strip().isdecimal():
            cure = "remove the lines that belong to no frame, or correct the number of atoms of the frame before"
            if number == 1:
                cure = "fix the file, or name its format with --format"
            raise ParseError(f"{_shorten(line)} stands in place of a frame's number of atoms; {cure}.", number)
        n_atoms = int(line)
        frame = [line, *islice(lines, n_atoms + 1)]
        if len(frame) < n_atoms + 2:
            found = f"{max(len(frame) - 2, 0)} of {n_atoms} atoms"
            raise ParseError(f"the file ends after {found}; complete or remove the last frame.", number)
        while (line := next(lines, None)) is not None and line.lstrip().startswith("VEC"):
            frame.append(line)
        yield Lines(number, frame)
        number += len(frame)


def parse(frame: Lines, options: ReadOptions) -> Atoms:
    """Make atoms of a frame. **Raises:** `ParseError` for anything that is missing or makes no sense."""
    from ase import Atoms

    text, n_atoms, first = frame.lines[1].strip(), int(frame.lines[0]), frame.first + 2
    columns, listed, cell, pbc = _parse_comment(text, options, frame.first + 1)
    rows = [line.split() for line in frame.lines[2 : 2 + n_atoms]]
    width = max(column.words.stop for column in columns.values())
    for k, row in enumerate(rows):
        # A file that does not list its columns may have more, for example charges.
        if len(row) < width or (len(row) > width and listed):
            count = f"{len(row)} column{'s' * (len(row) != 1)}"
            raise ParseError(f"the line has {count} instead of {width}; fix it, or the number of atoms.", first + k)
    arrays = {name: _parse_column(column, rows, first) for name, column in columns.items()}
    if n_vectors := len(frame.lines) - n_atoms - 2:
        cell, pbc = _parse_vectors(frame.lines[-n_vectors:], first + n_atoms), [k < n_vectors for k in range(3)]
    numbers = _parse_species(arrays, range(first, first + n_atoms), options)
    atoms = Atoms(numbers=numbers, positions=arrays.pop("positions"), cell=cell, pbc=pbc)
    _annotate(atoms, text, arrays)
    return atoms


def _parse_comment(
    text: str, options: ReadOptions, line: int
) -> tuple[dict[str, _Column], bool, np.ndarray | None, list[bool]]:
    """Find the columns of a frame, whether the comment lists them, the cell, and which of its vectors repeat."""
    keys: dict[str, str] = {}
    for match in _KEYS.finditer(text):
        key, value = match[1].lower(), match[2]
        value = value[1:-1] if value[0] in "\"'{[" and len(value) > 1 else value
        if keys.setdefault(key, value) != value:
            raise ParseError(f"{match[1]} is given twice, with different values; remove one of them.", line)
    columns = _parse_columns(keys.get("properties", _PLAIN), line)
    cell = _parse_numbers(keys["lattice"], "Lattice", 9, line).reshape(3, 3) if "lattice" in keys else None
    pbc = [cell is not None] * 3
    if "pbc" in keys:
        words = keys["pbc"].upper().replace(",", " ").split()
        if len(words) not in (1, 3) or not set(words) <= _TRUTH.keys():
            cure = "write T or F for each of the three cell vectors"
            raise ParseError(f"pbc is {_shorten(keys['pbc'])}; {cure}.", line)
        pbc = [_TRUTH[word] for word in words] * (3 // len(words))
    unread = cell is None and not options.without_cell and (any(pbc) or "pbc" not in keys)
    if unread and (odd := _CELL.search(text)):
        cure = "write Lattice with nine numbers, or leave the cell out with --ignore cell"
        fault = f"{_shorten(odd[0])} gives a cell in a form that extended xyz does not know"
        raise ParseError(f"{fault}; {cure}.", line)
    if unit := _UNITS.search(text):
        known = {"angstrom": "angstrom", "atomic_unit": "bohr"}.get(unit[1].lower())
        if known != options.units:
            cure = f"say so with --units {known}" if known else "write them in Å"
            raise ParseError(f"the positions are in units of {unit[1]}; {cure}.", line)
    return columns, "properties" in keys, cell, pbc


def _parse_columns(text: str, line: int) -> dict[str, _Column]:
    if rest := _COLUMNS.sub("", text):
        raise ParseError(f"Properties has {rest!r}; write NAME:TYPE:COLUMNS, with type S, R, I or L.", line)
    columns: dict[str, _Column] = {}
    start = 0
    for written, kind, size in _COLUMNS.findall(text):
        name, stop = _ROLES.get(written.lower(), written), start + int(size)
        if name in columns:
            raise ParseError(f"Properties names {written} twice; give each column a name of its own.", line)
        columns[name], start = _Column(written, kind.upper(), slice(start, stop)), stop
    sizes = {name: column.words.stop - column.words.start for name, column in columns.items()}
    if sizes.get("positions") != 3 or 1 not in (sizes.get("symbols"), sizes.get("numbers")):
        raise ParseError("Properties lacks species or positions; name them species:S:1 (or Z:I:1) and pos:R:3.", line)
    return columns


def _parse_numbers(text: str, key: str, n: int, line: int) -> np.ndarray:
    words = text.replace(",", " ").split()
    if len(words) != n or not all(map(is_number, words)):
        raise ParseError(f"{key} is {_shorten(text)}; give {n} numbers.", line)
    return np.asarray([float(word) for word in words])


def _parse_column(column: _Column, rows: list[list[str]], first: int) -> np.ndarray:
    convert, dtype, expected = _KINDS[column.kind]
    words, width = [word for row in rows for word in row[column.words]], column.words.stop - column.words.start
    values: list[Any] = []
    try:
        values.extend(map(convert, words))
    except (ValueError, KeyError):
        # The words before the one at fault are converted.
        word = words[len(values)]
        number = re.sub(r"\*\^|[dD]", "e", word)
        cure = f"write {number}" if re.fullmatch(r"[-+.\d]+e[-+]?\d+", number) else "fix it"
        reason = f"{_shorten(word)} in the column {column.name} is not {expected}; {cure}."
        raise ParseError(reason, first + len(values) // width) from None
    array = np.asarray(values, dtype).reshape(len(rows), width)
    return array[:, 0] if width == 1 else array


def _parse_species(arrays: dict[str, np.ndarray], lines: range, options: ReadOptions) -> np.ndarray:
    symbols, numbers = arrays.pop("symbols", None), arrays.pop("numbers", None)
    if symbols is None:
        assert numbers is not None, "_parse_columns found one of the two"
        types = {str(number): number for number in range(len(SYMBOLS))} | dict(options.types)
        return parse_elements(list(map(str, numbers.tolist())), options._replace(types=types), lines)
    found = parse_elements(symbols.tolist(), options, lines)
    if numbers is not None and (found != numbers).any():
        k = int(np.argmax(found != numbers))
        raise ParseError(f"{symbols[k]} is not the element of number {numbers[k]}; fix species or Z.", lines[k])
    return found


def _parse_vectors(lines: list[str], first: int) -> np.ndarray:
    """Parse cell vectors after the atoms, as ADF writes them."""
    cell = np.zeros((3, 3))
    for k, line in enumerate(lines):
        name, *words = line.split()
        if name != f"VEC{k + 1}" or k > 2:
            raise ParseError(f"{name} is out of order; write VEC1, VEC2 and VEC3.", first + k)
        cell[k] = _parse_numbers(" ".join(words), name, 3, first + k)
    return cell


_READ_HERE = re.compile(r"""\b(lattice|properties|pbc)=("[^"]*"|[^\s"'{}\[\]]+)""", re.IGNORECASE)
"""Keys of a comment that hold nothing that ASE would add."""


def _annotate(atoms: Atoms, comment: str, arrays: dict[str, np.ndarray]) -> None:
    """Add the other columns and keys as ASE does: the properties that ASE knows become results of a calculator."""
    if not arrays and not _READ_HERE.sub("", comment).strip():
        # Loading ASE's readers takes 0.1 s.
        return
    from ase.io.extxyz import key_val_str_to_dict, set_calc_and_arrays

    try:
        info = key_val_str_to_dict(comment)
        atoms.info = {key: value for key, value in info.items() if key.lower() not in ("lattice", "properties", "pbc")}
        set_calc_and_arrays(atoms, arrays)
    except (ValueError, TypeError, LookupError, AssertionError, RuntimeError):
        # The comment only looks like keys and values. It says nothing about positions, so it may stay as text.
        atoms.calc, atoms.info = None, {"comment": comment}
        for name, array in arrays.items():
            atoms.set_array(name, array)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) < 60 else f"{text[:57]}...")
