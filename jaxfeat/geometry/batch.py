"""The common part of environments and structures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.linalg.arrays import concrete_values

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

    def with_positions(self: Batch, positions: Float[Array, "*batch n 3"]) -> Batch:
        """Return the same atoms, with the same neighbors, at other positions (Å)."""
        return eqx.tree_at(lambda batch: batch.positions, self, positions)

    def __getitem__(self: Batch, index: Any) -> Batch:
        """Take some items, as from an array of shape `batch_shape`.

        JAX cannot raise for traced indices. It takes the nearest item if a traced index is out of bounds.

        **Raises:** `GeometryError` for a single item; `IndexError` for indices out of bounds, and for more indices than
        the batch has axes.
        """
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


def concatenate_on_host(batches: Sequence[Batch]) -> Batch:
    """Concatenate batches of one padded size, whose arrays are NumPy's."""
    return batches[0] if len(batches) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *batches)


def on_host(tree: Any) -> bool:
    """Tell whether all arrays are NumPy's, so that working on them needs no compiled program."""
    return all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))
