"""Exact Jacobians and singular spectra of structure-feature maps: find what atomic descriptors cannot see.

Each public name is imported when it is first used. `import jaxfeat` therefore loads neither JAX nor NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxfeat import cutoffs as cutoffs
    from jaxfeat import errors as errors
    from jaxfeat import manifolds as manifolds
    from jaxfeat.choose.converge import converge as converge
    from jaxfeat.features.base import AbstractFeaturizer as AbstractFeaturizer
    from jaxfeat.features.correlations import Bispectrum as Bispectrum
    from jaxfeat.features.correlations import Correlations as Correlations
    from jaxfeat.features.function import function as function
    from jaxfeat.features.power_spectrum.featurizer import PowerSpectrum as PowerSpectrum
    from jaxfeat.features.radial_spectrum import RadialSpectrum as RadialSpectrum
    from jaxfeat.features.spec import from_spec as from_spec
    from jaxfeat.features.spec import spec as spec
    from jaxfeat.features.structure_map import stacked as stacked
    from jaxfeat.features.structure_map import summed as summed
    from jaxfeat.geometry.environment import Environment as Environment
    from jaxfeat.geometry.files.builtin import StructureSet as StructureSet
    from jaxfeat.geometry.files.frames import Frames as Frames
    from jaxfeat.geometry.files.frames import frames as frames
    from jaxfeat.geometry.files.read import read as read
    from jaxfeat.geometry.neighbors import environments as environments
    from jaxfeat.geometry.neighbors import structures as structures
    from jaxfeat.geometry.structure import Structure as Structure
    from jaxfeat.geometry.symmetry import Stabilizer as Stabilizer
    from jaxfeat.geometry.symmetry import stabilizer as stabilizer
    from jaxfeat.geometry.symmetry import symmetrized as symmetrized
    from jaxfeat.inverse.invert import Inverse as Inverse
    from jaxfeat.inverse.invert import invert as invert
    from jaxfeat.inverse.quasi_constant import QuasiConstantPath as QuasiConstantPath
    from jaxfeat.inverse.quasi_constant import trace_quasi_constant as trace_quasi_constant
    from jaxfeat.nulls.causes import NullSpace as NullSpace
    from jaxfeat.nulls.classify import null_space as null_space
    from jaxfeat.nulls.cure import Cure as Cure
    from jaxfeat.nulls.cure import cure as cure
    from jaxfeat.nulls.kernel import Kernel as Kernel
    from jaxfeat.nulls.kernel import complete_kernel as complete_kernel
    from jaxfeat.nulls.scan import scan as scan
    from jaxfeat.singular.find import find_singular_points as find_singular_points
    from jaxfeat.singular.search_space import Free as Free
    from jaxfeat.singular.search_space import Within as Within
    from jaxfeat.singular.singular_points import SingularPoints as SingularPoints
    from jaxfeat.singular.trace import SingularPath as SingularPath
    from jaxfeat.singular.trace import trace_singular_set as trace_singular_set
    from jaxfeat.spectrum.driver import singular_spectrum as singular_spectrum
    from jaxfeat.spectrum.jacobian import jacobian as jacobian
    from jaxfeat.spectrum.log_sensitivity import log_sensitivity as log_sensitivity
    from jaxfeat.spectrum.spectrum import Spectrum as Spectrum
    from jaxfeat.spectrum.status import Status as Status
    from jaxfeat.store.sweep import sweep as sweep

    __version__: str

_MODULES = {
    "cutoffs": "cutoffs",
    "errors": "errors",
    "manifolds": "manifolds",
}
"""Modules that are public as a whole."""

_HOMES = {
    "AbstractFeaturizer": "features.base",
    "Bispectrum": "features.correlations",
    "Correlations": "features.correlations",
    "Cure": "nulls.cure",
    "Environment": "geometry.environment",
    "Frames": "geometry.files.frames",
    "Free": "singular.search_space",
    "Inverse": "inverse.invert",
    "Kernel": "nulls.kernel",
    "NullSpace": "nulls.causes",
    "PowerSpectrum": "features.power_spectrum.featurizer",
    "QuasiConstantPath": "inverse.quasi_constant",
    "RadialSpectrum": "features.radial_spectrum",
    "SingularPath": "singular.trace",
    "SingularPoints": "singular.singular_points",
    "Spectrum": "spectrum.spectrum",
    "Stabilizer": "geometry.symmetry",
    "Status": "spectrum.status",
    "Structure": "geometry.structure",
    "StructureSet": "geometry.files.builtin",
    "Within": "singular.search_space",
    "complete_kernel": "nulls.kernel",
    "converge": "choose.converge",
    "cure": "nulls.cure",
    "environments": "geometry.neighbors",
    "find_singular_points": "singular.find",
    "frames": "geometry.files.frames",
    "from_spec": "features.spec",
    "function": "features.function",
    "invert": "inverse.invert",
    "jacobian": "spectrum.jacobian",
    "log_sensitivity": "spectrum.log_sensitivity",
    "null_space": "nulls.classify",
    "read": "geometry.files.read",
    "scan": "nulls.scan",
    "singular_spectrum": "spectrum.driver",
    "spec": "features.spec",
    "stabilizer": "geometry.symmetry",
    "stacked": "features.structure_map",
    "structures": "geometry.neighbors",
    "summed": "features.structure_map",
    "sweep": "store.sweep",
    "symmetrized": "geometry.symmetry",
    "trace_quasi_constant": "inverse.quasi_constant",
    "trace_singular_set": "singular.trace",
}
"""Module of the package that defines each public name."""

__all__ = ["__version__", *_MODULES, *_HOMES]

# Under TYPE_CHECKING a misspelled name is an error, not `Any`.
if not TYPE_CHECKING:

    def __getattr__(name):
        """Import a public name on its first use and keep it."""
        if name in _MODULES:
            value = import_module(f"jaxfeat.{_MODULES[name]}")
        elif name in _HOMES:
            value = getattr(import_module(f"jaxfeat.{_HOMES[name]}"), name)
        elif name == "__version__":
            from importlib.metadata import PackageNotFoundError, version

            try:
                value = version("jaxfeat")
            except PackageNotFoundError:
                value = "(not installed)"
        else:
            raise AttributeError(f"module 'jaxfeat' has no attribute {name!r}", name=name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
