"""What makes a family of environments a manifold: parameters with names and bounds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import pi
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment

Scalar = Float[Array, ""] | float


class Parameter(NamedTuple):
    """One coordinate of a manifold.

    **Attributes:** `name`; `low` and `high`, the bounds; `default`, a value in between that is generic; `unit`: "Å",
    "rad", or empty.
    """

    name: str
    low: float
    high: float
    default: float
    unit: str = "Å"

    @property
    def shown(self) -> tuple[float, str]:
        """What to divide values by for people to read, and what to put behind them: angles are in units of π."""
        return (pi, " π") if self.unit == "rad" else (1.0, f" {self.unit}".rstrip())


class AbstractManifold(eqx.Module):
    """A smooth map from parameters to one environment, of the same atoms everywhere.

    **Attributes:** `parameters`, a `Parameter` for each argument, in order.
    """

    parameters: eqx.AbstractVar[tuple[Parameter, ...]]

    @abstractmethod
    def __call__(self, *values: Scalar) -> Environment:
        """The environment at these parameters, in the order of `parameters`; they may be traced."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def values(self, **named: Any) -> tuple[Any, ...]:
        """All parameters in order: those `named`, and the defaults of the others.

        **Raises:** `GeometryError` for a name that is no parameter's.
        """
        for name in named:
            self.parameter(name)
        return tuple(named.get(parameter.name, parameter.default) for parameter in self.parameters)

    def parameter(self, name: str) -> Parameter:
        """**Raises:** `GeometryError` for a name that is no parameter's."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise GeometryError(f"there is no parameter {name!r}; choose among {', '.join(self.names)}.")


class Family(AbstractManifold):
    """A manifold made of a function of the parameters."""

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    build: Callable[..., Environment]

    def __call__(self, *values: Scalar) -> Environment:
        if len(values) != len(self.parameters):
            raise GeometryError(f"{len(values)} values were given for the parameters {', '.join(self.names)}.")
        return self.build(*values)
