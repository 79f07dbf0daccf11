"""Neighbors in a plane with the center: what symmetry hides."""

from math import pi
from typing import Any

import jax.numpy as jnp

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.coordinates import GOLDEN, rows
from jaxfeat.manifolds.manifold import Family, Parameter, Scalar


def planar(n: int = 4, *, species: str | int = "H", center_species: str | int | None = "C") -> Family:
    """`n` neighbors in a plane with the center, of which the last may leave it.

    Parameters: the distances `r1`, ... (Å), the azimuths `phi2`, ... (rad), and `z` (Å), the height of the last
    neighbor. At z = 0 no featurizer that is invariant under reflections sees displacements out of the plane.

    **Raises:** `GeometryError` unless `n` is at least 2.
    """
    if n < 2:
        raise GeometryError(f"n is {n}; give at least two neighbors.")
    parameters = (
        *(Parameter(f"r{k}", 0.7, 2.0, 0.95 + 0.13 * k) for k in range(1, n + 1)),
        *(Parameter(f"phi{k}", 0.0, 2 * pi, ((k - 1) * GOLDEN) % (2 * pi), "rad") for k in range(2, n + 1)),
        Parameter("z", -1.0, 1.0, 0.0),
    )

    def build(*values: Scalar) -> Environment:
        *flat, z = rows(values)[0]
        radii, heights = flat[:n], [0.0] * (n - 1) + [z]
        azimuths: list[Any] = [0.0, *flat[n:]]
        points = [(r * jnp.cos(p), r * jnp.sin(p), h) for r, p, h in zip(radii, azimuths, heights, strict=True)]
        return Environment.from_neighbors(rows(*points), [species] * n, center_species)

    return Family(parameters, build)
