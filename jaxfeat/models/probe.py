"""The probe of a model by hand."""

import jax
import numpy as np

from jaxfeat.errors import GeometryError, ModelError
from jaxfeat.geometry.structure import Structure
from jaxfeat.models.external import ExternalFeaturizer
from jaxfeat.models.measure import Probe


def probe(m: ExternalFeaturizer, structure: Structure) -> Probe:
    """Measure how a model responds to motions that must not change its features, and how exact its Jacobian is.

    Every model is probed on its first use, with three of its centers. This function probes all centers of the
    structure, and what it finds replaces what was found before: the floor of all that follows, and the group if it was
    not declared.

    **Arguments:**

    - `m`: A model, made by `jaxfeat.external` or an adapter.
    - `structure`: One structure from `jaxfeat.structures`, which should have no symmetry and several like atoms.

    **Returns:** A `Probe`. Its responses are NaN if no displacement changes the features.

    **Raises:** `ModelError` if `m` is no model of this kind, or if its Jacobian differs from five-point differences of
    the features by more than 1e-8 of its length in float64, or 1e-3 in float32. `GeometryError` for a batch.

    **Source:** docs/theory, "Models of others".
    """
    if not isinstance(m, ExternalFeaturizer):
        raise ModelError(f"{type(m).__name__} needs no probe; only models from outside of JAX do.")
    if not isinstance(structure, Structure) or structure.batch_shape:
        raise GeometryError("a probe takes one structure; make one with jaxfeat.structures.")
    m.check_atoms(structure)
    return m.probe_at(jax.tree.map(np.asarray, structure))
