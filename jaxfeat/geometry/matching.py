"""Matching of environments by rotations and permutations of like neighbors, on the host."""

import jax.numpy as jnp
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.overlay import overlay
from jaxfeat.geometry.point_group import kabsch
from jaxfeat.geometry.species import SYMBOLS
from jaxfeat.geometry.structure import Item, Structure

CONGRUENCE_TOLERANCE = 1e-5  # Å, the largest distance between an atom and its counterpart in a congruent environment


def group_congruent(
    positions: np.ndarray, species: np.ndarray, tolerance: float = CONGRUENCE_TOLERANCE
) -> tuple[np.ndarray, ...]:
    """Group environments with positions `(b, n, 3)` (Å from the center) into families of congruent ones. Two
    environments are congruent if a rotation, with or without inversion, sends every atom to within the tolerance (Å) of
    an atom of its kind. Families are lists of indices, in the order of their first members. Species 0 pads."""
    b = len(positions)
    if b == 0:
        return ()
    keys = np.stack([_sort_distances(x, z, tolerance) for x, z in zip(positions, species, strict=True)])
    # Moving two atoms by the tolerance each changes their distance by at most twice that, and sorting adds nothing.
    pairs = cKDTree(keys).query_pairs(4 * tolerance, p=np.inf, output_type="ndarray")
    same = [_are_congruent(positions[i], positions[j], species[i], species[j], tolerance) for i, j in pairs]
    graph = coo_array((np.asarray(same, bool), tuple(pairs.T)), shape=(b, b))
    graph.eliminate_zeros()
    labels = connected_components(graph, directed=False)[1]
    families = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return tuple(sorted(families, key=lambda members: members[0]))


def atom_kinds(items: Item) -> np.ndarray:
    """Number the kinds of atoms or neighbors that may take each other's place, 0 for padding: by species, and in a
    structure by whether they are centers."""
    kinds = np.where(items.mask, items.species, 0).astype(int)
    if isinstance(items, Structure):
        chosen = np.asarray(items.center)[..., None] == np.arange(kinds.shape[-1])
        kinds = np.where((chosen & np.asarray(items.center_mask)[..., None]).any(-2), kinds, -kinds)
        kinds = np.where(kinds < 0, len(SYMBOLS) - kinds, kinds)
    return kinds


def _sort_distances(positions: np.ndarray, species: np.ndarray, tolerance: float) -> np.ndarray:
    """Sort the distances from the center and between neighbors, kind by kind: an invariant that is continuous."""
    first, second = np.triu_indices(len(positions), 1)
    lengths = np.linalg.norm(np.concatenate([positions, positions[first] - positions[second]]), axis=1)
    low, high = np.sort(species[[first, second]].astype(int), axis=0)
    kinds = np.concatenate([species.astype(int) - 1000, 1000 * low + high])
    order = np.lexsort((lengths, kinds))
    # The kinds are part of the key, scaled so that different kinds are never near.
    return np.concatenate([lengths[order], kinds[order] * 100.0 * tolerance])


def _are_congruent(a: np.ndarray, b: np.ndarray, kinds_a: np.ndarray, kinds_b: np.ndarray, tolerance: float) -> bool:
    in_a, in_b = kinds_a > 0, kinds_b > 0
    if in_a.sum() != in_b.sum():
        return False
    return congruent_image(a[in_a], b[in_b], kinds_a[in_a], kinds_b[in_b], tolerance) is not None


def congruent_image(
    a: np.ndarray,
    b: np.ndarray,
    kinds_a: np.ndarray,
    kinds_b: np.ndarray,
    tolerance: float,
    signs: tuple[float, ...] = (1.0, -1.0),
) -> np.ndarray | None:
    """Rotate and permute atoms `a`, `(n, 3)` Å, onto `b`, in its order, so that each is within the tolerance of its
    counterpart; `None` if that is impossible. `signs` are the allowed determinants; -1 allows inversion."""
    if not len(a):
        return b
    # The two atoms of a that are farthest from being in line with the center, and all their possible images.
    leverage = np.linalg.norm(np.cross(a[:, None], a), axis=-1)
    i, j = np.unravel_index(int(leverage.argmax()), leverage.shape)
    slack = 4 * tolerance
    alike = kinds_a[:, None] == kinds_b
    near = alike & (np.abs(np.linalg.norm(a, axis=1)[:, None] - np.linalg.norm(b, axis=1)) < slack)
    gap = np.abs(np.linalg.norm(a[i] - a[j]) - np.linalg.norm(b[:, None] - b, axis=-1)) < slack
    for k, l in np.argwhere(near[i][:, None] & near[j] & gap):
        for sign in signs:
            rotation = kabsch(a[[i, j]], b[[k, l]], sign)
            cost = np.where(alike, np.linalg.norm((a @ rotation.T)[:, None] - b, axis=-1), np.inf)
            match = cost.argmin(1)
            if len(np.unique(match)) != len(a) or not np.isfinite(cost.min(1)).all():
                continue
            # Two atoms fix a rotation to their own noise. All atoms together fix it better.
            moved = a @ kabsch(a, b[match], sign).T
            if np.linalg.norm(moved - b[match], axis=1).max() <= tolerance:
                return moved[np.argsort(match)]
    return None


def aligned(env: Environment, onto: Environment) -> Environment:
    """Rotate an environment about its center, and permute its like neighbors, to lie close to another.

    The trial rotations are the identity and rotations that take two neighbors of `env` to the directions of two
    neighbors of `onto`. Refinement matches neighbors (by assignment) and rotates in turn, up to a minimum of the sum of
    squared distances between neighbors. Mirror images are not aligned with each other.

    **Arguments:**

    - `env`: The environment to move.
    - `onto`: An environment of the same species, which stays.

    **Returns:** An `Environment` with the neighbors of `env` in the order of `onto`, at the lowest minimum found.

    **Raises:** `GeometryError` if the two do not have the same species.
    """
    moving, fixed = (np.asarray(e.positions)[np.asarray(e.mask)] for e in (env, onto))
    kinds, target = (np.asarray(e.species)[np.asarray(e.mask)] for e in (env, onto))
    centers = int(env.center_species), int(onto.center_species)
    if len(kinds) != len(target) or (np.sort(kinds) != np.sort(target)).any() or centers[0] != centers[1]:
        held = " and ".join(f"{np.sort(z).tolist()} around {c}" for z, c in zip((kinds, target), centers, strict=True))
        raise GeometryError(f"the environments hold different atoms (neighbors {held}); no way leads between them.")
    found = overlay(moving, kinds, fixed, target)
    moved = np.zeros(onto.positions.shape)
    moved[found.second] = moving[found.first] @ found.matrix.T
    return onto.with_positions(jnp.asarray(moved, onto.positions.dtype))
