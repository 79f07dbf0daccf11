"""One center and the same neighbors through several structures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.ase_input import check_structures
from jaxfeat.geometry.environment import Environment

if TYPE_CHECKING:
    from ase import Atoms


class FollowedCenter(NamedTuple):
    """Environments of one center through several structures.

    **Attributes:**

    - `environments`: `(f,)`, one for each structure, of the same neighbors in the same order.
    - `neighbors`: `(n,)`, indices of the neighbors in the structures.
    """

    environments: Environment
    neighbors: np.ndarray


def follow_center(frames: Sequence[Atoms], r_cut: float, center: int) -> FollowedCenter:
    """Cut out the environment of one atom of a molecule from each of several structures of the molecule.

    Neighbors are all atoms that come nearer to the center than `r_cut` in any structure, in their order. A neighbor may
    lie outside the radius in some structures; the cutoff of the featurizer deals with it there.

    **Arguments:**

    - `frames`: The structures.
    - `r_cut`: The radius in Å.
    - `center`: Index of the center.

    **Raises:** `ReadError` if there are no structures; `GeometryError` if they hold different atoms, are periodic, have
    positions that are not finite or coincide, or lack the center or any neighbor; `SpeciesError` for dummy atoms.
    """
    structures, _ = check_structures(frames, [f"structure {k}" for k in range(len(frames))])
    numbers = structures[0].numbers.astype(np.int32)
    if not -len(numbers) <= center < len(numbers):
        raise GeometryError(f"there is no atom {center}, only 0 to {len(numbers) - 1}.")
    for k, structure in enumerate(structures):
        if not np.array_equal(structure.numbers, numbers):
            raise GeometryError(f"structure {k} has other atoms, or another order of them, than structure 0.")
        if structure.pbc.any():
            raise GeometryError(f"structure {k} is periodic; atoms are followed through molecules only.")
    positions = np.stack([np.asarray(structure.positions, float) for structure in structures])
    vectors = positions - positions[:, center, None]
    near = (np.linalg.norm(vectors, axis=-1) < r_cut).any(0)
    near[center] = False
    neighbors = np.flatnonzero(near)
    if not len(neighbors):
        raise GeometryError(f"no atom comes within {r_cut:g} Å of atom {center}; choose another center or r_cut.")
    n, shape = len(structures), (len(structures), len(neighbors))
    arrays: dict[str, Any] = {
        "positions": vectors[:, neighbors],
        "species": np.broadcast_to(numbers[neighbors], shape),
        "mask": np.ones(shape, bool),
        "center_species": np.full(n, numbers[center]),
        "structure_index": np.arange(n, dtype=np.int32),
        "center_index": np.full(n, center % len(numbers), np.int32),
        "r_cut": np.full(n, r_cut, float),
        "neighbor_index": np.broadcast_to(neighbors.astype(np.int32), shape),
    }
    return FollowedCenter(jax.device_put(Environment(**arrays)), neighbors)
