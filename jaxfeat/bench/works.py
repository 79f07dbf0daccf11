"""The works that are timed: which structures, which settings, and what is asked of them.

Every package gets the same `Work`. ASE is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError

if TYPE_CHECKING:
    from ase import Atoms

MILLION = "M"
"""The work of `million`, which has no structures."""
MILLION_TITLE = "random CH4 one after another, environments of C as in W1e, drawn within the clock"

DATA = "JAXFEAT_3BPA"
"""The environment variable that names the frames of W6 where no file is given."""

NO_DATA = f"W6 needs 3bpa_train_300K.xyz of the BOTNet data sets; name the file with --data or {DATA}."

WIDTH = 0.5
"""Å, of the cosine window before r_cut, for the packages that have one."""

SMOKE: dict[str, Any] = {"n_max": 2, "l_max": 2}
"""The basis of a smoke run: whatever the size, about the same programs are compiled."""


class Neighborhood(NamedTuple):
    """One environment: its structure among a work's, its center there, and its neighbors there."""

    structure: int
    center: int
    neighbors: np.ndarray


@dataclass(frozen=True)
class Work:
    """What is to be computed, for every package alike.

    **Attributes:**

    - `atoms`: the structures. `centers`: indices in each of them; `None` for all.
    - `settings`: `species`, `r_cut` (Å), `n_max` (a count), `l_max` (inclusive), `sigma` (Å). `nu`: the body order.
    - `stacked`: one Jacobian a structure: features of all centers, with respect to all atoms, each center moving with
      its atom. Otherwise one an environment, with respect to the neighbors; the center is fixed.
    - `rooms`: sizes to pad to, in atoms of a structure or neighbors of an environment; empty for that of the largest.
    - `chunk`: items that jaxfeat takes at a time.
    - `unit`: what is counted, in the plural.
    """

    name: str
    title: str
    atoms: list[Atoms]
    settings: dict[str, Any]
    centers: list[int] | None = None
    stacked: bool = True
    nu: int = 2
    rooms: tuple[int, ...] = ()
    chunk: int = 50
    unit: str = "configurations"

    @property
    def periodic(self) -> bool:
        return bool(self.atoms[0].pbc.any())

    def centers_of(self, atoms: Atoms) -> list[int]:
        return list(range(len(atoms))) if self.centers is None else self.centers

    @property
    def n_items(self) -> int:
        """Jacobians in all."""
        return len(self.atoms) if self.stacked else sum(len(self.centers_of(a)) for a in self.atoms)

    def neighborhoods(self) -> list[Neighborhood]:
        """The environments of molecules, in the order of structures and centers."""
        found = []
        for k, atoms in enumerate(self.atoms):
            distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions[None], axis=-1)
            np.fill_diagonal(distances, np.inf)
            for center in self.centers_of(atoms):
                found.append(Neighborhood(k, center, np.flatnonzero(distances[center] < self.settings["r_cut"])))
        return found


METHANE: dict[str, Any] = {"species": ("H", "C"), "r_cut": 4.0, "n_max": 8, "l_max": 6, "sigma": 0.3}


def random_methanes(n: int, seed: int = 0) -> list[Atoms]:
    """C at the origin, 4 H at distances U(0.8, 1.6) Å in random directions."""
    from ase import Atoms

    rng = np.random.default_rng(seed)
    v = rng.normal(size=(n, 4, 3))
    v *= rng.uniform(0.8, 1.6, size=(n, 4, 1)) / np.linalg.norm(v, axis=-1, keepdims=True)
    return [Atoms("CH4", np.concatenate([np.zeros((1, 3)), hydrogens])) for hydrogens in v]


def _sized(settings: dict[str, Any], smoke: bool) -> dict[str, Any]:
    return {**settings, **SMOKE} if smoke else dict(settings)


def w1(smoke: bool, _: Path | None) -> Work:
    atoms, settings = random_methanes(4 if smoke else 1000), _sized(METHANE, smoke)
    return Work("W1", "random CH4, the C center, all 15 coordinates", atoms, settings, [0], chunk=50)


def w1e(smoke: bool, _: Path | None) -> Work:
    atoms, settings = random_methanes(4 if smoke else 1000), _sized(METHANE, smoke)
    title = "W1's environments: the center fixed, 12 coordinates"
    return Work("W1e", title, atoms, settings, [0], stacked=False, chunk=50, unit="environments")


def w2(smoke: bool, _: Path | None) -> Work:
    atoms, settings = random_methanes(4 if smoke else 1000), _sized(METHANE, smoke)
    return Work("W2", "random CH4, all 5 centers stacked", atoms, settings, chunk=20)


def w3(smoke: bool, _: Path | None) -> Work:
    from ase.collections import g2

    molecules = [g2[name] for name in g2.names]
    kept = [a for a in molecules if 5 <= len(a) <= 15 and set(a.symbols) <= {"H", "C", "N", "O"}]
    settings = _sized({"species": ("H", "C", "N", "O"), "r_cut": 5.0, "n_max": 6, "l_max": 6, "sigma": 0.3}, smoke)
    title = "molecules of g2 with 5-15 atoms of H, C, N, O; all centers stacked"
    return Work("W3", title, kept[:3] if smoke else kept, settings, rooms=() if smoke else (7, 8, 10, 12, 14), chunk=4)


def w4(smoke: bool, _: Path | None) -> Work:
    from ase.build import bulk

    crystals = []
    for seed in range(2 if smoke else 4):
        crystals.append(bulk("Si", cubic=True) * ((1, 1, 1) if smoke else (2, 2, 2)))
        crystals[-1].rattle(0.1, seed=seed)
    # The cell stays wider than twice the cutoff, as the whole one is.
    r_cut = 2.6 if smoke else 5.0
    settings = _sized({"species": ("Si",), "r_cut": r_cut, "n_max": 8, "l_max": 8, "sigma": 0.3}, smoke)
    title = f"{len(crystals[0])}-atom diamond Si, periodic, rattled 0.1 Å; all centers stacked"
    return Work("W4", title, crystals, settings, chunk=1)


def w5(smoke: bool, _: Path | None) -> Work:
    atoms = random_methanes(4 if smoke else 200)
    settings = _sized({**METHANE, "n_max": 4, "l_max": 4}, smoke)
    title = "W1e's environments, bispectrum of both species"
    return Work("W5", title, atoms, settings, [0], stacked=False, nu=3, chunk=10, unit="environments")


def w6(smoke: bool, data: Path | None) -> Work:
    from jaxfeat.geometry.files.read import read

    if data is None:
        raise ReadError(NO_DATA)
    every = read(data).atoms
    # Evenly through the trajectory: neighboring frames look alike.
    frames = every[:: max(1, len(every) // 8)][: 1 if smoke else 8]
    settings = _sized({"species": ("H", "C", "N", "O"), "r_cut": 5.0, "n_max": 8, "l_max": 6, "sigma": 0.3}, smoke)
    title = f"{len(frames)} frames of molecular dynamics, every environment, the center fixed"
    rooms, chunk = ((), 27) if smoke else ((14, 18, 24), 4)
    return Work("W6", title, frames, settings, None, False, rooms=rooms, chunk=chunk, unit="environments")


WORKS: dict[str, Callable[[bool, Path | None], Work]] = {
    "W1": w1,
    "W1e": w1e,
    "W2": w2,
    "W3": w3,
    "W4": w4,
    "W5": w5,
    "W6": w6,
}

ALONE = {
    "W5": "no peer has this Jacobian: DScribe has no bispectrum, featomic's Clebsch-Gordan products refuse gradients, "
    "quippy's mixes species",
    MILLION: "for a peer this is W1e once more",
}
"""Works that only jaxfeat does, and why."""
