"""The variables of a data set of environments: names, axes, types, and their values for a batch."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.spec import write_identity
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.scan import ScanArrays

CAUSE_NAMES = np.asarray(CAUSES)
PACKAGES = ("jaxfeat", "jax", "jaxlib", "numpy")  # packages whose versions decide how numbers are rounded


class Variable(NamedTuple):
    """A variable: its axes after that of the environments, its type on disk, and the value of unfilled elements."""

    axes: tuple[str, ...]
    dtype: Any
    missing: Any
    attributes: dict[str, str]


_PER_LENGTH = {"units": "features/Å"}

SPECTRA = {
    "sigma": Variable(("value",), float, np.nan, {"long_name": "singular values", **_PER_LENGTH}),
    "sigma_equilibrated": Variable(("value",), float, np.nan, {"long_name": "equilibrated singular values"}),
    "floor": Variable((), float, np.nan, _PER_LENGTH),
    "floor_equilibrated": Variable((), float, np.nan, {}),
    "n_values": Variable((), np.int32, 0, {}),
    "certified": Variable((), bool, False, {"long_name": "values found by QR"}),
    "null": Variable(("cause",), np.int32, 0, {"long_name": "null directions by cause"}),
    "status": Variable((), str, "", {}),
}

ORIGINS = {  # where an environment was read
    "structure_index": Variable((), np.int32, -1, {"long_name": "frame"}),
    "center_index": Variable((), np.int32, -1, {"long_name": "atom of the frame"}),
}

CENTERS = {
    "center_species": Variable((), np.int16, 0, {"long_name": "atomic number"}),
    "n_neighbors": Variable((), np.int32, 0, {}),
}

NEIGHBORS = {
    "positions": Variable(
        ("neighbor", "xyz"), float, np.nan, {"long_name": "positions relative to the center", "units": "Å"}
    ),
    "species": Variable(("neighbor",), np.int16, 0, {"long_name": "atomic numbers of the neighbors"}),
}


def variables(positions: bool) -> dict[str, Variable]:
    """List the variables of a batch of environments, with or without those of `NEIGHBORS`."""
    return SPECTRA | ORIGINS | CENTERS | (NEIGHBORS if positions else {})


def spectrum_arrays(found: ScanArrays) -> dict[str, np.ndarray]:
    """Give the variables of `SPECTRA` their values."""
    k = int(found.n_values.max(initial=0))
    cut = {"sigma": found.sigma[:, :k], "sigma_equilibrated": found.sigma_equilibrated[:, :k]}
    return {name: cut.get(name, getattr(found, name)) for name in SPECTRA}


def atom_arrays(environments: Environment, positions: bool) -> dict[str, np.ndarray]:
    """Give the variables of `ORIGINS`, `CENTERS` and, if asked for, `NEIGHBORS` their values."""
    host = jax.tree.map(np.asarray, environments)
    found = {name: getattr(host, name) for name in (*ORIGINS, *CENTERS)}
    if positions:
        found["positions"] = np.where(host.mask[..., None], host.positions, np.nan)
        found["species"] = host.species
    return found


def versions() -> dict[str, str]:
    """Look up the installed version of each of `PACKAGES`."""
    return {name: version(name) for name in PACKAGES}


def provenance(f: AbstractFeaturizer) -> dict[str, str]:
    """Collect the attributes that say what made a data set. Without an identity, a `repr` describes the featurizer."""
    return {
        "featurizer": write_identity(f) or " ".join(repr(f).split()),
        "precision": str(jnp.result_type(float)),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **versions(),
    }
