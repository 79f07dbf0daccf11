"""One list of featurizers and a few named environments: what every contract test runs over.

Each radial basis meets each cutoff, each class several of both; pseudoscalars, species, the center, the scaling and
the order take turns. Sizes are small because each case is compiled.
"""

from dataclasses import dataclass, field
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

import jaxfeat
from jaxfeat.basis.cutoff import NoCutoff, ShiftedCosine, Smoothstep, Willatt2018

R_CUT = 3.0
WIDTH = 0.8
"""Of the windows (Å). No named environment has a neighbor within 0.05 Å of either end, where derivatives may jump."""

ROOM = 5
"""Neighbors that the environments below are padded to."""

BATCH = 8
"""Environments that are evaluated at once. One shape for all tests means one compilation for all of them."""

CUTOFFS = {"none": NoCutoff(), "cosine": ShiftedCosine(WIDTH), "smooth": Smoothstep(WIDTH)}


@dataclass(frozen=True)
class Case:
    """A featurizer: its class's name in `jaxfeat`, a name for its basis, and what differs from the defaults below."""

    cls: str
    basis: str
    cutoff: str
    options: dict = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        extras = [f"{name}={value}" for name, value in self.options.items() if name != "radial_scaling"]
        extras += ["scaled"] * ("radial_scaling" in self.options)
        return "-".join([self.cls, self.basis, self.cutoff, *extras]).replace(" ", "").replace("'", "")

    @property
    def species(self) -> tuple[str, ...]:
        return self.options.get("species", ("C", "H"))

    def build(self, **changes):
        """The featurizer; the same object for the same changes."""
        return _build(self, tuple(sorted(changes.items())))

    @property
    def smooth(self) -> bool:
        """Whether three derivatives are continuous at `R_CUT`."""
        return self.cutoff == "smooth"


@cache
def _build(case: Case, changes: tuple):
    delta = case.basis == "delta"
    options = {
        "species": ("C", "H"),
        "r_cut": R_CUT,
        "n_max": 2,
        "l_max": 2,
        "sigma": 0.0 if delta else 0.5,
        "radial": "laplacian" if delta else case.basis,
        "cutoff": CUTOFFS[case.cutoff],
    }
    return getattr(jaxfeat, case.cls)(**{**options, **case.options, **dict(changes)})


def _willatt(rate: float) -> Willatt2018:
    return Willatt2018(scale=1.6, rate=rate, exponent=2.0)


CASES = [
    Case("RadialSpectrum", "gto-rascal", "none"),
    Case("RadialSpectrum", "delta", "smooth", {"n_max": 3, "include_center": 0.5}),
    Case("PowerSpectrum", "gto", "none", {"species": ("H", "C"), "l_max": 3}),
    Case("PowerSpectrum", "gto", "smooth", {"n_max": 1, "l_max": 0, "include_center": False}),
    Case("PowerSpectrum", "gto-rascal", "cosine", {"include_center": 0.5, "radial_scaling": _willatt(1.5)}),
    Case("PowerSpectrum", "laplacian", "smooth", {"include_center": False}),
    Case("PowerSpectrum", "delta", "none", {"species": ("H",), "n_max": 3}),
    Case("Bispectrum", "gto", "smooth", {"pseudoscalars": True}),
    Case("Bispectrum", "gto-rascal", "smooth", {"include_center": False, "radial_scaling": _willatt(0.7)}),
    Case("Bispectrum", "laplacian", "none", {"pseudoscalars": True, "species": ("H",), "include_center": 0.5}),
    Case("Correlations", "gto", "cosine", {"nu": 4, "pseudoscalars": True, "l_max": 1}),
    Case("Correlations", "laplacian", "cosine", {"nu": 3, "pseudoscalars": True, "n_max": 1, "include_center": False}),
    Case("Correlations", "delta", "cosine", {"nu": 4, "species": ("H",), "l_max": 1, "n_max": 3}),
]


def _one(cls: str, basis: str) -> Case:
    return next(case for case in CASES if (case.cls, case.basis) == (cls, basis))


REPRESENTATIVES = [
    _one("Correlations", "gto"),
    _one("PowerSpectrum", "laplacian"),
    _one("RadialSpectrum", "delta"),
    _one("Bispectrum", "gto-rascal"),
]
"""One of each class, and one of each basis, for what costs further compilations."""


def parametrized(cases=CASES):
    """The cases as pytest parameters, with their ids."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases])


# --- environments ----------------------------------------------------------------------------------------------------

METHANE = 1.09 / np.sqrt(3) * np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])

POSITIONS = {
    "generic": [[0.9, -0.3, 0.5], [-0.4, 1.1, 0.7], [0.2, 0.8, -1.6], [-1.2, -0.5, 0.1], [0.3, -1.4, -1.3]],
    "on the z axis": [[0.0, 0.0, 1.2], [0.0, 0.0, -0.9], [0.7, 0.9, 0.4]],
    "in the window": [[1.5, 1.2, 1.7], [-2.3, 1.1, 0.4], [0.4, 0.6, -0.8]],
    "near the center": [[0.03, -0.02, 0.01], [0.9, 0.4, -1.1]],
    "planar": [[1.1, 0.0, 0.0], [-0.3, 1.4, 0.0], [-0.8, -0.9, 0.0], [0.5, -1.7, 0.0]],
    "tetrahedron": METHANE.tolist(),
    "collinear": [[0.6, 0.8, 1.0], [-0.9, -1.2, -1.5]],
    "one neighbor": [[0.4, -0.7, 1.3]],
}
"""Å, relative to the center. Species take turns."""


def environment(name: str, species: tuple[str, ...]) -> jaxfeat.Environment:
    """A named environment, of these species in turn, about a center of the first."""
    positions = POSITIONS[name]
    turns = [species[k % len(species)] for k in range(len(positions))]
    return jaxfeat.Environment.from_neighbors(positions, turns, species[0])


def environments(species: tuple[str, ...], names=tuple(POSITIONS)) -> jaxfeat.Environment:
    """Named environments as a batch of `BATCH`, the last one repeated, with `ROOM` for neighbors."""
    some = [environment(name, species).padded(ROOM) for name in names]
    some += [some[-1]] * (BATCH - len(some))
    return jaxfeat.Environment.stack(some)


def random_displacements(batch: jaxfeat.Environment, seed: int) -> np.ndarray:
    """A unit displacement of each environment's neighbors; none of the padding."""
    u = np.random.default_rng(seed).normal(size=batch.positions.shape) * np.asarray(batch.mask)[..., None]
    return u / np.linalg.norm(u, axis=(-2, -1), keepdims=True)


def moved(batch: jaxfeat.Environment, positions: np.ndarray) -> jaxfeat.Environment:
    """The same atoms at other positions, in the dtype that they had."""
    return batch.with_positions(jnp.asarray(positions, batch.positions.dtype))


def as_float32(batch: jaxfeat.Environment) -> jaxfeat.Environment:
    return batch.with_positions(batch.positions.astype(jnp.float32))


def wobbling_methanols(n, seed):
    """Methanols with random displacements of 0.05 Å: frames of a trajectory."""
    atoms, rng = molecule("CH3OH"), np.random.default_rng(seed)
    return [Atoms(atoms.numbers, atoms.positions + 0.05 * rng.normal(size=(len(atoms), 3))) for _ in range(n)]
