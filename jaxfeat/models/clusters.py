"""Structures as models take them: without padding, and clusters of a center and its neighbors."""

from typing import Any

import equinox as eqx
import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure

OF_CENTERS = ("center", "center_mask", "neighbor", "shift", "neighbor_mask")


def has_images(structure: Structure) -> bool:
    """Tell whether a center of a crystal sees several images of one atom, or one of its own."""
    # Each padded neighbor counts as an atom of its own.
    around = np.where(structure.neighbor_mask, structure.neighbor, -1 - np.arange(structure.neighbor.shape[1]))
    ordered = np.sort(np.concatenate([around, structure.center[:, None]], 1), 1)
    return bool((np.diff(ordered, axis=1) == 0).any())


def as_cluster(env: Environment) -> Structure:
    """Make a molecule of a center and its neighbors, none of which is padding."""
    n = len(env.positions)
    arrays: dict[str, Any] = {
        "positions": np.concatenate([np.zeros((1, 3)), np.asarray(env.positions, float)]),
        "cell": np.zeros((3, 3)),
        "species": np.append(env.center_species, env.species).astype(np.int32),
        "mask": np.ones(n + 1, bool),
        "center": np.zeros(1, np.int32),
        "center_mask": np.ones(1, bool),
        "neighbor": np.arange(1, n + 1, dtype=np.int32)[None],
        "shift": np.zeros((1, n, 3)),
        "neighbor_mask": np.ones((1, n), bool),
        "r_cut": np.asarray(env.r_cut, float),
    }
    return Structure(**arrays, periodic=False)


def without_padding(structure: Structure) -> tuple[Structure, np.ndarray]:
    """Return one structure without padded atoms and centers, in float64, and the places of its centers."""
    n, present = int(structure.mask.sum()), np.flatnonzero(structure.center_mask)
    names = ("positions", "cell", "species", "mask", "r_cut", *OF_CENTERS)
    atoms = [np.asarray(getattr(structure, name))[:n] for name in ("positions", "species", "mask")]
    centers = [np.asarray(getattr(structure, name))[present] for name in OF_CENTERS]
    cell, r_cut = (np.asarray(getattr(structure, name), float) for name in ("cell", "r_cut"))
    parts = [atoms[0].astype(float), cell, *atoms[1:], r_cut, *centers]
    return eqx.tree_at(lambda one: [getattr(one, name) for name in names], structure, parts), present
