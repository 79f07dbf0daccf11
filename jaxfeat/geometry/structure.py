"""Molecules and crystals, as arrays that stay differentiable in positions and cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Batched, Environment
from jaxfeat.linalg.arrays import concrete_values


class Structure(Batched, eqx.Module):
    """Atoms and the neighbors of each center; with leading axes, a batch of structures padded to one size.

    `jaxfeat.structures` makes structures from `ase.Atoms`.

    **Attributes:**

    - `positions`: `(..., n, 3)`, Å.
    - `cell`: `(..., 3, 3)`, Å; rows are lattice vectors, zero for directions that do not repeat.
    - `species`: `(..., n)`, atomic numbers.
    - `mask`: `(..., n)`, True for an atom, False for padding.
    - `center`: `(..., c)`, indices of the atoms whose environments are described.
    - `center_mask`: `(..., c)`, True for a center, False for padding.
    - `neighbor`: `(..., c, k)`, indices of each center's neighbors.
    - `shift`: `(..., c, k, 3)`, periodic images of the neighbors, in units of the cell vectors.
    - `neighbor_mask`: `(..., c, k)`, True for a neighbor, False for padding.
    - `periodic`: True if any direction repeats. Only translations are rigid then.
    - `r_cut`: `(...)`, Å, the radius of the centers' environments, as in `Environment`.
    """

    positions: Float[Array, "*batch n 3"]
    cell: Float[Array, "*batch 3 3"]
    species: Int[Array, "*batch n"]
    mask: Bool[Array, "*batch n"]
    center: Int[Array, "*batch c"]
    center_mask: Bool[Array, "*batch c"]
    neighbor: Int[Array, "*batch c k"]
    shift: Float[Array, "*batch c k 3"]
    neighbor_mask: Bool[Array, "*batch c k"]
    periodic: bool = eqx.field(static=True)
    r_cut: Float[Array, "*batch"] = None  # type: ignore[assignment]
    part_name: ClassVar[str] = "atom"

    def __post_init__(self) -> None:
        structure: Any = self
        if structure.r_cut is None:
            structure.r_cut = np.full(np.shape(self.positions)[:-2], np.inf, self.positions.dtype)

    @property
    def item_name(self) -> str:
        return "crystal" if self.periodic else "molecule"

    def environments(self) -> Environment:
        """Cut out the environments of the centers, `(..., c)`; differentiable in positions and cell."""
        return _environments(self)

    @staticmethod
    def stack(structures: Sequence[Structure]) -> Structure:
        """Stack single structures as one batch, padded to the largest.

        **Raises:** `GeometryError` if molecules and periodic structures come together.
        """
        if len({structure.periodic for structure in structures}) != 1:
            raise GeometryError("molecules and periodic structures do not stack; make one batch of each.")
        return jax.tree.map(_stack_padded, *structures)


Item = Environment | Structure  # A center with its neighbors, or a molecule or crystal; one or a batch


def find_unknown_species(at: Item, known: Int[Array, " s"] | np.ndarray) -> np.ndarray | None:
    """Find atomic numbers, perhaps repeated, around the centers of `at` that are not `known`; `None` inside jit."""
    species = concrete_values(at.species)
    if species is None:
        return None
    known = np.asarray(known)
    others = species[~np.isin(species, known) & np.asarray(at.mask)]
    if isinstance(at, Environment):
        centers = np.asarray(at.center_species)
        return np.concatenate([others, centers[~np.isin(centers, known) & (centers > 0)]])
    if not others.size:
        # The usual case needs no look at the environments.
        return others
    centers, held = np.asarray(at.center), np.asarray(at.center_mask)
    neighbors, present = np.asarray(at.neighbor), np.asarray(at.neighbor_mask) & held[..., None]
    flat = neighbors.reshape(*neighbors.shape[:-2], -1)
    around = np.take_along_axis(species, flat, -1)[present.reshape(flat.shape)]
    seen = np.concatenate([around, np.take_along_axis(species, centers, -1)[held]])
    return seen[~np.isin(seen, known)]


def _stack_padded(*leaves: Any) -> Array:
    # NumPy's arrays stay on the host: padding a thousand small arrays in JAX takes a quarter of a minute.
    pad, stack = (np.pad, np.stack) if isinstance(leaves[0], np.ndarray) else (jnp.pad, jnp.stack)
    shape = np.max([leaf.shape for leaf in leaves], axis=0)
    # NumPy takes no widths for arrays without axes.
    padded = [pad(leaf, [(0, n) for n in shape - leaf.shape]) if leaf.ndim else leaf for leaf in leaves]
    return jnp.asarray(stack(padded))


@eqx.filter_jit
def _environments(structure: Structure) -> Environment:
    if structure.batch_shape:
        return jax.vmap(_environments)(structure)
    images = structure.positions[structure.neighbor] + jnp.einsum(
        "cks,sx->ckx", structure.shift, structure.cell, precision="highest"
    )
    relative = images - structure.positions[structure.center][:, None]
    mask = structure.neighbor_mask & structure.center_mask[:, None]
    return Environment(
        positions=jnp.where(mask[..., None], relative, 0),
        species=jnp.where(mask, structure.species[structure.neighbor], 0),
        mask=mask,
        center_species=jnp.where(structure.center_mask, structure.species[structure.center], 0),
        structure_index=jnp.full(structure.center.shape, -1, jnp.int32),
        center_index=structure.center,
        r_cut=jnp.broadcast_to(structure.r_cut, structure.center.shape),
        neighbor_index=jnp.where(mask, structure.neighbor, -1).astype(jnp.int32),
        neighbor_shift=jnp.where(mask[..., None], structure.shift, 0).astype(jnp.int32),
    )
