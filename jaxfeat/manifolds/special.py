"""Neighbors in special positions: in a plane, where symmetry hides displacements, and on a sphere, where a short basis
does."""

from math import acos, pi
from typing import Any

import jax.numpy as jnp

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.manifold import GOLDEN_ANGLE, Family, Parameter, Scalar, rows


def planar(n: int = 4, *, species: str | int = "H", center_species: str | int | None = "C") -> Family:
    """Make a manifold of `n` neighbors in a plane with the center, of which the last may leave the plane.

    At `z = 0` a featurizer that is invariant under reflections sees no displacement out of the plane.

    **Arguments:** `n`: the number of neighbors, at least 2. `species`, `center_species`: symbols or atomic numbers of
    the neighbors and of the center.

    **Returns:** A `Family` of the distances `r1`, ... (Å), the azimuths `phi2`, ... (rad), and the height `z` of the
    last neighbor (Å).

    **Raises:** `GeometryError` if `n` is less than 2.
    """
    _check_number(n)
    parameters = (
        *(Parameter(f"r{k}", 0.7, 2.0, 0.95 + 0.13 * k) for k in range(1, n + 1)),
        *(Parameter(f"phi{k}", 0.0, 2 * pi, ((k - 1) * GOLDEN_ANGLE) % (2 * pi), "rad") for k in range(2, n + 1)),
        Parameter("z", -1.0, 1.0, 0.0),
    )

    def build(*values: Scalar) -> Environment:
        *flat, z = rows(values)[0]
        radii, heights = flat[:n], [0.0] * (n - 1) + [z]
        azimuths: list[Any] = [0.0, *flat[n:]]
        points = [(r * jnp.cos(p), r * jnp.sin(p), h) for r, p, h in zip(radii, azimuths, heights, strict=True)]
        return Environment.from_neighbors(rows(*points), [species] * n, center_species)

    return Family(parameters, build)


def equal_radii(n: int = 4, *, species: str | int = "H", center_species: str | int | None = "C") -> Family:
    """Make a manifold of `n` neighbors at one distance from the center, of which the last may leave the sphere.

    At `dr = 0` the rank of order 2 depends on `l_max` alone: four neighbors lose one displacement at `l_max = 4`.

    **Arguments:** as `planar`.

    **Returns:** A `Family` of the common distance `r` (Å), the polar angles `theta2`, ... and the azimuths `phi3`, ...
    (rad), and the excess `dr` of the last neighbor's distance (Å). The first neighbor is on the z axis.

    **Raises:** `GeometryError` if `n` is less than 2.
    """
    _check_number(n)
    parameters = (
        Parameter("r", 0.7, 2.0, 1.1),
        *(Parameter(f"theta{k}", 0.0, pi, acos(1 - 2 * (k - 1) / (n + 0.3)), "rad") for k in range(2, n + 1)),
        *(Parameter(f"phi{k}", 0.0, 2 * pi, ((k - 2) * GOLDEN_ANGLE) % (2 * pi), "rad") for k in range(3, n + 1)),
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


def _check_number(n: int) -> None:
    if n < 2:
        raise GeometryError(f"n is {n}; give at least two neighbors.")
