"""Paths along the least sensitive direction, on which atoms move and features hardly change."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import GeometryError
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.rigid import rigid_displacements
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.subspaces import robust_svd
from jaxfeat.singular.continuation import (
    EASY_COSINE,
    MAX_CORRECTION,
    NEIGHBORS_MISSED,
    SMALLEST_STEP,
    STRAIGHT_COSINE,
    check_start,
    follow,
)
from jaxfeat.singular.gauss_newton import RUNNING, Iterate, Linearization, begin, proceed
from jaxfeat.singular.neighbor_lists import with_room
from jaxfeat.singular.search_space import DEFAULT_MAX_MOVE
from jaxfeat.spectrum.jacobian import item_features, jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose

LARGEST_STEP = 0.02  # Å
CLOSING_DISTANCE = 1e-4  # Å, from the start, at which a path has closed. Features are constant to a few digits only.

QUASI_CONSTANT_MESSAGES = {  # meaning of each `QuasiConstantPath.status`
    "length": "the path has the length that was asked for.",
    "closed": "the path is back at its start, up to a rotation and a permutation of like atoms.",
    "turned": "the least sensitive direction turns faster than the smallest step can follow.",
    "coincident": "two atoms meet, or no feature moves any more.",
    "neighbors-missed": NEIGHBORS_MISSED,
}


class QuasiConstantPath(NamedTuple):
    """Path of s points along which features change as little as possible; the first is the start.

    **Attributes:** Arrays have shape `(s,)`, the one of directions `(s, n, 3)`.

    - `environments`: A batch of s environments or structures.
    - `path`: Length of the path up to each point (Å, norm of all displacements together).
    - `change`, `relative_change`: |F - F₀|, with F₀ the features of the start, and |F - F₀| / |F₀|.
    - `directions`: Directions of the path, of length 1.
    - `sigma`: The singular value that is followed, relative to the largest one.
    - `sigma_ratio`: σ_min/σ_max of the non-rigid spectrum, not equilibrated.
    - `rank`: Number of singular values below the one that is followed: 0 until another one crosses it.
    - `held`: True where displacements across the path brought the features back as close to F₀ as possible. Once they
        have changed too much for that, the rest of the path follows the direction alone.
    - `status`: A key of `jaxfeat.inverse.quasi_constant.QUASI_CONSTANT_MESSAGES`: "length", "closed", "turned",
        "coincident" or "neighbors-missed".
    """

    environments: Any
    path: np.ndarray
    change: np.ndarray
    relative_change: np.ndarray
    directions: np.ndarray
    sigma: np.ndarray
    sigma_ratio: np.ndarray
    rank: np.ndarray
    held: np.ndarray
    status: str

    def __repr__(self) -> str:
        return (
            f"QuasiConstantPath({len(self.path)} points, {self.path[-1]:.3g} Å, {self.status}; "
            f"|F - F₀| ≤ {self.relative_change.max():.1e} |F₀|; held at {self.held.sum()} points)"
        )


class _End(NamedTuple):
    """End of a correction, with |F - F₀| and, if it is `sound`, the spectrum. If not `arrived`, iterations ran out."""

    positions: np.ndarray
    arrived: bool
    values: np.ndarray
    axes: np.ndarray
    change: np.ndarray
    sound: bool


class _Point(NamedTuple):
    positions: np.ndarray
    tangent: np.ndarray
    change: np.ndarray
    sigma: np.ndarray
    sigma_ratio: np.ndarray
    rank: int
    held: bool
    easy: bool


def trace_quasi_constant(f: FeatureMap, start: Item, length: float, *, sign: int = 1) -> QuasiConstantPath:
    """Follow the direction of the smallest singular value from an environment or a structure, at constant features.

    Each step goes along this direction, and is then corrected by displacements across it, so that the features come as
    close to those of the start as possible. Steps are between 1e-5 and 0.02 Å long, so that the direction turns by less
    than 14° in one of them. Where two singular values cross, the path keeps its direction and not its rank. Where the
    features have changed so much that no correction has a minimum, the direction alone is integrated, by the midpoint
    rule.

    **Arguments:**

    - `f`: A featurizer, or a structure map, that can be differentiated.
    - `start`: One environment or structure, float64. Padding is removed.
    - `length`: Length of the path (Å), as the norm of the displacements of all neighbors or atoms together. A path that
        closes is shorter.
    - `sign`: The sense of the path. With 1 the coordinate that changes most grows at first, with -1 it shrinks.

    **Returns:** `QuasiConstantPath`.

    **Raises:** `SpeciesError` if `start` holds an element that `f` does not know. `PrecisionError` if positions are not
    float64. `GeometryError` if `start` is no single sound item, or no displacement but rigid motions moves its
    features; if `length` is not positive; or if `sign` is neither 1 nor -1.

    **Source:** Parsaeifard and Goedecker, J. Chem. Phys. 156, 034302 (2022).
    """
    given = check_start(f, start, length)
    f = f.prepared()
    if sign not in (1, -1):
        raise GeometryError(f"sign is {sign!r}; give 1 or -1.")
    env = given
    if isinstance(given, Structure):
        env = with_room(f, jax.tree.map(lambda leaf: leaf[None], given), np.ones(1, bool), DEFAULT_MAX_MOVE)[0]
    goal = f(env)
    x = np.asarray(env.positions)
    evaluate = partial(_corrected, f, env, goal)
    end = evaluate(x, np.zeros_like(x))
    if not end.sound:
        fault = "only rigid motions move the features of the start, so there is no path"
        raise GeometryError(f"{fault}; choose another start.")
    along = end.axes[-1]
    along = sign * np.sign(along.flat[np.abs(along).argmax()]) * along
    first = _point(end, along, rank=0, held=True, easy=True)
    path = follow(f, given, env, first, partial(_next_point, evaluate), length, LARGEST_STEP, CLOSING_DISTANCE)
    change = path.stack("change")
    others = map(path.stack, ("tangent", "sigma", "sigma_ratio", "rank", "held"))
    relative_change = change / np.linalg.norm(goal)
    return QuasiConstantPath._make([path.environments, path.path, change, relative_change, *others, path.status])


def _next_point(evaluate: Callable[..., _End], here: _Point, step: float) -> _Point | str:
    """Go to the next point of the path, or give the reason why this step leads to none."""
    aim = here.positions + step * here.tangent
    if here.held:
        # Three Gauss-Newton steps across the path are usual.
        end = evaluate(aim, here.tangent, max_iterations=8, shortest=1e-6 * step)
        if end.arrived and np.linalg.norm(end.positions - aim) < MAX_CORRECTION * step:
            return _continued(here, step, end, held=True)
        # At smaller steps (Å) the features are given up, because nothing brings them back to those of the start.
        if step > 1e-3:
            return "unheld"
    middle = _continued(here, step, evaluate((here.positions + aim) / 2, here.tangent), held=False)
    if isinstance(middle, str):
        return middle
    return _continued(here, step, evaluate(here.positions + step * middle.tangent, here.tangent), held=False)


def _continued(here: _Point, step: float, end: _End, held: bool) -> _Point | str:
    """Make the next point, with the direction there that continues the one here."""
    if not end.sound:
        return "coincident"
    overlaps = np.einsum("kni,ni->k", end.axes, here.tangent)
    best = int(np.abs(overlaps).argmax())
    overlap, rank = overlaps[best], len(overlaps) - 1 - best
    if abs(overlap) < STRAIGHT_COSINE or (rank != here.rank and step > SMALLEST_STEP):
        return "turned"
    return _point(end, np.sign(overlap) * end.axes[best], rank, held, bool(abs(overlap) > EASY_COSINE))


def _point(end: _End, tangent: np.ndarray, rank: int, held: bool, easy: bool) -> _Point:
    sigma = end.values / end.values[0]
    return _Point(end.positions, tangent, end.change, sigma[-1 - rank], sigma[-1], rank, held, easy)


def _corrected(
    f: FeatureMap,
    env: Item,
    goal: Array,
    positions: np.ndarray,
    along: np.ndarray,
    max_iterations: int = 0,
    shortest: float = 0.0,
) -> _End:
    """Bring the features back to the goal by displacements across a direction, until steps are `shortest` (Å)."""
    across = _across(env.with_positions(positions), along)  # type: ignore[arg-type]
    limits = np.asarray(max_iterations + 1), np.asarray(shortest)
    end = jax.tree.map(np.asarray, _corrected_on_device(f, env, goal, positions, across, *limits))
    values, axes, change, ok = end.aux
    known = np.isfinite(values)
    moved = positions + (end.unknowns @ across).reshape(positions.shape)
    return _End(moved, bool(end.code != RUNNING), values[known], axes[known], change, bool(ok and known.any()))


def _across(at: Item, along: np.ndarray) -> np.ndarray:
    """Compute an orthonormal basis of the displacements across a direction and all rigid motions, padded by zeros.
    Steps outside this basis would be rounding errors, and long ones, because the residual does not vanish."""
    rows = np.concatenate([rigid_displacements(at), along.reshape(1, -1)])
    _, sizes, axes = robust_svd(rows, full_matrices=True)
    rank = int((sizes > 1e-8 * sizes.max()).sum())
    return np.concatenate([axes[rank:], np.zeros((rank, along.size))])


@eqx.filter_jit
def _corrected_on_device(
    f: FeatureMap, env: Item, goal: Array, positions: Any, across: Any, iterations: Any, shortest: Any
) -> Iterate:
    size = jnp.linalg.norm(goal)
    size = jnp.where(size > 0, size, 1)

    def linearize(steps: Float[Array, " m"]) -> Linearization:
        there = env.with_positions(positions + (steps @ across).reshape(positions.shape))
        jacobian, added = jacobian_and_norms(f, there)
        spectrum = decompose(keep_all_rows(jacobian, added), there, f, equilibrated=False, collinear=False)
        change = item_features(f, there) - goal
        seen = (spectrum.values, spectrum.directions, jnp.linalg.norm(change), spectrum.status == "ok")
        slopes = across @ jacobian.reshape(len(jacobian), -1).T
        return Linearization(change / size, slopes / size, aux=seen)

    nowhere = jnp.zeros(positions.size)
    nothing = jax.tree.map(jnp.zeros_like, eqx.filter_eval_shape(linearize, nowhere).aux)
    return proceed(linearize, begin(nowhere, nothing), iterations, shortest=shortest)
