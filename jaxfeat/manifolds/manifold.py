"""What every named family of environments is: parameters with bounds, and a smooth map from them to environments."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx

from jaxfeat.geometry.environment import Environment


class Parameter(NamedTuple):
    """A coordinate of a manifold: its name, the interval that it lies in, and its unit ("Å", "rad", "" for none)."""

    name: str
    low: float
    high: float
    unit: str


class AbstractManifold(eqx.Module):
    """A family of environments, differentiable in its parameters.

    **Attributes:** `parameters`: one `Parameter` for each argument of the call, in order.
    """

    parameters: eqx.AbstractVar[tuple[Parameter, ...]]

    @abstractmethod
    def __call__(self, *values: Any) -> Environment:
        """The environment at one value, traced or not, for each parameter."""
