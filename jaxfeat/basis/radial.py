"""The radial bases by name."""

from collections.abc import Callable

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.basis.gto import GTO, GTORascal
from jaxfeat.basis.laplacian import Laplacian

RADIAL_BASES: dict[str, Callable[[int, int], AbstractRadialBasis]] = {
    basis.name: basis for basis in (GTO, GTORascal, Laplacian)
}
"""The basis for each name that featurizers take for `radial`. A basis takes `n_max` and `l_max`."""
