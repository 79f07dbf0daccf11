"""The interface of a manifold of environments, and helpers that its families share."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from math import pi, sqrt
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment

Scalar = Float[Array, ""] | float
GOLDEN_ANGLE = pi * (3 - sqrt(5))  # rad; the angle between successive points of a spiral that never closes


class Parameter(NamedTuple):
    """One coordinate of a manifold.

    **Attributes:** `name`: the name by which users set the parameter. `low`, `high`: its bounds. `default`: a generic
    value between the bounds. `unit`: "Å", "rad", or an empty string.
    """

    name: str
    low: float
    high: float
    default: float
    unit: str = "Å"

    @property
    def display_unit(self) -> tuple[float, str]:
        """The divisor and the suffix of displayed values. Angles are displayed in units of π."""
        return (pi, " π") if self.unit == "rad" else (1.0, f" {self.unit}".rstrip())


class AbstractManifold(eqx.Module):
    """A smooth map from parameters to one environment, which has room for the same atoms everywhere.

    **Attributes:** `parameters`: one `Parameter` for each argument, in order.
    """

    parameters: eqx.AbstractVar[tuple[Parameter, ...]]

    @abstractmethod
    def __call__(self, *values: Scalar) -> Environment:
        """Build the environment at parameters in the order of `parameters`; they may be traced."""

    def __repr__(self) -> str:
        units = [parameter.display_unit for parameter in self.parameters]
        bounds = [
            f"{name} = {low / divisor:g} to {high / divisor:g}{suffix}"
            for (name, low, high, *_), (divisor, suffix) in zip(self.parameters, units, strict=True)
        ]
        return f"{type(self).__name__}({', '.join(bounds)})"

    def all_neighbors(self) -> Environment:
        """Build an environment with every neighbor that some point has. By default all points have the same."""
        return self(*self.values())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def values(self, **named: Any) -> tuple[Any, ...]:
        """List all parameters in order: the named values, and defaults for the others.

        **Raises:** `GeometryError` if a name belongs to no parameter.
        """
        for name in named:
            self.parameter(name)
        return tuple(named.get(parameter.name, parameter.default) for parameter in self.parameters)

    def parameter(self, name: str) -> Parameter:
        """Find a parameter by its name.

        **Raises:** `GeometryError` if the name belongs to no parameter.
        """
        if name not in self.names:
            raise GeometryError(f"there is no parameter {name!r}; choose among {', '.join(self.names)}.")
        return self.parameters[self.names.index(name)]


class Family(AbstractManifold):
    """A manifold that a function of the parameters defines.

    **Attributes:** `parameters`: one `Parameter` for each argument of `build`. `build`: a function from the parameters
    to an `Environment`.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    build: Callable[..., Environment]

    def __call__(self, *values: Scalar) -> Environment:
        if len(values) != len(self.parameters):
            raise GeometryError(f"{len(values)} values were given for the parameters {', '.join(self.names)}.")
        return self.build(*values)


def rows(*points: Sequence[Any]) -> Float[Array, "n d"]:
    """Stack points as rows of a float array. Their coordinates are Python numbers or scalars, which may be traced."""
    # `float` is weak: float32 parameters stay float32, Python numbers and integers become the default float.
    dtype = jnp.result_type(float, *(x for point in points for x in point))
    return jnp.stack([jnp.stack([jnp.asarray(x, dtype) for x in point]) for point in points])
