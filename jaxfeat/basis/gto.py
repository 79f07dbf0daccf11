"""Gaussian-type orbitals with analytic integrals, and the orthonormalization of nearly dependent functions."""

from functools import partial
from math import log, pi
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Float

from jaxfeat.basis.base import AbstractPrimitiveBasis
from jaxfeat.basis.series import N_ORDERS, Functions
from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import array_namespace

N_STEPS = 42
"""Steps of the iteration on the primitives. A step multiplies a small singular value by 15/8, so these take 1e-10 to 1
and leave a few steps to converge. Smaller values would leave long doubles no better than 1e-9."""

MOST_INDEPENDENT = 40  # Gaussian-type orbitals; more are dependent in float64, and the steps to find it out take long

N_STEPS_ROTATION = 90  # enough for singular values of 1e-23: primitives of large l differ in size that much


class GTO(AbstractPrimitiveBasis):
    """r^l exp(-α_nl r²), orthonormalized for each l, as in DScribe.

    Primitive n of each l falls to 1e-3 at a radius of its own; the radii are evenly spaced from 1 Å to `r_cut`. The
    density of an atom is (8π²)^(1/4) exp(-r²/2σ²), so that features of ν = 2 are those of DScribe.

    **Source:** Himanen et al., Comput. Phys. Commun. 247, 106949 (2020).
    """

    name: ClassVar[str] = "gto"

    def check(self, r_cut: float, sigma: float) -> None:
        super().check(r_cut, sigma)
        if r_cut <= 1 and self.n_max > 1:
            cure = "radial='gto' spaces its functions from 1 Å to r_cut, so exceed 1 Å"
            raise BasisError(f"r_cut is {r_cut:g} Å; {cure}.")

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
            mixing = lowdin(primitives, np.tile(np.eye(self.n_max, dtype=dtype), (self.l_max + 1, 1, 1)))
            combined = lambda rows: rows @ mixing  # noqa: E731
        else:
            # The mixing coefficients and their derivatives are large, so in float64 the rows are transformed.
            combined = partial(lowdin, primitives)

        def values(u: Any) -> Any:
            found = combined(smeared(u)).reshape(self.l_max + 1, N_ORDERS, len(u), self.n_max)
            return xp.transpose(found, (1, 2, 3, 0))

        return values


def lowdin(primitives: Float[Any, "l q n"], rows: Float[Any, "l j n"]) -> Float[Any, "l j n"]:
    """Transform values of primitive functions to values of Löwdin's orthonormal combinations.

    The overlap S = PᵀP of the primitives P has the square of their condition number, 1e15 for 15 functions. S^(-1/2) is
    therefore never formed. Instead, P (values on the nodes of a quadrature, times the square roots of its weights) and
    `rows` (values anywhere, perhaps of a linear operator applied) are multiplied by the same polynomials in PᵀP until
    PᵀP is the unit matrix. Rounding errors then grow with the condition number alone, and all derivatives exist.
    """
    q, n = primitives.shape[1:]
    if n > MOST_INDEPENDENT:
        raise _make_dependence_error(n)
    norms = (primitives**2).sum(1, keepdims=True) ** 0.5
    both = _polar(array_namespace(primitives).concatenate([primitives, rows], axis=1) / norms, q, N_STEPS)
    factor, rows = both[:, :q], both[:, q:]
    # The polar factor X of P depends on the norms of the primitives. X has orthonormal columns and P = X (XᵀP), so the
    # polar factor of XᵀP turns X into Löwdin's functions.
    rotation = factor.swapaxes(1, 2) @ primitives
    size = ((rotation**2).sum((1, 2), keepdims=True)) ** 0.5
    return rows @ _polar(rotation / size, rotation.shape[1], N_STEPS_ROTATION)


def _polar(x: Float[Any, "l j n"], q: int, n_steps: int) -> Float[Any, "l j n"]:
    """Make the columns of the first `q` rows orthonormal by the Newton-Schulz iteration of order 5."""
    unit = np.eye(x.shape[2], dtype=x.dtype)[None]

    def square(x: Any) -> Any:
        return x[:, :q].swapaxes(1, 2) @ x[:, :q]

    def step(x: Any) -> Any:
        y = square(x)
        return x @ (15 / 8 * unit - 5 / 4 * y + 3 / 8 * (y @ y))

    # The Frobenius norm bounds the largest singular value.
    x = x / ((x[:, :q] ** 2).sum((1, 2), keepdims=True)) ** 0.5
    if isinstance(x, np.ndarray):
        for _ in range(n_steps):
            # A step cubes the error.
            converged = np.abs(square(x) - unit).max() < 1e-7
            x = step(x)
            if converged:
                return x
        raise _make_dependence_error(x.shape[2])
    return jax.lax.scan(lambda x, _: (step(x), None), x, None, length=n_steps)[0]


def _make_dependence_error(n: int) -> BasisError:
    return BasisError(f"{n} radial functions are linearly dependent in float64; choose a smaller n_max or l_max.")
