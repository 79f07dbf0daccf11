"""From anywhere to an exact singular point: descend where that is needed, land, certify, classify."""

from jaxfeat.search.find import find_singular_points as find_singular_points
from jaxfeat.search.invert import Inverse as Inverse
from jaxfeat.search.points import SingularPoints as SingularPoints
from jaxfeat.search.space import Free as Free
from jaxfeat.search.space import Within as Within
