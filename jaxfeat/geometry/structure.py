"""Molecules and crystals, as arrays that stay differentiable in positions and cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Batched, Environment, on_host
from jaxfeat.linalg.arrays import array_namespace, concrete_values, einsum


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

    def room_and_number(self) -> tuple[int, int]:
        """Return the padded number of neighbors, and the number of environments with those of padded centers."""
        return self.neighbor.shape[-1], prod(self.neighbor.shape[:-1])

    def environments(self) -> Environment:
        """Cut out the environments of the centers, `(..., c)`; differentiable in positions and cell."""
        return _environments(self, np) if on_host(self) and not self.batch_shape else _environments_by_program(self)

    def around_centroid(self) -> Environment:
        """Return the atoms of a molecule, or of each of a batch, as the neighbors of its centroid, where no atom is."""
        xp, present = array_namespace(self.positions), self.mask.astype(self.positions.dtype)[..., None]
        centroid = (self.positions * present).sum(-2, keepdims=True) / xp.maximum(present.sum(-2, keepdims=True), 1)
        nowhere = xp.full(self.batch_shape, -1, xp.int32)
        return Environment(
            positions=(self.positions - centroid) * present,
            species=xp.where(self.mask, self.species, 0),
            mask=self.mask,
            center_species=xp.zeros(self.batch_shape, self.species.dtype),
            structure_index=nowhere,
            center_index=nowhere,
        )

    def centered_on(self, atom: int) -> Structure:
        """Return the same atoms with one center, the atom of this index.

        **Raises:** `GeometryError` if the atom is not among the centers of each structure.
        """
        found = (np.asarray(self.center) == atom) & np.asarray(self.center_mask)
        if isinstance(atom, bool) or not isinstance(atom, (int, np.integer)) or not found.any(-1).all():
            fault = f"center is {atom!r}, which is not among the centers of the {self.item_name}"
            raise GeometryError(f"{fault}; give the index of an atom with a list of neighbors.")
        place = found.argmax(-1)[..., None]
        names = ("center", "center_mask", "neighbor", "shift", "neighbor_mask")
        xp = np if on_host(self) else jnp
        parts = []
        for name in names:
            leaf = getattr(self, name)
            index = place.reshape(*place.shape, *[1] * (leaf.ndim - place.ndim))
            parts.append(xp.take_along_axis(leaf, index, place.ndim - 1))
        return eqx.tree_at(lambda one: [getattr(one, name) for name in names], self, parts)

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
    if isinstance(at, Environment):
        centers = np.asarray(at.center_species)
        seen = np.concatenate([species[np.asarray(at.mask)], centers[centers > 0]])
    else:
        centers, held = np.asarray(at.center), np.asarray(at.center_mask)
        neighbors, present = np.asarray(at.neighbor), np.asarray(at.neighbor_mask) & held[..., None]
        flat = neighbors.reshape(*neighbors.shape[:-2], -1)
        around = np.take_along_axis(species, flat, -1)[present.reshape(flat.shape)]
        seen = np.concatenate([around, np.take_along_axis(species, centers, -1)[held]])
    return seen[~np.isin(seen, np.asarray(known))]


def species_present(known: Int[np.ndarray, " k"] | None, at: Item) -> Int[np.ndarray, "*b s"]:
    """List the `known` species in each structure, or in each environment with its center, then -1, as far as needed."""
    species, mask = np.asarray(at.species), np.asarray(at.mask)
    if isinstance(at, Environment):
        center = np.asarray(at.center_species)[..., None]
        species = np.concatenate([species, center], -1)
        mask = np.concatenate([mask, np.ones_like(center, bool)], -1)
    if known is None or not len(known):
        return np.zeros((*species.shape[:-1], 0), np.int32)
    known = np.asarray(known)
    # One species at a time, because NumPy takes ten times as long to reduce an axis that is not the last.
    present = np.stack([((species == one) & mask).any(-1) for one in known], -1)
    first = np.sort(np.where(present, np.arange(len(known)), len(known)), -1)
    most = max(present.sum(-1).max(initial=0), 1)
    return np.append(known, -1).astype(np.int32)[first[..., :most]]


def _stack_padded(*leaves: Any) -> Array:
    # NumPy's arrays stay on the host: padding a thousand small arrays in JAX takes a quarter of a minute.
    pad, stack = (np.pad, np.stack) if isinstance(leaves[0], np.ndarray) else (jnp.pad, jnp.stack)
    shape = np.max([leaf.shape for leaf in leaves], axis=0)
    # NumPy takes no widths for arrays without axes.
    padded = [pad(leaf, [(0, n) for n in shape - leaf.shape]) if leaf.ndim else leaf for leaf in leaves]
    return jnp.asarray(stack(padded))


def _environments(structure: Structure, xp: Any) -> Environment:
    moved = einsum("cks,sx->ckx", structure.shift, structure.cell)
    relative = structure.positions[structure.neighbor] + moved - structure.positions[structure.center][:, None]
    mask = structure.neighbor_mask & structure.center_mask[:, None]
    return Environment(
        positions=xp.where(mask[..., None], relative, 0),
        species=xp.where(mask, structure.species[structure.neighbor], 0),
        mask=mask,
        center_species=xp.where(structure.center_mask, structure.species[structure.center], 0),
        structure_index=xp.full(structure.center.shape, -1, xp.int32),
        center_index=structure.center,
        r_cut=xp.broadcast_to(structure.r_cut, structure.center.shape),
        neighbor_index=xp.where(mask, structure.neighbor, -1).astype(xp.int32),
        neighbor_shift=xp.where(mask[..., None], structure.shift, 0).astype(xp.int32),
    )


@eqx.filter_jit
def _environments_by_program(structure: Structure) -> Environment:
    cut_out = partial(_environments, xp=jnp)
    for _ in structure.batch_shape:
        cut_out = jax.vmap(cut_out)
    return cut_out(structure)
