"""Options of reading a file: its format, its frames, and the answers to what it leaves open."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from jaxfeat.errors import ReadError
from jaxfeat.geometry.species import SYMBOLS

UNITS = ("angstrom", "bohr")
SITES, CELL = "occupancies", "cell"
"""Words that `ignore` may have beside chemical symbols."""

_INDEX = re.compile(r"[+-]?\d+|(?:[+-]?\d+)?:(?:[+-]?\d+)?(?::(?:\d+)?)?")


class ParseError(Exception):
    """A fault of a frame: its reason and its cure, and the line of the file where it is."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


class ReadOptions(NamedTuple):
    """A way to read a file, which `reading` makes of the options that a user gives.

    **Attributes:**

    - `format`: a name that ASE has for a format; `None` to tell by name and content.
    - `frames`: those that are meant, counted from 0.
    - `types`: atomic numbers of words that stand for atoms in the file, 0 for a ghost.
    - `units`: of the lengths in the file.
    - `ghosts`: whether ghosts and dummy atoms make a frame faulty, stay as atoms of number 0, or are left out.
    - `ignored`: atomic numbers that are left out.
    - `whole`: whether sites that are occupied in part are read as whole atoms.
    - `isolated`: whether cells are left out.
    """

    format: str | None = None
    frames: slice = slice(None)
    types: Mapping[str, int] = MappingProxyType({})
    units: str = "angstrom"
    ghosts: Literal["refuse", "keep", "skip"] = "refuse"
    ignored: tuple[int, ...] = ()
    whole: bool = False
    isolated: bool = False

    @property
    def identity(self) -> bytes:
        """Bytes that tell two ways to read one file apart; none where nothing was asked for."""
        if self._replace(ghosts="refuse") == ReadOptions() and self.ghosts != "skip":
            return b""
        frames = [self.frames.start or 0, self.frames.stop, self.frames.step or 1]
        return json.dumps([frames, sorted(self.types.items()), self.ghosts == "skip", *self[3:4], *self[5:]]).encode()


def parse_read_options(
    format: str | None = None,
    index: str | int | slice | None = None,
    types: Mapping[Any, str] | None = None,
    units: str = "angstrom",
    skip_ghosts: bool = False,
    ignore: str | Sequence[str] = (),
) -> ReadOptions:
    """Check options of `jaxfeat.read`, which describes them. **Raises:** `ReadError` for one that makes no sense."""
    if format is not None:
        _check_format(format)
    if units not in UNITS:
        raise ReadError(f"units is {units!r}; choose {' or '.join(UNITS)}.")
    known = {str(word): _number(symbol, f"types has {word}={symbol}") for word, symbol in (types or {}).items()}
    words = (ignore,) if isinstance(ignore, str) else tuple(ignore)
    ignored = {_number(word, f"ignore has {word!r}") for word in words if word not in (SITES, CELL)}
    return ReadOptions(
        format=format,
        frames=_frames(index),
        types=known,
        units=units,
        ghosts="skip" if skip_ghosts or 0 in ignored else "refuse",
        ignored=tuple(sorted(ignored - {0})),
        whole=SITES in words,
        isolated=CELL in words,
    )


def split_frame_index(source: str | Path, how: ReadOptions) -> tuple[Path, ReadOptions]:
    """Tell file and index of `file@index` apart, unless there is a file of that whole name.

    **Raises:** `ReadError` for two indices.
    """
    path = Path(source)
    name, _, tail = path.name.rpartition("@")
    if path.exists() or not name or not _INDEX.fullmatch(tail):
        return path, how
    if how.frames != slice(None):
        raise ReadError(f"{path} chooses frames, and so does the index that is given; leave out one of them.")
    return path.with_name(name), how._replace(frames=_frames(tail))


def _check_format(name: str) -> None:
    from ase.io.formats import ioformats

    readable = [known for known, format in ioformats.items() if format.can_read]
    if name not in readable:
        near = get_close_matches(name, readable, 3, 0.4) or ["extxyz", "lammps-data", "lammps-dump-text"]
        raise ReadError(f"{name!r} is no format that ASE reads; choose one of its names, such as {', '.join(near)}.")


def _number(symbol: Any, where: str) -> int:
    if symbol not in SYMBOLS:
        words = "" if where.startswith("types") else f", {SITES} or {CELL}"
        raise ReadError(f"{where}, which is no element; give chemical symbols, X for ghosts{words}.")
    return SYMBOLS.index(symbol)


def _frames(index: str | int | slice | None) -> slice:
    """Make a slice of an index as ASE takes it. **Raises:** `ReadError` for anything else, and for steps backwards."""
    if isinstance(index, slice):
        parts = [index.start, index.stop, index.step]
    elif index is None or isinstance(index, int):
        parts = [] if index is None else [index]
    elif isinstance(index, str) and _INDEX.fullmatch(index):
        parts = [int(part) if part else None for part in index.split(":")]
        if len(parts) > 1:
            return _frames(slice(*parts))
    else:
        raise ReadError(f"index is {index!r}; write one frame or a range of them, as in 0, -1, :20 or 100::10.")
    if isinstance(index, slice):
        if parts[2] is not None and parts[2] < 1:
            raise ReadError(f"index goes in steps of {parts[2]}; frames are read forwards, in steps of 1 or more.")
        return slice(*parts)
    if not parts:
        return slice(None)
    return slice(parts[0], parts[0] + 1 if parts[0] != -1 else None)
