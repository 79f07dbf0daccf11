"""One list of featurizers and a few named environments, over which every contract test runs.

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
from references import random_cluster

import jaxfeat
from jaxfeat.cutoffs import NoCutoff, ShiftedCosine, Smoothstep, Willatt2018

R_CUT = 3.0
WIDTH = 0.8
"""Width of the windows, Å. No named environment has a neighbor within 0.05 Å of an end, where derivatives may jump."""

ROOM = 5
"""Number of neighbors to which the environments below are padded."""

BATCH = 8
"""Number of environments in one batch. All tests share one shape, and hence one compilation."""

CUTOFFS = {"none": NoCutoff(), "cosine": ShiftedCosine(WIDTH), "smooth": Smoothstep(WIDTH)}


@dataclass(frozen=True)
class Case:
    """A featurizer: the name of its class, a name for its basis, and options that differ from the defaults below."""

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
        """Build the featurizer; the same changes give the same object."""
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
"""One case of each class and of each basis, for tests that compile more."""


def parametrized(cases=CASES):
    """Parametrize a test by cases, with their ids."""
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
    """Make a named environment in which `species` take turns, about a center of the first."""
    positions = POSITIONS[name]
    turns = [species[k % len(species)] for k in range(len(positions))]
    return jaxfeat.Environment.from_neighbors(positions, turns, species[0])


def environments(species: tuple[str, ...], names=tuple(POSITIONS)) -> jaxfeat.Environment:
    """Stack named environments, padded to `ROOM`, into a batch of `BATCH`; the last one is repeated."""
    some = [environment(name, species).padded(ROOM) for name in names]
    some += [some[-1]] * (BATCH - len(some))
    return jaxfeat.Environment.stack(some)


def random_displacements(batch: jaxfeat.Environment, seed: int) -> np.ndarray:
    """Draw a unit displacement of the neighbors of each environment; padding stays at rest."""
    u = np.random.default_rng(seed).normal(size=batch.positions.shape) * np.asarray(batch.mask)[..., None]
    return u / np.linalg.norm(u, axis=(-2, -1), keepdims=True)


def moved(batch: jaxfeat.Environment, positions: np.ndarray) -> jaxfeat.Environment:
    """Move the atoms to other positions, and keep the dtype."""
    return batch.with_positions(jnp.asarray(positions, batch.positions.dtype))


def as_float32(batch: jaxfeat.Environment) -> jaxfeat.Environment:
    return batch.with_positions(batch.positions.astype(jnp.float32))


def wobbling_methanols(n, seed):
    """Methanols with random displacements of 0.05 Å: frames of a trajectory."""
    atoms, rng = molecule("CH3OH"), np.random.default_rng(seed)
    return [Atoms(atoms.numbers, atoms.positions + 0.05 * rng.normal(size=(len(atoms), 3))) for _ in range(n)]


# --- random clusters, for references that share no code with the package ---------------------------------------------


def density_options(radial: str, sigma: float, n_max: int, l_max: int, cutoff: str) -> dict:
    """Return arguments of a featurizer of two species."""
    sizes = {"n_max": n_max, "l_max": l_max, "sigma": sigma, "radial": radial}
    return {"species": ("C", "H"), "r_cut": R_CUT, "cutoff": CUTOFFS[cutoff], **sizes}


def cluster_setting(seed: int, n: int, cutoff: str):
    """Draw an environment of C and H about a carbon.

    **Returns:** the environment; its positions and species with the center first, and the window as a function of
    distance, as references.py takes them.
    """
    positions, species = random_cluster(np.random.default_rng(seed), n, 2, 0.8, R_CUT - 0.1, 0.7)
    env = jaxfeat.Environment.from_neighbors(positions, ["CH"[s] for s in species], "C")
    inwards = lambda r: np.clip((r - R_CUT + WIDTH) / WIDTH, 0, 1)  # noqa: E731
    weight = {
        "none": lambda r: 1.0,
        "cosine": lambda r: 0.5 * (1 + np.cos(np.pi * inwards(r))),
        "smooth": lambda r: 1 - inwards(r) ** 5 * np.polyval([70, -315, 540, -420, 126], inwards(r)),
    }[cutoff]
    return env, np.vstack([np.zeros((1, 3)), positions]), [0, *species], weight


def parities(f):
    """Return -1 for the features of a density featurizer that change sign under inversion, and 1 for others."""
    if f.nu < 3:
        return np.ones(f.n_features)
    return np.array([(-1) ** sum(label[2 : 3 * f.nu : 3]) for label in f.labels])
