"""Eigenstates of the Laplacian in a sphere."""

from __future__ import annotations

from itertools import pairwise
from math import pi, sqrt
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import spherical_jn

from jaxfeat.basis.base import in_angstrom, known_series
from jaxfeat.basis.bessel import bessel_j
from jaxfeat.basis.quadrature import AbstractQuadratureBasis, gauss_panels
from jaxfeat.basis.series import N_ORDERS, Functions, Series
from jaxfeat.linalg.arrays import concrete_values


class Laplacian(AbstractQuadratureBasis):
    """j_l(z_nl r / r_cut) inside the sphere of radius `r_cut`, with z_nl the zeros of j_l: the smoothest basis.

    If `sigma` is 0, the density is a sum of delta functions, and G_nl are the radial functions themselves. Otherwise
    the density of an atom is a Gaussian of unit L² norm, integrated inside the sphere. G_nl is zero more than 4 σ
    outside.

    **Source:** Bigi et al., J. Chem. Phys. 157, 234101 (2022).
    """

    name: ClassVar[str] = "laplacian"
    delta: ClassVar[bool] = True

    def series(self, r_cut: Any, sigma: Any) -> Series:
        if concrete_values(r_cut) is not None or concrete_values(sigma) != 0:
            return super().series(r_cut, sigma)
        # The functions of the delta density depend on r / r_cut alone, so they are known even if the radius is traced.
        unit = known_series(self, 1.0, 0.0)
        return in_angstrom(eqx.tree_at(lambda g: g.tables, unit, unit.tables * r_cut**-1.5), r_cut)

    def width(self, r_cut: Any, sigma: Any) -> Any:
        return sigma / r_cut if concrete_values(sigma) != 0 else 1 / (pi * self.n_max)

    def origin(self, r_cut: Any, sigma: Any) -> Any:
        return (1 + 4 * sigma / r_cut) / 4

    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        if not (isinstance(sigma, np.floating) and sigma == 0):
            return super().functions(r_cut, sigma)
        zeros, norms = self._zeros_and_norms()
        orders = np.arange(self.l_max + 1)

        def waves(u: np.ndarray) -> Float[np.ndarray, "d j n l"]:
            every_order = bessel_j(np.multiply.outer(u, zeros**2), self.l_max + N_ORDERS - 1)
            # The derivative of j_l(z√u) / (z√u)^l by u is -z²/2 times the same function of l + 1.
            found = [np.diagonal(every_order[..., d:], axis1=2, axis2=3) for d in range(N_ORDERS)]
            factors = (-(zeros**2) / 2) ** np.arange(N_ORDERS)[:, None, None, None]
            return norms * zeros**orders * factors * np.stack(found) / r_cut**1.5

        return waves

    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        zeros, norms = self._zeros_and_norms()
        nodes, weights = gauss_panels(1.0, sqrt(sharpness**2 + zeros.max() ** 2))
        waves = spherical_jn(np.arange(self.l_max + 1), nodes.astype(float)[:, None, None] * zeros)
        return nodes, weights, norms * waves

    def _zeros_and_norms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the zeros of j_l, and the factors that normalize the functions in the unit sphere."""
        zeros = bessel_zeros(self.n_max, self.l_max)
        return zeros, sqrt(2) / np.abs(spherical_jn(np.arange(self.l_max + 1) + 1, zeros))


def bessel_zeros(n_max: int, l_max: int) -> np.ndarray:
    """Compute the first `n_max` positive zeros of j_0 ... j_l_max: `(n_max, l_max + 1)`."""
    # The zeros of j_l and j_(l+1) interlace, so each pair of neighboring zeros of j_l brackets one of j_(l+1).
    zeros = np.arange(1, n_max + l_max + 1) * pi
    table = [zeros[:n_max]]
    for l in range(1, l_max + 1):
        function = lambda x, l=l: spherical_jn(l, x)  # noqa: E731
        zeros = np.asarray([brentq(function, a, b, xtol=1e-15, rtol=1e-15) for a, b in pairwise(zeros)])
        table.append(zeros[:n_max])
    return np.stack(table, -1)
