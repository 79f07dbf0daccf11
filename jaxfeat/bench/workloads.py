"""The workloads of the benchmark: structures, settings, and the Jacobians to compute. Every package gets the same. ASE
is imported inside functions, so that this module loads without it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.species import Atoms

MILLION = "M"  # the workload of a million random methanes, which has no structures: they are drawn within the clock
MILLION_TITLE = "random CH4 one after another, environments of C as in W1e, drawn within the clock"
DATA = "JAXFEAT_3BPA"  # the environment variable with the file of W6
NO_DATA = f"W6 needs 3bpa_train_300K.xyz of the BOTNet data sets; name the file with --data or {DATA}."
WINDOW_WIDTH = 0.5  # Å; the width of the cosine window before r_cut, for the packages that have one
SMOKE: dict[str, Any] = {"n_max": 2, "l_max": 2}  # The basis of a smoke run. Its programs are those of a large basis.


class Neighborhood(NamedTuple):
    """One environment: the index of its structure in the workload, and its center and neighbors in the structure."""

    structure: int
    center: int
    neighbors: np.ndarray


@dataclass(frozen=True)
class Workload:
    """Structures and settings, from which every package computes the same Jacobians.

    If `stacked`, each structure has one Jacobian, of the features of all `centers` (indices; `None` for all atoms) by
    the positions of all atoms. Otherwise each environment has one by the positions of its neighbors, with the center
    fixed. `rooms` are sizes to pad to, in atoms of a structure or neighbors of an environment; without them all items
    are padded to the largest. jaxfeat gets `block_items` items in one call.
    """

    name: str
    title: str
    atoms: list[Atoms]
    settings: dict[str, Any]
    centers: list[int] | None = None
    stacked: bool = True
    nu: int = 2
    rooms: tuple[int, ...] = ()
    block_items: int = 50

    @property
    def periodic(self) -> bool:
        return bool(self.atoms[0].pbc.any())

    def centers_of(self, atoms: Atoms) -> list[int]:
        return list(range(len(atoms))) if self.centers is None else self.centers

    @property
    def unit(self) -> str:
        """The name of the items in the plural."""
        return "configurations" if self.stacked else "environments"

    @property
    def n_items(self) -> int:
        """The number of Jacobians."""
        return len(self.atoms) if self.stacked else sum(len(self.centers_of(a)) for a in self.atoms)

    def neighborhoods(self) -> list[Neighborhood]:
        """List the environments of molecules, in the order of structures and centers."""
        found = []
        for k, atoms in enumerate(self.atoms):
            distances = np.linalg.norm(atoms.positions[:, None] - atoms.positions[None], axis=-1)
            np.fill_diagonal(distances, np.inf)
            for center in self.centers_of(atoms):
                found.append(Neighborhood(k, center, np.flatnonzero(distances[center] < self.settings["r_cut"])))
        return found


METHANE: dict[str, Any] = {"species": ("H", "C"), "r_cut": 4.0, "n_max": 8, "l_max": 6, "sigma": 0.3}
ORGANIC: dict[str, Any] = {**METHANE, "species": ("H", "C", "N", "O"), "r_cut": 5.0}


def random_methanes(n: int, seed: int = 0) -> list[Atoms]:
    """Draw methanes with H 0.8 to 1.6 Å from C, by NumPy, because processes of peers must not load JAX."""
    from ase import Atoms

    rng = np.random.default_rng(seed)
    v = rng.normal(size=(n, 4, 3))
    v *= rng.uniform(0.8, 1.6, size=(n, 4, 1)) / np.linalg.norm(v, axis=-1, keepdims=True)
    return [Atoms("CH4", np.concatenate([np.zeros((1, 3)), hydrogens])) for hydrogens in v]


def shrink_basis(settings: dict[str, Any], smoke: bool) -> dict[str, Any]:
    return settings | SMOKE if smoke else settings


def w1(smoke: bool, _: Path | None) -> Workload:
    atoms = random_methanes(4 if smoke else 1000)
    title = "random CH4, the C center, all 15 coordinates"
    return Workload("W1", title, atoms, shrink_basis(METHANE, smoke), [0])


def w1e(smoke: bool, data: Path | None) -> Workload:
    title = "W1's environments: the center fixed, 12 coordinates"
    return replace(w1(smoke, data), name="W1e", title=title, stacked=False)


def w2(smoke: bool, data: Path | None) -> Workload:
    title = "random CH4, all 5 centers stacked"
    return replace(w1(smoke, data), name="W2", title=title, centers=None, block_items=20)


def w3(smoke: bool, _: Path | None) -> Workload:
    from ase.collections import g2

    molecules = [g2[name] for name in g2.names]
    kept = [a for a in molecules if 5 <= len(a) <= 15 and set(a.symbols) <= set(ORGANIC["species"])]
    title = "molecules of g2 with 5-15 atoms of H, C, N, O; all centers stacked"
    settings = shrink_basis({**ORGANIC, "n_max": 6}, smoke)
    if smoke:
        return Workload("W3", title, kept[:3], settings, block_items=4)
    return Workload("W3", title, kept, settings, rooms=(7, 8, 10, 12, 14), block_items=4)


def w4(smoke: bool, _: Path | None) -> Workload:
    from ase.build import bulk

    crystals = []
    for seed in range(2 if smoke else 4):
        crystals.append(bulk("Si", cubic=True) * ((1, 1, 1) if smoke else (2, 2, 2)))
        crystals[-1].rattle(0.1, seed=seed)
    # Like the large cell, the small one is wider than twice the cutoff.
    settings = {"species": ("Si",), "r_cut": 2.6 if smoke else 5.0, "n_max": 8, "l_max": 8, "sigma": 0.3}
    title = f"{len(crystals[0])}-atom diamond Si, periodic, rattled 0.1 Å; all centers stacked"
    return Workload("W4", title, crystals, shrink_basis(settings, smoke), block_items=1)


def w5(smoke: bool, _: Path | None) -> Workload:
    atoms, settings = random_methanes(4 if smoke else 200), shrink_basis({**METHANE, "n_max": 4, "l_max": 4}, smoke)
    title = "W1's environments, bispectrum of both species"
    return Workload("W5", title, atoms, settings, [0], stacked=False, nu=3, block_items=10)


def w6(smoke: bool, data: Path | None) -> Workload:
    from jaxfeat.geometry.files.read import read

    if data is None:
        raise ReadError(NO_DATA)
    every = read(data).atoms
    # Evenly spaced in the trajectory, because neighboring frames look alike.
    frames = every[:: max(1, len(every) // 8)][: 1 if smoke else 8]
    title = f"{len(frames)} frames of molecular dynamics, every environment, the center fixed"
    rooms, block_items = ((), 27) if smoke else ((14, 18, 24), 4)
    settings = shrink_basis(ORGANIC, smoke)
    return Workload("W6", title, frames, settings, stacked=False, rooms=rooms, block_items=block_items)


WORKLOADS: dict[str, Callable[[bool, Path | None], Workload]] = {
    "W1": w1, "W1e": w1e, "W2": w2, "W3": w3, "W4": w4, "W5": w5, "W6": w6,
}  # fmt: skip
"""Functions of `smoke` and the file of W6 that make the workloads. In a smoke run they make a few structures."""

WORKLOAD_NAMES = (*WORKLOADS, MILLION)

WITHOUT_PEERS = {  # workloads that only jaxfeat computes, with the reason
    "W5": "no peer has this Jacobian: DScribe has no bispectrum, featomic's Clebsch-Gordan products refuse gradients, "
    "quippy's mixes species",
    MILLION: "for a peer this is W1e once more",
}
