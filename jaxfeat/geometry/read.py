"""Structures of files and of built-in sets. ASE is imported where it is used: without it everything else still runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.assemble import formula
from jaxfeat.geometry.files import atoms_of

if TYPE_CHECKING:
    from ase import Atoms

SMALLEST_DISTANCE = 0.5
SPHERE = 3.0
"""Å, of the random methanes: no two atoms nearer than the one, hydrogens no farther from the carbon than the other."""

DRAWN = 4096
"""Random methanes of one block."""


class Source(NamedTuple):
    """Structures that belong together.

    - `atoms`: the `ase.Atoms`.
    - `names`: what a reader would call each of them.
    - `centers`: the centers that the set is about, as `environments` takes them; `None` for every atom.
    """

    atoms: list[Atoms]
    names: list[str]
    centers: str | None


def read(source: str | Path) -> Source:
    """Every structure of a file or of a built-in set.

    **Arguments:**

    - `source`: a path to any file that ASE reads, of one or many frames, or the name of a set: `g2` (148 molecules),
      `s22`, `dcdft` (as ASE ships them), `prl-methane` (162 methanes of PRL 125, 166001: X- first, then X+),
      `random-methane:N[:SEED]` (C at the origin, 4 H uniform in a sphere of 3 Å, no two atoms nearer than 0.5 Å).
      A file that bears the name of a set is read as `./g2`.

    **Raises:** `ReadError` where there is no structure to be had.
    """
    text = str(source)
    if isinstance(source, str):
        if text.split(":")[0] == "random-methane":
            return _random_methane(text)
        if is_set(text):
            return _SETS[text](text)
    return _file(Path(source))


def _file(path: Path) -> Source:
    if not path.exists():
        sets = ", ".join([*_SETS, "random-methane:N[:SEED]"])
        raise ReadError(f"{path}: there is no such file, and the built-in sets are {sets}.")
    frames = list(atoms_of(path))
    formulas = [formula(frame) for frame in frames]
    if len(frames) > 1:
        formulas = [f"frame {k}, {name}" for k, name in enumerate(formulas)]
    return Source(frames, formulas, None)


def is_set(name: str) -> bool:
    """Whether this names a built-in set that is always the same."""
    return name in _SETS


def _collection(name: str) -> Source:
    import ase.collections

    collection = getattr(ase.collections, name)
    # ASE's g2 holds single atoms, for atomization energies, beside the 148 molecules of the set's name.
    kept = [(key, atoms) for key in collection.names if len(atoms := collection[key]) > 1 or name != "g2"]
    return Source([atoms for _, atoms in kept], [key for key, _ in kept], None)


def _prl_methane(_: str) -> Source:
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
    return Source(list(_methanes(1.09 * np.asarray(hydrogens))), names, "C")


def _random_methane(text: str) -> Source:
    n, seed = methanes_asked(text)
    hydrogens = np.concatenate([block for _, block in random_hydrogens(n, seed)])
    return Source(list(_methanes(hydrogens)), [f"random CH4 {k}" for k in range(n)], "C")


def methanes_asked(text: str) -> tuple[int, int]:
    """N and SEED of random-methane:N[:SEED]. **Raises:** `ReadError` for anything else."""
    options = text.split(":")[1:]
    if not 1 <= len(options) <= 2 or not all(option.isdecimal() for option in options) or int(options[0]) < 1:
        raise ReadError(f"{text}: write random-methane:N or random-methane:N:SEED with whole numbers, N at least 1.")
    return int(options[0]), int(options[1]) if len(options) == 2 else 0


def random_hydrogens(n: int, seed: int, start: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Hydrogens of the random methanes from `start` to `n`, block by block: the first one's index, `(m, 4, 3)` in Å.

    Each block has a stream of random numbers of its own, so that any of them can be drawn without those before it.
    """
    first, second = np.triu_indices(5, 1)
    drawn = DRAWN * 9 // 8  # one in 23 has atoms too near to each other
    for block in range(start // DRAWN, -(-n // DRAWN)):
        rng = np.random.default_rng([seed, block])
        kept = np.zeros((0, 4, 3))
        while len(kept) < DRAWN:
            hydrogens = rng.normal(size=(4, 3, drawn))
            hydrogens *= SPHERE * np.cbrt(rng.uniform(size=(4, 1, drawn))) / np.sqrt((hydrogens**2).sum(1))[:, None]
            atoms = np.concatenate([np.zeros((1, 3, drawn)), hydrogens])
            apart = ((atoms[first] - atoms[second]) ** 2).sum(1).min(0) >= SMALLEST_DISTANCE**2
            kept = np.concatenate([kept, hydrogens[:, :, apart].transpose(2, 0, 1)])
        low = max(start - block * DRAWN, 0)
        yield block * DRAWN + low, kept[low : min(DRAWN, n - block * DRAWN)]


def _methanes(hydrogens: np.ndarray) -> Iterator[Atoms]:
    from ase import Atoms

    for positions in hydrogens:
        yield Atoms(numbers=[6, 1, 1, 1, 1], positions=np.concatenate([np.zeros((1, 3)), positions]))


_SETS: dict[str, Callable[[str], Source]] = {
    "g2": _collection,
    "s22": _collection,
    "dcdft": _collection,
    "prl-methane": _prl_methane,
}
