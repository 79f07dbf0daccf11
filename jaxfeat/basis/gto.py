"""Gaussian-type orbitals of DScribe, with analytic integrals."""

from __future__ import annotations

from functools import partial
from math import log, pi
from typing import Any, ClassVar

import numpy as np

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.basis.lowdin import lowdin
from jaxfeat.basis.series import N_ORDERS, Functions
from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import array_namespace


class GTO(AbstractRadialBasis):
    """r^l exp(-α_nl r²), orthonormalized for each l, as in DScribe.

    Primitive n of each l falls to 1e-3 at a radius of its own; the radii are evenly spaced from 1 Å to `r_cut`. The
    density of an atom is (8π²)^(1/4) exp(-r²/2σ²), so that features of ν = 2 are those of DScribe.

    **Source:** Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).
    """

    name: ClassVar[str] = "gto"

    def check(self, r_cut: float, sigma: float) -> None:
        super().check(r_cut, sigma)
        if r_cut <= 1 and self.n_max > 1:
            raise BasisError(
                f"r_cut is {r_cut:g} Å; radial='gto' spaces its functions from 1 Å to r_cut, so exceed 1 Å."
            )

    def width(self, r_cut: Any, sigma: Any) -> Any:
        # The sharpest primitive falls to 1e-3 at 1 Å.
        return (sigma**2 + 1 / (2 * log(1e3))) ** 0.5 / r_cut

    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        xp, dtype = array_namespace(r_cut), r_cut.dtype
        l = np.arange(self.l_max + 1, dtype=dtype)[:, None]
        steps = np.arange(self.n_max, dtype=dtype)[None] / max(self.n_max - 1, 1)
        radii = 1 + (r_cut - 1) * steps.astype(dtype)
        alpha = (np.log(dtype.type(1000)) + l * xp.log(radii)) / radii**2
        a = 1 / (2 * sigma**2)
        decay = a * alpha / (a + alpha)
        amplitude = (8 * pi**2) ** 0.25 * pi**1.5 * (r_cut * a / (a + alpha)) ** l * (a + alpha) ** -1.5
        # The norms are integrals over log r, for which the trapezoidal rule converges exponentially, with the same
        # nodes for all exponents. Combinations of primitives that nearly cancel on the real axis do not cancel in the
        # complex plane, so the number of nodes grows with the basis.
        n_nodes = 200 + 12 * (self.n_max + self.l_max)
        first, last = log(1e-7), xp.log(3 * r_cut)
        spacing = (last - first) / n_nodes
        nodes = xp.exp(first + spacing * (np.arange(n_nodes) + 0.5).astype(dtype))[None, :, None]
        primitives = xp.exp((l[..., None] + 1.5) * xp.log(nodes) - alpha[:, None] * nodes**2) * spacing**0.5

        def smeared(u: Any) -> Any:
            """Compute the integrals of the primitives with the density, and their derivatives: `(l, d j, n)`."""
            exponents = -decay * r_cut**2
            values = amplitude[:, None] * xp.exp(exponents[:, None] * u[None, :, None])
            return xp.concatenate([values * exponents[:, None] ** d for d in range(N_ORDERS)], axis=1)

        if isinstance(r_cut, np.floating):
            mixing = lowdin(
                primitives, np.broadcast_to(np.eye(self.n_max, dtype=dtype), (self.l_max + 1,) + (self.n_max,) * 2)
            )
            combined = lambda rows: rows @ mixing  # noqa: E731
        else:
            # The mixing coefficients and their derivatives are large. In float64 the rows are therefore transformed
            # themselves.
            combined = partial(lowdin, primitives)

        def values(u: Any) -> Any:
            found = combined(smeared(u)).reshape(self.l_max + 1, N_ORDERS, len(u), self.n_max)
            return xp.transpose(found, (1, 2, 3, 0))

        return values
