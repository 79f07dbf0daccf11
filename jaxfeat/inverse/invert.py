"""Inversion: from features back to an environment or a structure that has them.

Features with a relative error ε give positions with an error ε |F| / σ_min, as long as the features are linear. Near a
fold, at a distance t from the point where σ_min = κ t vanishes, one component of the features is κ t² / 2. An error
ε |F| of that component moves the solution by

    sqrt(t² + 2 ε |F| / κ) - t,

which is ε |F| / σ_min if σ_min² >> 2 κ ε |F|, and sqrt(2 ε |F| / κ) on the fold. With an error of the other sign there
is no solution if t² < 2 ε |F| / κ. At -t the features differ by terms of order t³ at most. In a family of degenerate
pairs they do not differ, and -t is another solution; next to any fold the difference is too small to be seen.

The solver is `jaxfeat.singular.gauss_newton`, because inversion needs the same two properties: rigid motions, and other
directions that the features do not see, must stay as they are, and the weakest visible direction must keep its digits.
"""

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError, GeometryError
from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.matching import aligned, atom_kinds
from jaxfeat.geometry.positions import check_float64
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.singular.gauss_newton import RUNNING, Iterate, Linearization, Residual, solve
from jaxfeat.singular.lanes import map_lanes, n_lanes_for
from jaxfeat.singular.neighbor_lists import with_new_lists, with_room
from jaxfeat.singular.search_space import Free, SearchResult, read_starts
from jaxfeat.spectrum.jacobian import item_features, jacobian_and_norms

INVERSE_MESSAGES = {  # meaning of each `Inverse.status`
    "recovered": "the environment has the given features, to the tolerance.",
    "stationary": "no small step brings the features nearer to the given ones: a local minimum; start elsewhere.",
    "max-iterations": "iterations ran out on the way; allow more of them.",
    "non-finite": "the start or the given features hold NaN or infinity; correct them.",
    "coincident": "two atoms of the start are at the same point; remove one of them.",
    "empty": "the start has no neighbors, so nothing can move; give an environment with neighbors.",
    "neighbors-missed": "with the neighbors that the end has now, its features are others; start there again.",
}


@dataclass(frozen=True, eq=False)
class Inverse(SearchResult):
    """Environments or structures with given features, one entry for each of b starts, in their order.

    **Attributes:**

    - `f`: The featurizer, or the structure map.
    - `environments`: A batch of b environments where the starts ended, or of structures with the neighbors that they
        have now. Bad starts stay where they are. `positions` (Å) has shape `(b, n, 3)`.
    - `residual`: |F - F*| / |F*| at the end, of shape `(b,)`; NaN for bad starts.
    - `iterations`: Steps tried, of shape `(b,)`.
    - `status`: One of the keys of `jaxfeat.inverse.invert.INVERSE_MESSAGES`, of shape `(b,)`. `recovered` is True where
        it is "recovered".
    """

    @property
    def recovered(self) -> np.ndarray:
        return self.status == "recovered"

    def distance(self, truth: Item) -> np.ndarray:
        """Compute how far from the true environments or structures the starts ended.

        The two are aligned by `jaxfeat.manifolds.aligned`: up to rotation and permutation of like neighbors, and up to
        inversion for features of O(3). Molecules are aligned about their centroids. Crystals are shifted, and neither
        turned nor permuted.

        **Arguments:**

        - `truth`: One environment or structure, or a batch of b.

        **Returns:** Norms of the displacements of all atoms together (Å), of shape `(b,)`; NaN for bad starts.

        **Raises:** `GeometryError` if `truth` has other atoms, or is a batch of another length.
        """
        if truth.batch_shape not in ((), (len(self),)):
            raise GeometryError(f"truth has batch shape {truth.batch_shape}; give one, or {len(self)}.")
        host, truth = (_around_centers(jax.tree.map(np.asarray, items)) for items in (self.environments, truth))
        images = [host]
        if isinstance(host, Structure):
            shift = np.where(truth.mask[..., None], host.positions - truth.positions, 0)
            shift = shift - np.where(truth.mask[..., None], shift.sum(-2, keepdims=True), 0) / truth.mask.sum()
            return np.where(np.isnan(self.residual), np.nan, np.linalg.norm(shift, axis=(1, 2)))
        if self.f.environment_featurizer.group == "O3":
            images.append(host.with_positions(-host.positions))

        def apart(image: Any, truth: Any) -> float:
            # Padding does not count.
            return float(np.linalg.norm((np.asarray(aligned(image, truth).positions) - truth.positions)[truth.mask]))

        found = np.full(len(self), np.nan)
        for i in np.flatnonzero(~np.isnan(self.residual)):
            found[i] = min(apart(image[i], truth[i] if truth.batch_shape else truth) for image in images)
        return found

    def __repr__(self) -> str:
        names, counts = np.unique(self.status, return_counts=True)
        listed = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
        return f"Inverse({len(self)} starts: {listed})"


def _around_centers(items: Any) -> Any:
    """Return environments and crystals as they are, and molecules about their centroids, by kinds of atoms."""
    if isinstance(items, Environment) or items.periodic:
        return items
    return replace(items.around_centroid(), species=atom_kinds(items).astype(items.species.dtype))


def invert(
    f: FeatureMap,
    features: Float[Array, "b d"] | np.ndarray,
    starts: Item,
    *,
    tolerance: float = 1e-12,
    max_iterations: int = 100,
) -> Inverse:
    """Find environments or structures with given features, each at a minimum of |F(x) - F*| near its start.

    Lists of neighbors of structures have room for atoms that come within reach. The features of the end are compared
    once more with a new list.

    **Arguments:**

    - `f`: A featurizer, or a structure map, that can be differentiated.
    - `features`: The given features F*, of shape `(b, n_features)`, float64, one row for each start.
    - `starts`: A batch of b environments, or of structures for a structure map, with one leading axis, float64. Their
        elements are those of the result, and their positions the initial guess.
    - `tolerance`: The largest relative residual |F - F*| / |F*| that counts as recovered. For features with errors give
        their relative size; the search goes down to the minimum in any case.
    - `max_iterations`: The largest number of steps of each start.

    **Returns:** `Inverse`, with a status for each start. A bad start gets a status and affects no other start.

    **Raises:** `SpeciesError` if `starts` holds an element that `f` does not know. `PrecisionError` if positions or
    features are not float64. `GeometryError` if `starts` is no batch of such items. `BasisError` if `features` has
    another shape than `f` and `starts` give.
    """
    _, given, status = read_starts(f, Free(), starts, "inversion")
    host = with_room(f, given, status == "", Free().farthest_move)
    features = np.asarray(features)
    check_float64(features, "features", "inversion")
    f = f.prepared()
    b = len(host)
    if features.ndim != 2 or len(features) != b:
        raise BasisError(f"features has shape {features.shape}; give one row of features for each of {b} starts.")
    status[(status == "") & ~np.isfinite(features).all(-1)] = "non-finite"
    sound = status == ""
    positions: Any
    positions, residual, iterations = host.positions.copy(), np.full(b, np.nan), np.zeros(b, int)
    if sound.any():
        # Bad starts keep their lanes, and lanes are not refilled: rounding errors may differ from lane to lane.
        limit = np.asarray(max_iterations)
        end = map_lanes(lambda *lane: _solved(f, limit, *lane), features, host, lanes=n_lanes_for(b))
        positions[sound] = end.unknowns.reshape(positions.shape)[sound]
        residual[sound], iterations[sound] = end.residual[sound], end.iterations[sound]
        # The last steps into a minimum with a residual are slow, and iterations may run out where it is level.
        under_way = (end.code == RUNNING) & (_slope(end.triangle) > 1e-5)
        ended = np.where(under_way, "max-iterations", "stationary")
        status[sound] = np.where(end.residual <= tolerance, "recovered", ended)[sound]
    environments: Any = with_new_lists(given, positions, sound)
    if isinstance(given, Structure) and sound.any() and np.isfinite(given.r_cut).any():
        # Other neighbors may be within reach now.
        again = np.asarray(f(environments[np.flatnonzero(sound)]))
        size = np.linalg.norm(features[sound], axis=1)
        now = np.linalg.norm(again - features[sound], axis=1) / np.where(size > 0, size, 1)
        other = np.flatnonzero(sound)[now > np.maximum(2 * residual[sound], tolerance)]
        residual[sound] = now
        status[other] = "neighbors-missed"
    return Inverse(f, environments, residual, iterations, status)


def _slope(triangles: np.ndarray) -> np.ndarray:
    """Compute |Jᵀ r| / (|J| |r|), `(b,)`, from R of [J | r]: the relative slope of |F - F*|."""
    jacobian, residual = triangles[..., :-1], triangles[..., -1]
    gradient = np.linalg.norm(np.einsum("brk,br->bk", jacobian, residual), axis=1)
    steepest = np.linalg.norm(jacobian, axis=(1, 2)) * np.linalg.norm(residual, axis=1)
    return gradient / np.where(steepest > 0, steepest, 1)


@eqx.filter_jit
def _solved(f: FeatureMap, max_iterations: Any, features: Array, starts: Item) -> Iterate:
    # Checked under the trace, where it costs nothing once compiled: a function does not know its number of features.
    d = eqx.filter_eval_shape(item_features, f, jax.tree.map(lambda leaf: leaf[0], starts)).shape[0]
    if features.shape[1] != d:
        raise BasisError(f"features has rows of {features.shape[1]}; this featurizer has {d} features.")

    def of_start(features: Array, start: Item) -> Iterate:
        return solve(_residual(f, features, start), start.positions.reshape(-1), max_iterations)

    return jax.vmap(of_start)(features, starts)


def _residual(f: FeatureMap, features: Float[Array, " d"], start: Item) -> Residual:
    """Make the residual (F(x) - F*) / |F*|. It is of order 1, and so is its derivative, per Å."""
    size = jnp.linalg.norm(features)
    size = jnp.where(size > 0, size, 1)

    def linearize(positions: Float[Array, " n"]) -> Linearization:
        at = start.with_positions(positions.reshape(start.positions.shape))
        jacobian, _ = jacobian_and_norms(f, at)
        return Linearization((item_features(f, at) - features) / size, jacobian.reshape(jacobian.shape[0], -1).T / size)

    return linearize
