"""One center and its neighbors, as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.geometry.species import atomic_number, atomic_numbers
from jaxfeat.linalg.arrays import concrete_values

Batch = TypeVar("Batch", bound=eqx.Module)

COINCIDENCE_DISTANCE = 1e-6
"""Atoms nearer to each other than this (Å) are one atom given twice."""


class Environment(eqx.Module):
    """A center and its neighbors; with leading axes, a batch of them padded to one size.

    Neighbors come first and padding last. Padding holds zeros and atomic number 0, and `mask` is `False` there.

    **Attributes:**

    - `positions`: `(..., n, 3)`, Å relative to the center. The dtype of everything computed from the environment.
    - `species`: `(..., n)` atomic numbers of the neighbors.
    - `mask`: `(..., n)`, true where there is a neighbor.
    - `center_species`: `(...)` atomic number of the center, 0 where no atom sits there.
    - `structure_index`, `center_index`: `(...)`, where the environment was read from; -1 where it was not read.
    - `r_cut`: `(...)` Å. Every atom nearer to the center than this is among the neighbors. Infinite, which is the
      default, where the neighbors that are given are all there are; 0 where none could be looked for.
    """

    positions: Float[Array, "*batch n 3"]
    species: Int[Array, "*batch n"]
    mask: Bool[Array, "*batch n"]
    center_species: Int[Array, "*batch"]
    structure_index: Int[Array, "*batch"]
    center_index: Int[Array, "*batch"]
    r_cut: Float[Array, "*batch"] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        given: Any = self.r_cut
        if given is None:
            self.r_cut = infinite_r_cut(np.shape(self.center_species), self.positions.dtype)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.positions.shape[:-2]

    @property
    def max_neighbors(self) -> int:
        """Neighbors that there is room for: the padded size."""
        return self.positions.shape[-2]

    @property
    def n_neighbors(self) -> Int[Array, "*batch"]:
        return self.mask.sum(-1)

    def __getitem__(self, index: Any) -> Environment:
        """Take some environments of a batch, as from an array of its shape.

        **Raises:** `GeometryError` for a single environment; `IndexError` for indices out of bounds, and for more of
        them than the batch has axes. JAX cannot raise for traced indices, and takes the nearest item there is.
        """
        if not self.batch_shape:
            raise GeometryError("this is one environment, not a batch: it has nothing to index.")
        return take_items(self, self.batch_shape, index)

    def __iter__(self) -> Iterator[Environment]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        if not self.batch_shape:
            raise GeometryError("this is one environment, not a batch: it has no length.")
        return self.batch_shape[0]

    @staticmethod
    def from_neighbors(
        positions: Any, species: Sequence[str | int] | Any, center_species: str | int | None = None
    ) -> Environment:
        """One environment from its neighbors.

        **Arguments:**

        - `positions`: `(n, 3)`, Å relative to the center. May be traced, and then goes unchecked.
        - `species`: `n` symbols or atomic numbers.
        - `center_species`: that of the atom at the center; `None` for a point where no atom sits.

        **Raises:** `GeometryError` for positions that are not finite, not `(n, 3)`, or coincide with each other or the
        center; `SpeciesError` for what is no element or has not one entry a neighbor.
        """
        numbers = atomic_numbers(species)
        values = concrete_values(positions)
        if values is not None:
            # `jnp.asarray` would compile a program for each shape.
            floats = values if np.issubdtype(values.dtype, np.floating) else values.astype(float)
            positions = jax.device_put(floats)
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise GeometryError(
                f"positions has shape {positions.shape}; give one row of x, y, z (Å) for each neighbor."
            )
        n = positions.shape[0]
        if len(numbers) != n:
            raise SpeciesError(f"{len(numbers)} species were given for {n} neighbors; give one for each.")
        if values is not None:
            check_positions(np.asarray(positions), "neighbor", center=True)
        return Environment(
            positions=positions,
            species=jax.device_put(numbers),
            mask=jax.device_put(np.ones(n, bool)),
            center_species=jax.device_put(np.int32(0 if center_species is None else atomic_number(center_species))),
            structure_index=jax.device_put(np.int32(-1)),
            center_index=jax.device_put(np.int32(-1)),
            r_cut=jax.device_put(infinite_r_cut((), positions.dtype)),
        )

    @staticmethod
    def stack(environments: Sequence[Environment]) -> Environment:
        """Single environments as one batch, padded to the largest."""
        if not environments:
            raise GeometryError("there are no environments to stack; give at least one.")
        size = max(env.max_neighbors for env in environments)
        padded = [env.padded(size) for env in environments]
        return jax.tree.map(_stacked, *padded)

    def padded(self, size: int) -> Environment:
        """The same environments with room for `size` neighbors. Cuts padding, never neighbors.

        Every function of an environment works at the size that it is given. Environments that are padded to one size
        share one compiled program, and so do the members of a batch.

        **Raises:** `GeometryError` if a neighbor would be lost (outside jit).
        """
        mask = concrete_values(self.mask)
        counts = np.zeros(0, int) if mask is None else mask.sum(-1)
        if counts.size and counts.max() > size:
            raise GeometryError(f"an environment of {counts.max()} neighbors does not fit into {size}.")
        if size == self.max_neighbors:
            return self
        return _fitted(self, size) if on_host(self) else _fitted_on_device(self, size)

    def trimmed(self) -> Environment:
        """The same environments without padding that none of them needs; as they are inside jit.

        XLA rounds differently at another shape. What is computed of trimmed environments does not depend in any bit on
        how they were padded before.
        """
        mask = concrete_values(self.mask)
        return self if mask is None else self.padded(int(mask.sum(-1).max(initial=0)))

    def with_positions(self, positions: Float[Array, "*batch n 3"]) -> Environment:
        """The same atoms elsewhere."""
        return eqx.tree_at(lambda env: env.positions, self, positions)


def infinite_r_cut(shape: tuple[int, ...], dtype: Any) -> Any:
    """Make the `r_cut` of environments whose neighbors are all there are."""
    return np.full(shape, np.inf, dtype)


def take_items(batch: Batch, shape: tuple[int, ...], index: Any) -> Batch:
    """Take some items of a batch, whose leading axes have this `shape`."""
    index = _of_axes(shape, index)
    if isinstance(index, (int, np.integer)) and not on_host(batch):
        return _item(batch, np.asarray(index))
    # NumPy makes scalars of what has no axis left, which are no arrays.
    as_it_is = np.asarray if on_host(batch) else (lambda leaf: leaf)
    return jax.tree.map(lambda leaf: as_it_is(leaf[index]), batch)


def _of_axes(shape: tuple[int, ...], index: Any) -> Any:
    """Keep an index to the axes of a batch of this `shape`. **Raises:** `IndexError` for one that leaves it."""
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


def concatenate_on_host(batches: Sequence[Environment]) -> Environment:
    """Batches of one padded size on the host, one after the other."""
    return batches[0] if len(batches) == 1 else jax.tree.map(lambda *leaves: np.concatenate(leaves), *batches)


# What is done to every leaf is one program for all of them; leaf by leaf JAX compiles one for each shape.
@eqx.filter_jit
def _item(batch: Batch, index: Any) -> Batch:
    return jax.tree.map(lambda leaf: leaf[index], batch)


def _fitted(env: Environment, size: int) -> Environment:
    pad = np.pad if on_host(env) else jnp.pad
    last = [(0, 0)] * len(env.batch_shape) + [(0, max(size - env.max_neighbors, 0))]
    return eqx.tree_at(
        lambda env: (env.positions, env.species, env.mask),
        env,
        (
            pad(env.positions[..., :size, :], [*last, (0, 0)]),
            pad(env.species[..., :size], last),
            pad(env.mask[..., :size], last),
        ),
    )


_fitted_on_device = eqx.filter_jit(_fitted)


def _stacked(*leaves: Array) -> Array:
    values = [concrete_values(leaf) for leaf in leaves]
    known = [value for value in values if value is not None]
    return jax.device_put(np.stack(known)) if len(known) == len(leaves) else jnp.stack(leaves)


def on_host(tree: Any) -> bool:
    """Whether all arrays are NumPy's: what is done with them then needs no program."""
    return all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))


def check_positions(positions: np.ndarray, what: str, *, center: bool = False) -> None:
    """Raise `GeometryError` where one set of positions `(n, 3)` is not finite or holds one atom twice."""
    finite = np.isfinite(positions).all(-1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise GeometryError(f"{what} {bad} is at {positions[bad].tolist()}, which is not finite; mend its coordinates.")
    if center and len(positions):
        radii = np.linalg.norm(positions, axis=-1)
        if radii.min() < COINCIDENCE_DISTANCE:
            raise GeometryError(
                f"{what} {int(radii.argmin())} sits on the center; the center is not among its own neighbors."
            )
    pair = coincident_pair(positions)
    if pair is not None:
        raise GeometryError(f"{what}s {pair[0]} and {pair[1]} are at the same point; remove one of them.")


def coincident_pair(positions: np.ndarray) -> tuple[int, int] | None:
    """Indices of two of the positions `(n, 3)` that are one point, if there are any."""
    # Sorted by x, coincident positions lie within a short run: linear memory where a distance matrix is not.
    order = np.argsort(positions[:, 0], kind="stable")
    ordered = positions[order]
    for gap in range(1, len(ordered)):
        step = ordered[gap:] - ordered[:-gap]
        near = step[:, 0] < COINCIDENCE_DISTANCE
        if not near.any():
            return None
        hit = near & (np.abs(step) < COINCIDENCE_DISTANCE).all(-1)
        if hit.any():
            first = int(np.argmax(hit))
            low, high = sorted((int(order[first]), int(order[first + gap])))
            return low, high
    return None
