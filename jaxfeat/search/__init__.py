"""From anywhere to an exact singular point: descend where that is needed, land, certify, classify; and follow."""

from jaxfeat.search.find import find_singular_points as find_singular_points
from jaxfeat.search.invert import Inverse as Inverse
from jaxfeat.search.points import SingularPoints as SingularPoints
from jaxfeat.search.quasi import QuasiConstantPath as QuasiConstantPath
from jaxfeat.search.quasi import trace_quasi_constant as trace_quasi_constant
from jaxfeat.search.space import Free as Free
from jaxfeat.search.space import Within as Within
from jaxfeat.search.trace import SingularPath as SingularPath
from jaxfeat.search.trace import trace_singular_set as trace_singular_set
