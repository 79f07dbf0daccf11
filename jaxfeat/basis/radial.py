"""The radial bases by name, and those whose integrals with a Gaussian density are computed by quadrature."""

from abc import abstractmethod
from itertools import pairwise
from math import ceil, pi, sqrt
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy  # which loads its parts when they are used
from jaxtyping import Float

from jaxfeat.basis.base import AbstractPrimitiveBasis, in_angstrom, known_series
from jaxfeat.basis.bessel import bessel_j, smeared_shell
from jaxfeat.basis.gto import GTO, lowdin
from jaxfeat.basis.series import N_ORDERS, Functions, Series
from jaxfeat.linalg.arrays import array_namespace, concrete_values


class AbstractQuadratureBasis(AbstractPrimitiveBasis):
    """Radial functions of r / r_cut alone, integrated with Gaussians of unit L² norm."""

    @abstractmethod
    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return nodes and weights of a quadrature, and radial functions `(q, n, l)` at the nodes, in units of `r_cut`.
        The quadrature resolves Gaussians of the inverse width `sharpness`, which vanish beyond `outer`."""

    def width(self, r_cut: Any, sigma: Any) -> Any:
        return sigma / r_cut

    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        rho = sigma / r_cut
        known = isinstance(rho, np.floating)
        # From 10 widths on, a Gaussian times any power is below 1e-21. Near the origin, r^(2l) weighs the shells, and
        # its product with a Gaussian is largest at √(2l) widths. A traced basis resolves Gaussians down to r_cut / 64.
        end = 10 + sqrt(2 * (self.l_max + N_ORDERS))
        sharpness, outer = (float(1 / rho), float(1 + end * rho)) if known else (64, np.inf)
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


class GTORascal(AbstractQuadratureBasis):
    """r^n exp(-r²/2σ_n²), σ_n = r_cut max(√n, 1) / n_max, orthonormalized: `Gto` in librascal and featomic. The density
    of an atom has unit L² norm, as there. G_nl is zero for an atom more than 4 σ beyond `r_cut`, which no list
    holds."""

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
        waves = scipy.special.spherical_jn(np.arange(self.l_max + 1), nodes.astype(float)[:, None, None] * zeros)
        return nodes, weights, norms * waves

    def _zeros_and_norms(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the zeros of j_l, and the factors that normalize the functions in the unit sphere."""
        zeros = bessel_zeros(self.n_max, self.l_max)
        return zeros, sqrt(2) / np.abs(scipy.special.spherical_jn(np.arange(self.l_max + 1) + 1, zeros))


def bessel_zeros(n_max: int, l_max: int) -> np.ndarray:
    """Compute the first `n_max` positive zeros of j_0 ... j_l_max: `(n_max, l_max + 1)`."""
    # The zeros of j_l and j_(l+1) interlace, so each pair of neighboring zeros of j_l brackets one of j_(l+1).
    zeros = np.arange(1, n_max + l_max + 1) * pi
    table = [zeros[:n_max]]
    for l in range(1, l_max + 1):
        function = lambda x, l=l: scipy.special.spherical_jn(l, x)  # noqa: E731
        zeros = np.asarray([scipy.optimize.brentq(function, a, b, xtol=1e-15, rtol=1e-15) for a, b in pairwise(zeros)])
        table.append(zeros[:n_max])
    return np.stack(table, -1)


def gauss_panels(outer: float, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return Gauss-Legendre nodes and weights on (0, `outer`), in panels that resolve Gaussians."""
    x, w = np.polynomial.legendre.leggauss(32)
    edges = np.linspace(0, outer, ceil(outer * sharpness / 8) + 1).astype(np.longdouble)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


RADIAL_BASES: dict[str, type[AbstractPrimitiveBasis]] = {basis.name: basis for basis in (GTO, GTORascal, Laplacian)}
"""The basis for each name that featurizers take for `radial`. A basis takes `n_max` and `l_max`."""
