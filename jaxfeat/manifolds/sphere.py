"""Neighbors on a sphere: what a short basis hides."""

from math import acos, pi
from typing import Any

import jax.numpy as jnp

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.coordinates import GOLDEN, rows
from jaxfeat.manifolds.manifold import Family, Parameter, Scalar


def equal_radii(n: int = 4, *, species: str | int = "H", center_species: str | int | None = "C") -> Family:
    """`n` neighbors at one distance from the center, of which the last may leave the sphere.

    Parameters: the common distance `r` (Å), the polar angles `theta2`, ... and azimuths `phi3`, ... (rad) of all but
    the first neighbor, which is on the z axis, and `dr` (Å), how much farther out the last one is. At dr = 0 the rank
    of order 2 depends on l_max alone: for four neighbors one displacement is lost at l_max = 4.

    **Raises:** `GeometryError` unless `n` is at least 2.
    """
    if n < 2:
        raise GeometryError(f"n is {n}; give at least two neighbors.")
    parameters = (
        Parameter("r", 0.7, 2.0, 1.1),
        *(Parameter(f"theta{k}", 0.0, pi, acos(1 - 2 * (k - 1) / (n + 0.3)), "rad") for k in range(2, n + 1)),
        *(Parameter(f"phi{k}", 0.0, 2 * pi, ((k - 2) * GOLDEN) % (2 * pi), "rad") for k in range(3, n + 1)),
        Parameter("dr", -0.5, 0.5, 0.0),
    )

    def build(*values: Scalar) -> Environment:
        r, *angles, dr = rows(values)[0]
        polar: list[Any] = [0.0, *angles[: n - 1]]
        azimuths: list[Any] = [0.0, 0.0, *angles[n - 1 :]]
        radii = [r] * (n - 1) + [r + dr]
        points = [
            (s * jnp.sin(t) * jnp.cos(p), s * jnp.sin(t) * jnp.sin(p), s * jnp.cos(t))
            for s, t, p in zip(radii, polar, azimuths, strict=True)
        ]
        return Environment.from_neighbors(rows(*points), [species] * n, center_species)

    return Family(parameters, build)
