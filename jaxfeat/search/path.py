"""What paths of environments have in common: sound starts, steps, and how one knows that a path is back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError, PrecisionError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment, check_positions
from jaxfeat.search.families import image

STRAIGHT, EASY = 0.97, 0.995
"""Cosine of the angle by which a path may turn in one step (14°), and by which it hardly does (6°)."""

GROWTH = 1.5
"""Of the next step, after one that was easy. One that was not taken is halved."""

ACROSS = 0.5
"""Of a step: a correction that is longer has gone elsewhere."""

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
    f.check(start)
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
        found = image(self.positions[there], positions[there], kinds, kinds, reach, self.signs)
        if found is None:
            return None
        whole = positions.copy()
        whole[there] = found
        return whole

    def ahead(self, positions: np.ndarray, tangent: np.ndarray, step: float) -> float:
        """How long a step ends beside the origin: `step` itself (Å), or less, if the origin is less far ahead."""
        found = self.near(positions, step)
        along = np.inf if found is None else float(np.sum((found - positions) * tangent))
        return along if SMALLEST < along < step else step
