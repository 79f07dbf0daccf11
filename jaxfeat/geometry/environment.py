"""One center and its neighbors, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.batch import Batched, on_host
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.species import atomic_number, atomic_numbers
from jaxfeat.linalg.arrays import concrete_values

RADIUS_ROUNDING = 1e-6
"""Relative difference up to which two radii are one, because float32 may have rounded them."""


class Environment(Batched, eqx.Module):
    """A center and its neighbors; with leading axes, a batch of environments padded to one number of neighbors.

    Neighbors come first and padding last. `environments` cuts environments from structures and fills the indices.
    `Structure.environments` fills all but `structure_index`. Elsewhere indices are -1 and shifts zero.

    **Attributes:**

    - `positions`: `(..., n, 3)`, Å relative to the center; zero for padding. Everything computed from the environment
        has the dtype of the positions.
    - `species`: `(..., n)`, atomic numbers of the neighbors; 0 for padding.
    - `mask`: `(..., n)`, True for a neighbor, False for padding.
    - `center_species`: `(...)`, atomic number of the center; 0 if no atom sits there.
    - `structure_index`: `(...)`, index of the structure from which the environment was cut.
    - `center_index`: `(...)`, index of the center among the atoms of that structure.
    - `r_cut`: `(...)`, Å. Every atom nearer to the center than this is among the neighbors. Infinite, the default, if
        the given neighbors are all there are; 0 if the neighbors could not be searched for.
    - `neighbor_index`: `(..., n)` int32, index of each neighbor among the atoms of that structure; -1 for padding.
    - `neighbor_shift`: `(..., n, 3)` int32, periodic image of each neighbor, in units of the cell vectors:
        `positions = atoms.positions[neighbor_index] + neighbor_shift @ cell - atoms.positions[center_index]`.
    """

    positions: Float[Array, "*batch n 3"]
    species: Int[Array, "*batch n"]
    mask: Bool[Array, "*batch n"]
    center_species: Int[Array, "*batch"]
    structure_index: Int[Array, "*batch"]
    center_index: Int[Array, "*batch"]
    r_cut: Float[Array, "*batch"] = None  # type: ignore[assignment]
    neighbor_index: Int[Array, "*batch n"] = None  # type: ignore[assignment]
    neighbor_shift: Int[Array, "*batch n 3"] = None  # type: ignore[assignment]
    item_name: ClassVar[str] = "environment"
    part_name: ClassVar[str] = "neighbor"

    def __post_init__(self) -> None:
        env: Any = self
        if env.r_cut is None:
            env.r_cut = np.full(np.shape(self.center_species), np.inf, self.positions.dtype)
        if env.neighbor_index is None:
            env.neighbor_index = np.full(np.shape(self.mask), -1, np.int32)
        if env.neighbor_shift is None:
            env.neighbor_shift = np.zeros(np.shape(self.positions), np.int32)

    @property
    def max_neighbors(self) -> int:
        """The padded number of neighbors."""
        return self.positions.shape[-2]

    @property
    def n_neighbors(self) -> Int[Array, "*batch"]:
        """The number of neighbors, without padding."""
        return self.mask.sum(-1)

    @staticmethod
    def from_neighbors(
        positions: Any, species: Sequence[str | int] | Any, center_species: str | int | None = None
    ) -> Environment:
        """Make one environment from its neighbors.

        **Arguments:**

        - `positions`: `(n, 3)`, Å relative to the center. Traced positions are not checked.
        - `species`: `n` symbols or atomic numbers.
        - `center_species`: Symbol or atomic number of the atom at the center; `None` if no atom sits there.

        **Returns:** An `Environment` without batch axes or padding, in the floating dtype of `positions`.

        **Raises:** `GeometryError` if positions are not finite, not of shape `(n, 3)`, or coincide with each other or
        the center; `SpeciesError` for an unknown element, and unless there is one species for each neighbor.
        """
        numbers = atomic_numbers(species)
        values = concrete_values(positions)
        if values is not None:
            # `jnp.asarray` would compile a program for each shape.
            positions = jax.device_put(values if values.dtype.kind == "f" else values.astype(float))
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise GeometryError(
                f"positions has shape {positions.shape}; give one row of x, y, z (Å) for each neighbor."
            )
        n = len(positions)
        if len(numbers) != n:
            raise SpeciesError(f"{len(numbers)} species were given for {n} neighbors; give one for each.")
        if values is not None:
            check_positions(np.asarray(positions), "neighbor", center=True)
        arrays = {
            "species": numbers,
            "mask": np.ones(n, bool),
            "center_species": np.int32(0 if center_species is None else atomic_number(center_species)),
            "structure_index": np.int32(-1),
            "center_index": np.int32(-1),
            "r_cut": np.full((), np.inf, positions.dtype),
            "neighbor_index": np.full(n, -1, np.int32),
            "neighbor_shift": np.zeros((n, 3), np.int32),
        }
        return Environment(positions, **jax.device_put(arrays))

    @staticmethod
    def stack(environments: Sequence[Environment]) -> Environment:
        """Stack single environments as one batch, padded to the largest number of neighbors.

        **Raises:** `GeometryError` if there are no environments.
        """
        if not environments:
            raise GeometryError("there are no environments to stack; give at least one.")
        size = max(env.max_neighbors for env in environments)
        return jax.tree.map(_stack_leaves, *(env.padded(size) for env in environments))

    def padded(self, size: int) -> Environment:
        """Return the same environments with room for `size` neighbors. Padding is cut, neighbors never are.

        Every function of an environment computes at the padded size. Environments of one padded size share one compiled
        program.

        **Raises:** `GeometryError` if a neighbor would be lost (outside jit).
        """
        mask = concrete_values(self.mask)
        if mask is not None and (most := mask.sum(-1).max(initial=0)) > size:
            raise GeometryError(f"an environment of {most} neighbors does not fit into {size}.")
        if size == self.max_neighbors:
            return self
        return _resize(self, size) if on_host(self) else _resize_on_device(self, size)

    def trimmed(self) -> Environment:
        """Return the same environments without the padding that none of them needs. Inside jit nothing changes.

        XLA rounds differently at another shape. Results for trimmed environments do not depend on the padding before.
        """
        mask = concrete_values(self.mask)
        return self if mask is None else self.padded(int(mask.sum(-1).max(initial=0)))


def _resize(env: Environment, size: int) -> Environment:
    pad = np.pad if on_host(env) else jnp.pad
    last = [(0, 0)] * len(env.batch_shape) + [(0, max(size - env.max_neighbors, 0))]
    resized = {
        "positions": pad(env.positions[..., :size, :], [*last, (0, 0)]),
        "species": pad(env.species[..., :size], last),
        "mask": pad(env.mask[..., :size], last),
        "neighbor_index": pad(env.neighbor_index[..., :size], last, constant_values=-1),
        "neighbor_shift": pad(env.neighbor_shift[..., :size, :], [*last, (0, 0)]),
    }
    return eqx.tree_at(lambda env: [getattr(env, name) for name in resized], env, list(resized.values()))


_resize_on_device = eqx.filter_jit(_resize)


def _stack_leaves(*leaves: Array) -> Array:
    known = [value for leaf in leaves if (value := concrete_values(leaf)) is not None]
    return jax.device_put(np.stack(known)) if len(known) == len(leaves) else jnp.stack(leaves)
