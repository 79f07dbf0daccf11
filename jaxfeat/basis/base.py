"""The seam of radial bases, and the expansion of every basis in Chebyshev series. A neighbor at r adds G_nl(|r|²) r^l
Y_lm(r) to the density coefficient c_nlm. A basis defines G_nl. Dividing by r^l leaves smooth functions of r², also at
the origin."""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache, partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.basis.series import Functions, Series, host_series, traced_series
from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import concrete_values
from jaxfeat.so3.harmonics import L_LIMIT

N_LIMIT = 256  # radial functions; more would take minutes to prepare, and resolve less than 0.1 Å of a 4 Å sphere


class AbstractRadialBasis(eqx.Module):
    """Radial functions R_nl, orthonormal in n under ∫ r² dr, and their integrals G_nl with a Gaussian density. The
    quantities `r_cut` and `sigma`, both in Å, are no fields but arguments of the methods."""

    n_max: int = eqx.field(static=True)
    l_max: int = eqx.field(static=True)
    name: eqx.AbstractClassVar[str]
    """The name in a featurizer's repr."""

    def __check_init__(self) -> None:
        if self.n_max < 1:
            raise BasisError(f"n_max is {self.n_max}; it counts radial functions and must be at least 1.")
        if self.n_max > N_LIMIT:
            raise BasisError(f"n_max is {self.n_max}; a basis has up to {N_LIMIT} radial functions, so choose fewer.")
        if self.l_max < 0:
            raise BasisError(f"l_max is {self.l_max}; it is the largest angular momentum and must be at least 0.")
        if self.l_max > L_LIMIT:
            cure = f"float64 holds up to l_max = {L_LIMIT} here, so choose that or less"
            raise BasisError(f"l_max is {self.l_max}; {cure}.")

    @abstractmethod
    def series(self, r_cut: Any, sigma: Any) -> Series:
        """Expand G_nl in Chebyshev series. **Raises:** `BasisError` if the quantities define no basis."""

    @abstractmethod
    def with_sizes(self, n_max: int, l_max: int) -> AbstractRadialBasis:
        """Return a basis of the same kind with other sizes. **Raises:** `BasisError` if there is none."""


class AbstractPrimitiveBasis(AbstractRadialBasis):
    """A radial basis given by formulas for every n and l, which has its sizes alone as fields. Featurizers take its
    `name` for `radial`."""

    delta: ClassVar[bool] = False
    """True if the basis allows `sigma` = 0, a density of delta functions."""

    def with_sizes(self, n_max: int, l_max: int) -> AbstractPrimitiveBasis:
        return type(self)(n_max, l_max)

    @abstractmethod
    def functions(self, r_cut: Any, sigma: Any) -> Functions:
        """Return a function of u = r² / r_cut² that computes r_cut^(l + 2d) d^d G_nl / d(r²)^d, in NumPy or JAX."""

    @abstractmethod
    def width(self, r_cut: Any, sigma: Any) -> Any:
        """Return the distance over which G_nl varies, in units of `r_cut`."""

    def origin(self, r_cut: Any, sigma: Any) -> Any:
        """Return the distance √c of the variable t = √(u + c) of the series, in units of `r_cut`."""
        return 4 * self.width(r_cut, sigma)

    def series(self, r_cut: Any, sigma: Any) -> Series:
        """Expand G_nl in Chebyshev series: known quantities in long doubles, and traced ones differentiably in JAX."""
        if concrete_values(r_cut) is None or concrete_values(sigma) is None:
            return _traced(self, jnp.stack([jnp.asarray(r_cut, float), jnp.asarray(sigma, float)]))
        return known_series(self, float(r_cut), float(sigma))

    def check(self, r_cut: float, sigma: float) -> None:
        """Raise `BasisError` if the quantities define no basis."""
        if not (np.isfinite(r_cut) and r_cut > 0):
            raise BasisError(f"r_cut is {r_cut}; it must be a positive distance in Å.")
        if not (np.isfinite(sigma) and sigma >= 0) or (sigma == 0 and not self.delta):
            only = "" if self.delta else "; only radial='laplacian' takes the delta density, sigma = 0"
            raise BasisError(f"sigma is {sigma}; radial={self.name!r} needs a positive Gaussian width in Å{only}.")


@lru_cache(maxsize=256)
def known_series(basis: AbstractPrimitiveBasis, r_cut: float, sigma: float) -> Series:
    """Expand a basis of known quantities on the host."""
    basis.check(r_cut, sigma)
    quantities = np.longdouble(r_cut), np.longdouble(sigma)
    reach = 1 + 4 * quantities[1] / quantities[0]
    origin, width = basis.origin(*quantities), float(basis.width(*quantities))
    return in_angstrom(host_series(basis.functions(*quantities), origin, reach, width), r_cut)


def in_angstrom(series: Series, r_cut: Any) -> Series:
    """Divide a series by the factor r_cut^l that `AbstractPrimitiveBasis.functions` includes."""
    powers = r_cut ** -np.arange(series.tables.shape[2], dtype=series.tables.dtype)
    return eqx.tree_at(lambda g: g.tables, series, series.tables * powers[None, None, :, None])


def _expand(basis: AbstractPrimitiveBasis, quantities: Float[Array, "2"]) -> Series:
    r_cut, sigma = quantities
    with jax.default_matmul_precision("highest"):
        series = traced_series(basis.functions(r_cut, sigma), basis.origin(r_cut, sigma), 1 + 4 * sigma / r_cut)
    return in_angstrom(series, r_cut)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _traced(basis: AbstractPrimitiveBasis, quantities: Float[Array, "2"]) -> Series:
    return _expand(basis, quantities)


@_traced.defjvp
def _(basis: AbstractPrimitiveBasis, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Series, Series]:
    # Two quantities have many integrals. With slopes from forward mode, reverse mode need not store the integration.
    slopes = jax.jacfwd(partial(_expand, basis))(primals[0])
    return _expand(basis, primals[0]), jax.tree.map(lambda x: x @ tangents[0], slopes)
