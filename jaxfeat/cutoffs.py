"""Cutoff windows: weights that fade a neighbor out before it leaves the cutoff sphere."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError
from jaxfeat.linalg.arrays import array_namespace, as_quantity, concrete_values, format_quantity


def _quantity(value: float) -> Any:
    # Equinox takes the type of a constructor argument from its converter, and specs read that type: a number.
    return as_quantity(value)


class AbstractCutoff(eqx.Module):
    """A weight that depends on the distance of a neighbor: one well inside the cutoff sphere, zero from `r_cut` on.

    A featurizer takes it as `cutoff` and multiplies the density of each neighbor by it.
    """

    smoothness: eqx.AbstractClassVar[int]
    """The number of continuous derivatives at `r_cut`; -1 if the weight itself jumps."""

    @abstractmethod
    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        """Compute the weight at distance `r`, of the same shape. Both distances are in Å."""

    has_slope: ClassVar[bool] = False
    """True if `with_slope` is there."""

    def with_slope(self, r: Float[np.ndarray, "*batch"], r_cut: float) -> tuple[np.ndarray, np.ndarray]:
        """Compute the weight and its derivative by `r` in NumPy, without a compiled program."""
        raise NotImplementedError

    def check(self, r_cut: float) -> None:
        """Raise `BasisError` if the window does not fit into `r_cut`."""


class NoCutoff(AbstractCutoff):
    """A weight of one for every neighbor, as in DScribe's SOAP. Features jump when an atom enters the sphere."""

    smoothness: ClassVar[int] = -1
    has_slope: ClassVar[bool] = True

    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        return jnp.ones_like(r)

    def with_slope(self, r: Float[np.ndarray, "*batch"], r_cut: float) -> tuple[np.ndarray, np.ndarray]:
        return np.ones_like(r), np.zeros_like(r)


class _Window(AbstractCutoff):
    """A window that switches from one to zero over the last `width` Å before `r_cut`."""

    width: eqx.AbstractVar[np.ndarray]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(width = {format_quantity(self.width, 'Å')})"

    @abstractmethod
    def switch(self, u: Any) -> Any:
        """Return the weight at u = 0 ... 1, NumPy's or JAX's: from 0 at the cutoff to 1 one width inside."""

    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        # u counts from the cutoff inwards, so that the weight is exactly zero there and keeps its digits in the tail.
        return self.switch(jnp.clip((r_cut - r) / jnp.asarray(self.width, r.dtype), 0, 1))

    has_slope: ClassVar[bool] = True

    @abstractmethod
    def slope(self, u: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """Return the derivative of `switch` by `u`."""

    def with_slope(self, r: Float[np.ndarray, "*batch"], r_cut: float) -> tuple[np.ndarray, np.ndarray]:
        u = np.clip((r_cut - r) / float(self.width), 0, 1)
        return self.switch(u), -self.slope(u) / float(self.width)

    def check(self, r_cut: float) -> None:
        width = concrete_values(self.width)
        if width is not None and not 0 < width <= r_cut:
            raise BasisError(f"the cutoff's width is {width:g} Å; it must lie above 0 and within r_cut = {r_cut:g} Å.")


class ShiftedCosine(_Window):
    """The cosine window of featomic and librascal: (1 + cos(π t)) / 2 with t = 0 ... 1 over the last `width` Å.

    Its second derivative jumps.

    **Arguments:**

    - `width`: A number in Å, above 0 and at most `r_cut`.
    """

    width: np.ndarray = eqx.field(default=0.5, converter=_quantity)
    smoothness: ClassVar[int] = 1

    def switch(self, u: Any) -> Any:
        return array_namespace(u).sin(0.5 * np.pi * u) ** 2

    def slope(self, u: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        return 0.5 * np.pi * np.sin(np.pi * u)


class Smoothstep(_Window):
    """The default window: a polynomial of degree 9 over the last `width` Å, with four zero derivatives at both ends.

    Searches take Newton steps on equations that contain the Jacobian, so they need three continuous derivatives. The
    fourth lets tests check that the third is continuous.

    **Arguments:**

    - `width`: A number in Å, above 0 and at most `r_cut`.
    """

    width: np.ndarray = eqx.field(default=1.0, converter=_quantity)
    smoothness: ClassVar[int] = 4

    def switch(self, u: Any) -> Any:
        # The polynomial p has p(u) = 1 - p(1 - u). Near u = 1 its terms cancel and leave its slope wrong by 3000 eps.
        where, inner = array_namespace(u).where, u > 0.5
        x = where(inner, 1 - u, u)
        weight = x**5 * (126 + x * (-420 + x * (540 + x * (-315 + 70 * x))))
        return where(inner, 1 - weight, weight)

    def slope(self, u: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        x = np.where(u > 0.5, 1 - u, u)  # the slope is symmetric about u = 1/2
        return 630 * (x * (1 - x)) ** 4


class Zhu2016(AbstractCutoff):
    """The amplitude (1 - (r / r_cut)²)² of overlap matrix fingerprints, which falls from the center on.

    Its second derivative jumps at `r_cut`. Eigenvalues of an overlap matrix depend on its square, which has three
    continuous derivatives.

    **Source:** Zhu et al., J. Chem. Phys. 144, 034203 (2016), with the exponent 2 of the published programs.
    """

    smoothness: ClassVar[int] = 1
    has_slope: ClassVar[bool] = True

    def __call__(self, r: Float[Array, "*batch"], r_cut: Float[Array, ""]) -> Float[Array, "*batch"]:
        # The product keeps the digits near the cutoff.
        return jnp.maximum((r_cut - r) * (r_cut + r) / r_cut**2, 0) ** 2

    def with_slope(self, r: Float[np.ndarray, "*batch"], r_cut: float) -> tuple[np.ndarray, np.ndarray]:
        base = np.maximum((r_cut - r) * (r_cut + r) / r_cut**2, 0)
        return base**2, -4 * base * r / r_cut**2


class Willatt2018(eqx.Module):
    """The radial scaling rate / (rate + (r / scale)^exponent) of featomic: a further weight of the neighbors.

    If `rate` is 0, which featomic refuses, the scaling is (scale / r)^exponent.

    **Arguments:**

    - `scale`: A positive distance in Å.
    - `rate`, `exponent`: Numbers that are not negative.

    **Raises:** `BasisError` for other numbers.

    **Source:** Willatt et al., Phys. Chem. Chem. Phys. 20, 29661 (2018).
    """

    scale: np.ndarray = eqx.field(converter=_quantity)
    rate: np.ndarray = eqx.field(converter=_quantity)
    exponent: np.ndarray = eqx.field(converter=_quantity)

    def __check_init__(self) -> None:
        scale, rate, exponent = (concrete_values(x) for x in (self.scale, self.rate, self.exponent))
        if scale is None or rate is None or exponent is None:
            return
        if not (scale > 0 and rate >= 0 and exponent >= 0):
            given = f"scale {scale:g}, rate {rate:g}, exponent {exponent:g}"
            cure = "scale must be positive, and the others must not be negative"
            raise BasisError(f"radial scaling has {given}; {cure}.")

    def __repr__(self) -> str:
        rate, exponent = format_quantity(self.rate), format_quantity(self.exponent)
        return f"Willatt2018(scale = {format_quantity(self.scale, 'Å')}, rate = {rate}, exponent = {exponent})"

    def __call__(self, r: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
        """Compute the weight at distance `r` in Å, of the same shape."""
        scale, rate, exponent = (jnp.asarray(p, r.dtype) for p in (self.scale, self.rate, self.exponent))
        power = (r / scale) ** exponent
        return jnp.where(rate > 0, rate / (rate + power), 1 / power)

    def with_slope(self, r: Float[np.ndarray, "*batch"]) -> tuple[np.ndarray, np.ndarray]:
        """Compute the weight and its derivative by `r` in NumPy."""
        scale, rate, exponent = float(self.scale), float(self.rate), float(self.exponent)
        power = (r / scale) ** exponent
        weight = rate / (rate + power) if rate > 0 else 1 / power
        share = power / (rate + power) if rate > 0 else 1.0
        return weight, -weight * share * exponent / r
