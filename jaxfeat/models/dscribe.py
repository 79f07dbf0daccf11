"""Descriptors of DScribe as featurizers."""

from copy import copy
from typing import Any

import numpy as np

from jaxfeat.errors import ModelError
from jaxfeat.geometry.structure import Structure
from jaxfeat.models.ase_atoms import as_atoms
from jaxfeat.models.differences import differentiate
from jaxfeat.models.external import ExternalFeaturizer, make_model


def from_dscribe(descriptor: Any, *, key: str | None = None) -> ExternalFeaturizer:
    """Make a featurizer of a SOAP or ACSF object of DScribe.

    Centers move with their atoms (`attach=True` in DScribe). Derivatives of a SOAP with Gaussian-type orbitals, without
    weighting, and without compression other than "crossover" are DScribe's analytic ones. All others are differences as
    of `jaxfeat.from_features`, also those of ACSF: DScribe's own differences are of the second order, and wrong by 1e-8
    and more. Each center of a crystal is described in the cluster of its neighbors, whose derivatives are analytic too,
    so the object's `periodic` does not matter.

    The reach of SOAP is its `r_cut` and 3.7 σ more, because DScribe adds Gaussians whose tail reaches inside. There
    the features jump by some 1e-3 of a neighbor's density, which a Jacobian does not show.

    **Arguments:**

    - `descriptor`: A `dscribe.descriptors.SOAP` with `average="off"`, or a `dscribe.descriptors.ACSF`.
    - `key`: A text that identifies the descriptor in a store. By default it is made of the settings.

    **Returns:** a featurizer as of `jaxfeat.external`, of order ν = 2; an ACSF without functions of angles has ν = 1.

    **Raises:** `ModelError` for other descriptors, and for averaged ones, which have no features of atoms.
    """
    kind = type(descriptor).__name__
    if kind not in ("SOAP", "ACSF"):
        raise ModelError(f"{kind} is no SOAP or ACSF of DScribe; give its values to jaxfeat.from_features.")
    own = copy(descriptor)
    own.periodic = own.sparse = False
    if kind == "SOAP":
        return _from_soap(own, key)
    parts = {
        name: np.asarray(getattr(own, name)).tolist() for name in ("g2_params", "g3_params", "g4_params", "g5_params")
    }
    nu = 2 if parts["g4_params"] or parts["g5_params"] else 1
    key = key or f"dscribe ACSF {own.r_cut} {parts} {own.dtype}"

    def evaluate(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        return _differentiate(own, structure)

    return make_model(
        evaluate, reach=own.r_cut, nu=nu, group="O3", species=own.species, key=key, name="DScribe ACSF", periodic=False
    )


def _from_soap(soap: Any, key: str | None) -> ExternalFeaturizer:
    if soap.average != "off":
        raise ModelError(f"a SOAP with average={soap.average!r} has no features of atoms; make one with average='off'.")
    analytic = _is_analytic(soap)

    def evaluate(structure: Structure) -> tuple[np.ndarray, np.ndarray]:
        if not analytic:
            return _differentiate(soap, structure)
        centers = np.asarray(structure.center).tolist()
        slopes, features = soap.derivatives(as_atoms(structure), centers=centers, attach=True, method="analytical")
        return features, slopes.transpose(0, 3, 1, 2)

    settings = (
        soap._r_cut,
        soap._n_max,
        soap._l_max,
        soap._sigma,
        soap._rbf,
        soap._weighting,
        soap.compression,
        soap.dtype,
    )
    return make_model(
        evaluate,
        reach=soap._r_cut + soap.get_cutoff_padding(),
        nu=2,
        group="O3",
        species=soap.species,
        key=key or f"dscribe SOAP {settings}",
        name=f"DScribe SOAP, {'analytic derivatives' if analytic else 'differences'}",
        periodic=False,
    )


def _is_analytic(soap: Any) -> bool:
    try:
        return soap.validate_derivatives_method("analytical", True) == "analytical"
    except ValueError:
        return False


def _differentiate(descriptor: Any, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    atoms, centers = as_atoms(structure), np.asarray(structure.center).tolist()

    def values(positions: np.ndarray) -> np.ndarray:
        atoms.set_positions(positions)
        return descriptor.create(atoms, centers=centers)

    return differentiate(values, np.asarray(structure.positions), None)
