"""Radial bases whose integrals with a Gaussian density are computed by quadrature."""

from __future__ import annotations

from abc import abstractmethod
from math import ceil, pi, sqrt
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxfeat.basis.base import AbstractRadialBasis
from jaxfeat.basis.bessel import smeared_shell
from jaxfeat.basis.series import N_ORDERS, Functions
from jaxfeat.linalg.arrays import array_namespace

FINEST_WIDTH = 1 / 64
"""The narrowest Gaussian that a traced basis resolves, in units of r_cut."""

GAUSSIAN_END = 10
"""Distance from its maximum, in units of its width, from which a Gaussian times any power is below 1e-21."""


class AbstractQuadratureBasis(AbstractRadialBasis):
    """Radial functions of r / r_cut alone, integrated with Gaussians of unit L² norm."""

    @abstractmethod
    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the nodes and weights of a quadrature, and the radial functions at the nodes, in units of `r_cut`.

        **Arguments:**

        - `sharpness`: The inverse width of the Gaussians that the quadrature must resolve.
        - `outer`: The distance beyond which the Gaussians vanish.

        **Returns:** Arrays of shape `(q,)`, `(q,)` and `(q, n, l)`.
        """

    def width(self, r_cut: Any, sigma: Any) -> Any:
        return sigma / r_cut

    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        rho = sigma / r_cut
        known = isinstance(rho, np.floating)
        # Near the origin, r^(2l) weighs the shells, and its product with a Gaussian is largest at √(2l) widths.
        end = GAUSSIAN_END + sqrt(2 * (self.l_max + N_ORDERS))
        sharpness, outer = (float(1 / rho), float(1 + end * rho)) if known else (1 / FINEST_WIDTH, np.inf)
        nodes, weights, radial = self.shells(sharpness, outer)

        def values(u: Any) -> Any:
            q, w, functions = nodes, weights, radial
            if known:
                near = (q > u.min() ** 0.5 - end * rho) & (q < u.max() ** 0.5 + end * rho)
                q, w, functions = q[near], w[near], functions[near]
            a = 1 / (2 * rho**2)
            q = q.astype(u.dtype)
            shells = smeared_shell(u, q if known else jnp.asarray(q), a, self.l_max + N_ORDERS - 1)
            amplitude = 4 * pi * (pi * rho**2) ** -0.75
            weighed = ((w * q**2)[:, None, None] * functions).transpose(2, 0, 1).astype(u.dtype)
            found = []
            for _ in range(N_ORDERS):
                # The derivative of a shell of l by u contains the shell of l + 1.
                found.append(amplitude * (shells[: self.l_max + 1] @ weighed))
                shells = a * (q[None, None] * shells[1:] - shells[:-1])
            return array_namespace(u).moveaxis(array_namespace(u).stack(found), 1, 3)

        return values


def gauss_panels(outer: float, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre nodes and weights on (0, `outer`), in panels that resolve Gaussians.

    `sharpness` is the inverse width of the Gaussians. On a length L, exp(-x²/2σ²) has Chebyshev coefficients below
    1e-20 from order 5 L/σ on, and Gaussian quadrature needs half as many nodes.
    """
    x, w = np.polynomial.legendre.leggauss(32)
    edges = np.linspace(0, outer, ceil(outer * sharpness / 8) + 1).astype(np.longdouble)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()
