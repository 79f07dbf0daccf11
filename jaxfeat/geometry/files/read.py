"""Structures of files and of built-in sets. ASE is imported where it is used: without it everything else still runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.faults import formula
from jaxfeat.geometry.files.options import ReadOptions, parse_read_options, split_frame_index
from jaxfeat.geometry.files.trajectory import check_file, iterate_frames, resolve_frames
from jaxfeat.geometry.random import draw_methanes

if TYPE_CHECKING:
    from ase import Atoms


class StructureSet(NamedTuple):
    """Structures that belong together.

    - `atoms`: the `ase.Atoms`.
    - `names`: what a reader would call each of them.
    - `centers`: the centers that the set is about, as `environments` takes them; `None` for every atom.
    """

    atoms: list[Atoms]
    names: list[str]
    centers: str | None


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
    """Read every structure of a file or of a built-in set.

    Nothing in a file is guessed at or left out: what is not told, or is not meant for whole atoms, has to be said.

    **Arguments:**

    - `source`: a path to any file that ASE reads, of one or many frames, or the name of a set: `g2` (148 molecules),
      `s22`, `dcdft` (as ASE ships them), `prl-methane` (162 methanes of PRL 125, 166001: X- first, then X+),
      `random-methane:N[:SEED]` (C at the origin, 4 H uniform in a sphere of 3 Å, no two atoms nearer than 0.5 Å).
      A file that bears the name of a set is read as `./g2`. `file@:20` is a file and an index.
    - `format`: the name that ASE has for the format, such as `"lammps-data"`. By default the name and the beginning of
      the file tell.
    - `index`: the frames to read, counted from 0: one, or a range as in `":20"`, `"-5:"` or `"100::10"`. By default
      all.
    - `types`: chemical symbols of the words or numbers that stand for atoms in the file, as in `{1: "O", 2: "H"}` of
      LAMMPS, or `{"D": "H"}`; `"X"` makes ghosts.
    - `units`: `"angstrom"` or `"bohr"`, of lengths in a format that does not tell (xyz, LAMMPS). Other columns stay.
    - `skip_ghosts`: if True, leave out ghosts and dummy atoms (X, Bq, Gh ...), which are refused otherwise.
    - `ignore`: chemical symbols of atoms to leave out; `"occupancies"`, to read sites that are occupied in part as
      whole atoms, those that share a place as the one that ASE calls dominant; `"cell"`, to read a molecule without
      its cell. Indices of centers count the atoms that are left.

    **Raises:** `ReadError`, which names file and frame, and the line where there is one, and says what to do; also for
    options that make no sense.
    """
    place, how = locate_source(source, parse_read_options(format, index, types, units, skip_ghosts, ignore))
    if isinstance(place, Path):
        return _file(place, how)
    return _SETS[place](place) if is_builtin(place) else _random_methane(place)


def locate_source(source: str | Path, how: ReadOptions) -> tuple[Path | str, ReadOptions]:
    """Tell files from sets: the path of a file and how it is read, or the name of a set.

    **Raises:** `ReadError` for options of files that are given for a set, and where there is no file.
    """
    path, how = split_frame_index(source, how)
    text = str(source) if path == Path(source) else str(source).rpartition("@")[0]
    if isinstance(source, str) and (text.split(":")[0] == "random-methane" or is_builtin(text)):
        if how != ReadOptions():
            raise ReadError(f"{text} is a built-in set; leave out the options of files.")
        return text, how
    if not path.exists():
        sets = ", ".join([*_SETS, "random-methane:N[:SEED]"])
        raise ReadError(f"{path}: there is no such file, and the built-in sets are {sets}.")
    check_file(path)
    return path, how._replace(frames=resolve_frames(path, how))


def _file(path: Path, how: ReadOptions) -> StructureSet:
    frames = list(iterate_frames(path, how))
    formulas = [formula(frame) for frame in frames]
    if len(frames) > 1 or how.frames.start:
        formulas = [f"{label_frame(k, how)}, {name}" for k, name in enumerate(formulas)]
    return StructureSet(frames, formulas, None)


def label_frame(k: int, how: ReadOptions) -> str:
    """Name a frame by its place in the file."""
    return f"frame {(how.frames.start or 0) + k * (how.frames.step or 1)}"


def per_atom_arrays(structure: Atoms) -> dict[str, np.ndarray]:
    """Gather everything that a file says of each atom, `(n, ...)` by name: what ASE has as arrays, and as results."""
    n, results = len(structure), {} if structure.calc is None else structure.calc.results
    found = {name: np.asarray(value) for name, value in results.items()}
    return {**{name: array for name, array in found.items() if array.shape[:1] == (n,)}, **structure.arrays}


def is_builtin(name: str) -> bool:
    """Whether this names a built-in set that is always the same."""
    return name in _SETS


def _collection(name: str) -> StructureSet:
    import ase.collections

    collection = getattr(ase.collections, name)
    # ASE's g2 holds single atoms, for atomization energies, beside the 148 molecules of the set's name.
    kept = [(key, atoms) for key in collection.names if len(atoms := collection[key]) > 1 or name != "g2"]
    return StructureSet([atoms for _, atoms in kept], [key for key, _ in kept], None)


def _prl_methane(_: str) -> StructureSet:
    names, hydrogens = [], []
    for sign, (i, j) in ((sign, ij) for sign in (-1, 1) for ij in np.ndindex(9, 9)):
        a, b = 0.7 + 0.025 * i, 0.1 - 0.025 * j
        f, l = np.pi * a, np.pi * b
        names.append(f"X{'-' if sign < 0 else '+'} (F = {a:.3f}π, L = {b:.3f}π)")
        hydrogens.append(
            [
                [np.cos(5 * np.pi / 8), 0, np.sin(5 * np.pi / 8)],
                [np.cos(np.pi / 6) * np.cos(np.pi / 5), -np.cos(np.pi / 6) * np.sin(np.pi / 5), -0.5],
                [np.cos(np.pi / 6) * np.cos(np.pi / 5), np.cos(np.pi / 6) * np.sin(np.pi / 5), 0.5],
                [np.cos(l) * np.cos(f), sign * np.cos(l) * np.sin(f), np.sin(l)],
            ]
        )
    return StructureSet(list(_methanes(1.09 * np.asarray(hydrogens))), names, "C")


def _random_methane(text: str) -> StructureSet:
    n, seed = parse_random_methane(text)
    hydrogens = np.concatenate([block for _, block in draw_methanes(n, seed)])
    return StructureSet(list(_methanes(hydrogens)), [f"random CH4 {k}" for k in range(n)], "C")


def parse_random_methane(text: str) -> tuple[int, int]:
    """N and SEED of random-methane:N[:SEED]. **Raises:** `ReadError` for anything else."""
    options = text.split(":")[1:]
    if not 1 <= len(options) <= 2 or not all(option.isdecimal() for option in options) or int(options[0]) < 1:
        raise ReadError(f"{text}: write random-methane:N or random-methane:N:SEED with whole numbers, N at least 1.")
    return int(options[0]), int(options[1]) if len(options) == 2 else 0


def _methanes(hydrogens: np.ndarray) -> Iterator[Atoms]:
    from ase import Atoms

    for positions in hydrogens:
        yield Atoms(numbers=[6, 1, 1, 1, 1], positions=np.concatenate([np.zeros((1, 3)), positions]))


_SETS: dict[str, Callable[[str], StructureSet]] = {
    "g2": _collection,
    "s22": _collection,
    "dcdft": _collection,
    "prl-methane": _prl_methane,
}
