"""Search spaces: coordinates θ, the environment at each θ, and constraints; and the starts and ends of searches. A
search moves θ. Null directions are still displacements of all neighbors: the search space says where to look for
singular points, and does not change which points are singular."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import any_coincide, check_float64
from jaxfeat.manifolds.manifold import AbstractManifold

DEFAULT_MIN_DISTANCE = 0.5  # Å, between two neighbors. Features are trivially blind where atoms meet.


class AbstractSearchSpace(eqx.Module):
    """Coordinates θ `(k,)` of environments, with constraints.

    `environment` is smooth in θ. It also takes the environment of the start, for the coordinates that stay.
    """

    @abstractmethod
    def read(self, starts: Any) -> tuple[np.ndarray, Environment]:
        """Read starts as θ `(b, k)` and a batch of environments, or raise `GeometryError`. Runs on the host."""

    @abstractmethod
    def environment(self, point: Float[Array, " k"], start: Environment) -> Environment:
        """Make the environment at θ."""

    @abstractmethod
    def slack(self, point: Float[Array, " k"], env: Environment) -> Float[Array, " c"]:
        """Compute values (Å or units of θ) that are not negative where θ is allowed."""

    @abstractmethod
    def scale(self, start: Environment) -> Float[Array, " k"]:
        """Give the length of a random move of each coordinate for a restart nearby."""


class Free(AbstractSearchSpace):
    """Search space of all positions of the neighbors, within bounds. The center is fixed.

    **Arguments:**

    - `radii`: The smallest and the largest distance of a neighbor from the center (Å). By default 0.75 times the
        smallest and 1.25 times the largest distance among the starts.
    - `min_distance`: The smallest distance of two neighbors (Å).
    - `fixed`: A boolean array of shape `(n,)`, one entry for each neighbor, or `(n, 3)`, one for each coordinate. Where
        it is True, the coordinate stays where it starts. By default nothing is fixed.

    **Raises:** `GeometryError` if `radii` are not ascending and positive, or if `min_distance` is not positive.
    """

    radii: np.ndarray | None
    min_distance: np.ndarray
    fixed: np.ndarray | None

    def __init__(
        self,
        radii: tuple[float, float] | None = None,
        min_distance: float = DEFAULT_MIN_DISTANCE,
        fixed: Any = None,
    ) -> None:
        if radii is not None and not 0 < radii[0] < radii[1]:
            raise GeometryError(f"radii is {tuple(radii)}; give two positive, ascending distances (Å).")
        if not min_distance > 0:
            raise GeometryError(f"min_distance is {min_distance}; give a positive distance (Å).")
        self.radii = None if radii is None else np.asarray(radii, float)
        self.min_distance = np.asarray(min_distance, float)
        self.fixed = None if fixed is None else np.asarray(fixed, bool)

    def around(self, starts: Environment) -> Free:
        """Fill in the default bounds from sound starts."""
        if self.radii is not None:
            return self
        radii = np.linalg.norm(starts.positions, axis=-1)[np.asarray(starts.mask)]
        return Free((0.75 * float(radii.min()), 1.25 * float(radii.max())), float(self.min_distance), self.fixed)

    def trimmed(self, given: int, kept: int) -> Free:
        """Keep the first `kept` of `given` neighbors; the others are padding."""
        if self.fixed is None:
            return self
        self._check_fixed(given)
        return eqx.tree_at(lambda space: space.fixed, self, self.fixed[:kept])

    def read(self, starts: Any) -> tuple[np.ndarray, Environment]:
        if not isinstance(starts, Environment) or len(starts.batch_shape) != 1:
            fault = "starts must be a batch of environments with one leading axis"
            raise GeometryError(f"{fault}; join single ones by Environment.stack.")
        n = starts.max_neighbors
        self._check_fixed(n)
        return np.asarray(starts.positions).reshape(len(starts), 3 * n), starts

    def _check_fixed(self, n: int) -> None:
        if self.fixed is not None and self.fixed.shape not in ((n,), (n, 3)):
            raise GeometryError(f"fixed has shape {self.fixed.shape}; give one entry for each of {n} neighbors, or 3.")

    def _movable(self, start: Environment) -> Bool[Array, "n 3"]:
        movable = jnp.broadcast_to(start.mask[:, None], start.positions.shape)
        if self.fixed is None:
            return movable
        return movable & ~(self.fixed[:, None] if self.fixed.ndim == 1 else self.fixed)

    def environment(self, point: Float[Array, " k"], start: Environment) -> Environment:
        moved = point.reshape(start.positions.shape)
        return start.with_positions(jnp.where(self._movable(start), moved, start.positions))

    def slack(self, point: Float[Array, " k"], env: Environment) -> Float[Array, " c"]:
        assert self.radii is not None, "`around` fills in the bounds before a search"
        low, high = jnp.asarray(self.radii, point.dtype)
        radii = _length(env.positions)
        inside = jnp.where(jnp.tile(env.mask, 2), jnp.concatenate([radii - low, high - radii]), jnp.inf)
        return jnp.concatenate([inside, _distances(env) - self.min_distance])

    def scale(self, start: Environment) -> Float[Array, " k"]:
        return 0.2 * self._movable(start).reshape(-1).astype(start.positions.dtype)


class Within(AbstractSearchSpace):
    """Search space of the parameters of a manifold, between their bounds. Starts have shape `(b, k)`.

    **Arguments:**

    - `manifold`: A manifold with k parameters, for example `jaxfeat.manifolds.pair(1)`.
    - `min_distance`: The smallest distance of two neighbors (Å).
    """

    manifold: AbstractManifold
    min_distance: float = DEFAULT_MIN_DISTANCE

    def read(self, starts: Any) -> tuple[np.ndarray, Environment]:
        names = [parameter.name for parameter in self.manifold.parameters]
        points: np.ndarray = np.zeros(0) if isinstance(starts, Environment) else np.asarray(starts, float)
        if points.ndim != 2 or points.shape[1] != len(names):
            wanted = f"a start is a value of each parameter ({', '.join(names)})"
            raise GeometryError(f"on a manifold, {wanted}: give an array (b, {len(names)}).")
        # Values that are not finite get their status later, start by start. Their environments only have to exist here.
        low, high = self._bounds
        inside = np.where(np.isfinite(low + high), (low + high) / 2, np.clip(0.0, low, high))
        sound = np.where(np.isfinite(points), points, inside)
        return points, Environment.stack([self._at(jnp.asarray(point)) for point in sound])

    @property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        parameters = self.manifold.parameters
        return np.asarray([p.low for p in parameters], float), np.asarray([p.high for p in parameters], float)

    def _at(self, point: Float[Array, " k"]) -> Environment:
        return self.manifold(*(point[i] for i in range(point.shape[0])))

    def environment(self, point: Float[Array, " k"], start: Environment) -> Environment:
        return start.with_positions(self._at(point).positions)

    def slack(self, point: Float[Array, " k"], env: Environment) -> Float[Array, " c"]:
        low, high = (jnp.asarray(bound, point.dtype) for bound in self._bounds)
        return jnp.concatenate([point - low, high - point, _distances(env) - self.min_distance])

    def scale(self, start: Environment) -> Float[Array, " k"]:
        low, high = self._bounds
        return jnp.asarray(np.minimum(0.1 * (high - low), 0.2))


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Ends of searches, one for each of b starts in their order; `SingularPoints` and `Inverse` describe the fields."""

    f: AbstractFeaturizer
    environments: Environment
    residual: np.ndarray
    iterations: np.ndarray
    status: np.ndarray

    def __len__(self) -> int:
        return len(self.status)

    @property
    def positions(self) -> np.ndarray:
        return np.asarray(self.environments.positions)


def read_starts(
    f: AbstractFeaturizer, space: AbstractSearchSpace, starts: Any, purpose: str
) -> tuple[np.ndarray, Environment, np.ndarray]:
    """Read the starts of a user as θ `(b, k)`, environments of NumPy arrays, and statuses, empty for sound starts."""
    points, environments = space.read(starts)
    check_float64(environments.positions, "positions", purpose)
    check_compatible(f, environments)
    host = jax.tree.map(np.asarray, environments)
    finite = np.isfinite(points).all(1) & np.isfinite(host.positions).all((1, 2))
    coincident = any_coincide(np.where(finite[:, None, None], host.positions, 0), host.mask)
    wrong = {"non-finite": ~finite, "empty": ~host.mask.any(1), "coincident": coincident}
    return points, host, np.select(list(wrong.values()), list(wrong), "").astype("<U16")


def _distances(env: Environment) -> Float[Array, " pairs"]:
    """Compute the distances (Å) of all pairs of neighbors; infinite for padding."""
    first, second = np.triu_indices(env.max_neighbors, 1)
    there = env.mask[first] & env.mask[second]
    return jnp.where(there, _length(env.positions[first] - env.positions[second]), jnp.inf)


def _length(vectors: Float[Array, "n 3"]) -> Float[Array, " n"]:
    squares = jnp.sum(vectors**2, -1)
    # The double where keeps the infinite slope of the root at zero, where padding sits, out of every derivative.
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
