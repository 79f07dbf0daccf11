"""Random environments."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment

TRIES = 30


def random_environments(
    key: PRNGKeyArray,
    n: int,
    species: Sequence[str | int],
    radii: tuple[float, float] = (0.8, 1.6),
    min_distance: float = 0.6,
    center_species: str | int | None = "C",
) -> Environment:
    """A batch of `n` random environments: directions uniform on the sphere, distances from the center uniform between
    `radii`, no two neighbors nearer to each other than `min_distance` (Å).

    **Arguments:** `species`: of the neighbors, the same in each environment.

    **Returns:** an `Environment` with positions `(n, len(species), 3)`, in JAX's default float.

    **Raises:** `GeometryError` for bounds that leave no room, or too little to find any.
    """
    if n < 1:
        raise GeometryError(f"n is {n}; ask for at least one environment.")
    if not 0 < radii[0] < radii[1]:
        raise GeometryError(f"radii is {tuple(radii)}; give a smallest and a larger distance from the center (Å).")
    size = len(species)
    kept: list[np.ndarray] = []
    for _ in range(TRIES):
        key, direction, radius = jax.random.split(key, 3)
        x = jax.random.normal(direction, (n, size, 3))
        r = jax.random.uniform(radius, (n, size, 1), minval=radii[0], maxval=radii[1])
        positions = np.asarray(r * x / jnp.linalg.norm(x, axis=-1, keepdims=True))
        first, second = np.triu_indices(size, 1)
        apart = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1) >= min_distance
        kept.append(positions[apart.all(-1)])
        if sum(map(len, kept)) >= n:
            found = jnp.asarray(np.concatenate(kept)[:n])
            return jax.vmap(Environment.from_neighbors(found[0], species, center_species).with_positions)(found)
    raise GeometryError(
        f"{size} neighbors {min_distance:g} Å apart hardly fit between {radii[0]:g} and {radii[1]:g} Å; give them room."
    )
