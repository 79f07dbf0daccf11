"""Hydrogens of the methanes that the power spectrum mistakes for each other, from PRL 125, 166001."""

from math import cos, pi, sin
from typing import Any

import numpy as np

from jaxfeat.linalg.arrays import array_namespace

BOND_LENGTH = 1.09  # Å, from the carbon to each hydrogen


def place_hydrogens(azimuth: Any, elevation: Any, sign: int) -> list[tuple[Any, Any, Any]]:
    """Place four hydrogens at unit distance from the carbon: three are fixed, and the fourth has the angles (radians).
    `sign` is 1 for the sheet X+ and -1 for X-. The angles are floats, or scalars of JAX, which may be traced."""
    xp = array_namespace(azimuth)
    a, b, c = 5 * pi / 8, pi / 6, pi / 5
    return [
        (cos(a), 0.0, sin(a)),
        (cos(b) * cos(c), -cos(b) * sin(c), -0.5),
        (cos(b) * cos(c), cos(b) * sin(c), 0.5),
        (xp.cos(elevation) * xp.cos(azimuth), sign * xp.cos(elevation) * xp.sin(azimuth), xp.sin(elevation)),
    ]


def published_angles() -> tuple[np.ndarray, np.ndarray]:
    """List the published azimuths and elevations of the fourth hydrogen, 9 each, in radians."""
    steps = 0.025 * np.arange(9)
    return np.pi * (0.7 + steps), np.pi * (0.1 - steps)
