"""Radial bases, as what a featurizer needs of them: the coefficients of a Gaussian density at distance r.

Each class gives G_nl(r²), so that a neighbor at r adds G_nl(|r|²) r^l Y_lm(r) to the density coefficient c_nlm.
Dividing by r^l leaves smooth functions of r², also at the origin.
"""

from abc import abstractmethod
from collections.abc import Callable
from itertools import pairwise
from math import ceil, pi, sqrt

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float
from scipy.optimize import brentq
from scipy.special import gamma, spherical_jn

from jaxfeat.basis.bessel import bessel_j, smeared_shell
from jaxfeat.basis.series import N_ORDERS, Series, series
from jaxfeat.errors import BasisError
from jaxfeat.so3.harmonics import L_LIMIT


class AbstractRadialBasis(eqx.Module):
    """Radial functions R_nl, orthonormal in n under ∫ r² dr, met by Gaussian densities of width `sigma` (Å).

    Built by `Basis(r_cut, n_max, l_max, sigma)`. Constants are worked out in float64 when it is built and take the
    dtype of the positions when it is called; nothing is differentiable in them.
    """

    n_max: eqx.AbstractVar[int]
    l_max: eqx.AbstractVar[int]

    @abstractmethod
    def __call__(self, s: Float[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        """G_nl at squared distances `s` (Å²): `(n_max, l_max + 1, ...)`."""

    @abstractmethod
    def at_origin(self, dtype: DTypeLike) -> Float[Array, " n"]:
        """G_n0 at s = 0, for atoms at centers: in fewer steps than for any s."""


def check_basis(name: str, r_cut: float, n_max: int, l_max: int, sigma: float, *, delta: bool = False) -> None:
    """Raise `BasisError` for parameters that define no basis."""
    if not (np.isfinite(r_cut) and r_cut > 0):
        raise BasisError(f"r_cut is {r_cut}; it must be a positive distance in Å.")
    if n_max < 1:
        raise BasisError(f"n_max is {n_max}; it counts radial functions and must be at least 1.")
    if l_max < 0:
        raise BasisError(f"l_max is {l_max}; it is the largest angular momentum and must be at least 0.")
    if l_max > L_LIMIT:
        raise BasisError(f"l_max is {l_max}; float64 holds up to l_max = {L_LIMIT} here, so choose that or less.")
    if not (np.isfinite(sigma) and sigma >= 0) or (sigma == 0 and not delta):
        only = "" if delta else "; only radial='laplacian' takes the delta density, sigma = 0"
        raise BasisError(f"sigma is {sigma}; radial={name!r} needs a positive Gaussian width in Å{only}.")


class GTO(AbstractRadialBasis):
    """r^l exp(-α_nl r²), orthonormalised per l: Himanen et al., Comput. Phys. Commun. 247, 106949 (2020); DScribe's.

    Primitive n of each l falls to 1e-3 at a radius spaced evenly from 1 Å to `r_cut`. Integrals are analytic. The
    density is (8π²)^(1/4) exp(-r²/2σ²), which makes ν = 2 features those of DScribe.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    decay: np.ndarray
    mixing: np.ndarray

    def __init__(self, r_cut: float, n_max: int, l_max: int, sigma: float) -> None:
        check_basis("gto", r_cut, n_max, l_max, sigma)
        if r_cut <= 1 and n_max > 1:
            raise BasisError(
                f"r_cut is {r_cut:g} Å; radial='gto' spaces its functions from 1 Å to r_cut, so exceed 1 Å."
            )
        self.n_max, self.l_max = n_max, l_max
        reach, l = np.linspace(1.0, r_cut, n_max), np.arange(l_max + 1)[:, None]
        a = 1 / (2 * sigma**2)
        alpha = -np.log(1e-3 / reach**l) / reach**2
        exponents = alpha.astype(np.longdouble)
        total = exponents[:, :, None] + exponents[:, None, :]
        power = np.asarray(l[..., None] + 1.5, np.longdouble)
        overlap = (gamma(l + 1.5) / 2)[..., None] * total**-power
        smeared = (8 * pi**2) ** 0.25 * pi**1.5 * a**l / (a + alpha) ** (l + 1.5)
        self.decay = (a * alpha / (a + alpha)).T
        self.mixing = inverse_sqrt(overlap) * smeared[:, None, :]

    def __call__(self, s: Float[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        decay, mixing = jnp.asarray(self.decay, s.dtype), jnp.asarray(self.mixing, s.dtype)
        primitives = jnp.exp(-jnp.tensordot(decay, s, 0))
        return jnp.einsum("lnk,kl...->nl...", mixing, primitives, precision="highest")

    def at_origin(self, dtype: DTypeLike) -> Float[Array, " n"]:
        return jnp.asarray(self.mixing[0], dtype).sum(1)


class _OfSeries(AbstractRadialBasis):
    """Radial functions that are kept as series."""

    series: eqx.AbstractVar[Series]

    def __call__(self, s: Float[Array, "*batch"]) -> Float[Array, "n l *batch"]:
        return self.series(s)

    def at_origin(self, dtype: DTypeLike) -> Float[Array, " n"]:
        return self.series.at_origin(dtype)


class GTORascal(_OfSeries):
    """r^n exp(-r²/2σ_n²), σ_n = r_cut max(√n, 1) / n_max, orthonormalised: librascal's and featomic's `Gto`.

    The density is a Gaussian of unit L² norm, as there. Integrals by Gauss-Legendre quadrature to machine precision,
    kept as series; an atom more than 4 σ beyond `r_cut`, which no list of neighbors has, meets zero.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    series: Series

    def __init__(self, r_cut: float, n_max: int, l_max: int, sigma: float) -> None:
        check_basis("gto-rascal", r_cut, n_max, l_max, sigma)
        self.n_max, self.l_max = n_max, l_max
        n = np.arange(n_max)
        width = r_cut * np.maximum(np.sqrt(n), 1) / n_max
        power, rate = np.add.outer(n, n) + 3, np.add.outer(1 / width**2, 1 / width**2) / 2
        norm = gamma(n + 1.5) * width ** (2 * n + 3) / 2
        overlap = (gamma(power / 2) / (2 * rate ** (power / 2))).astype(np.longdouble)
        overlap = overlap / np.sqrt(np.outer(norm, norm))
        mixing = inverse_sqrt(overlap) / np.sqrt(norm)
        # Beyond r_cut + 12 σ, Gaussians on neighbors within r_cut are below 1e-31.
        nodes, weights = _shells(r_cut + 12 * sigma, sqrt(1 / sigma**2 + 1 / width.min() ** 2), n_max + l_max)
        primitives = nodes[:, None] ** n * np.exp(-(nodes[:, None] ** 2) / (2 * width**2))
        radial = np.repeat((primitives @ mixing.T)[:, :, None], l_max + 1, axis=2)
        self.series = _smeared(nodes, weights, radial, r_cut, sigma, 4 * sigma)


class Laplacian(_OfSeries):
    """Eigenstates of the Laplacian in the sphere of radius `r_cut`: j_l(z_nl r / r_cut), z_nl the zeros of j_l.

    The smoothest basis: Bigi et al., J. Chem. Phys. 157, 234101 (2022). With `sigma` = 0 the density is a sum of
    delta functions and G_nl are the functions themselves; otherwise Gaussians of unit L² norm, integrated inside the
    sphere by Gauss-Legendre quadrature to machine precision. Either is kept as series; zero more than 4 σ outside.
    """

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    series: Series

    def __init__(self, r_cut: float, n_max: int, l_max: int, sigma: float) -> None:
        check_basis("laplacian", r_cut, n_max, l_max, sigma, delta=True)
        self.n_max, self.l_max = n_max, l_max
        zeros = bessel_zeros(n_max, l_max)
        orders = np.arange(l_max + 1)
        norm = np.sqrt(2 / r_cut**3) / np.abs(spherical_jn(orders + 1, zeros))
        if sigma == 0:
            wave_numbers = zeros / r_cut

            def waves(s: np.ndarray) -> Float[np.ndarray, "d j n l"]:
                every_order = bessel_j(np.multiply.outer(s, wave_numbers**2), l_max + N_ORDERS - 1)
                # d/ds j_l(k√s) / (k√s)^l is -k²/2 times the same of l + 1.
                found = [np.diagonal(every_order[..., d:], axis1=2, axis2=3) for d in range(N_ORDERS)]
                factors = (-(wave_numbers**2) / 2) ** np.arange(N_ORDERS)[:, None, None, None]
                return norm * wave_numbers**orders * factors * np.stack(found)

            self.series = series(waves, r_cut, r_cut / 4)
            return
        nodes, weights = _shells(r_cut, 1 / sigma, 3 * n_max + 2 * l_max)
        radial = norm * spherical_jn(orders, nodes[:, None, None] * zeros / r_cut)
        self.series = _smeared(nodes, weights, radial, r_cut, sigma, (r_cut + 4 * sigma) / 4)


RADIAL_BASES: dict[str, Callable[[float, int, int, float], AbstractRadialBasis]] = {
    "gto": GTO,
    "gto-rascal": GTORascal,
    "laplacian": Laplacian,
}
"""Names that featurizers take for `radial`."""


def _shells(outer: float, sharpest: float, extra: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on (0, `outer`) that resolve Gaussians of inverse width `sharpest`."""
    # exp(-x²/2σ²) over a length L has Chebyshev coefficients below 1e-16 from order 4.3 L/σ on; Gauss halves that.
    x, w = np.polynomial.legendre.leggauss(ceil(2.2 * outer * sharpest) + extra + 24)
    return 0.5 * outer * (x + 1), 0.5 * outer * w


def _smeared(
    nodes: np.ndarray, weights: np.ndarray, radial: np.ndarray, r_cut: float, sigma: float, origin: float
) -> Series:
    """Integrals of Gaussians of unit L² norm with the functions `radial`, `(nodes, n, l)`."""
    weights = (4 * pi * (pi * sigma**2) ** -0.75 * weights * nodes**2)[:, None, None] * radial

    def integrals(s: np.ndarray) -> Float[np.ndarray, "d j n l"]:
        a, n_l = 1 / (2 * sigma**2), radial.shape[2]
        shells = smeared_shell(s, nodes, a, n_l + N_ORDERS - 2)
        found = []
        for _ in range(N_ORDERS):
            # d/ds of shells of l has those of l + 1.
            found.append(np.einsum("qnl,jql->jnl", weights, shells[..., :n_l]))
            shells = a * (nodes[:, None] * shells[..., 1:] - shells[..., :-1])
        return np.stack(found)

    return series(integrals, r_cut + 4 * sigma, origin)


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


def inverse_sqrt(overlaps: np.ndarray) -> np.ndarray:
    """S^(-1/2) of symmetric positive matrices of long doubles, `(..., n, n)`, by Jacobi rotations.

    Overlaps of Gaussians reach condition numbers of 1e12, at which float64 leaves a basis orthonormal to 1e-4 only.

    **Raises:** `BasisError` where even long doubles see linearly dependent functions.
    """
    s = overlaps.copy()
    n, eps = s.shape[-1], np.finfo(np.longdouble).eps
    v = np.broadcast_to(np.eye(n, dtype=np.longdouble), s.shape).copy()
    for _ in range(40):
        settled = True
        for p in range(n):
            for q in range(p + 1, n):
                pivot = s[..., p, q]
                skip = np.abs(pivot) <= eps * np.sqrt(np.abs(s[..., p, p] * s[..., q, q]))
                if skip.all():
                    continue
                settled = False
                theta = (s[..., q, q] - s[..., p, p]) / (2 * np.where(skip, 1, pivot))
                t = np.where(skip, 0, np.copysign(1, theta) / (np.abs(theta) + np.sqrt(theta * theta + 1)))
                c = 1 / np.sqrt(t * t + 1)
                rotation = np.stack([np.stack([c, t * c], -1), np.stack([-t * c, c], -1)], -2)
                s[..., [p, q]] = s[..., [p, q]] @ rotation
                s[..., [p, q], :] = np.swapaxes(rotation, -1, -2) @ s[..., [p, q], :]
                v[..., [p, q]] = v[..., [p, q]] @ rotation
        if settled:
            break
    values = np.diagonal(s, axis1=-2, axis2=-1)
    if (values.min(-1) <= n * eps * values.max(-1)).any():
        raise BasisError(f"{n} radial functions are linearly dependent in float64; choose a smaller n_max or l_max.")
    return ((v / np.sqrt(values)[..., None, :]) @ np.swapaxes(v, -1, -2)).astype(float)
