"""The check that every public function makes of its featurizer and its input."""

from __future__ import annotations

from typing import Any

from jaxfeat.errors import BasisError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap


def check_compatible(f: Any, at: Any) -> None:
    """Raise an error if `f` cannot describe `at` (outside jit and vmap).

    **Raises:** `BasisError` if `f` is no featurizer and no structure map. `GeometryError` if `at` is no environment
    (for a featurizer) or no structure (for a structure map), or was cut at a radius that does not suit `f`.
    `SpeciesError` if `at` holds an element that `f` does not know.
    """
    if isinstance(f, type):
        raise BasisError(f"{f.__name__} is a class; make a featurizer of it, as in {f.__name__}(species=...).")
    if not isinstance(f, (AbstractFeaturizer, AbstractStructureMap)):
        raise BasisError(f"{type(f).__name__} is no featurizer; make one of a function with jaxfeat.function.")
    f.check(at)
