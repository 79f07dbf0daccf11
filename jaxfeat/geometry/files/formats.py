"""Formats of files: how to recognize them, who parses them, and which options they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from jaxfeat.errors import ReadError
from jaxfeat.geometry.files import cif, lammps, pdb, poscar, sdf, xyz
from jaxfeat.geometry.files.options import ReadOptions
from jaxfeat.geometry.files.parsing import whole_text

if TYPE_CHECKING:
    from ase import Atoms

PEEK = 50_000
"""Bytes at the beginning of a file that show its format; ASE looks at as many."""


class Parser(NamedTuple):
    """`split(file)` yields the frames of a text file, and `parse(frame, options)` makes `ase.Atoms` of one frame."""

    split: Callable[[IO[str]], Iterator[Any]]
    parse: Callable[[Any, ReadOptions], Atoms]


PARSERS = {
    "cif": Parser(cif.split, cif.parse),
    "extxyz": Parser(xyz.split, xyz.parse),
    "lammps-data": Parser(whole_text, lammps.parse_data),
    "lammps-dump-text": Parser(lammps.split_dump, lammps.parse_dump),
    "proteindatabank": Parser(pdb.split, pdb.parse),
    "sdf": Parser(sdf.split, sdf.parse),
    "vasp": Parser(whole_text, poscar.parse),
    "xyz": Parser(xyz.split, xyz.parse),
}
"""Parsers of this package, by ASE's name for the format. ASE reads the other formats."""

_ENDINGS = {".cif": "cif", ".extxyz": "extxyz", ".pdb": "proteindatabank", ".sdf": "sdf", ".xyz": "extxyz"}
"""Formats by endings that mean one format."""

_AMBIGUOUS_ENDINGS = (".dat", ".data", ".log", ".out")
"""Endings that ASE takes for the format of one program, and that many programs use."""

_WITHOUT_UNITS = ("extxyz", "xyz", "lammps-data", "lammps-dump-text")
"""Formats that do not fix the unit of lengths."""

_WITH_NAMES = ("dlp-history", "dlp4", "gromacs")
"""Formats that hold names of atoms, which ASE takes for elements by their first letters."""

_WITHOUT_NAMES = ("gromos", "lammps-dump-binary")
"""Formats that hold names or types of atoms, which ASE takes for elements and drops."""


def find_format(path: Path) -> str:
    """Find the format of a file by its name and its beginning. **Raises:** `ReadError` if they do not show it."""
    from ase.io.formats import UnknownFileTypeError, filetype, get_compression, ioformats, open_with_compression

    ending = Path(get_compression(path.name)[0]).suffix.lower()
    if ending in _ENDINGS:
        # ASE looks for the words of many programs first, and comments may hold these words.
        return _ENDINGS[ending]
    try:
        format = str(filetype(str(path)))
    except UnknownFileTypeError:
        format = ""
    if format not in ioformats or not ioformats[format].can_read:
        raise ReadError(
            f"{path} cannot be read: neither its name nor its beginning shows the format; name it with --format"
            f"{propose_format(path)}."
        )
    if ending in _AMBIGUOUS_ENDINGS:
        with open_with_compression(str(path), "rb") as file:
            if not ioformats[format].match_magic(file.read(PEEK)):
                raise ReadError(
                    f"{path} cannot be read: its name ends like that of a {format} file, but its beginning differs; "
                    f"name the format with --format{propose_format(path)}."
                )
    return format


def propose_format(path: Path) -> str:
    """Propose the value of `--format` for a file, with a leading blank; empty if nothing is known."""
    with open(path, "rb") as file:
        return " lammps-data" if lammps.looks_like_data(file.read(PEEK)) else ""


def check_format_options(path: Path, format: str, options: ReadOptions) -> None:
    """Raise `ReadError` for options that mean nothing in a format, and for formats without elements."""
    if options.units != "angstrom" and format not in _WITHOUT_UNITS:
        raise ReadError(f"{path}: the format {format} has its own unit of length; leave out --units.")
    if options.types and format not in PARSERS and format not in _WITH_NAMES:
        raise ReadError(f"{path}: the format {format} names elements; leave out --types.")
    if format in _WITHOUT_NAMES:
        raise ReadError(
            f"{path}: ASE drops the names or types of atoms that the format {format} has; convert the file to a format "
            "with elements, such as extended xyz."
        )


def names_of_atoms(atoms: Atoms, format: str) -> list[str] | None:
    """Collect the names that a file has for atoms which ASE has read; `None` if the format names elements."""
    if format not in _WITH_NAMES:
        return None
    if format == "gromacs":
        return atoms.arrays["atomtypes"].tolist()
    # ASE splits a name of DL_POLY into an element and a label. If the label begins with a letter, the name is longer
    # than a symbol.
    labels = atoms.arrays["dlp4_labels"].tolist()
    return [symbol + label * label[:1].isalpha() for symbol, label in zip(atoms.symbols, labels, strict=True)]
