"""The set of singular points that a point belongs to, to first order: its tangent space and its dimension."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxfeat.geometry.environment import Environment
from jaxfeat.search.batches import in_chunks, land_all
from jaxfeat.search.problem import Problem
from jaxfeat.search.space import AbstractSpace

RANK = 1e-6
"""Singular values below this, relative to the largest, are zero: landed points make zeros of 1e-12 or so, amplified by
what whitening amplifies."""


def dimensions(
    problem: Problem, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> np.ndarray:
    """The dimensions, up to rotations, of the sets that landed points belong to: `(b,)`. See `tangent_spaces`."""
    return np.asarray([len(space) for space in tangent_spaces(problem, points, directions, starts, lanes)])


def tangent_spaces(
    problem: Problem, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> list[np.ndarray]:
    """For landed points θ `(b, k)` with null directions `(b, p)`: the moves dθ, up to rotations, for which some dv
    keeps the linearised equations of (θ, v); constraints apart. For each point `(dimension, k)`: what they do to the
    atoms, their rotation apart, is orthonormal."""
    triangles = land_all(problem, points, directions, starts, lanes=lanes).triangle
    moves, turns = in_chunks(lambda *lane: _moves(problem.space, *lane), points, starts, lanes=lanes)
    k = points.shape[1]
    return [_tangent(t[:, :k], t[:, k:-1], *rest) for t, *rest in zip(triangles, moves, turns, strict=True)]


@eqx.filter_jit
def _moves(space: AbstractSpace, points: Array, starts: Environment) -> tuple[Array, Array]:
    """Derivatives of the positions by θ, `(b, 3n, k)`, and rotations as displacements, `(b, 3, 3n)`."""

    def one(point: Array, start: Environment) -> tuple[Array, Array]:
        place = lambda point: space.environment(point, start).positions  # noqa: E731
        x = place(point)
        turns = [jnp.cross(jnp.broadcast_to(axis, x.shape), x).reshape(-1) for axis in jnp.eye(3, dtype=x.dtype)]
        return jax.jacfwd(lambda point: place(point).reshape(-1))(point), jnp.stack(turns)

    return jax.vmap(one)(points, starts)


def _tangent(by_point: np.ndarray, by_direction: np.ndarray, moves: np.ndarray, turns: np.ndarray) -> np.ndarray:
    # What no dv can make up for must vanish: the rest after projecting out what dv reaches.
    left, values, _ = np.linalg.svd(by_direction, full_matrices=False)
    reached = left[:, values > RANK * values.max()]
    rest = by_point - reached @ (reached.T @ by_point)
    _, values, right = np.linalg.svd(rest)
    rank = int((values > RANK * np.linalg.norm(by_point, 2)).sum())
    kernel = right[rank:].T
    free = moves @ kernel
    _, values, axes = np.linalg.svd(turns, full_matrices=False)
    rigid = axes[values > RANK * values.max()]
    # Coordinates that move nothing, such as those of fixed atoms, drop out here too.
    _, values, right = np.linalg.svd(free - rigid.T @ (rigid @ free), full_matrices=False)
    seen = values > RANK
    return (kernel @ right[seen].T / values[seen]).T
