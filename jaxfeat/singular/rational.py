"""Random fractions: points on circles, rotations, and environments whose neighbors are at reasonable distances."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

Rational = Any  # an int or a Fraction

NEAREST, LEAST_RADIUS, LARGEST_RADIUS = 0.3, 0.5, 2.5
"""Least distance of two neighbors, and bounds of their distances from the center, Å."""
GRAIN = 48  # The denominator of random coordinates. Small ones keep exact algebra fast, but values coincide by chance.


@dataclass(frozen=True)
class Draws:
    """Random fractions for one member, from a generator. No magnitude is drawn twice, because neighbors would be images
    of each other by chance."""

    rng: np.random.Generator
    drawn: set[Fraction] = field(default_factory=set)

    def number(self, low: float = -1.5, high: float = 1.5) -> Fraction:
        """Draw a fraction from an interval, but not zero, which makes symmetric environments."""
        value = Fraction(0)
        while not value or abs(value) in self.drawn:
            value = Fraction(int(self.rng.integers(round(low * GRAIN), round(high * GRAIN), endpoint=True)), GRAIN)
        self.drawn.add(abs(value))
        return value

    def size(self, low: float = 0.6, high: float = 1.6) -> Fraction:
        """Draw a positive fraction."""
        return self.number(low, high)

    def sign(self) -> int:
        """Draw 1 or -1."""
        return 1 if self.rng.random() < 0.5 else -1

    def circle(self) -> tuple[Fraction, Fraction]:
        """Draw a point of the unit circle with rational coordinates: cosine and sine of an angle."""
        # A random slope through (-1, 0) meets the circle at a rational point; the sign turns half of them around.
        t, sign = self.sign() * self.number(0.1, 0.9), self.sign()
        return sign * (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)

    def vector(self) -> list[Fraction]:
        """Draw three fractions."""
        return [self.number() for _ in range(3)]

    def turned(self, vector: Sequence[Rational], axis: Sequence[Rational]) -> list[Rational]:
        """Turn a vector about an axis, by a random angle whose half has a rational tangent in units of the axis."""
        return _turned(self.sign() * self.size(), vector, axis)

    def rotation(self) -> list[list[Fraction]]:
        """Draw a rotation matrix with rational entries, from a quaternion of small integers."""
        while True:
            a, b, c, d = (Fraction(int(v)) for v in self.rng.integers(-4, 4, size=4, endpoint=True))
            n = a * a + b * b + c * c + d * d
            # Half turns (a = 0) and turns about coordinate axes make symmetric environments.
            if a and (b != 0) + (c != 0) + (d != 0) > 1:
                break
        return [
            [(a * a + b * b - c * c - d * d) / n, 2 * (b * c - a * d) / n, 2 * (b * d + a * c) / n],
            [2 * (b * c + a * d) / n, (a * a - b * b + c * c - d * d) / n, 2 * (c * d - a * b) / n],
            [2 * (b * d - a * c) / n, 2 * (c * d + a * b) / n, (a * a - b * b - c * c + d * d) / n],
        ]


def _turned(a: Rational, vector: Sequence[Rational], axis: Sequence[Rational]) -> list[Rational]:
    """Turn a vector by the quaternion (a, axis): v + 2 (a w + axis x w) / n with w = axis x v, n = a² + axis²."""

    def cross(p: Sequence[Rational], q: Sequence[Rational]) -> list[Rational]:
        return [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]]

    once = cross(axis, vector)
    twice, n = cross(axis, once), a * a + sum(v * v for v in axis)
    return [v + 2 * (a * p + q) / n for v, p, q in zip(vector, once, twice, strict=True)]


def reasonable(positions: np.ndarray) -> bool:
    """Tell whether no two neighbors `(N, 3)` are close, and all are at reasonable distances from the center."""
    radii = np.linalg.norm(positions, axis=1)
    apart = np.linalg.norm(positions[:, None] - positions, axis=-1)[np.triu_indices(len(positions), 1)]
    return bool(apart.min(initial=np.inf) > NEAREST and radii.min() > LEAST_RADIUS and radii.max() < LARGEST_RADIUS)


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Draw a rotation matrix `(3, 3)` from the uniform distribution."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)
