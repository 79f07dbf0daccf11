"""Gaussian-type orbitals of librascal and featomic."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

import numpy as np

from jaxfeat.basis.lowdin import lowdin
from jaxfeat.basis.quadrature import AbstractQuadratureBasis, gauss_panels


class GTORascal(AbstractQuadratureBasis):
    """r^n exp(-r²/2σ_n²) with σ_n = r_cut max(√n, 1) / n_max, orthonormalized: `Gto` in librascal and featomic.

    The density of an atom is a Gaussian of unit L² norm, as there. G_nl is zero for an atom more than 4 σ beyond
    `r_cut`, which no list of neighbors contains.
    """

    name: ClassVar[str] = "gto-rascal"

    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = np.arange(self.n_max, dtype=np.longdouble)
        width = np.maximum(np.sqrt(n), 1) / self.n_max
        # A function is largest at √n widths, and below 1e-20 of that from 10 widths further out.
        end = float((width * (10 + np.sqrt(n))).max())
        inner = 1 / float(width.min())

        def primitives(r: np.ndarray) -> np.ndarray:
            return r[:, None] ** n * np.exp(-(r[:, None] ** 2) / (2 * width**2))

        whole, whole_weights = gauss_panels(end, 2 * inner)
        nodes, weights = gauss_panels(min(outer, end), sqrt(sharpness**2 + inner**2))
        weighed = np.sqrt(whole_weights)[:, None] * whole[:, None] * primitives(whole)
        norms = np.sqrt((weighed**2).sum(0))
        radial = lowdin((weighed / norms)[None], (primitives(nodes) / norms)[None])[0]
        return nodes, weights, np.repeat(radial[:, :, None], self.l_max + 1, axis=2)
