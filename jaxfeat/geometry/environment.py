"""Environments: centers with their neighbors, as arrays; and the methods that environments and structures share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.species import SYMBOLS, atomic_number, atomic_numbers
from jaxfeat.linalg.arrays import concrete_values

RADIUS_ROUNDING = 1e-6  # relative difference up to which two radii are one, because float32 may have rounded them
Batch = TypeVar("Batch", bound="Batched")


class Batched:
    """Methods of environments and structures: one item, or a batch of items along leading axes.

    A batch is indexed as an array of shape `batch_shape`, and iterates over its first axis.
    """

    # The classes declare these fields. If this class were a Module, its fields would lead in their constructors.
    positions: Any
    species: Any
    mask: Any
    r_cut: Any
    part_name: ClassVar[str]

    @property
    @abstractmethod
    def item_name(self) -> str:
        """The noun for one item in messages."""

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.positions.shape[:-2]

    @property
    def n_coordinates(self) -> int:
        """The number of coordinates of one item: three for each neighbor or atom, padding included."""
        return 3 * self.positions.shape[-2]

    def with_positions(self: Batch, positions: Float[Array, "*batch n 3"]) -> Batch:
        """Return the same atoms, with the same neighbors, at other positions (Å)."""
        return eqx.tree_at(lambda batch: batch.positions, self, positions)

    def __getitem__(self: Batch, index: Any) -> Batch:
        """Take some items, as from an array of shape `batch_shape`. A traced index out of bounds takes the nearest
        item, because JAX cannot raise. Other indices raise `IndexError`, and a single item raises `GeometryError`."""
        if not self.batch_shape:
            raise GeometryError(f"this is one {self.item_name}, not a batch: it has nothing to index.")
        index = _check_index(self.batch_shape, index)
        if on_host(self):
            # NumPy returns scalars, which are no arrays, if no axis is left.
            return jax.tree.map(lambda leaf: np.asarray(leaf[index]), self)
        if isinstance(index, (int, np.integer)):
            return _take_on_device(self, np.asarray(index))
        return jax.tree.map(lambda leaf: leaf[index], self)

    def __iter__(self: Batch) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        if not self.batch_shape:
            raise GeometryError(f"this is one {self.item_name}, not a batch: it has no length.")
        return self.batch_shape[0]

    def __repr__(self) -> str:
        leaves = [self.mask, self.r_cut, self.positions, self.species, getattr(self, "center_species", self.species)]
        if not all(isinstance(leaf, (np.ndarray, jax.Array)) for leaf in leaves):
            return eqx.tree_pformat(self)
        total = int(np.prod(self.batch_shape))
        counted = count_of(total, self.item_name)
        if any(concrete_values(leaf) is None for leaf in leaves):
            return f"{type(self).__name__}({counted}, traced)"
        mask, r_cut, _, *species = map(np.asarray, leaves)
        parts = f"{'up to ' if self.batch_shape else ''}{count_of(mask.sum(-1).max(initial=0), self.part_name)}"
        radii = np.unique([r_cut.min(), r_cut.max()]) if total else np.zeros(0)
        cut = " to ".join(f"{radius:g}".replace("inf", "∞") for radius in radii) or "none"
        symbols = sorted({SYMBOLS[z] for numbers in species for z in np.unique(numbers) if 0 < z < len(SYMBOLS)})
        return f"{type(self).__name__}({counted}, {parts}, r_cut = {cut} Å, species {' '.join(symbols) or 'none'})"

    def _repr_html_(self) -> str | None:
        if any(concrete_values(leaf) is None for leaf in jax.tree.leaves(self)):
            return None
        from jaxfeat.geometry.unpadded import show_atoms_in_notebook

        return show_atoms_in_notebook(self)


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

    def room_and_number(self) -> tuple[int, int]:
        """Return the padded number of neighbors, and the number of environments."""
        return self.max_neighbors, prod(self.batch_shape)

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
            fault = f"positions has shape {positions.shape}"
            raise GeometryError(f"{fault}; give one row of x, y, z (Å) for each neighbor.")
        n = len(positions)
        if len(numbers) != n:
            raise SpeciesError(f"{len(numbers)} species were given for {n} neighbors; give one for each.")
        if values is not None:
            check_positions(np.asarray(positions), "neighbor", center=True)
        center = 0 if center_species is None else atomic_number(center_species)
        at_origin: Any = np.zeros((n, 3), positions.dtype), numbers, np.ones(n, bool), *map(np.int32, (center, -1, -1))
        return jax.device_put(Environment(*at_origin)).with_positions(positions)

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

        Compiled programs compute at the padded size. Environments of one padded size share a program.

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


def count_of(n: int, noun: str) -> str:
    """Write a number of things, for messages."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _check_index(shape: tuple[int, ...], index: Any) -> Any:
    """Write an index without an ellipsis. **Raises:** `IndexError` if it leaves the axes of the batch."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(concrete_values(part) is None for part in parts):
        return index
    # JAX takes the last item in place of one that is out of bounds. NumPy raises, here for an array without memory.
    try:
        np.broadcast_to(np.False_, shape)[index]
    except IndexError as error:
        raise IndexError(f"{error}; stay within the batch, whose shape is {shape}.") from None
    if not any(part is Ellipsis for part in parts):
        return index
    n_axes = [np.ndim(part) if np.asarray(part).dtype == bool else part is not None for part in parts]
    between = [slice(None)] * (len(shape) - sum(n_axes) + 1)
    return tuple(axis for part in parts for axis in (between if part is Ellipsis else [part]))


# One program for all leaves: leaf by leaf, JAX would compile one for each shape.
@eqx.filter_jit
def _take_on_device(batch: Batch, index: Any) -> Batch:
    return jax.tree.map(lambda leaf: leaf[index], batch)


def concatenate_on_host(batches: Sequence[Environment]) -> Environment:
    """Concatenate batches whose arrays are NumPy's, padded to the largest number of neighbors."""
    size = max(batch.max_neighbors for batch in batches)
    padded = [batch.padded(size) for batch in batches]
    return padded[0] if len(padded) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *padded)


def on_host(tree: Any) -> bool:
    """Tell whether all arrays are NumPy's, so that working on them needs no compiled program."""
    return all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))
