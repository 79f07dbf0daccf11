"""Two environments of the same atoms, laid upon each other."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.point_group import kabsch, orthonormal_axes

KEPT = 12
"""Rotations from which matching and rotating are repeated in turn: the best of those tried."""

ROUNDS = 50


def aligned(env: Environment, onto: Environment) -> Environment:
    """`env` rotated about its center, and its like neighbors permuted, so that the sum of squared distances between
    neighbors is the least that was found.

    Tried are all rotations that take two neighbors of `env` to the directions of two of `onto`, and none at all; the
    best of them go on to the nearest minimum by matching (assignment) and rotating in turn. Mirror images stay apart.

    **Raises:** `GeometryError` where the two do not have the same species.
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
    seeds = [np.eye(3), *_seeds(moving, kinds, fixed, target)]
    costs = [_match(moving @ rotation.T, fixed, forbidden)[1] for rotation in seeds]
    found = [_settled(seeds[k], moving, fixed, forbidden) for k in np.argsort(costs, kind="stable")[:KEPT]]
    rotation, order = min(found, key=lambda pair: float(((moving[pair[1]] @ pair[0].T - fixed) ** 2).sum()))
    return onto.with_positions(jnp.zeros_like(onto.positions).at[: len(fixed)].set(moving[order] @ rotation.T))


def _seeds(moving: np.ndarray, kinds: np.ndarray, fixed: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    """Rotations that take an ordered pair of neighbors to the frame of the pair of `fixed` that is farthest from a
    line."""
    n = len(fixed)
    if n < 2:
        return [] if n == 0 else [_turn(moving[0], fixed[0])]
    spread = np.linalg.norm(np.cross(fixed[:, None], fixed[None]), axis=-1)
    first, second = np.unravel_index(int(spread.argmax()), spread.shape)
    if spread.max() < 1e-8:
        return [_turn(point, fixed[0]) for point in moving[kinds == target[0]]]
    goal = orthonormal_axes(fixed[first], fixed[second])
    return [
        goal @ orthonormal_axes(moving[i], moving[j]).T
        for i in np.flatnonzero(kinds == target[first])
        for j in np.flatnonzero(kinds == target[second])
        if i != j and np.linalg.norm(np.cross(moving[i], moving[j])) > 1e-8
    ]


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A rotation that takes the direction of `a` to that of `b`."""
    other = np.eye(3)[int(np.abs(np.cross(np.eye(3), a)).sum(-1).argmax())]
    across = np.cross(a, b) if np.linalg.norm(np.cross(a, b)) > 1e-8 else np.cross(a, other)
    return orthonormal_axes(b, np.cross(across, b)) @ orthonormal_axes(a, np.cross(across, a)).T


def _match(moved: np.ndarray, fixed: np.ndarray, forbidden: np.ndarray) -> tuple[np.ndarray, float]:
    """Which neighbor of `moved` belongs to each of `fixed`, and the sum of squared distances."""
    costs = ((moved[:, None] - fixed[None]) ** 2).sum(-1) + forbidden
    rows, columns = linear_sum_assignment(costs)
    order = np.empty(len(fixed), int)
    order[columns] = rows
    return order, float(costs[rows, columns].sum())


def _settled(
    rotation: np.ndarray, moving: np.ndarray, fixed: np.ndarray, forbidden: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    order, cost = _match(moving @ rotation.T, fixed, forbidden)
    for _ in range(ROUNDS):
        rotation = kabsch(moving[order], fixed)
        order, before = _match(moving @ rotation.T, fixed, forbidden)[0], cost
        cost = float(((moving[order] @ rotation.T - fixed) ** 2).sum())
        if before - cost <= 1e-14 * (1 + before):
            break
    return rotation, order
