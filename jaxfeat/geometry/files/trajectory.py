"""Frames of a file as `ase.Atoms`, one after another, from any frame on, and the formats of files."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files import cif, lammps, pdb, poscar, sdf, xyz
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import (
    ParseError,
    describe_exception,
    explain_ghost,
    parse_elements,
    whole_text,
)
from jaxfeat.geometry.species import Atoms

PEEK = 50_000  # bytes at the beginning of a file that show its format; ASE looks at as many


class Parser(NamedTuple):
    """`split(file)` yields the frames of a text file, and `parse(frame, options)` makes `ase.Atoms` of one frame."""

    split: Callable[[IO[str]], Iterator[Any]]
    parse: Callable[[Any, ReadOptions], Atoms]


PARSERS = {  # by ASE's names; ASE reads the other formats
    "cif": Parser(cif.split, cif.parse),
    "extxyz": Parser(xyz.split, xyz.parse),
    "lammps-data": Parser(whole_text, lammps.parse_data),
    "lammps-dump-text": Parser(lammps.split_dump, lammps.parse_dump),
    "proteindatabank": Parser(pdb.split, pdb.parse),
    "sdf": Parser(sdf.split, sdf.parse),
    "vasp": Parser(whole_text, poscar.parse),
    "xyz": Parser(xyz.split, xyz.parse),
}

_ENDINGS = {".cif": "cif", ".extxyz": "extxyz", ".pdb": "proteindatabank", ".sdf": "sdf", ".xyz": "extxyz"}
"""Formats by endings that mean one format."""

COMPRESSED = (".bz2", ".gz", ".xz")  # endings of files that ASE decompresses
_AMBIGUOUS_ENDINGS = (".dat", ".data", ".log", ".out")  # many programs use these; to ASE each means one
_WITHOUT_UNITS = ("extxyz", "xyz", "lammps-data", "lammps-dump-text")  # formats that do not fix the unit of lengths
_NAMELESS = ("gromos", "lammps-dump-binary")  # formats with names of atoms, which ASE takes for elements and drops


def _names_of_dl_poly(atoms: Atoms) -> list[str]:
    # ASE splits a name into an element and a label. If the label begins with a letter, the name is no symbol.
    labels = atoms.arrays["dlp4_labels"].tolist()
    return [symbol + label * label[:1].isalpha() for symbol, label in zip(atoms.symbols, labels, strict=True)]


_NAMES: dict[str, Callable[[Atoms], list[str]]] = {  # names of atoms of which ASE takes the first letters for elements
    "dlp-history": _names_of_dl_poly,
    "dlp4": _names_of_dl_poly,
    "gromacs": lambda atoms: atoms.arrays["atomtypes"].tolist(),
}


def resolve_frames(path: Path, options: ReadOptions) -> slice:
    """Count the bounds of the wanted frames from the first frame; bounds from the end need a pass through the file."""
    wanted = options.frames
    if all(bound is None or bound >= 0 for bound in (wanted.start, wanted.stop)):
        return wanted
    every = options._replace(frames=slice(None), ghosts="keep")
    return slice(*wanted.indices(sum(1 for _ in _iterate(path, every, range(sys.maxsize), parsed=False))))


def iterate_frames(path: Path, options: ReadOptions, start: int = 0) -> Iterator[Atoms]:
    """Read the wanted frames, bounded by `resolve_frames`, one at a time, from number `start` among them on. A
    `ReadError` for a frame that cannot be read names the frame, and comes after the frames before it."""
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
        format = format or _find_format(path)
        _check_format_options(path, format, options)
        ours = format in PARSERS
        for atoms in _parse(path, PARSERS[format], options, wanted, parsed) if ours else _read(path, format, wanted):
            yield _finish(atoms, format, options) if parsed else atoms
            frame += wanted.step
    except ReadError:
        raise
    except ParseError as error:
        raise _name_place(path, frame, error) from error
    # ASE's readers raise whatever their parsers stumble over, from OSError to KeyError and sqlite3.Error.
    except Exception as error:
        place, told = f" at frame {frame}" if frame else "", describe_exception(error)
        if isinstance(error, OSError) and error.errno is not None:
            raise ReadError(f"{path} cannot be read{place}: {told}.") from error
        origin = "which was asked for" if options.format else "which its name or beginning shows"
        cure = f"fix the file, or name {'another' if options.format else 'its'} format with {_option_for_format(path)}"
        raise ReadError(
            f"{path} cannot be read{place} in the format {format}, {origin} (ASE: {told}); {cure}."
        ) from error


def _name_place(path: Path, frame: int, error: ParseError) -> ReadError:
    line = "" if error.line is None else f", line {error.line}"
    return ReadError(f"{path} cannot be read at frame {frame}{line}: {error}")


def _parse(path: Path, parser: Parser, options: ReadOptions, wanted: range, parsed: bool) -> Iterator[Any]:
    k = 0
    with _open_binary(path) as binary, _open_text(path, binary) as text:
        try:
            for frame in parser.split(text):
                if k in wanted:
                    yield parser.parse(frame, options) if parsed else frame
                k += 1
                if k >= wanted.stop:
                    return
        except ParseError as error:
            raise _name_place(path, k, error) from error


def _open_binary(path: Path) -> Any:
    """Open a file, and decompress it as ASE does. Loading ASE's readers takes 0.1 s, which other files do without."""
    if path.suffix not in COMPRESSED:
        return path.open("rb")
    from ase.io.formats import open_with_compression

    return open_with_compression(str(path), "rb")


def _open_text(path: Path, binary: Any) -> IO[str]:
    """Open a file as text, with or without a byte order mark. Comments may have any encoding."""
    start = binary.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise ReadError(f"{path} is text in UTF-16; save it in UTF-8.")
    binary.seek(0)
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape")


def _read(path: Path, format: str, wanted: range) -> Iterator[Any]:
    import ase.io
    from ase.io.formats import get_ioformat

    index = f"{wanted.start}:{'' if wanted.stop == sys.maxsize else wanted.stop}:{wanted.step}"
    if get_ioformat(format).single:
        if wanted.start:
            return
        index = ":"
    yield from ase.io.iread(path, index, format=format, do_not_split_by_at_sign=True)


def _find_format(path: Path) -> str:
    """Find the format of a file by its name and its beginning. **Raises:** `ReadError` if they do not show it."""
    ending = (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix.lower()
    if ending in _ENDINGS:
        # ASE looks for the words of many programs first, and comments may hold these words.
        return _ENDINGS[ending]
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    try:
        format = str(filetype(str(path)))
    except UnknownFileTypeError:
        format = ""
    fault = ""
    if format not in ioformats or not ioformats[format].can_read:
        fault = "neither its name nor its beginning shows the format"
    elif ending in _AMBIGUOUS_ENDINGS:
        with _open_binary(path) as file:
            if not ioformats[format].match_magic(file.read(PEEK)):
                fault = f"its name ends like that of a {format} file, but its beginning differs"
    if fault:
        raise ReadError(f"{path} cannot be read: {fault}; name the format with {_option_for_format(path)}.")
    return format


def _option_for_format(path: Path) -> str:
    """Write the option that names the format, with a proposal if the file looks like data of LAMMPS."""
    with open(path, "rb") as file:
        return "--format lammps-data" if lammps.looks_like_data(file.read(PEEK)) else "--format"


def _check_format_options(path: Path, format: str, options: ReadOptions) -> None:
    """Raise `ReadError` for options that mean nothing in a format, and for formats without elements."""
    if options.units != "angstrom" and format not in _WITHOUT_UNITS:
        raise ReadError(f"{path}: the format {format} has its own unit of length; leave out --units.")
    if options.types and format not in {*PARSERS, *_NAMES}:
        raise ReadError(f"{path}: the format {format} names elements; leave out --types.")
    if format in _NAMELESS:
        cure = "convert the file to a format with elements, such as extended xyz"
        raise ReadError(f"{path}: ASE drops the names or types of atoms that the format {format} has; {cure}.")


def _finish(atoms: Any, format: str, options: ReadOptions) -> Atoms:
    """Give atoms their elements, leave out atoms and cells, and convert lengths to Å, as the options say."""
    from ase import Atoms
    from ase.units import Bohr

    if not isinstance(atoms, Atoms):
        raise ParseError("ASE finds no atoms; give another file.")
    if format in _NAMES:
        atoms.numbers = parse_elements(_NAMES[format](atoms), options)
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
