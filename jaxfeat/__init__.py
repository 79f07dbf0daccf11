"""What atomic descriptors cannot see: exact Jacobians and singular spectra of structure-feature maps."""

from jaxfeat import errors as errors
from jaxfeat import manifolds as manifolds
from jaxfeat import search as search
from jaxfeat.basis import cutoff as cutoffs  # noqa: F401
from jaxfeat.features.correlations import Bispectrum as Bispectrum
from jaxfeat.features.correlations import Correlations as Correlations
from jaxfeat.features.correlations import PowerSpectrum as PowerSpectrum
from jaxfeat.features.correlations import RadialSpectrum as RadialSpectrum
from jaxfeat.features.function import function as function
from jaxfeat.features.lift import stacked as stacked
from jaxfeat.features.lift import summed as summed
from jaxfeat.features.spec import from_spec as from_spec
from jaxfeat.features.spec import spec as spec
from jaxfeat.geometry.assemble import environments as environments
from jaxfeat.geometry.assemble import structures as structures
from jaxfeat.geometry.environment import Environment as Environment
from jaxfeat.geometry.frames import frames as frames
from jaxfeat.geometry.read import read as read
from jaxfeat.geometry.structure import Structure as Structure
from jaxfeat.geometry.symmetry import symmetrized as symmetrized
from jaxfeat.search.find import find_singular_points as find_singular_points
from jaxfeat.search.invert import invert as invert
from jaxfeat.search.quasi import trace_quasi_constant as trace_quasi_constant
from jaxfeat.search.trace import trace_singular_set as trace_singular_set
from jaxfeat.sensitivity.cure import cure as cure
from jaxfeat.sensitivity.envelope import log_sensitivity as log_sensitivity
from jaxfeat.sensitivity.jacobian import jacobian as jacobian
from jaxfeat.sensitivity.kernel import complete_kernel as complete_kernel
from jaxfeat.sensitivity.nullspace import NullSpace as NullSpace
from jaxfeat.sensitivity.nullspace import null_space as null_space
from jaxfeat.sensitivity.singular import singular_spectrum as singular_spectrum
from jaxfeat.sweep.converge import converge as converge
from jaxfeat.sweep.manifold import sweep as sweep
