"""Frames of a file, one after another, from any frame on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files import cif, lammps, pdb, poscar, sdf, xyz
from jaxfeat.geometry.files.elements import ghost, numbers_of
from jaxfeat.geometry.files.options import ParseError, ReadOptions

if TYPE_CHECKING:
    from ase import Atoms

PEEK = 50_000
"""Bytes by which ASE tells formats."""


class _Dialect(NamedTuple):
    """A way to tell frames apart, and to make atoms of one."""

    split: Callable[[Any], Iterator[Any]]
    parse: Callable[[Any, ReadOptions], Atoms]
    binary: bool = False


def _whole(file: IO[str]) -> Iterator[str]:
    yield file.read()


_DIALECTS = {
    "extxyz": _Dialect(xyz.split, xyz.parse),
    "xyz": _Dialect(xyz.split, xyz.parse),
    "cif": _Dialect(cif.blocks, cif.parse, binary=True),
    "lammps-data": _Dialect(_whole, lammps.parse_data),
    "lammps-dump-text": _Dialect(lammps.split_dump, lammps.parse_dump),
    "proteindatabank": _Dialect(pdb.split, pdb.parse),
    "sdf": _Dialect(sdf.split, sdf.parse),
    "vasp": _Dialect(_whole, poscar.parse),
}

_ENDINGS = {".cif": "cif", ".extxyz": "extxyz", ".pdb": "proteindatabank", ".sdf": "sdf", ".xyz": "extxyz"}
"""Formats of endings that mean one thing."""

_COMMON = (".dat", ".data", ".log", ".out")
"""Endings of names that ASE takes for those of one program, and many programs use."""

_WITHOUT_UNITS = ("extxyz", "xyz", "lammps-data", "lammps-dump-text")
"""Formats that do not say in which units their lengths are."""

_NAMES = {
    "dlp-history": lambda atoms: _dlp(atoms),
    "dlp4": lambda atoms: _dlp(atoms),
    "gromacs": lambda atoms: atoms.arrays["atomtypes"].tolist(),
}
"""Formats that hold names of atoms, which ASE takes for elements by their first letters, and how to have the names."""

_UNNAMED = ("gromos", "lammps-dump-binary")
"""Formats of which ASE makes elements likewise, and keeps no names."""


def check_file(path: Path) -> None:
    """Raise `ReadError` where there is no file to read structures from."""
    if not path.exists():
        raise ReadError(f"{path}: there is no such file.")
    if path.is_dir():
        raise ReadError(f"{path} is a folder; give a file of structures.")


def resolve_frames(path: Path, reading: ReadOptions) -> slice:
    """Count the bounds of the frames that are meant from the first frame, going through the file where need be."""
    wanted = reading.frames
    if all(bound is None or bound >= 0 for bound in (wanted.start, wanted.stop)):
        return wanted
    plain = reading._replace(frames=slice(None), ghosts="keep")
    first, stop, step = wanted.indices(sum(1 for _ in _raw(path, plain, slice(0, None, 1), [0], parsed=False)))
    return slice(first, stop, step)


def iterate_frames(path: Path, reading: ReadOptions, start: int = 0) -> Iterator[Atoms]:
    """Read the frames of a file that are meant, one at a time, from the one of index `start` among them on.

    **Raises:** `ReadError`, which names the frame, where one cannot be read; the ones before it have been yielded.
    """
    check_file(path)
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is empty; give a file that holds structures.")
    span = resolve_frames(path, reading)
    step = span.step or 1
    at = [(span.start or 0) + start * step]
    count = 0
    for frame in _raw(path, reading, slice(at[0], span.stop, step), at):
        yield frame
        count += 1
    if not count and not start:
        if reading.frames != slice(None):
            raise ReadError(f"{path} holds no frames of that index; give another one.")
        raise ReadError(f"{path} holds no structures.")


def _raw(path: Path, reading: ReadOptions, span: slice, at: list[int], parsed: bool = True) -> Iterator[Any]:
    """Yield the frames of a span; `at` holds the index of the one that is being read."""
    from ase import Atoms
    from ase.io.formats import UnknownFileTypeError

    kind = reading.format
    try:
        kind = kind or _told(path)
        _check_options(path, kind, reading)
        for frame in _frames(path, kind, reading, span, at, parsed):
            if parsed:
                if not isinstance(frame, Atoms):
                    raise ReadError(f"{path} holds no structures.")
                if kind in _NAMES:
                    frame.numbers = numbers_of(_NAMES[kind](frame), reading)
                frame = _finished(frame, reading)
            yield frame
            at[0] += span.step
    except ReadError:
        raise
    except ParseError as fault:
        line = "" if fault.line is None else f", line {fault.line}"
        raise ReadError(f"{path} cannot be read at frame {at[0]}{line}: {fault}") from fault
    except UnknownFileTypeError as error:
        hint = "; name it with --format"
        raise ReadError(f"{path} cannot be read: {_said(error)}{hint}{_suggestion(path)}.") from error
    # ASE's readers raise whatever their parsers stumble over, from OSError to KeyError and sqlite3.Error.
    except Exception as error:
        place = f" at frame {at[0]}" if at[0] else ""
        reason = f"{path} cannot be read{place}: {type(error).__name__}: {_said(error)}"
        if isinstance(error, OSError) and error.errno is not None:
            raise ReadError(f"{reason}.") from error
        told = "as was asked for" if reading.format else "as its name or beginning tells"
        raise ReadError(
            f"{reason}; it was read as {kind}, {told}, so mend it, or name another format with --format"
            f"{_suggestion(path)}."
        ) from error


def _dlp(atoms: Atoms) -> list[str]:
    """Join names that ASE has split after a letter and small letters; no letter follows a symbol."""
    labels = atoms.arrays["dlp4_labels"].tolist()
    return [symbol + label * label[:1].isalpha() for symbol, label in zip(atoms.symbols, labels, strict=True)]


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _told(path: Path) -> str:
    """Find the format that name and content of a file tell.

    **Raises:** `UnknownFileTypeError` where there is none, or where a name that many programs give is all that tells.
    """
    from ase.io.formats import UnknownFileTypeError, filetype, get_compression, ioformats, open_with_compression

    suffix = Path(get_compression(path.name)[0]).suffix.lower()
    if suffix in _ENDINGS:
        # ASE looks for words of many programs first, such as may stand in comments.
        return _ENDINGS[suffix]
    kind = str(filetype(str(path)))
    known = ioformats.get(kind)
    if known is None or not known.can_read:
        raise UnknownFileTypeError("its name and beginning tell no format")
    if suffix in _COMMON:
        with open_with_compression(str(path), "rb") as file:
            if not known.match_magic(file.read(PEEK)):
                raise UnknownFileTypeError(f"its name ends as one of {kind} does, and its beginning is that of another")
    return kind


def _suggestion(path: Path) -> str:
    with open(path, "rb") as file:
        return " lammps-data" if lammps.looks_like_data(file.read(PEEK)) else ""


def _check_options(path: Path, kind: str, reading: ReadOptions) -> None:
    """Raise `ReadError` for options that mean nothing in a format."""
    if reading.units != "angstrom" and kind not in _WITHOUT_UNITS:
        raise ReadError(f"{path}: files of {kind} have a unit of length of their own; leave out --units.")
    if reading.types and kind not in _DIALECTS and kind not in _NAMES:
        raise ReadError(f"{path}: files of {kind} name elements; leave out --types.")
    if kind in _UNNAMED:
        raise ReadError(
            f"{path}: files of {kind} hold names or types of atoms and no elements; convert it to a format that names "
            "elements, such as extended xyz."
        )


def _frames(path: Path, kind: str, reading: ReadOptions, span: slice, at: list[int], parsed: bool) -> Iterator[Any]:
    import ase.io
    from ase.io.formats import get_ioformat, open_with_compression

    dialect = _DIALECTS.get(kind)
    if dialect is None:
        if not get_ioformat(kind).single:
            bounds = ":".join("" if bound is None else str(bound) for bound in (span.start, span.stop, span.step))
            yield from ase.io.iread(path, bounds, format=kind, do_not_split_by_at_sign=True)
        elif not span.start and span.stop != 0:
            yield from ase.io.iread(path, ":", format=kind, do_not_split_by_at_sign=True)
        return
    with open_with_compression(str(path), "rb") as binary:
        file = binary if dialect.binary else _text(binary)
        for frame in islice(_numbered(dialect.split(file), at), span.start, span.stop, span.step):
            yield dialect.parse(frame, reading) if parsed else frame


def _numbered(frames: Iterator[Any], at: list[int]) -> Iterator[Any]:
    """Yield the same frames; `at` is given the index of the one before which they cannot be told apart."""
    k = 0
    while True:
        try:
            frame = next(frames, None)
        except ParseError:
            at[0] = k
            raise
        if frame is None:
            return
        yield frame
        k += 1


def _text(binary: Any) -> IO[str]:
    """Open a file as text, with or without a mark of its byte order; comments may be in any encoding."""
    start = binary.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise ParseError("the file is text in UTF-16; save it in UTF-8.", 1)
    binary.seek(0)
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape")


def _finished(atoms: Atoms, reading: ReadOptions) -> Atoms:
    """Leave out what is to be left out, and have lengths in Å."""
    from ase.units import Bohr

    ghosts = atoms.numbers == 0
    if ghosts.any() and reading.ghosts == "refuse":
        k = int(np.argmax(ghosts))
        raise ParseError(ghost(f"atom {k}"))
    dropped = np.isin(atoms.numbers, reading.ignored) | (ghosts & (reading.ghosts == "skip"))
    if dropped.any():
        atoms = _without(atoms, dropped)
    if reading.isolated:
        atoms.set_cell(None)
        atoms.pbc = False
    if reading.units == "bohr":
        atoms.positions *= Bohr
        atoms.set_cell(atoms.cell.array * Bohr)
    return atoms


def _without(atoms: Atoms, dropped: np.ndarray) -> Atoms:
    """Leave atoms out, and keep what a calculator has of each of the others as an array."""
    results = {} if atoms.calc is None else atoms.calc.results
    arrays = {name: np.asarray(value) for name, value in results.items()}
    kept = atoms[~dropped]
    for name, array in arrays.items():
        if array.shape[:1] == (len(atoms),) and not kept.has(name):
            kept.set_array(name, array[~dropped])
    return kept
