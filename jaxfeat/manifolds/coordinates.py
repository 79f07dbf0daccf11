"""What the families share."""

from collections.abc import Sequence
from math import pi, sqrt
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError

GOLDEN = pi * (3 - sqrt(5))
"""rad; the angle between successive points of a spiral that never closes."""


def rows(*points: Sequence[Any]) -> Float[Array, "n d"]:
    """Points as rows of a float array; their coordinates are Python numbers or scalars, traced or not."""
    # `float` is weak: float32 parameters stay float32, Python numbers and integers become the default float.
    dtype = jnp.result_type(float, *(x for point in points for x in point))
    return jnp.stack([jnp.stack([jnp.asarray(x, dtype) for x in point]) for point in points])


def check_sign(sign: int) -> None:
    """Raise `GeometryError` unless `sign` is 1 or -1."""
    if sign not in (1, -1):
        raise GeometryError(f"sign is {sign!r}; the members of a pair are 1 and -1.")
