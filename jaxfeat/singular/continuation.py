"""What paths of environments have in common: sound starts, steps, and how one knows that a path is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError, PrecisionError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.geometry.congruence import congruent_image
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_positions

STRAIGHT, EASY = 0.97, 0.995
"""Cosine of the angle by which a path may turn in one step (14°), and by which it hardly does (6°)."""

GROWTH = 1.5
"""Of the next step, after one that was easy. One that was not taken is halved."""

ACROSS = 0.5
"""Of a step: a correction that is longer has gone elsewhere."""

CLOSING = 6
"""Attempts at a step that ends at the origin."""

SMALLEST = 1e-5
"""Å: a path that asks for smaller steps is at its end."""


def checked(f: AbstractFeaturizer, start: Environment, length: float) -> Environment:
    """The start of a path, without padding, as NumPy arrays.

    **Raises:** `GeometryError`, `PrecisionError` and `SpeciesError` for what is no sound start, or no length.
    """
    if not (length > 0 and np.isfinite(length)):
        raise GeometryError(f"length is {length:g}; give a positive length of the path (Å).")
    if not isinstance(start, Environment) or start.batch_shape != ():
        raise GeometryError("start must be one environment; index a batch, and env[0] is its first.")
    if start.positions.dtype != np.float64:
        raise PrecisionError(
            f"positions are {start.positions.dtype}, and paths are a matter of the last digits; "
            "enable jax_enable_x64 and give them in float64."
        )
    check_compatible(f, start)
    start = start.trimmed()
    there = np.asarray(start.mask)
    if not there.any():
        raise GeometryError("the start has no neighbors, hence nothing to displace.")
    check_positions(np.asarray(start.positions)[there], "neighbor", center=True)
    return start


class Origin(NamedTuple):
    """Where a path began, up to what features of this group cannot tell: rotations and permutations of like atoms, and
    inversion unless they keep pseudoscalars."""

    positions: np.ndarray
    kinds: np.ndarray
    signs: tuple[float, ...]

    @staticmethod
    def of(f: AbstractFeaturizer, start: Environment, positions: np.ndarray) -> Origin:
        kinds = np.where(start.mask, start.species, 0)
        return Origin(positions, kinds, (1.0, -1.0) if f.group == "O3" else (1.0,))

    def near(self, positions: np.ndarray, reach: float) -> np.ndarray | None:
        """The origin as it looks from `(n, 3)` positions, if each of its atoms is within reach (Å) of one of these."""
        there = self.kinds > 0
        kinds = self.kinds[there]
        found = congruent_image(self.positions[there], positions[there], kinds, kinds, reach, self.signs)
        if found is None:
            return None
        whole = positions.copy()
        whole[there] = found
        return whole


class Way(NamedTuple):
    """Points of a path, the length of the way to each of them (Å), and how it ended: with "length", "closed", or a
    reason why no step led on."""

    points: list[Any]
    path: np.ndarray
    status: str


def follow(
    advance: Callable[[Any, float], Any], first: Any, origin: Origin, length: float, largest: float, returned: float
) -> Way:
    """Go on from a first point until the length is reached or the path is back to within `returned` of its origin (Å).

    Points have `positions` and a `tangent`, `(n, 3)`, and say whether they were `easy` to reach. `advance` takes a
    point and a step (Å) to the next point, or to the reason why there is none within reach: then the step is halved,
    and that is how the path ends if the step was the smallest.
    """
    points, path, h, away = [first], [0.0], largest, False
    while length - path[-1] > SMALLEST:
        here = points[-1]
        h = min(h, largest, length - path[-1])
        after = advance(here, h)
        if isinstance(after, str):
            if h <= SMALLEST:
                return Way(points, np.asarray(path), after)
            h = max(h / 2, SMALLEST)
            continue
        last = _at_origin(advance, here, h, origin, returned) if away else None
        points.append(after if last is None else last)
        path.append(path[-1] + float(np.linalg.norm(points[-1].positions - here.positions)))
        if last is not None:
            return Way(points, np.asarray(path), "closed")
        away = away or origin.near(after.positions, 2 * h) is None
        h *= GROWTH if after.easy else 1
    return Way(points, np.asarray(path), "length")


def _at_origin(advance: Callable[[Any, float], Any], here: Any, h: float, origin: Origin, returned: float) -> Any:
    """The next point if some step, of at most h, leads to the origin; otherwise `None`."""
    found, step, after = origin.near(here.positions, 2 * h), 0.0, here
    # Newton's method for the length of the step.
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
