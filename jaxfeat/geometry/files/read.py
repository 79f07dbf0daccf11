"""Structures of files and of built-in sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxfeat.errors import ReadError
from jaxfeat.geometry.ase_input import formula
from jaxfeat.geometry.files.builtin import RANDOM_METHANE, SETS, StructureSet, is_random_methane, make_set
from jaxfeat.geometry.files.options import ReadOptions, parse_read_options, split_frame_index
from jaxfeat.geometry.files.trajectory import iterate_frames, resolve_frames


def read(
    source: str | Path,
    *,
    format: str | None = None,
    index: str | int | slice | None = None,
    types: Mapping[Any, str] | None = None,
    units: str = "angstrom",
    skip_ghosts: bool = False,
    ignore: str | Sequence[str] = (),
) -> StructureSet:
    """Read all structures of a file or of a built-in set.

    Nothing in a file is guessed or left out. If a file leaves something open, or has sites that are not whole atoms,
    an option must say how to read it.

    **Arguments:**

    - `source`: The path of any file that ASE reads, with one or many frames, or the name of a built-in set: `g2` (148
        molecules), `s22` or `dcdft` (as ASE ships them), `prl-methane` (162 methanes of PRL 125, 166001: X- first, then
        X+), or `random-methane:N[:SEED]` (C at the origin, 4 H uniform in a sphere of 3 Å, no two atoms nearer than
        0.5 Å). A file with the name of a set is read as `./g2`. `file@:20` is a file and an index.
    - `format`: The name that ASE has for the format, for example `"lammps-data"`. By default, the name and the
        beginning of the file show the format.
    - `index`: The frames to read, counted from 0: one frame, or a range such as `":20"`, `"-5:"` or `"100::10"`. By
        default, all frames.
    - `types`: Chemical symbols by the words or numbers that stand for atoms in the file, for example
        `{1: "O", 2: "H"}` for LAMMPS, or `{"D": "H"}`; `"X"` makes ghosts.
    - `units`: The unit of positions and cells, `"angstrom"` or `"bohr"`, in a format that does not fix it (xyz,
        LAMMPS). Other columns stay as they are.
    - `skip_ghosts`: If True, leave out ghosts and dummy atoms (X, Bq, Gh ...). If False, they raise an error.
    - `ignore`: Chemical symbols of atoms to leave out; `"occupancies"` to read sites with partial occupancy as whole
        atoms (of the elements that share a site, the one that ASE calls dominant); `"cell"` to leave out the cell.
        Indices of centers count the atoms that are left.

    **Returns:**

    A `StructureSet` with the `ase.Atoms`, their names, and the centers that a built-in set is about. Positions and
    cells are float64, in Å.

    **Raises:** `ReadError` for a file that cannot be read, with file, frame and line, the reason and the cure; and for
    options that make no sense.
    """
    place, options = locate_source(source, parse_read_options(format, index, types, units, skip_ghosts, ignore))
    if isinstance(place, str):
        return make_set(place)
    atoms = list(iterate_frames(place, options))
    names = [formula(structure) for structure in atoms]
    if len(atoms) > 1 or options.frames.start:
        names = [f"{label_frame(k, options)}, {name}" for k, name in enumerate(names)]
    return StructureSet(atoms, names, None)


def locate_source(source: str | Path, options: ReadOptions) -> tuple[Path | str, ReadOptions]:
    """Find the path of a file, with bounds of frames that count from the first; or the name of a built-in set.

    **Raises:** `ReadError` if there is no file with any content, and for options with a built-in set.
    """
    path, options = split_frame_index(source, options)
    name = str(source) if path == Path(source) else str(source).rpartition("@")[0]
    if isinstance(source, str) and (is_random_methane(name) or name in SETS):
        if options != ReadOptions():
            raise ReadError(f"{name} is a built-in set; leave out the options of files.")
        return name, options
    if not path.exists():
        sets = ", ".join([*SETS, RANDOM_METHANE])
        raise ReadError(f"{path}: there is no such file, and the built-in sets are {sets}.")
    if path.is_dir():
        raise ReadError(f"{path} is a folder; give a file of structures.")
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is empty; give a file that holds structures.")
    return path, options._replace(frames=resolve_frames(path, options))


def label_frame(k: int, options: ReadOptions) -> str:
    """Name number `k` of the wanted frames by its place in the file."""
    return f"frame {(options.frames.start or 0) + k * (options.frames.step or 1)}"
