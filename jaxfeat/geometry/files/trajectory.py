"""Frames of a file as `ase.Atoms`, one after another, from any frame on."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.formats import (
    PARSERS,
    Parser,
    check_format_options,
    find_format,
    names_of_atoms,
    propose_format,
)
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import ParseError, explain_ghost, parse_elements

if TYPE_CHECKING:
    from ase import Atoms


def resolve_frames(path: Path, options: ReadOptions) -> slice:
    """Count the bounds of the wanted frames from the first frame; bounds from the end need a pass through the file."""
    wanted = options.frames
    if all(bound is None or bound >= 0 for bound in (wanted.start, wanted.stop)):
        return wanted
    every = options._replace(frames=slice(None), ghosts="keep")
    return slice(*wanted.indices(sum(1 for _ in _iterate(path, every, range(sys.maxsize), parsed=False))))


def iterate_frames(path: Path, options: ReadOptions, start: int = 0) -> Iterator[Atoms]:
    """Read the wanted frames of a file, one at a time, beginning with number `start` among them.

    The bounds of the frames are those of `resolve_frames`.

    **Raises:** `ReadError`, which names the frame, if a frame cannot be read. The frames before it have been yielded.
    """
    wanted = options.frames
    stop = sys.maxsize if wanted.stop is None else wanted.stop
    empty = True
    for atoms in _iterate(path, options, range(wanted.start or 0, stop, wanted.step or 1)[start:]):
        yield atoms
        empty = False
    if empty and not start:
        if options.frames != slice(None):
            raise ReadError(f"{path} holds no frame with that index; give another index.")
        raise ReadError(f"{path} holds no structures; give another file.")


def _iterate(path: Path, options: ReadOptions, wanted: range, parsed: bool = True) -> Iterator[Any]:
    """Yield frames, unparsed if the file allows it and `parsed` is False. Any error becomes a `ReadError`."""
    if not wanted:
        return
    format, frame = options.format, wanted.start
    try:
        format = format or find_format(path)
        check_format_options(path, format, options)
        if format in PARSERS:
            found = _parse(path, PARSERS[format], options, wanted, parsed)
        else:
            found = _read_with_ase(path, format, wanted)
        for atoms in found:
            yield _finish(atoms, format, options) if parsed else atoms
            frame += wanted.step
    except ReadError:
        raise
    except ParseError as error:
        raise _name_place(path, frame, error) from error
    # ASE's readers raise whatever their parsers stumble over, from OSError to KeyError and sqlite3.Error.
    except Exception as error:
        reason = f"{path} cannot be read{f' at frame {frame}' if frame else ''}: {type(error).__name__}: "
        reason += " ".join(str(error).split())[:200].rstrip(".")
        if isinstance(error, OSError) and error.errno is not None:
            raise ReadError(f"{reason}.") from error
        origin = "as was asked for" if options.format else "which its name or beginning shows"
        raise ReadError(
            f"{reason}; it was read in the format {format}, {origin}, so fix the file, or name another format with "
            f"--format{propose_format(path)}."
        ) from error


def _name_place(path: Path, frame: int, error: ParseError) -> ReadError:
    line = "" if error.line is None else f", line {error.line}"
    return ReadError(f"{path} cannot be read at frame {frame}{line}: {error}")


def _parse(path: Path, parser: Parser, options: ReadOptions, wanted: range, parsed: bool) -> Iterator[Any]:
    from ase.io.formats import open_with_compression

    k = 0
    with open_with_compression(str(path), "rb") as binary, _open_text(path, binary) as text:
        try:
            for frame in parser.split(text):
                if k in wanted:
                    yield parser.parse(frame, options) if parsed else frame
                k += 1
                if k >= wanted.stop:
                    return
        except ParseError as error:
            raise _name_place(path, k, error) from error


def _open_text(path: Path, binary: Any) -> IO[str]:
    """Open a file as text, with or without a byte order mark. Comments may have any encoding."""
    start = binary.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise ReadError(f"{path} is text in UTF-16; save it in UTF-8.")
    binary.seek(0)
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape")


def _read_with_ase(path: Path, format: str, wanted: range) -> Iterator[Any]:
    import ase.io
    from ase.io.formats import get_ioformat

    index = f"{wanted.start}:{'' if wanted.stop == sys.maxsize else wanted.stop}:{wanted.step}"
    if get_ioformat(format).single:
        if wanted.start:
            return
        index = ":"
    yield from ase.io.iread(path, index, format=format, do_not_split_by_at_sign=True)


def _finish(atoms: Any, format: str, options: ReadOptions) -> Atoms:
    """Give atoms their elements, leave out atoms and cells, and convert lengths to Å, as the options say."""
    from ase import Atoms
    from ase.units import Bohr

    if not isinstance(atoms, Atoms):
        raise ParseError("ASE finds no atoms; give another file.")
    if (names := names_of_atoms(atoms, format)) is not None:
        atoms.numbers = parse_elements(names, options)
    ghosts = atoms.numbers == 0
    if ghosts.any() and options.ghosts == "refuse":
        raise ParseError(explain_ghost(f"atom {int(np.argmax(ghosts))}"))
    dropped = np.isin(atoms.numbers, options.ignored) | (ghosts & (options.ghosts == "skip"))
    if dropped.any():
        atoms = _without(atoms, dropped)
    if options.without_cell:
        atoms.set_cell(None)
        atoms.pbc = False
    if options.units == "bohr":
        atoms.positions *= Bohr
        atoms.set_cell(atoms.cell.array * Bohr)
    return atoms


def _without(atoms: Atoms, dropped: np.ndarray) -> Atoms:
    """Leave out atoms, and turn results of a calculator for the others into arrays."""
    kept = atoms[~dropped]
    for name, array in per_atom_arrays(atoms).items():
        if not kept.has(name):
            kept.set_array(name, array[~dropped])
    return kept


def per_atom_arrays(structure: Atoms) -> dict[str, np.ndarray]:
    """Collect all arrays `(n, ...)` that a file gives for each atom, by ASE's names; arrays go before results."""
    n, results = len(structure), {} if structure.calc is None else structure.calc.results
    found = {name: array for name, value in results.items() if (array := np.asarray(value)).shape[:1] == (n,)}
    return {**found, **structure.arrays}
