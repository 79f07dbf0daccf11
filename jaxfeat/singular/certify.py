"""Ends of landings: spectra of all features, the distance of the exact point, and the tangent space of the set."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.rigid import rigid_displacements
from jaxfeat.geometry.structure import Item
from jaxfeat.linalg.subspaces import least_norm_solutions, robust_svd
from jaxfeat.singular.land import linearized
from jaxfeat.singular.lanes import map_lanes, vmapped
from jaxfeat.singular.search_space import AbstractSearchSpace
from jaxfeat.singular.singular_equations import SingularEquations
from jaxfeat.spectrum.jacobian import jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

SINGULAR_RATIO = 1e-12  # the largest σ_min/σ_max of an exact singular point
EXACT_DISTANCE = 1e-6  # Largest estimated distance of an exact point (Å or units of θ). Classification tolerates 1e-5 Å
MAX_VIOLATION = 1e-8  # the largest violation of a constraint (Å) that is rounding
STEP_CUTOFF = 1e-11  # singular values of the linearized equations that are zero to rounding, relative to the largest
TANGENT_CUTOFF = 1e-6  # relative size of zeros in a tangent space: about 1e-12 times the whitening's amplification


class Certificates(NamedTuple):
    """Values `(b, c)` and directions `(b, c, p)` of `SingularEquations.spectrum` at b points, with σ_min/σ_max of all
    features, |J v| / σ_max of the given v, and the violation of constraints (Å), `(b,)` each."""

    values: Any
    directions: Any
    ratio: Any
    residual: Any
    violation: Any

    @property
    def status(self) -> np.ndarray:
        """ "landed", "left-bounds" or "not-singular", `(b,)`."""
        status = np.where(self.ratio <= SINGULAR_RATIO, "landed", "not-singular")
        return np.where(self.violation > MAX_VIOLATION, "left-bounds", status)


def certify(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Item, lanes: int
) -> Certificates:
    """Compute the spectra at θ `(b, k)`, and the residuals of directions `(b, p)`, which may be zero."""

    def certified(points: Any, directions: Any, starts: Item) -> Certificates:
        items = vmapped(_item, equations.space, points, starts)
        # The programs that use the features' Jacobian compile in a tenth of the time of the one that computes it.
        jacobians = vmapped(jacobian_and_norms, equations.f, items)
        return vmapped(_certificate, equations, *jacobians, points, directions, items, starts)

    return map_lanes(certified, points, directions, starts, lanes=lanes)


def _item(space: AbstractSearchSpace, point: Array, start: Item) -> Item:
    return space.item(point, start)


def _violation(space: AbstractSearchSpace, point: Array, start: Item) -> Array:
    return -jnp.minimum(space.slack(point, start).min(initial=jnp.inf), 0)


def _certificate(
    equations: SingularEquations,
    jacobian: Array,
    added: Array,
    point: Array,
    direction: Array,
    at: Item,
    start: Item,
) -> Certificates:
    values, axes = equations.spectrum(jacobian, at)
    spectrum = decompose(keep_all_rows(jacobian, added), at, equations.f, equilibrated=False)
    largest = spectrum.values.max(initial=0, where=jnp.isfinite(spectrum.values))
    velocity = jacobian.reshape(jacobian.shape[0], -1) @ direction
    violation = _violation(equations.space, point, start)
    return Certificates(values, axes, spectrum.ratio, jnp.linalg.norm(velocity) / largest, violation)


def newton_distances(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Item, lanes: int
) -> np.ndarray:
    """Estimate how far exact singular points are: the largest entry of the next undamped step of θ, `(b,)`. A J(x) v
    that is zero to rounding does not place x to rounding. Where J(x) v vanishes to third order, as it may where several
    null directions meet, x can be 1e-4 Å away. The step is then a third of the distance."""
    triangles = linearized(equations, points, directions, starts, lanes)
    finite = np.isfinite(triangles).all((1, 2))
    triangles[~finite] = 0
    steps = least_norm_solutions(triangles[:, :, :-1], triangles[:, :, -1], STEP_CUTOFF)
    return np.where(finite, np.abs(steps[:, : points.shape[1]]).max(1), np.inf)


class TangentSpace(NamedTuple):
    """Moves dθ `(dimension, k)` along a set of singular points, up to rigid motions and without constraints, with the
    shortest dv `(dimension, p)` that solve the linearized equations. Their displacements are orthonormal."""

    moves: np.ndarray
    turns: np.ndarray


def tangent_spaces(
    equations: SingularEquations, points: np.ndarray, directions: np.ndarray, starts: Item, lanes: int
) -> list[TangentSpace]:
    """Compute the tangent spaces of the sets that landed points θ `(b, k)` with directions `(b, p)` belong to."""
    triangles = linearized(equations, points, directions, starts, lanes)
    moves, rigid = map_lanes(partial(vmapped, _moves, equations.space), points, starts, lanes=lanes)
    k = points.shape[1]
    return [_tangent(t[:, :k], t[:, k:-1], *rest) for t, *rest in zip(triangles, moves, rigid, strict=True)]


def _moves(space: AbstractSearchSpace, point: Array, start: Item) -> tuple[Array, Array]:
    """Compute the derivatives of positions by θ, `(3n, k)`, and displacements that span rigid motions, `(r, 3n)`."""
    by_point = jax.jacfwd(lambda point: space.item(point, start).positions.reshape(-1))(point)
    return by_point, rigid_displacements(space.item(point, start))


def _tangent(by_point: np.ndarray, by_direction: np.ndarray, moves: np.ndarray, motions: np.ndarray) -> TangentSpace:
    # A move is tangent if some dv compensates for it: the part of its image that no dv reaches must vanish.
    left, values, back = robust_svd(by_direction)
    seen = values > TANGENT_CUTOFF * values.max()
    reached = left[:, seen]
    rest = by_point - reached @ (reached.T @ by_point)
    _, sizes, right = robust_svd(rest, full_matrices=True)
    rank = int((sizes > TANGENT_CUTOFF * np.linalg.norm(by_point, 2)).sum())
    kernel = right[rank:].T
    free = moves @ kernel
    _, sizes, axes = robust_svd(motions)
    rigid = axes[sizes > TANGENT_CUTOFF * sizes.max()]
    # Coordinates that move nothing, for example those of fixed atoms, drop out here too.
    _, sizes, right = robust_svd(free - rigid.T @ (rigid @ free))
    found = kernel @ (right[sizes > TANGENT_CUTOFF] / sizes[sizes > TANGENT_CUTOFF, None]).T
    turns = -(back[seen].T / values[seen]) @ (reached.T @ (by_point @ found))
    return TangentSpace(found.T, turns.T)


def jacobians_at(f: FeatureMap, items: Item, lanes: int) -> np.ndarray:
    """Compute the Jacobians of a few items, `(b, n_features, 3n)`."""
    found, _ = map_lanes(partial(vmapped, jacobian_and_norms, f), items, lanes=lanes)
    return found.reshape(*found.shape[:2], -1)


def items_at(space: AbstractSearchSpace, points: np.ndarray, starts: Item, lanes: int) -> Item:
    """Make the environments or structures at θ `(b, k)`, as NumPy arrays."""
    return map_lanes(partial(vmapped, _item, space), points, starts, lanes=lanes)


def violations(space: AbstractSearchSpace, points: np.ndarray, starts: Item, lanes: int) -> np.ndarray:
    """Compute by how much constraints are violated (Å or units of θ), `(b,)`."""
    return map_lanes(partial(vmapped, _violation, space), points, starts, lanes=lanes)
