"""Radial bases: the coefficients of a Gaussian density at distance r.

Each class gives G_nl, so that a neighbor at r adds G_nl(|r|²) r^l Y_lm(r) to the density coefficient c_nlm. Dividing by
r^l leaves smooth functions of r², also at the origin.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache, partial
from itertools import pairwise
from math import ceil, log, pi, sqrt
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.optimize import brentq
from scipy.special import spherical_jn

from jaxfeat.basis.bessel import bessel_j, smeared_shell
from jaxfeat.basis.orthonormal import lowdin
from jaxfeat.basis.series import N_ORDERS, Functions, Series, host_series, traced_series
from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import array_namespace, concrete_values
from jaxfeat.so3.harmonics import L_LIMIT

FINEST = 1 / 64
"""The narrowest Gaussian, in units of r_cut, that a traced basis resolves."""

WIDEST = 10
"""Distance in widths from its maximum from which on a Gaussian, times any power of distance, is below 1e-21."""


class AbstractRadialBasis(eqx.Module):
    """Radial functions R_nl, orthonormal in n under ∫ r² dr, met by Gaussian densities of width `sigma` (Å).

    A basis holds sizes alone. Its quantities, `r_cut` and `sigma`, are arguments of `series`.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    name: eqx.AbstractClassVar[str]

    @abstractmethod
    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        """r_cut^(l + 2d) d^d G_nl/ds^d at squared distances u = s / r_cut², d = 0 ... 3: `u -> (d, j, n, l)`.

        The quantities are NumPy's long doubles, or traced JAX arrays; `u` is of the same kind.
        """

    @abstractmethod
    def width(self, r_cut: Any, sigma: Any) -> Any:
        """The distance on which G_nl varies, in units of `r_cut`."""

    def origin(self, r_cut: Any, sigma: Any) -> Any:
        """The distance √c, in units of `r_cut`, in t = √(u + c)."""
        return 4 * self.width(r_cut, sigma)

    def series(self, r_cut: Any, sigma: Any) -> Series:
        """Expand G_nl in Chebyshev series of s / r_cut².

        Where the quantities are known the integrals are worked out in long doubles on the host, once for the same
        values. Inside a transformation they are JAX operations, exactly differentiable in `r_cut` and `sigma`.

        **Arguments:** `r_cut`, `sigma`: numbers or scalar arrays, Å.

        **Raises:** `BasisError` for functions that are linearly dependent.
        """
        if concrete_values(r_cut) is None or concrete_values(sigma) is None:
            return _traced(self, jnp.stack([jnp.asarray(r_cut, float), jnp.asarray(sigma, float)]))
        return _on_host(self, float(r_cut), float(sigma))

    def check(self, r_cut: float, sigma: float) -> None:
        """Raise `BasisError` for parameters that define no basis."""
        if not (np.isfinite(r_cut) and r_cut > 0):
            raise BasisError(f"r_cut is {r_cut}; it must be a positive distance in Å.")
        if not (np.isfinite(sigma) and sigma >= 0) or (sigma == 0 and not self.delta):
            only = "" if self.delta else "; only radial='laplacian' takes the delta density, sigma = 0"
            raise BasisError(f"sigma is {sigma}; radial={self.name!r} needs a positive Gaussian width in Å{only}.")

    delta: ClassVar[bool] = False
    """True if this basis has coefficients of `sigma` = 0, a density of delta functions."""

    def __check_init__(self) -> None:
        if self.n_max < 1:
            raise BasisError(f"n_max is {self.n_max}; it counts radial functions and must be at least 1.")
        if self.l_max < 0:
            raise BasisError(f"l_max is {self.l_max}; it is the largest angular momentum and must be at least 0.")
        if self.l_max > L_LIMIT:
            raise BasisError(
                f"l_max is {self.l_max}; float64 holds up to l_max = {L_LIMIT} here, so choose that or less."
            )


@lru_cache(maxsize=256)
def _on_host(basis: AbstractRadialBasis, r_cut: float, sigma: float) -> Series:
    basis.check(r_cut, sigma)
    quantities = np.longdouble(r_cut), np.longdouble(sigma)
    rho = quantities[1] / quantities[0]
    origin, width = basis.origin(*quantities), float(basis.width(*quantities))
    found = host_series(basis.functions(*quantities), origin, 1 + 4 * rho, width)
    return _scaled(found, r_cut)


def _expanded(basis: AbstractRadialBasis, quantities: Float[Array, "2"]) -> Series:
    r_cut, sigma = quantities
    with jax.default_matmul_precision("highest"):
        found = traced_series(basis.functions(r_cut, sigma), basis.origin(r_cut, sigma), 1 + 4 * sigma / r_cut)
    return _scaled(found, r_cut)


def _scaled(series: Series, r_cut: Any) -> Series:
    """The series without the factor r_cut^l that `AbstractRadialBasis.functions` gives."""
    powers = r_cut ** -np.arange(series.tables.shape[2], dtype=series.tables.dtype)
    return eqx.tree_at(lambda g: g.tables, series, series.tables * powers[None, None, :, None])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _traced(basis: AbstractRadialBasis, quantities: Float[Array, "2"]) -> Series:
    return _expanded(basis, quantities)


@_traced.defjvp
def _(basis: AbstractRadialBasis, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Series, Series]:
    # There are two quantities and many integrals: derivatives are taken forwards, so that reverse mode has to keep
    # nothing of the integration.
    slopes = jax.jacfwd(partial(_expanded, basis))(primals[0])
    return _expanded(basis, primals[0]), jax.tree.map(lambda x: x @ tangents[0], slopes)


class GTO(AbstractRadialBasis):
    """r^l exp(-α_nl r²), orthonormalised per l: Himanen et al., Comput. Phys. Commun. 247, 106949 (2020); DScribe's.

    Primitive n of each l falls to 1e-3 at a radius spaced evenly from 1 Å to `r_cut`. Integrals are analytic. The
    density is (8π²)^(1/4) exp(-r²/2σ²), which makes ν = 2 features those of DScribe.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
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
        reach = 1 + (r_cut - 1) * steps.astype(dtype)
        alpha = (np.log(dtype.type(1000)) + l * xp.log(reach)) / reach**2
        a = 1 / (2 * sigma**2)
        decay = a * alpha / (a + alpha)
        smeared = (8 * pi**2) ** 0.25 * pi**1.5 * (r_cut * a / (a + alpha)) ** l * (a + alpha) ** -1.5
        # In log r the trapezoidal rule converges exponentially, for all exponents with the same nodes.
        # Combinations that nearly cancel on the real axis do not in the complex plane, which slows convergence.
        n_nodes = 200 + 12 * (self.n_max + self.l_max)
        first, last = log(1e-7), xp.log(3 * r_cut)
        spacing = (last - first) / n_nodes
        nodes = xp.exp(first + spacing * (np.arange(n_nodes) + 0.5).astype(dtype))[None, :, None]
        primitives = xp.exp((l[..., None] + 1.5) * xp.log(nodes) - alpha[:, None] * nodes**2) * spacing**0.5

        def primitive(u: Any) -> Any:
            """The smeared primitives and their derivatives: `(l, d j, n)`."""
            exponents = -decay * r_cut**2
            values = smeared[:, None] * xp.exp(exponents[:, None] * u[None, :, None])
            return xp.concatenate([values * exponents[:, None] ** d for d in range(N_ORDERS)], axis=1)

        if isinstance(r_cut, np.floating):
            mixing = lowdin(
                primitives, np.broadcast_to(np.eye(self.n_max, dtype=dtype), (self.l_max + 1,) + (self.n_max,) * 2)
            )
            combined = lambda rows: rows @ mixing  # noqa: E731
        else:
            # Mixing coefficients are large, and so are their derivatives: the iteration goes over the rows instead.
            combined = partial(lowdin, primitives)

        def values(u: Any) -> Any:
            found = combined(primitive(u)).reshape(self.l_max + 1, N_ORDERS, len(u), self.n_max)
            return xp.transpose(found, (1, 2, 3, 0))

        return values


class _Integrated(AbstractRadialBasis):
    """Radial functions that depend on r / r_cut alone, and are integrated with Gaussians of unit L² norm."""

    @abstractmethod
    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nodes and weights of a quadrature over r up to `outer`, which resolves Gaussians of an inverse width
        `sharpness`, and the radial functions there, `(q, n, l)`; all in units of `r_cut`."""

    def width(self, r_cut: Any, sigma: Any) -> Any:
        return sigma / r_cut

    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        rho = sigma / r_cut
        known = isinstance(rho, np.floating)
        # Near the origin a shell is weighed by r^(2l), whose product with a Gaussian is largest √(2l) widths out.
        beyond = WIDEST + sqrt(2 * (self.l_max + N_ORDERS))
        sharpness, outer = (float(1 / rho), float(1 + beyond * rho)) if known else (1 / FINEST, np.inf)
        nodes, weights, radial = self.shells(sharpness, outer)

        def values(u: Any) -> Any:
            q, w, functions = nodes, weights, radial
            if known:
                near = (q > u.min() ** 0.5 - beyond * rho) & (q < u.max() ** 0.5 + beyond * rho)
                q, w, functions = q[near], w[near], functions[near]
            a = 1 / (2 * rho**2)
            q = q.astype(u.dtype)
            shells = smeared_shell(u, q if known else jnp.asarray(q), a, self.l_max + N_ORDERS - 1)
            amplitude = 4 * pi * (pi * rho**2) ** -0.75
            weighed = ((w * q**2)[:, None, None] * functions).transpose(2, 0, 1).astype(u.dtype)
            found = []
            for _ in range(N_ORDERS):
                # d/du of shells of l has those of l + 1.
                found.append(amplitude * (shells[: self.l_max + 1] @ weighed))
                shells = a * (q[None, None] * shells[1:] - shells[:-1])
            return array_namespace(u).moveaxis(array_namespace(u).stack(found), 1, 3)

        return values


class GTORascal(_Integrated):
    """r^n exp(-r²/2σ_n²), σ_n = r_cut max(√n, 1) / n_max, orthonormalised: librascal's and featomic's `Gto`.

    The density is a Gaussian of unit L² norm, as there. Integrals by Gauss-Legendre quadrature to machine precision,
    kept as series; an atom more than 4 σ beyond `r_cut`, which no list of neighbors has, meets zero.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    name: ClassVar[str] = "gto-rascal"

    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = np.arange(self.n_max, dtype=np.longdouble)
        width = np.maximum(np.sqrt(n), 1) / self.n_max
        # From 10 widths beyond its maximum, at √n widths, on, a function is below 1e-20 of that.
        end = float((width * (10 + np.sqrt(n))).max())
        inner = 1 / float(width.min())

        def primitives(r: np.ndarray) -> np.ndarray:
            return r[:, None] ** n * np.exp(-(r[:, None] ** 2) / (2 * width**2))

        whole, whole_weights = _panels(end, 2 * inner)
        nodes, weights = _panels(min(outer, end), sqrt(sharpness**2 + inner**2))
        weighed = np.sqrt(whole_weights)[:, None] * whole[:, None] * primitives(whole)
        norms = np.sqrt((weighed**2).sum(0))
        radial = lowdin((weighed / norms)[None], (primitives(nodes) / norms)[None])[0]
        return nodes, weights, np.repeat(radial[:, :, None], self.l_max + 1, axis=2)


class Laplacian(_Integrated):
    """Eigenstates of the Laplacian in the sphere of radius `r_cut`: j_l(z_nl r / r_cut), z_nl the zeros of j_l.

    The smoothest basis: Bigi et al., J. Chem. Phys. 157, 234101 (2022). With `sigma` = 0 the density is a sum of
    delta functions and G_nl are the functions themselves; otherwise Gaussians of unit L² norm, integrated inside the
    sphere by Gauss-Legendre quadrature to machine precision. Either is kept as series; zero more than 4 σ outside.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    name: ClassVar[str] = "laplacian"
    delta: ClassVar[bool] = True

    def series(self, r_cut: Any, sigma: Any) -> Series:
        if concrete_values(r_cut) is not None or concrete_values(sigma) != 0:
            return super().series(r_cut, sigma)
        # Without Gaussians the functions depend on r / r_cut alone.
        found = _on_host(self, 1.0, 0.0)
        return _scaled(eqx.tree_at(lambda g: g.tables, found, found.tables * r_cut**-1.5), r_cut)

    def width(self, r_cut: Any, sigma: Any) -> Any:
        return sigma / r_cut if concrete_values(sigma) != 0 else 1 / (pi * self.n_max)

    def origin(self, r_cut: Any, sigma: Any) -> Any:
        return (1 + 4 * sigma / r_cut) / 4

    def _zeros(self) -> tuple[np.ndarray, np.ndarray]:
        """Zeros of j_l, and the norms of the functions in the unit sphere."""
        zeros = bessel_zeros(self.n_max, self.l_max)
        return zeros, sqrt(2) / np.abs(spherical_jn(np.arange(self.l_max + 1) + 1, zeros))

    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        if not (isinstance(sigma, np.floating) and sigma == 0):
            return super().functions(r_cut, sigma)
        zeros, norm = self._zeros()
        orders = np.arange(self.l_max + 1)

        def waves(u: np.ndarray) -> Float[np.ndarray, "d j n l"]:
            every_order = bessel_j(np.multiply.outer(u, zeros**2), self.l_max + N_ORDERS - 1)
            # d/du j_l(z√u) / (z√u)^l is -z²/2 times the same of l + 1.
            found = [np.diagonal(every_order[..., d:], axis1=2, axis2=3) for d in range(N_ORDERS)]
            factors = (-(zeros**2) / 2) ** np.arange(N_ORDERS)[:, None, None, None]
            return norm * zeros**orders * factors * np.stack(found) / r_cut**1.5

        return waves

    def shells(self, sharpness: float, outer: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        zeros, norm = self._zeros()
        nodes, weights = _panels(1.0, sqrt(sharpness**2 + zeros.max() ** 2))
        return (
            nodes,
            weights,
            norm * spherical_jn(np.arange(self.l_max + 1), nodes.astype(float)[:, None, None] * zeros),
        )


RADIAL_BASES: dict[str, Callable[[int, int], AbstractRadialBasis]] = {
    basis.name: basis for basis in (GTO, GTORascal, Laplacian)
}
"""Names that featurizers take for `radial`."""


def _panels(outer: float, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on (0, `outer`), in panels that resolve Gaussians of inverse width `sharpness`.

    exp(-x²/2σ²) over a length L has Chebyshev coefficients below 1e-20 from order 5 L/σ on, and Gauss halves that.
    """
    x, w = np.polynomial.legendre.leggauss(32)
    edges = np.linspace(0, outer, ceil(outer * sharpness / 8) + 1).astype(np.longdouble)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()


def bessel_zeros(n_max: int, l_max: int) -> np.ndarray:
    """The first `n_max` positive zeros of j_0 ... j_l_max: `(n_max, l_max + 1)`."""
    # Zeros of neighboring orders interlace, so those of j_l bracket those of j_(l+1).
    zeros = np.arange(1, n_max + l_max + 1) * pi
    table = [zeros[:n_max]]
    for l in range(1, l_max + 1):
        function = lambda x, l=l: spherical_jn(l, x)  # noqa: E731
        zeros = np.asarray([brentq(function, a, b, xtol=1e-15, rtol=1e-15) for a, b in pairwise(zeros)])
        table.append(zeros[:n_max])
    return np.stack(table, -1)
