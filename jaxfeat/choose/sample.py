"""Random samples of environments that hold each species of the center."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from jaxfeat.errors import GeometryError


def draw_sample(center_species: ArrayLike, size: int, seed: int = 0) -> np.ndarray:
    """Draw environments at random, in proportion to the species of their centers, and at least one of each species.

    - `center_species`: `(b,)`, the species of all centers.
    - `size`: how many to draw. If it is 0 or more than there are, all are drawn.

    **Returns:** ascending indices, `(size,)`.

    **Raises:** `GeometryError` if `size` is less than the number of species, or if the seed is negative.
    """
    center_species = np.asarray(center_species)
    total = len(center_species)
    if seed < 0:
        raise GeometryError(f"the seed of a sample is {seed}; give a number of at least 0.")
    _, kind, counts = np.unique(center_species, return_inverse=True, return_counts=True)
    if size == 0 or size >= total:
        return np.arange(total)
    if size < len(counts):
        raise GeometryError(f"a sample of {size} cannot hold all {len(counts)} species of centers; draw more, or 0.")
    shares = counts * size / total
    numbers = np.maximum(np.floor(shares).astype(int), 1)
    while numbers.sum() < size:
        numbers[np.argmax(shares - numbers)] += 1
    while numbers.sum() > size:  # rare species were rounded up to one
        numbers[np.argmax(np.where(numbers > 1, numbers - shares, -np.inf))] -= 1
    rng = np.random.default_rng(seed)
    members = [rng.choice(np.flatnonzero(kind == k), n, replace=False) for k, n in enumerate(numbers)]
    return np.sort(np.concatenate(members))
