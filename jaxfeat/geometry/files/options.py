"""Options of reading a file: its format, its frames, and the meaning of its words and units."""

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from jaxfeat.errors import ReadError
from jaxfeat.geometry.species import NUMBERS

SITES, CELL = "occupancies", "cell"  # words that `ignore` takes beside chemical symbols
_INDEX = re.compile(r"[+-]?\d+|(?:[+-]?\d+)?:(?:[+-]?\d+)?(?::(?:\d+)?)?")


class ReadOptions(NamedTuple):
    """Options of `jaxfeat.read`, checked by `parse_read_options`: the frames as a slice, atomic numbers of words for
    atoms in the file, 0 for ghosts, the fate of ghosts (they raise an error, stay as atoms of number 0, or are left
    out), and whether sites with partial occupancy are read as whole atoms."""

    format: str | None = None
    frames: slice = slice(None)
    types: Mapping[str, int] = MappingProxyType({})
    units: str = "angstrom"
    ghosts: Literal["refuse", "keep", "skip"] = "refuse"
    ignored: tuple[int, ...] = ()
    whole_sites: bool = False
    without_cell: bool = False

    @property
    def identity(self) -> bytes:
        """Bytes that tell structures apart; empty for the defaults. Stores hold their hash, so they must not change."""
        if self.ghosts != "skip" and self._replace(ghosts="refuse") == ReadOptions():
            return b""
        frames = [self.frames.start or 0, self.frames.stop, self.frames.step or 1]
        types, skipped = sorted(self.types.items()), self.ghosts == "skip"
        words = [self.units, self.ignored, self.whole_sites, self.without_cell]
        return json.dumps([frames, types, skipped, *words]).encode()


def parse_read_options(
    format: str | None = None,
    index: str | int | slice | None = None,
    types: Mapping[Any, str] | None = None,
    units: str = "angstrom",
    skip_ghosts: bool = False,
    ignore: str | Sequence[str] = (),
) -> ReadOptions:
    """Check the options of `jaxfeat.read`. **Raises:** `ReadError` for an option that makes no sense."""
    if format is not None:
        _check_format(format)
    if units not in ("angstrom", "bohr"):
        raise ReadError(f"units is {units!r}; choose angstrom or bohr.")
    known = {str(word): _parse_symbol(symbol, f"types has {word}={symbol}") for word, symbol in (types or {}).items()}
    words = {ignore} if isinstance(ignore, str) else set(ignore)
    others = f", {SITES} or {CELL}"
    ignored = {_parse_symbol(word, f"ignore has {word!r}", others) for word in words - {SITES, CELL}}
    return ReadOptions(
        format=format,
        frames=_parse_index(index),
        types=known,
        units=units,
        ghosts="skip" if skip_ghosts or 0 in ignored else "refuse",
        ignored=tuple(sorted(ignored - {0})),
        whole_sites=SITES in words,
        without_cell=CELL in words,
    )


def split_frame_index(source: str | Path, options: ReadOptions) -> tuple[Path, ReadOptions]:
    """Split `file@index`, unless a file has this name. **Raises:** `ReadError` if the options have an index as well."""
    path = Path(source)
    name, _, index = path.name.rpartition("@")
    if path.exists() or not name or not _INDEX.fullmatch(index):
        return path, options
    if options.frames != slice(None):
        raise ReadError(f"{path} names frames after the @, and the index names frames too; leave out one of them.")
    return path.with_name(name), options._replace(frames=_parse_index(index))


def _check_format(name: str) -> None:
    from ase.io.formats import ioformats

    readable = [known for known, format in ioformats.items() if format.can_read]
    if name not in readable:
        near = ", ".join(get_close_matches(name, readable, 3, 0.4)) or "extxyz, lammps-data, lammps-dump-text"
        raise ReadError(f"{name!r} is not a format that ASE reads; use one of ASE's names, such as {near}.")


def _parse_symbol(symbol: Any, where: str, others: str = "") -> int:
    if symbol not in NUMBERS:
        raise ReadError(f"{where}, which is not an element; give chemical symbols, X for ghosts{others}.")
    return NUMBERS[symbol]


def _parse_index(index: str | int | slice | None) -> slice:
    if index is None:
        return slice(None)
    if isinstance(index, str) and _INDEX.fullmatch(index):
        parts = [int(part) if part else None for part in index.split(":")]
        index = slice(*parts) if len(parts) > 1 else parts[0]
    if isinstance(index, slice):
        if index.step is not None and index.step < 1:
            raise ReadError(f"index has the step {index.step}; frames are read forwards, so give a step of at least 1.")
        return index
    if not isinstance(index, int):
        raise ReadError(f"index is {index!r}; give one frame or a range, for example 0, -1, :20 or 100::10.")
    return slice(index, index + 1 if index != -1 else None)
