"""One center and the same neighbors through several structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_positions


class FollowedCenter(NamedTuple):
    """Environments of one center through several structures.

    **Attributes:**

    - `environments`: `(f,)`, one for each structure, of the same neighbors in the same order.
    - `neighbors`: `(n,)`, indices of the neighbors in the structures.
    """

    environments: Environment
    neighbors: np.ndarray


def follow_center(frames: Sequence[Any], r_cut: float, center: int) -> FollowedCenter:
    """Cut out the environment of one atom of a molecule from each of several structures of the molecule.

    Neighbors are all atoms that come nearer to the center than `r_cut` in any structure, in their order. A neighbor may
    lie outside the radius in some structures; the cutoff of the featurizer deals with it there.

    **Arguments:**

    - `frames`: `ase.Atoms`, or objects with their `positions`, `numbers` and `pbc`.
    - `r_cut`: The radius in Å.
    - `center`: Index of the center.

    **Raises:** `GeometryError` if there are no structures, or if they hold different atoms, are periodic, have
    positions that are not finite or coincide, or lack the center or any neighbor; `SpeciesError` for dummy atoms.
    """
    n = len(frames)
    if not n:
        raise GeometryError("there are no structures to follow a center through; give at least one.")
    numbers = np.asarray(frames[0].numbers, np.int32)
    if not -len(numbers) <= center < len(numbers):
        raise GeometryError(f"there is no atom {center}, only 0 to {len(numbers) - 1}.")
    if numbers.min() < 1:
        raise SpeciesError(f"atom {int(numbers.argmin())} is a dummy atom; remove it.")
    for k, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, numbers):
            raise GeometryError(f"structure {k} has other atoms, or another order of them, than structure 0.")
        if np.any(frame.pbc):
            raise GeometryError(f"structure {k} is periodic; atoms are followed through molecules only.")
        try:
            check_positions(np.asarray(frame.positions, float), "atom")
        except GeometryError as error:
            raise GeometryError(f"structure {k}: {error}") from error
    positions = np.stack([np.asarray(frame.positions, float) for frame in frames])
    vectors = positions - positions[:, center, None]
    near = (np.linalg.norm(vectors, axis=-1) < r_cut).any(0)
    near[center] = False
    neighbors = np.flatnonzero(near)
    if not len(neighbors):
        raise GeometryError(f"no atom comes within {r_cut:g} Å of atom {center}; choose another center or r_cut.")
    shape = (n, len(neighbors))
    return FollowedCenter(
        Environment(
            positions=jnp.asarray(vectors[:, neighbors]),
            species=jnp.broadcast_to(numbers[neighbors], shape),
            mask=jnp.ones(shape, bool),
            center_species=jnp.full(n, numbers[center], jnp.int32),
            structure_index=jnp.arange(n, dtype=jnp.int32),
            center_index=jnp.full(n, center % len(numbers), jnp.int32),
            r_cut=jnp.full(n, r_cut, float),
            neighbor_index=jnp.broadcast_to(neighbors.astype(np.int32), shape),
            neighbor_shift=jnp.zeros((*shape, 3), jnp.int32),
        ),
        neighbors,
    )
