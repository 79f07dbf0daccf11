"""Environments of frames. Stand-ins for a faulty frame show only its fault, which the spectrum's status then names."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import numpy as np

from jaxfeat.geometry.ase_input import find_cell_fault, parse_centers, select_centers
from jaxfeat.geometry.bounds import BoundsError
from jaxfeat.geometry.environment import Environment, concatenate_on_host
from jaxfeat.geometry.neighbors import ImagesError, cut_environments
from jaxfeat.geometry.positions import find_coincident_atoms
from jaxfeat.geometry.species import Atoms


def cut_frames(
    structures: list[Atoms], first: int, r_cut: float, centers: Any, label: Callable[[int], str]
) -> Environment | None:
    """Cut the environments of frames `first`, `first + 1` ... on the host; `None` if there are none."""
    wanted = parse_centers(centers)
    parts: list[Environment] = []
    sound: dict[int, np.ndarray] = {}
    for k, structure in enumerate(structures):
        if not len(structure):
            continue
        chosen = select_centers(structure.numbers, wanted, k, label)
        atoms = _find_faulty_atoms(structure)
        if find_cell_fault(structure) is not None:
            parts.append(_stand_in(structure, k, chosen))
        elif atoms is not None:
            parts.append(_stand_in_with_atoms(structure, k, chosen, *atoms))
        else:
            sound[k] = chosen
    parts += _cut_sound(structures, sound, r_cut, label)
    if not sum(map(len, parts)):
        return None
    batch = concatenate_on_host(parts)
    batch = batch[np.argsort(batch.structure_index, kind="stable")]
    return _with_index(batch, batch.structure_index + np.int32(first))


def cut_clusters(atoms: np.ndarray, numbers: np.ndarray, chosen: np.ndarray, r_cut: float, first: int) -> Environment:
    """Cut environments of structures `(m, n, 3)` without cells; making a million `ase.Atoms` would take longer."""
    m, k, n = len(atoms), len(chosen), len(numbers) - 1
    others = np.stack([np.delete(np.arange(n + 1), center) for center in chosen])
    vectors = (atoms[:, others] - atoms[:, chosen, None]).reshape(m * k, n, 3)
    distance = np.sqrt(vectors[..., 0] ** 2 + vectors[..., 1] ** 2 + vectors[..., 2] ** 2)
    order = np.argsort(distance, axis=1, kind="stable")
    mask = np.take_along_axis(distance, order, 1) < r_cut
    room = max(1, mask.sum(-1).max(initial=0))
    mask, order = mask[:, :room], order[:, :room]
    index = np.take_along_axis(np.tile(others.astype(np.int32), (m, 1)), order, 1)
    arrays: dict[str, Any] = {
        "positions": np.where(mask[..., None], np.take_along_axis(vectors, order[..., None], 1), 0.0),
        "species": np.where(mask, numbers[index], 0),
        "mask": mask,
        "center_species": np.tile(numbers[chosen], m),
        "structure_index": np.repeat(np.arange(first, first + m, dtype=np.int32), k),
        "center_index": np.tile(chosen.astype(np.int32), m),
        "r_cut": np.full(m * k, r_cut),
        "neighbor_index": np.where(mask, index, -1),
    }
    return Environment(**arrays)


def _find_faulty_atoms(structure: Atoms) -> tuple[np.ndarray, np.ndarray] | None:
    """Find the indices and positions of atoms that are not finite or coincide. NaN also stands for a faulty cell."""
    positions, cell = np.asarray(structure.positions, float), structure.cell.array[structure.pbc]
    finite = np.isfinite(positions).all(-1)
    if not (finite.all() and np.isfinite(cell).all()):
        return np.asarray([int(np.argmin(finite))]), np.full((1, 3), np.nan)
    pair = find_coincident_atoms(positions)
    return None if pair is None else (np.asarray(pair), positions[list(pair)])


def _cut_sound(
    structures: list[Atoms], sound: dict[int, np.ndarray], r_cut: float, label: Callable[[int], str]
) -> list[Environment]:
    """Cut the environments of structures by index. Images may still coincide, and the search may find no neighbors."""
    if not sound:
        return []
    which = list(sound)
    try:
        batch = cut_environments([structures[k] for k in which], [*sound.values()], r_cut, lambda k: label(which[k]))
    except (BoundsError, ImagesError) as error:
        if len(which) > 1:
            return [part for k in which for part in _cut_sound(structures, {k: sound[k]}, r_cut, label)]
        (k,) = which
        if isinstance(error, BoundsError):
            return [_stand_in(structures[k], k, sound[k])]
        pair = np.asarray(error.atoms)
        positions = structures[k].positions[pair[:1]].repeat(2, 0)
        return [_stand_in_with_atoms(structures[k], k, sound[k], pair, positions)]
    # Environments with a ghost among their neighbors have a status. A ghost at the center would count as an empty point
    # in space. So its neighbors become ghosts as well, which gives the environment the same status.
    ghosts = np.asarray(batch.center_species) == 0
    species = np.where(ghosts[:, None], 0, batch.species).astype(np.int32)
    batch = eqx.tree_at(lambda env: env.species, batch, species)
    return [_with_index(batch, np.asarray(which, np.int32)[batch.structure_index])]


def _stand_in_with_atoms(
    structure: Atoms, k: int, chosen: np.ndarray, indices: np.ndarray, positions: np.ndarray
) -> Environment:
    """Make stand-ins in which only the atoms at fault are neighbors of each center."""
    mask = np.isnan(positions).any() | (indices != chosen[:, None])
    # Neighbors come first, so if the center is the first of the two atoms, they change places.
    order = np.argsort(~mask, axis=1, kind="stable")
    centers = np.nan_to_num(structure.positions[chosen])
    for index, position in zip(indices, positions, strict=True):
        # If an image coincides with an atom, the center moves to that atom.
        centers[chosen == index] = np.nan_to_num(position)
    mask = np.take_along_axis(mask, order, 1)
    shown = np.where(mask[..., None], positions[order] - centers[:, None], 0.0)
    species = np.where(mask, structure.numbers[indices][order], 0).astype(np.int32)
    radius = np.full(len(chosen), np.inf)
    return _stand_in(structure, k, chosen, positions=shown, species=species, mask=mask, r_cut=radius)


def _stand_in(structure: Atoms, k: int, chosen: np.ndarray, **arrays: np.ndarray) -> Environment:
    """Make stand-ins for the environments of structure number `k`: by default, centers without neighbors."""
    fields: dict[str, Any] = {
        "positions": np.zeros((len(chosen), 1, 3)),
        "species": np.zeros((len(chosen), 1), np.int32),
        "mask": np.zeros((len(chosen), 1), bool),
        "center_species": structure.numbers[chosen].astype(np.int32),
        "structure_index": np.full(len(chosen), k, np.int32),
        "center_index": chosen.astype(np.int32),
        # The radius says that the neighbors could not be searched for.
        "r_cut": np.zeros(len(chosen)),
        **arrays,
    }
    return Environment(**fields)


def _with_index(batch: Environment, structure_index: Any) -> Environment:
    return eqx.tree_at(lambda env: env.structure_index, batch, structure_index)
