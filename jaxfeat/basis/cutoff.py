"""Windows that let a neighbor fade out before it leaves the cutoff sphere."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import as_quantity, concrete_values


def _quantity(value: float) -> Any:
    # Constructors take the type of an argument from its converter, and specs take it from there: here it is a number.
    return as_quantity(value)


class AbstractCutoff(eqx.Module):
    """A weight of distance that is one well inside the cutoff sphere and zero from `r_cut` on."""

    smoothness: eqx.AbstractClassVar[int]
    """Continuous derivatives at `r_cut`; -1 where the weight itself jumps."""

    @abstractmethod
    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        """Weight at distance `r` (Å)."""

    def check(self, r_cut: float) -> None:
        """Raise `BasisError` where the window does not fit into `r_cut`."""


class NoCutoff(AbstractCutoff):
    """One for every neighbor in the list, as DScribe's SOAP has it: features jump when an atom enters."""

    smoothness: ClassVar[int] = -1

    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        return jnp.ones_like(r)


class _Window(AbstractCutoff):
    """A switch over the last `width` Å before `r_cut`."""

    width: eqx.AbstractVar[np.ndarray]

    @abstractmethod
    def switch(self, u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """From 0 at u = 0, the cutoff, to 1 at u = 1, a width inside it."""

    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        # Measured from the cutoff inwards: exactly zero there, and exact in the tail.
        return self.switch(jnp.clip((r_cut - r) / jnp.asarray(self.width, r.dtype), 0, 1))

    def check(self, r_cut: float) -> None:
        width = concrete_values(self.width)
        if width is not None and not 0 < width <= r_cut:
            raise BasisError(f"the cutoff's width is {width:g} Å; it must lie above 0 and within r_cut = {r_cut:g} Å.")


class ShiftedCosine(_Window):
    """(1 + cos(pi t)) / 2, t = 0 ... 1 over the last `width` Å: featomic's and librascal's. Once differentiable."""

    width: np.ndarray = eqx.field(default=0.5, converter=_quantity)
    smoothness: ClassVar[int] = 1

    def switch(self, u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        return jnp.sin(0.5 * jnp.pi * u) ** 2


class Smoothstep(_Window):
    """The polynomial of degree 9 with four vanishing derivatives at both ends of the last `width` Å.

    Searches differentiate a Jacobian and land by Newton steps, so three continuous derivatives are the least; the
    fourth lets tests see the third as continuous.
    """

    width: np.ndarray = eqx.field(default=1.0, converter=_quantity)
    smoothness: ClassVar[int] = 4

    def switch(self, u: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        return u**5 * (126 + u * (-420 + u * (540 + u * (-315 + 70 * u))))


class Willatt2018(eqx.Module):
    """Radial scaling rate / (rate + (r / scale)^exponent) of Willatt et al. (PCCP 20, 29661 (2018)), as in featomic;
    with `rate` 0, which featomic does not take, it is (scale / r)^exponent. `scale` in Å.
    """

    scale: np.ndarray = eqx.field(converter=_quantity)
    rate: np.ndarray = eqx.field(converter=_quantity)
    exponent: np.ndarray = eqx.field(converter=_quantity)

    def __check_init__(self) -> None:
        scale, rate, exponent = (concrete_values(x) for x in (self.scale, self.rate, self.exponent))
        if scale is None or rate is None or exponent is None:
            return
        if not (scale > 0 and rate >= 0 and exponent >= 0):
            raise BasisError(
                f"radial scaling has scale {scale:g}, rate {rate:g}, exponent {exponent:g}; "
                "scale must be positive, the others not negative."
            )

    def __call__(self, r: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        scale, rate, exponent = (jnp.asarray(p, r.dtype) for p in (self.scale, self.rate, self.exponent))
        power = (r / scale) ** exponent
        return jnp.where(rate > 0, rate / (rate + power), 1 / power)
