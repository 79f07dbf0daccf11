"""Paths of environments: checks of the start, the length of steps, and the return to the origin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError, PrecisionError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import check_compatible
from jaxfeat.geometry.congruence import congruent_image
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_positions

STRAIGHT, EASY = 0.97, 0.995
"""Cosines of the largest angle that a path may turn by in one step (14°), and of an easy one (6°)."""

GROWTH = 1.5
"""Factor of the step after an easy one. A step that leads to no point is halved."""

ACROSS = 0.5
"""Length of a correction, relative to the step, from which on it has left the path."""

CLOSING = 6
"""Newton steps for the length of the last step, which ends at the origin."""

SMALLEST = 1e-5
"""Smallest step (Å). A path that needs smaller ones ends."""


def check_start(f: AbstractFeaturizer, start: Environment, length: float) -> Environment:
    """Check the start and the length of a path, and remove padding."""
    if not (length > 0 and np.isfinite(length)):
        raise GeometryError(f"length is {length:g}; give the positive length of the path (Å).")
    if not isinstance(start, Environment) or start.batch_shape != ():
        raise GeometryError("start must be one environment; for a batch, give one of its items, such as env[0].")
    if start.positions.dtype != np.float64:
        raise PrecisionError(
            f"positions are {start.positions.dtype}, but a path needs the digits of float64; "
            "enable jax_enable_x64 and give them in float64."
        )
    check_compatible(f, start)
    start = start.trimmed()
    there = np.asarray(start.mask)
    if not there.any():
        raise GeometryError("the start has no neighbors, so nothing can move; give an environment with neighbors.")
    check_positions(np.asarray(start.positions)[there], "neighbor", center=True)
    return start


class Origin(NamedTuple):
    """Beginning of a path, up to rotations and permutations of like atoms, and up to inversion if the features ignore
    it."""

    positions: np.ndarray
    kinds: np.ndarray
    signs: tuple[float, ...]

    @staticmethod
    def of(f: AbstractFeaturizer, start: Environment, positions: np.ndarray) -> Origin:
        kinds = np.where(start.mask, start.species, 0)
        return Origin(positions, kinds, (1.0, -1.0) if f.group == "O3" else (1.0,))

    def near(self, positions: np.ndarray, reach: float) -> np.ndarray | None:
        """Align the origin to positions `(n, 3)`. `None` unless each atom comes within `reach` (Å) of its own."""
        there = self.kinds > 0
        kinds = self.kinds[there]
        found = congruent_image(self.positions[there], positions[there], kinds, kinds, reach, self.signs)
        if found is None:
            return None
        whole = positions.copy()
        whole[there] = found
        return whole


class Path(NamedTuple):
    """Points of a path, the length of the path up to each of them (Å), and how it ended: "length", "closed", or the
    reason why no step led on."""

    points: list[Any]
    path: np.ndarray
    status: str


def follow(
    advance: Callable[[Any, float], Any], first: Any, origin: Origin, length: float, largest: float, returned: float
) -> Path:
    """Continue from a first point until the length is reached or the path is within `returned` (Å) of its origin.

    Points have `positions` and a `tangent`, `(n, 3)`, and an attribute `easy`. `advance` takes a point and a step (Å),
    and returns the next point or the reason why there is none. The step is then halved, and the smallest step ends the
    path.
    """
    points, path, h, away = [first], [0.0], largest, False
    while length - path[-1] > SMALLEST:
        here = points[-1]
        h = min(h, largest, length - path[-1])
        after = advance(here, h)
        if isinstance(after, str):
            if h <= SMALLEST:
                return Path(points, np.asarray(path), after)
            h = max(h / 2, SMALLEST)
            continue
        last = _at_origin(advance, here, h, origin, returned) if away else None
        points.append(after if last is None else last)
        path.append(path[-1] + float(np.linalg.norm(points[-1].positions - here.positions)))
        if last is not None:
            return Path(points, np.asarray(path), "closed")
        away = away or origin.near(after.positions, 2 * h) is None
        h *= GROWTH if after.easy else 1
    return Path(points, np.asarray(path), "length")


def _at_origin(advance: Callable[[Any, float], Any], here: Any, h: float, origin: Origin, returned: float) -> Any:
    """Find the step of at most h that leads to the origin, and return its point; `None` if there is none."""
    found, step, after = origin.near(here.positions, 2 * h), 0.0, here
    for _ in range(CLOSING):
        if found is None:
            return None
        step += float(np.sum((found - after.positions) * after.tangent))
        if not SMALLEST < step <= h:
            return None
        after = advance(here, step)
        if isinstance(after, str):
            return None
        found = origin.near(after.positions, 2 * h)
        if found is not None and np.linalg.norm(found - after.positions) <= returned:
            return after
    return None
