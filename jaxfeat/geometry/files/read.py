"""Structures of files and of built-in sets."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.ase_input import formula
from jaxfeat.geometry.files.options import ReadOptions, parse_read_options, split_frame_index
from jaxfeat.geometry.files.trajectory import iterate_frames, resolve_frames
from jaxfeat.geometry.prl_methanes import BOND_LENGTH, place_hydrogens, published_angles
from jaxfeat.geometry.random import draw_methanes
from jaxfeat.geometry.species import Atoms
from jaxfeat.progress import Progress, show_progress
from jaxfeat.spelling import find_similar

MOST_LISTED = 2000  # files of a folder among which a similar name is looked for


class StructureSet(NamedTuple):
    """Structures of a file or of a built-in set.

    **Attributes:**

    - `atoms`: The structures.
    - `names`: A name of each structure, for messages and tables.
    - `centers`: The chemical symbol of the centers that a built-in set is about; `None` for every atom.
    """

    atoms: list[Atoms]
    names: list[str]
    centers: str | None

    def __repr__(self) -> str:
        n_atoms = sum(map(len, self.atoms))
        return f"StructureSet({len(self.atoms)} structures, {n_atoms} atoms, centers: {self.centers or 'every atom'})"


def read(
    source: str | Path,
    *,
    format: str | None = None,
    index: str | int | slice | None = None,
    types: Mapping[Any, str] | None = None,
    units: str = "angstrom",
    skip_ghosts: bool = False,
    ignore: str | Sequence[str] = (),
    progress: Progress | bool | None = None,
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
    - `progress`: True to show progress on stderr or in the notebook; or a function, called with the number of
        structures that are read, and `None`.

    **Returns:** A `StructureSet` with the `ase.Atoms`, whose positions and cells are float64, in Å.

    **Raises:** `ReadError` for a file that cannot be read, with file, frame and line, the reason and the cure; and for
    options that make no sense.
    """
    place, options = locate_source(source, parse_read_options(format, index, types, units, skip_ghosts, ignore))
    if isinstance(place, str):
        return make_set(place)
    atoms: list[Atoms] = []
    with show_progress(progress, "structures read") as report:
        for structure in iterate_frames(place, options):
            atoms.append(structure)
            report(len(atoms), None)
    names = [formula(structure) for structure in atoms]
    if len(atoms) > 1 or options.frames.start:
        names = [f"{label_frame(k, options)}, {name}" for k, name in enumerate(names)]
    return StructureSet(atoms, names, None)


def locate_source(source: str | Path, options: ReadOptions) -> tuple[Path | str, ReadOptions]:
    """Find the path of a file and the bounds of its frames, counted from the first; or the name of a built-in set.
    **Raises:** `ReadError` if there is no file with any content, and for options with a built-in set."""
    path, options = split_frame_index(source, options)
    name = str(source) if path == Path(source) else str(source).rpartition("@")[0]
    if isinstance(source, str) and (name in SETS or name.split(":")[0] == "random-methane"):
        if options != ReadOptions():
            raise ReadError(f"{name} is a built-in set; leave out the options of files.")
        return name, options
    if not path.exists():
        raise ReadError(_explain_missing(path))
    if path.is_dir():
        raise ReadError(f"{path} is a folder; give a file of structures.")
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is empty; give a file that holds structures.")
    return path, options._replace(frames=resolve_frames(path, options))


def _explain_missing(path: Path) -> str:
    """Say that there is no such file, and propose a file of the same folder or a built-in set with a similar name."""
    folder = path.parent
    files = [file.name for file in islice(folder.iterdir(), MOST_LISTED)] if folder.is_dir() else []
    if folder == Path() and (similar := find_similar(path.name, SETS)):
        return f"{path}: there is no such file; did you mean the built-in set {similar}?"
    if similar := find_similar(path.name, files):
        return f"{path}: there is no such file; did you mean {folder / similar}?"
    if not folder.is_dir():
        return f"{path}: there is no such file, and no folder {folder}; give another path."
    sets = ", ".join([*SETS, "random-methane:N[:SEED]"])
    return f"{path}: there is no such file, and the built-in sets are {sets}."


def label_frame(k: int, options: ReadOptions) -> str:
    """Name number `k` of the wanted frames by its place in the file."""
    return f"frame {(options.frames.start or 0) + k * (options.frames.step or 1)}"


def make_set(name: str) -> StructureSet:
    """Make the structures of a built-in set. **Raises:** `ReadError` for a wrong number of random methanes."""
    return SETS.get(name, _make_random_methanes)(name)


def parse_random_methane(name: str) -> tuple[int, int]:
    """Read N and SEED in random-methane:N[:SEED]. **Raises:** `ReadError` for anything else."""
    options = name.split(":")[1:]
    if not 1 <= len(options) <= 2 or not all(option.isdecimal() for option in options) or int(options[0]) < 1:
        raise ReadError(f"{name}: write random-methane:N or random-methane:N:SEED with whole numbers, N at least 1.")
    return int(options[0]), int(options[1]) if len(options) == 2 else 0


def _load_collection(name: str) -> StructureSet:
    import ase.collections

    collection = getattr(ase.collections, name)
    # Beside the 148 molecules that the set is named for, ASE's g2 holds single atoms for atomization energies.
    kept = [(key, atoms) for key in collection.names if len(atoms := collection[key]) > 1 or name != "g2"]
    return StructureSet([atoms for _, atoms in kept], [key for key, _ in kept], None)


def _make_prl_methanes(_: str) -> StructureSet:
    names, hydrogens = [], []
    for sign, azimuth, elevation in product((-1, 1), *published_angles()):
        names.append(f"X{'-' if sign < 0 else '+'} (F = {azimuth / np.pi:.3f}π, L = {elevation / np.pi:.3f}π)")
        hydrogens.append(place_hydrogens(azimuth, elevation, sign))
    return StructureSet(_make_methanes(BOND_LENGTH * np.asarray(hydrogens)), names, "C")


def _make_random_methanes(name: str) -> StructureSet:
    n, seed = parse_random_methane(name)
    hydrogens = np.concatenate([block for _, block in draw_methanes(n, seed)])
    return StructureSet(_make_methanes(hydrogens), [f"random CH4 {k}" for k in range(n)], "C")


def _make_methanes(hydrogens: np.ndarray) -> list[Atoms]:
    from ase import Atoms

    return [Atoms("CH4", np.pad(positions, ((1, 0), (0, 0)))) for positions in hydrogens]


SETS: dict[str, Callable[[str], StructureSet]] = {  # built-in sets; not random methanes, whose names hold numbers
    **dict.fromkeys(("g2", "s22", "dcdft"), _load_collection),
    "prl-methane": _make_prl_methanes,
}
