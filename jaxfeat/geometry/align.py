"""Alignment of two environments of the same atoms."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.rotations import COLLINEAR_AREA, kabsch, orthonormal_axes, rotation_between

N_REFINED = 12
"""The number of the best trial rotations, which are refined."""

MAX_ROUNDS = 50
"""Rounds of matching and rotating in one refinement."""


def aligned(env: Environment, onto: Environment) -> Environment:
    """Rotate an environment about its center, and permute its like neighbors, to lie close to another.

    The trial rotations are the identity and all rotations that take two neighbors of `env` to the directions of two
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
        raise GeometryError(
            f"the environments hold different atoms (neighbors {np.sort(kinds).tolist()} around {centers[0]}, and "
            f"{np.sort(target).tolist()} around {centers[1]}); there is no way from one to the other."
        )
    forbidden = np.where(kinds[:, None] == target[None], 0.0, 1e6 * (1 + (moving**2).sum() + (fixed**2).sum()))
    trials = [np.eye(3), *_trial_rotations(moving, kinds, fixed, target)]
    costs = [_match(moving @ rotation.T, fixed, forbidden)[1] for rotation in trials]
    best = np.argsort(costs, kind="stable")[:N_REFINED]
    found = [_refine_rotation(trials[k], moving, fixed, forbidden) for k in best]
    rotation, order = min(found, key=lambda one: float(((moving[one[1]] @ one[0].T - fixed) ** 2).sum()))
    return onto.with_positions(jnp.zeros_like(onto.positions).at[: len(fixed)].set(moving[order] @ rotation.T))


def _trial_rotations(moving: np.ndarray, kinds: np.ndarray, fixed: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """List rotations that take two neighbors to the directions of those two of `fixed` that are farthest from a line
    through the center."""
    n = len(fixed)
    if n < 2:
        return [] if n == 0 else [rotation_between(moving[0], fixed[0])]
    spread = np.linalg.norm(np.cross(fixed[:, None], fixed[None]), axis=-1)
    first, second = np.unravel_index(int(spread.argmax()), spread.shape)
    if spread.max() < COLLINEAR_AREA:
        return [rotation_between(point, fixed[0]) for point in moving[kinds == target[0]]]
    goal = orthonormal_axes(fixed[first], fixed[second])
    return [
        goal @ orthonormal_axes(moving[i], moving[j]).T
        for i in np.flatnonzero(kinds == target[first])
        for j in np.flatnonzero(kinds == target[second])
        if i != j and np.linalg.norm(np.cross(moving[i], moving[j])) > COLLINEAR_AREA
    ]


def _match(moved: np.ndarray, fixed: np.ndarray, forbidden: np.ndarray) -> tuple[np.ndarray, float]:
    """Assign a neighbor of `moved` to each of `fixed`; return the indices and the sum of squared distances."""
    costs = ((moved[:, None] - fixed[None]) ** 2).sum(-1) + forbidden
    rows, columns = linear_sum_assignment(costs)
    order = np.empty(len(fixed), int)
    order[columns] = rows
    return order, float(costs[rows, columns].sum())


def _refine_rotation(
    rotation: np.ndarray, moving: np.ndarray, fixed: np.ndarray, forbidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    order, cost = _match(moving @ rotation.T, fixed, forbidden)
    for _ in range(MAX_ROUNDS):
        rotation = kabsch(moving[order], fixed)
        order, before = _match(moving @ rotation.T, fixed, forbidden)[0], cost
        cost = float(((moving[order] @ rotation.T - fixed) ** 2).sum())
        if before - cost <= 1e-14 * (1 + before):
            break
    return rotation, order
