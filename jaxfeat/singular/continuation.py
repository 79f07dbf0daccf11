"""Paths of environments and structures: checks of the start, the length of steps, and the return to the origin."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.matching import atom_kinds, congruent_image
from jaxfeat.geometry.positions import check_float64, check_positions
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.singular.neighbor_lists import n_points_listed, with_new_lists
from jaxfeat.singular.search_space import atoms_coincide
from jaxfeat.spectrum.host import without_padding

STRAIGHT_COSINE, EASY_COSINE = 0.97, 0.995  # of the largest turn of a path in one step (14°), and of an easy turn (6°)
STEP_GROWTH = 1.5  # Factor of the step after an easy one. A step that leads to no point is halved.
MAX_CORRECTION = 0.5  # length of a correction, relative to the step, from which on it has left the path
CLOSING_ITERATIONS = 6  # Newton steps for the length of the last step, which ends at the origin
SMALLEST_STEP = 1e-5  # Å; a path that needs smaller steps ends
NEIGHBORS_MISSED = "the next point has other neighbors within reach than the path began with; go on from its end."


def check_start(f: FeatureMap, start: Item, length: float) -> Any:
    """Check the start and the length of a path, and remove padding."""
    if not (length > 0 and np.isfinite(length)):
        raise GeometryError(f"length is {length:g}; give the positive length of the path (Å).")
    if isinstance(start, Structure):
        return _check_one_structure(f, start)
    return check_one_environment(f, start, "start", "a path")  # type: ignore[arg-type]


def _check_one_structure(f: FeatureMap, start: Structure) -> Structure:
    """Check that a start is one sound structure with neighbors, and remove padding."""
    if start.batch_shape != ():
        raise GeometryError("start must be one structure; for a batch, give one of its items, such as structures[0].")
    check_float64(start.positions, "positions", "a path")
    check_compatible(f, start)
    one = _without_padded_centers(without_padding(jax.tree.map(np.asarray, start)))
    if not (one.neighbor_mask & one.center_mask[:, None]).any():
        raise GeometryError("the start has no neighbors within reach; give a structure whose atoms have neighbors.")
    check_positions(np.asarray(one.positions), "atom")
    if atoms_coincide(one):
        raise GeometryError("two atoms of the start are periodic images of each other; remove one of them.")
    return one


def _without_padded_centers(structure: Structure) -> Structure:
    kept = np.flatnonzero(structure.center_mask)
    fields = [getattr(structure, name)[kept] for name in CENTERED]
    return eqx.tree_at(lambda one: [getattr(one, name) for name in CENTERED], structure, fields)


CENTERED = (
    "center",
    "center_mask",
    "neighbor",
    "shift",
    "neighbor_mask",
)  # fields of a structure with one row a center


def check_one_environment(f: AbstractFeaturizer, env: Environment, name: str, purpose: str) -> Environment:
    """Check that an argument is one sound environment with neighbors, and remove padding. `name` and `purpose` are
    words of the messages."""
    if not isinstance(env, Environment) or env.batch_shape != ():
        raise GeometryError(f"{name} must be one environment; for a batch, give one of its items, such as env[0].")
    check_float64(env.positions, "positions", purpose)
    check_compatible(f, env)
    env = env.trimmed()
    if not env.max_neighbors:
        raise GeometryError(f"the {name} has no neighbors, so nothing can move; give an environment with neighbors.")
    check_positions(np.asarray(env.positions), "neighbor", center=True)
    return env


class Path(NamedTuple):
    """The s points of a path, its length up to each (Å), and how it ended: "length", "closed", or why it broke off."""

    points: list[Any]
    environments: Any
    path: np.ndarray
    status: str

    def stack(self, name: str) -> np.ndarray:
        """Stack an attribute of all points."""
        return np.stack([getattr(point, name) for point in self.points])


def follow(
    f: FeatureMap,
    given: Any,
    start: Any,
    first: Any,
    advance: Callable[[Any, float], Any],
    length: float,
    largest_step: float,
    closing_distance: float,
) -> Path:
    """Continue from a first point, of the atoms of `start`, until the length is reached or the path is back at it. The
    `given` structure is the start with the lists of neighbors that the user gave; the path ends with new ones.
    Points have `positions` and a `tangent`, `(n, 3)`, and an attribute `easy`. `advance` takes a point and a step (Å),
    and returns the next point or the reason why there is none. The step is then halved; the smallest ends the path."""
    kinds = atom_kinds(start)
    # The path has returned at any congruent image of its first point that the features do not tell from it.
    signs = (1.0, -1.0) if f.environment_featurizer.group == "O3" else (1.0,)

    def origin_near(positions: np.ndarray, reach: float) -> np.ndarray | None:
        """Find the image of the first point whose atoms are within `reach` (Å) of their counterparts."""
        if isinstance(start, Environment):
            return congruent_image(first.positions, positions, kinds, kinds, reach, signs)
        here, there = first.positions.mean(0), positions.mean(0)
        image = first.positions - here
        if not start.periodic:
            image = congruent_image(image, positions - there, kinds, kinds, reach, signs)
        elif np.linalg.norm(image - positions + there, axis=1).max() > reach:
            image = None
        return None if image is None else image + there

    points, path, h, away, status = [first], [0.0], largest_step, False, "length"
    while length - path[-1] > SMALLEST_STEP:
        here = points[-1]
        h = min(h, largest_step, length - path[-1])
        after = advance(here, h)
        if isinstance(after, str):
            if h <= SMALLEST_STEP:
                status = after
                break
            h = max(h / 2, SMALLEST_STEP)
            continue
        last = _last_point(advance, here, h, origin_near, closing_distance) if away else None
        points.append(after if last is None else last)
        path.append(path[-1] + float(np.linalg.norm(points[-1].positions - here.positions)))
        if last is not None:
            status = "closed"
            break
        away = away or origin_near(after.positions, 2 * h) is None
        h *= STEP_GROWTH if after.easy else 1
    positions = np.asarray([point.positions for point in points])
    kept = max(n_points_listed(given, start, positions), 1)
    if kept < len(points):
        points, path, positions, status = points[:kept], path[:kept], positions[:kept], "neighbors-missed"
    environments = jax.vmap(given.with_positions)(jnp.asarray(positions))
    if isinstance(given, Structure):
        environments = with_new_lists(jax.tree.map(np.asarray, environments), positions)
    return Path(points, environments, np.asarray(path), status)


def _last_point(
    advance: Callable[[Any, float], Any],
    here: Any,
    h: float,
    origin_near: Callable[[np.ndarray, float], np.ndarray | None],
    closing_distance: float,
) -> Any:
    """Find the step of at most h that leads to the origin, and return its point; `None` if there is none."""
    found, step, after = origin_near(here.positions, 2 * h), 0.0, here
    for _ in range(CLOSING_ITERATIONS):
        if found is None:
            return None
        step += float(np.sum((found - after.positions) * after.tangent))
        if not SMALLEST_STEP < step <= h:
            return None
        after = advance(here, step)
        if isinstance(after, str):
            return None
        found = origin_near(after.positions, 2 * h)
        if found is not None and np.linalg.norm(found - after.positions) <= closing_distance:
            return after
    return None
