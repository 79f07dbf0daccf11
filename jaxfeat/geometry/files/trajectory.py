"""Frames of a file as `ase.Atoms`, one after another, from any frame on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files.elements import explain_ghost, parse_elements
from jaxfeat.geometry.files.formats import (
    PARSERS,
    check_format_options,
    find_format,
    names_of_atoms,
    propose_format,
)
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import ParseError

if TYPE_CHECKING:
    from ase import Atoms


def check_file(path: Path) -> None:
    """Raise `ReadError` unless there is a file with any content at a path."""
    if not path.exists():
        raise ReadError(f"{path}: there is no such file.")
    if path.is_dir():
        raise ReadError(f"{path} is a folder; give a file of structures.")
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is empty; give a file that holds structures.")


def resolve_frames(path: Path, options: ReadOptions) -> slice:
    """Count the bounds of the wanted frames from the first frame; bounds from the end need a pass through the file."""
    wanted = options.frames
    if all(bound is None or bound >= 0 for bound in (wanted.start, wanted.stop)):
        return wanted
    every = options._replace(frames=slice(None), ghosts="keep")
    return slice(*wanted.indices(sum(1 for _ in _iterate(path, every, slice(0, None, 1), parsed=False))))


def iterate_frames(path: Path, options: ReadOptions, start: int = 0) -> Iterator[Atoms]:
    """Read the wanted frames of a file, one at a time, beginning with number `start` among them.

    **Raises:** `ReadError`, which names the frame, if a frame cannot be read. The frames before it have been yielded.
    """
    check_file(path)
    wanted = resolve_frames(path, options)
    step, empty = wanted.step or 1, True
    for atoms in _iterate(path, options, slice((wanted.start or 0) + start * step, wanted.stop, step)):
        yield atoms
        empty = False
    if empty and not start:
        if options.frames != slice(None):
            raise ReadError(f"{path} holds no frame with that index; give another index.")
        raise ReadError(f"{path} holds no structures; give another file.")


def _iterate(path: Path, options: ReadOptions, frames: slice, parsed: bool = True) -> Iterator[Any]:
    """Yield frames, unparsed if the file allows it and `parsed` is False. Any error becomes a `ReadError`."""
    format, frame = options.format, frames.start
    try:
        format = format or find_format(path)
        check_format_options(path, format, options)
        if format in PARSERS:
            found = _parse(path, PARSERS[format], options, frames, parsed)
        else:
            found = _read_with_ase(path, format, frames)
        for atoms in found:
            yield _finish(atoms, format, options) if parsed else atoms
            frame += frames.step
    except ReadError:
        raise
    except _SplitError as error:
        raise _name_place(path, error.frame, error.cause) from error.cause
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


class _SplitError(Exception):
    """A file that cannot be split into frames after the first `frame` frames."""

    def __init__(self, frame: int, cause: ParseError) -> None:
        super().__init__()
        self.frame, self.cause = frame, cause


def _name_place(path: Path, frame: int, error: ParseError) -> ReadError:
    line = "" if error.line is None else f", line {error.line}"
    return ReadError(f"{path} cannot be read at frame {frame}{line}: {error}")


def _parse(path: Path, parser: ModuleType, options: ReadOptions, frames: slice, parsed: bool) -> Iterator[Any]:
    from ase.io.formats import open_with_compression

    with open_with_compression(str(path), "rb") as binary, _open_text(path, binary) as text:
        for frame in islice(_split(parser, text), frames.start, frames.stop, frames.step):
            yield parser.parse(frame, options) if parsed else frame


def _split(parser: ModuleType, text: IO[str]) -> Iterator[Any]:
    n_frames = 0
    try:
        for frame in parser.split(text):
            yield frame
            n_frames += 1
    except ParseError as error:
        raise _SplitError(n_frames, error) from error


def _open_text(path: Path, binary: Any) -> IO[str]:
    """Open a file as text, with or without a byte order mark. Comments may have any encoding."""
    start = binary.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise ReadError(f"{path} is text in UTF-16; save it in UTF-8.")
    binary.seek(0)
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape")


def _read_with_ase(path: Path, format: str, frames: slice) -> Iterator[Any]:
    import ase.io
    from ase.io.formats import get_ioformat

    index = ":".join("" if bound is None else str(bound) for bound in (frames.start, frames.stop, frames.step))
    if get_ioformat(format).single:
        if frames.start or frames.stop == 0:
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
    results = {} if atoms.calc is None else atoms.calc.results
    kept = atoms[~dropped]
    for name, value in results.items():
        array = np.asarray(value)
        if array.shape[:1] == (len(atoms),) and not kept.has(name):
            kept.set_array(name, array[~dropped])
    return kept
