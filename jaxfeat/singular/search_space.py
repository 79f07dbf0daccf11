"""Search spaces: coordinates θ, the item at each θ, which is an environment or a structure, and constraints; and the
starts and ends of searches. A search moves θ. Null directions are still displacements of all neighbors, or of all atoms
of a structure: the search space says where to look for singular points, and does not change which points are
singular."""

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
from jaxfeat.features.structure_map import FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import any_coincide, check_float64, find_coincident_atoms
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.manifolds.manifold import AbstractManifold

DEFAULT_MIN_DISTANCE = 0.5  # Å, between two neighbors or atoms. Features are trivially blind where atoms meet.
DEFAULT_MAX_MOVE = 1.0  # Å, of an atom of a structure. Features are trivially blind where atoms are out of reach.


class AbstractSearchSpace(eqx.Module):
    """Coordinates θ `(k,)` of environments or structures, with constraints.

    `item` is smooth in θ. It also takes the start itself, for the coordinates that stay.
    """

    @property
    def farthest_move(self) -> float:
        """The largest distance (Å) of an atom of a structure from where it starts. Lists of neighbors have room for
        it."""
        return DEFAULT_MAX_MOVE

    @abstractmethod
    def read(self, starts: Any) -> tuple[np.ndarray, Item]:
        """Read starts as θ `(b, k)` and a batch of items, or raise `GeometryError`. Runs on the host."""

    @abstractmethod
    def item(self, point: Float[Array, " k"], start: Item) -> Item:
        """Make the environment or structure at θ."""

    @abstractmethod
    def slack(self, point: Float[Array, " k"], start: Item) -> Float[Array, " c"]:
        """Compute values (Å or units of θ) that are not negative where θ is allowed."""

    @abstractmethod
    def scale(self, start: Item) -> Float[Array, " k"]:
        """Give the length of a random move of each coordinate for a restart nearby."""


class Free(AbstractSearchSpace):
    """Search space of all positions, within bounds: of the neighbors of an environment, whose center is fixed, or of
    all atoms of a structure.

    **Arguments:**

    - `radii`: The smallest and the largest distance of a neighbor from the center (Å). By default 0.75 times the
        smallest and 1.25 times the largest distance among the starts. Structures have no such bounds.
    - `min_distance`: The smallest distance of two neighbors, or of two atoms of a structure (Å). In a crystal, the
        smallest distance of an image that is a neighbor of a center.
    - `fixed`: A boolean array of shape `(n,)`, one entry for each neighbor or atom, or `(n, 3)`, one for each
        coordinate. Where it is True, the coordinate stays where it starts. By default nothing is fixed.
    - `max_move`: The largest distance (Å) of a neighbor or atom from where it starts. By default 1 Å for atoms of
        structures, and no bound for neighbors. Lists of neighbors of a structure have room for atoms that come within
        reach by such moves.

    **Raises:** `GeometryError` if `radii` are not ascending and positive, or if `min_distance` or `max_move` is not
    positive.
    """

    radii: np.ndarray | None
    min_distance: np.ndarray
    fixed: np.ndarray | None
    max_move: np.ndarray | None

    def __init__(
        self,
        radii: tuple[float, float] | None = None,
        min_distance: float = DEFAULT_MIN_DISTANCE,
        fixed: Any = None,
        max_move: float | None = None,
    ) -> None:
        if radii is not None and not 0 < radii[0] < radii[1]:
            raise GeometryError(f"radii is {tuple(radii)}; give two positive, ascending distances (Å).")
        if not min_distance > 0:
            raise GeometryError(f"min_distance is {min_distance}; give a positive distance (Å).")
        if max_move is not None and not max_move > 0:
            raise GeometryError(f"max_move is {max_move}; give a positive distance (Å).")
        self.radii = None if radii is None else np.asarray(radii, float)
        self.min_distance = np.asarray(min_distance, float)
        self.fixed = None if fixed is None else np.asarray(fixed, bool)
        self.max_move = None if max_move is None else np.asarray(max_move, float)

    @property
    def farthest_move(self) -> float:
        return DEFAULT_MAX_MOVE if self.max_move is None else float(self.max_move)

    def around(self, starts: Item) -> Free:
        """Fill in the default bounds from sound starts."""
        if isinstance(starts, Structure):
            return Free(None, float(self.min_distance), self.fixed, self.farthest_move)
        if self.radii is not None:
            return self
        max_move = None if self.max_move is None else float(self.max_move)
        radii = np.linalg.norm(starts.positions, axis=-1)[np.asarray(starts.mask)]
        return Free(
            (0.75 * float(radii.min()), 1.25 * float(radii.max())), float(self.min_distance), self.fixed, max_move
        )

    def trimmed(self, given: int, kept: int) -> Free:
        """Keep the first `kept` of `given` neighbors or atoms; the others are padding."""
        if self.fixed is None:
            return self
        self._check_fixed(given)
        return eqx.tree_at(lambda space: space.fixed, self, self.fixed[:kept])

    def read(self, starts: Any) -> tuple[np.ndarray, Item]:
        if not isinstance(starts, Item) or len(starts.batch_shape) != 1:
            fault = "starts must be a batch of environments or structures with one leading axis"
            raise GeometryError(f"{fault}; join single ones by Environment.stack or Structure.stack.")
        if isinstance(starts, Structure) and self.radii is not None:
            raise GeometryError("radii bound the neighbors of one center; bound the atoms of structures by max_move.")
        self._check_fixed(starts.positions.shape[-2])
        return np.asarray(starts.positions).reshape(len(starts), starts.n_coordinates), starts

    def _check_fixed(self, n: int) -> None:
        if self.fixed is not None and self.fixed.shape not in ((n,), (n, 3)):
            raise GeometryError(f"fixed has shape {self.fixed.shape}; give one entry for each of {n}, or 3.")

    def _movable(self, start: Item) -> Bool[Array, "n 3"]:
        movable = jnp.broadcast_to(start.mask[:, None], start.positions.shape)
        if self.fixed is None:
            return movable
        return movable & ~(self.fixed[:, None] if self.fixed.ndim == 1 else self.fixed)

    def item(self, point: Float[Array, " k"], start: Item) -> Item:
        moved = point.reshape(start.positions.shape)
        return start.with_positions(jnp.where(self._movable(start), moved, start.positions))

    def slack(self, point: Float[Array, " k"], start: Item) -> Float[Array, " c"]:
        at = self.item(point, start)
        bounds = [_distances(at) - self.min_distance]
        if isinstance(at, Environment):
            assert self.radii is not None, "`around` fills in the bounds before a search"
            low, high = jnp.asarray(self.radii, point.dtype)
            radii = _length(at.positions)
            inside = jnp.where(jnp.tile(at.mask, 2), jnp.concatenate([radii - low, high - radii]), jnp.inf)
            bounds = [inside, *bounds]
        if self.max_move is not None:
            moved = _length(at.positions - start.positions)
            bounds.append(jnp.where(at.mask, self.max_move - moved, jnp.inf))
        return jnp.concatenate(bounds)

    def scale(self, start: Item) -> Float[Array, " k"]:
        return 0.2 * self._movable(start).reshape(-1).astype(start.positions.dtype)


class Within(AbstractSearchSpace):
    """Search space of the parameters of a manifold, between their bounds. Starts have shape `(b, k)`.

    **Arguments:**

    - `manifold`: A manifold with k parameters, for example `jaxfeat.manifolds.pair(1)`. Its points are environments;
        for structure maps they are structures of one shape, as `Structure.with_positions` makes them.
    - `min_distance`: The smallest distance of two neighbors, or of two atoms of a structure (Å).
    """

    manifold: AbstractManifold
    min_distance: float = DEFAULT_MIN_DISTANCE

    def read(self, starts: Any) -> tuple[np.ndarray, Item]:
        names = [parameter.name for parameter in self.manifold.parameters]
        points: np.ndarray = np.zeros(0) if isinstance(starts, Item) else np.asarray(starts, float)
        if points.ndim != 2 or points.shape[1] != len(names):
            wanted = f"a start is a value of each parameter ({', '.join(names)})"
            raise GeometryError(f"on a manifold, {wanted}: give an array (b, {len(names)}).")
        # Values that are not finite get their status later, start by start. Their environments only have to exist here.
        low, high = self._bounds
        inside = np.where(np.isfinite(low + high), (low + high) / 2, np.clip(0.0, low, high))
        sound = np.where(np.isfinite(points), points, inside)
        items: Any = [self._at(jnp.asarray(point)) for point in sound]
        return points, (Structure if items and isinstance(items[0], Structure) else Environment).stack(items)

    @property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        parameters = self.manifold.parameters
        return np.asarray([p.low for p in parameters], float), np.asarray([p.high for p in parameters], float)

    def _at(self, point: Float[Array, " k"]) -> Item:
        return self.manifold(*(point[i] for i in range(point.shape[0])))

    def item(self, point: Float[Array, " k"], start: Item) -> Item:
        return start.with_positions(self._at(point).positions)

    def slack(self, point: Float[Array, " k"], start: Item) -> Float[Array, " c"]:
        low, high = (jnp.asarray(bound, point.dtype) for bound in self._bounds)
        return jnp.concatenate([point - low, high - point, _distances(self.item(point, start)) - self.min_distance])

    def scale(self, start: Item) -> Float[Array, " k"]:
        low, high = self._bounds
        return jnp.asarray(np.minimum(0.1 * (high - low), 0.2))


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Ends of searches, one for each of b starts in their order; `SingularPoints` and `Inverse` describe the fields."""

    f: FeatureMap
    environments: Any
    residual: np.ndarray
    iterations: np.ndarray
    status: np.ndarray

    def __len__(self) -> int:
        return len(self.status)

    @property
    def positions(self) -> np.ndarray:
        return np.asarray(self.environments.positions)


def read_starts(
    f: FeatureMap, space: AbstractSearchSpace, starts: Any, purpose: str
) -> tuple[np.ndarray, Any, np.ndarray]:
    """Read the starts of a user as θ `(b, k)`, items of NumPy arrays, and statuses, empty for sound starts."""
    points, items = space.read(starts)
    check_float64(items.positions, "positions", purpose)
    check_compatible(f, items)
    host = jax.tree.map(np.asarray, items)
    finite = np.isfinite(points).all(1) & np.isfinite(host.positions).all((1, 2))
    safe = host.with_positions(np.where(finite[:, None, None], host.positions, 0))
    if isinstance(host, Environment):
        empty, coincident = ~host.mask.any(1), any_coincide(safe.positions, host.mask)
    else:
        empty = ~(host.neighbor_mask & host.center_mask[..., None]).any((1, 2))
        coincident = np.asarray([atoms_coincide(one) for one in safe])
    wrong = {"non-finite": ~finite, "empty": empty, "coincident": coincident}
    return points, host, np.select(list(wrong.values()), list(wrong), "").astype("<U16")


def atoms_coincide(structure: Structure) -> bool:
    """Tell whether two atoms of one structure of NumPy arrays, or images of atoms around a center, are one point."""
    around = structure.environments()
    among = find_coincident_atoms(np.asarray(structure.positions)[np.asarray(structure.mask)]) is not None
    return among or bool(any_coincide(around.positions, around.mask).any())


def _distances(at: Item) -> Float[Array, " pairs"]:
    """Compute the distances (Å) of all pairs of neighbors, or of atoms of a molecule, infinite for padding. In a
    crystal, compute the distance of the nearest neighbor of each center."""
    if isinstance(at, Structure) and at.periodic:
        around = at.environments()
        return jnp.where(around.mask, _length(around.positions), jnp.inf).min(-1, initial=jnp.inf)
    first, second = np.triu_indices(at.positions.shape[-2], 1)
    there = at.mask[first] & at.mask[second]
    return jnp.where(there, _length(at.positions[first] - at.positions[second]), jnp.inf)


def _length(vectors: Float[Array, "*n 3"]) -> Float[Array, " *n"]:
    squares = jnp.sum(vectors**2, -1)
    # The double where keeps the infinite slope of the root at zero, where padding sits, out of every derivative.
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
