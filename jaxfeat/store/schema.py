"""What a data set of environments holds: names, axes and types, and the arrays of some environments."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.spec import identity
from jaxfeat.geometry.environment import Environment
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.scan import ScanArrays, scan_arrays

VERSIONS = ("jaxfeat", "jax", "jaxlib", "numpy")
"""Packages whose versions say how numbers were rounded."""


class Variable(NamedTuple):
    """Axes after those of the environments, type, what stands where there is nothing, and attributes."""

    axes: tuple[str, ...]
    dtype: Any
    missing: Any
    attributes: dict[str, str]


_PER_LENGTH = {"units": "features/Å"}

VARIABLES = {
    "sigma": Variable(("value",), float, np.nan, {"long_name": "singular values", **_PER_LENGTH}),
    "sigma_equilibrated": Variable(("value",), float, np.nan, {"long_name": "equilibrated ones"}),
    "floor": Variable((), float, np.nan, _PER_LENGTH),
    "floor_equilibrated": Variable((), float, np.nan, {}),
    "n_values": Variable((), np.int32, 0, {}),
    "certified": Variable((), bool, False, {"long_name": "values found by QR"}),
    "null": Variable(("cause",), np.int32, 0, {"long_name": "null directions by cause"}),
    "status": Variable((), str, "", {}),
}
"""Of any environments."""

ORIGINS = {
    "structure_index": Variable((), np.int32, -1, {"long_name": "frame"}),
    "center_index": Variable((), np.int32, -1, {"long_name": "atom of the frame"}),
}
"""Coordinates of environments that were read."""

ATOMS = {
    "center_species": Variable((), np.int16, 0, {"long_name": "atomic number"}),
    "n_neighbors": Variable((), np.int32, 0, {}),
}
PLACES = {
    "positions": Variable(
        ("neighbor", "xyz"), float, np.nan, {"long_name": "positions relative to the center", "units": "Å"}
    ),
    "species": Variable(("neighbor",), np.int16, 0, {"long_name": "atomic numbers of the neighbors"}),
}


def variables(positions: bool) -> dict[str, Variable]:
    """All that are known of a batch of environments, with or without where their neighbors are."""
    return VARIABLES | ORIGINS | ATOMS | (PLACES if positions else {})


def spectra(found: ScanArrays) -> dict[str, np.ndarray]:
    """The arrays of `VARIABLES`, environments first."""
    k = int(found.n_values.max(initial=0))
    cut = {"sigma": found.sigma[:, :k], "sigma_equilibrated": found.sigma_equilibrated[:, :k]}
    return {name: cut.get(name, getattr(found, name)) for name in VARIABLES}


def atoms(environments: Environment, positions: bool) -> dict[str, np.ndarray]:
    """The arrays of `ORIGINS`, `ATOMS` and `PLACES`."""
    host = jax.tree.map(np.asarray, environments)
    found = {name: getattr(host, name) for name in (*ORIGINS, *ATOMS)}
    if positions:
        found["positions"] = np.where(host.mask[..., None], host.positions, np.nan)
        found["species"] = host.species
    return found


def chunk_arrays(
    f: AbstractFeaturizer, environments: Environment, screened: bool, chunk: int, positions: bool, progress: Any = None
) -> dict[str, np.ndarray]:
    """All arrays of one chunk of a sweep: a function of its arguments alone, whoever calls it."""
    found = scan_arrays(f, environments, progress, screened, chunk)
    arrays = spectra(found) | atoms(environments, positions)
    kinds = {name: object if v.dtype is str else v.dtype for name, v in variables(positions).items()}
    return {name: arrays[name].astype(kind, copy=False) for name, kind in kinds.items()}


def described(f: AbstractFeaturizer) -> str:
    """Describe a featurizer: its identity, or for the reader alone its `repr` where it has none."""
    return identity(f) or " ".join(repr(f).split())


def versions() -> dict[str, str]:
    """Look up the installed version of each of `VERSIONS`."""
    return {name: version(name) for name in VERSIONS}


def provenance(f: AbstractFeaturizer) -> dict[str, str]:
    """Attributes that say what made a data set."""
    return {
        "featurizer": described(f),
        "precision": str(jnp.result_type(float)),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **versions(),
    }


CAUSE_NAMES = np.asarray(CAUSES)
