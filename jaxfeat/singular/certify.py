"""What has been reached, seen with all the features."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.subspaces import least_norm_solutions
from jaxfeat.singular.batches import in_chunks, land_all
from jaxfeat.singular.equations import Problem
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.spectrum.jacobian import jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

CUT = 1e-11
"""Singular values of the linearised equations below this, relative to the largest, are zeros to rounding."""


class Seen(NamedTuple):
    """Points seen with all the features.

    - `values`, `(b, c)`, and `directions`, `(b, c, p)`: `Problem.spectrum`.
    - `ratio`: σ_min/σ_max. `residual`: |J v| / σ_max for given v. `violation`: of constraints, Å. `(b,)`.
    """

    values: Any
    directions: Any
    ratio: Any
    residual: Any
    violation: Any


def seen_at(
    problem: Problem, points: np.ndarray, directions: np.ndarray | None, starts: Environment, lanes: int
) -> Seen:
    """Spectra at θ `(b, k)`; residuals of the directions `(b, p)`, if there are any."""
    if directions is None:
        directions = np.zeros((len(points), 3 * starts.max_neighbors))

    def chunk(points: Any, directions: Any, starts: Environment) -> Seen:
        environments = _environments(problem.space, points, starts)
        return _measured(problem, *_jacobians(problem.f, environments), points, directions, environments)

    return in_chunks(chunk, points, directions, starts, lanes=lanes)


def newton_steps(
    problem: Problem, points: np.ndarray, directions: np.ndarray, starts: Environment, lanes: int
) -> np.ndarray:
    """How far the next step of Gauss-Newton, with no damping, would move θ: `(b,)`, the largest component.

    That J(x) v is zero to rounding does not say that x is a singular point to rounding. Where it vanishes to third
    order, as it may where several null directions meet, x can be 1e-4 Å away: a step is a third of the distance then.
    """
    triangles = land_all(problem, points, directions, starts, lanes=lanes).triangle
    # What is not finite has no step, and is no solution.
    sound = np.isfinite(triangles).all((1, 2))
    triangles[~sound] = 0
    steps = least_norm_solutions(triangles[:, :, :-1], triangles[:, :, -1], CUT)
    return np.where(sound, np.abs(steps[:, : points.shape[1]]).max(1), np.inf)


def jacobians_at(f: AbstractFeaturizer, environments: Environment, lanes: int) -> np.ndarray:
    """Jacobians of a few environments, `(b, n_features, 3n)`."""
    found = in_chunks(lambda env: _jacobians(f, env)[0], environments, lanes=lanes)
    return found.reshape(*found.shape[:2], -1)


def environments_at(space: AbstractSearchSpace, points: np.ndarray, starts: Environment, lanes: int) -> Environment:
    """The environments at θ `(b, k)`, as NumPy arrays."""
    return in_chunks(lambda *lane: _environments(space, *lane), points, starts, lanes=lanes)


def violations(space: AbstractSearchSpace, points: np.ndarray, starts: Environment, lanes: int) -> np.ndarray:
    """By how much constraints are violated, Å or units of θ, `(b,)`."""
    environments = environments_at(space, points, starts, lanes)
    return in_chunks(lambda *lane: _violations(space, *lane), points, environments, lanes=lanes)


@eqx.filter_jit
def _environments(space: AbstractSearchSpace, points: Array, starts: Environment) -> Environment:
    return jax.vmap(space.environment)(points, starts)


@eqx.filter_jit
def _violations(space: AbstractSearchSpace, points: Array, environments: Environment) -> Array:
    return jax.vmap(lambda point, env: _violation(space, point, env))(points, environments)


def _violation(space: AbstractSearchSpace, point: Array, env: Environment) -> Array:
    return -jnp.minimum(space.slack(point, env).min(initial=jnp.inf), 0)


@eqx.filter_jit
def _jacobians(f: AbstractFeaturizer, environments: Environment) -> tuple[Array, Array]:
    # The one program with the features' Jacobian: what is done with it is compiled apart, in a tenth of the time.
    return jax.vmap(lambda env: jacobian_and_norms(f, env))(environments)


@eqx.filter_jit
def _measured(
    problem: Problem, jacobians: Array, added: Array, points: Array, directions: Array, environments: Environment
) -> Seen:
    def one(jacobian: Array, added: Array, point: Array, direction: Array, env: Environment) -> Seen:
        values, axes = problem.spectrum(jacobian, env)
        spectrum = decompose(keep_all_rows(jacobian, added), env, problem.f, equilibrated=False)
        largest = spectrum.values.max(initial=0, where=jnp.isfinite(spectrum.values))
        velocity = jacobian.reshape(jacobian.shape[0], -1) @ direction
        violation = _violation(problem.space, point, env)
        return Seen(values, axes, spectrum.ratio, jnp.linalg.norm(velocity) / largest, violation)

    return jax.vmap(one)(jacobians, added, points, directions, environments)
