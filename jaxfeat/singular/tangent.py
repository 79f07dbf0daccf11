"""Tangent spaces of the sets that singular points belong to."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.singular.land import linearized
from jaxfeat.singular.lanes import map_lanes, vmapped
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.singular.singular_equations import SingularEquations

RANK_CUTOFF = 1e-6
"""Singular values below this, relative to the largest, are zero. At landed points, zeros are about 1e-12 times the
amplification by the whitening."""


class TangentSpace(NamedTuple):
    """Moves dθ `(dimension, k)` along a set of singular points, up to rotations and without constraints.

    `turns` holds for each move the shortest dv, `(dimension, p)`, that solves the linearized equations together with
    it. The displacements of the atoms that belong to the moves, without their rotations, are orthonormal.
    """

    moves: np.ndarray
    turns: np.ndarray


def tangent_spaces(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> list[TangentSpace]:
    """Compute the tangent spaces of the sets that landed points θ `(b, k)` with directions `(b, p)` belong to."""
    triangles = linearized(equations, points, directions, starts, lanes)
    moves, rotations = map_lanes(partial(vmapped, _moves, equations.space), points, starts, lanes=lanes)
    k = points.shape[1]
    return [_tangent(t[:, :k], t[:, k:-1], *rest) for t, *rest in zip(triangles, moves, rotations, strict=True)]


def _moves(space: AbstractSearchSpace, point: Array, start: Environment) -> tuple[Array, Array]:
    """Compute the derivatives of positions by θ, `(3n, k)`, and rotations as displacements, `(3, 3n)`."""
    positions = lambda point: space.environment(point, start).positions  # noqa: E731
    x = positions(point)
    turns = [jnp.cross(jnp.broadcast_to(axis, x.shape), x).reshape(-1) for axis in jnp.eye(3, dtype=x.dtype)]
    return jax.jacfwd(lambda point: positions(point).reshape(-1))(point), jnp.stack(turns)


def _tangent(by_point: np.ndarray, by_direction: np.ndarray, moves: np.ndarray, rotations: np.ndarray) -> TangentSpace:
    # A move is tangent if some dv compensates for it: the part of its image that no dv reaches must vanish.
    left, values, back = robust_svd(by_direction)
    seen = values > RANK_CUTOFF * values.max()
    reached = left[:, seen]
    rest = by_point - reached @ (reached.T @ by_point)
    _, sizes, right = robust_svd(rest, full_matrices=True)
    rank = int((sizes > RANK_CUTOFF * np.linalg.norm(by_point, 2)).sum())
    kernel = right[rank:].T
    free = moves @ kernel
    _, sizes, axes = robust_svd(rotations)
    rigid = axes[sizes > RANK_CUTOFF * sizes.max()]
    # Coordinates that move nothing, for example those of fixed atoms, drop out here too.
    _, sizes, right = robust_svd(free - rigid.T @ (rigid @ free))
    found = kernel @ (right[sizes > RANK_CUTOFF] / sizes[sizes > RANK_CUTOFF, None]).T
    turns = -(back[seen].T / values[seen]) @ (reached.T @ (by_point @ found))
    return TangentSpace(found.T, turns.T)
