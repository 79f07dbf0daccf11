"""Radial functions that are combinations of the functions of a larger basis."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from jaxfeat.basis.base import AbstractPrimitiveBasis, AbstractRadialBasis
from jaxfeat.basis.radial import RADIAL_BASES
from jaxfeat.basis.series import Series
from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import as_quantity, concrete_values

ORTHONORMAL_WITHIN = 1e-10  # largest error of the inner products of two rows of coefficients


class OptimalRadial(AbstractRadialBasis):
    """Radial functions that contract a larger basis, R_nl = Σ_p U_nlp R'_pl, with coefficients of their own for each l.

    `jaxfeat.optimal_radial` finds coefficients for given environments, and sorts the functions of each l by what they
    keep. Featurizers take the object as `radial`, and use the first `n_max` functions of l = 0 ... `l_max`. The
    coefficients are fixed numbers: they stay the same if a featurizer takes another `r_cut` or `sigma`.

    All species share the functions, as they do in every basis here. Compiled programs then evaluate one set of
    functions for each neighbor, whatever its species.

    **Arguments:**

    - `primitive`: The name of the larger basis: `"gto"`, `"gto-rascal"` or `"laplacian"`.
    - `coefficients`: Numbers of shape (l_max + 1, n_max, number of primitive functions), without unit. The rows of each
        l are orthonormal, so that the functions are orthonormal too.

    **Raises:** `BasisError` if there is no such primitive basis, or if the coefficients have another shape or are not
    orthonormal.
    """

    primitive: AbstractPrimitiveBasis
    coefficients: Float[Any, "l n p"]
    name: ClassVar[str] = "optimal"

    def __init__(self, primitive: str, coefficients: list[list[list[float]]] | np.ndarray) -> None:
        if primitive not in RADIAL_BASES:
            raise BasisError(f"primitive is {primitive!r}; choose one of {', '.join(map(repr, RADIAL_BASES))}.")
        try:
            self.coefficients = as_quantity(coefficients)
        except (TypeError, ValueError) as error:
            raise BasisError(f"coefficients are no array of numbers ({error}); give lists of equal lengths.") from error
        shape = self.coefficients.shape
        if len(shape) != 3 or shape[1] > shape[2]:
            fault = f"coefficients have the shape {shape}"
            raise BasisError(f"{fault}; give (l_max + 1, n_max, n_primitive) with at least n_max primitive functions.")
        self.n_max, self.l_max = shape[1], shape[0] - 1
        self.primitive = RADIAL_BASES[primitive](shape[2], self.l_max)
        known = concrete_values(self.coefficients)
        if known is not None:
            deviation = np.abs(known @ known.swapaxes(1, 2) - np.eye(self.n_max)).max(initial=0.0)
            if not deviation <= ORTHONORMAL_WITHIN:
                cure = "orthonormalize the rows of each l, for example with numpy.linalg.qr"
                raise BasisError(f"the coefficients are orthonormal within {deviation:.0e} only; {cure}.")

    def __repr__(self) -> str:
        shape = self.coefficients.shape
        return f"OptimalRadial({shape[-2]} of {shape[-1]} {self.primitive.name} functions, l_max = {self.l_max})"

    def series(self, r_cut: Any, sigma: Any) -> Series:
        return self.primitive.series(r_cut, sigma).contracted(self.coefficients)

    def with_sizes(self, n_max: int, l_max: int) -> OptimalRadial:
        for name, size, least, most in (("n_max", n_max, 1, self.n_max), ("l_max", l_max, 0, self.l_max)):
            if not least <= size <= most:
                cure = f"give one from {least} to {most}, or make a larger basis with jaxfeat.optimal_radial"
                raise BasisError(f"{name} is {size}, and this optimal radial basis goes up to {most}; {cure}.")
        return OptimalRadial(self.primitive.name, self.coefficients[: l_max + 1, :n_max])
