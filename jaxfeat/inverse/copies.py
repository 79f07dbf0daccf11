"""Environments that are copies of others, up to rotation and permutation, found before look-alikes are searched for."""

from typing import NamedTuple

import numpy as np

from jaxfeat.geometry.matching import congruent_image
from jaxfeat.geometry.rough_overlay import Outlines
from jaxfeat.inverse.nearest_features import find_nearest, unique_pairs
from jaxfeat.progress import Progress


class Distinct(NamedTuple):
    """Environments `(b,)` without copies, and their nearest ones.

    **Attributes:** `copy_of`: `(b,)`, index of the environment of which each one is a copy, its own if it is the first.
    `mirrored`: `(b,)`, True for a mirror image of that environment. `pairs`: `(p, 2)`, nearest environments that are no
    copies, and `distances`: `(p,)`, of their reduced features, ascending.
    """

    copy_of: np.ndarray
    mirrored: np.ndarray
    pairs: np.ndarray
    distances: np.ndarray


def find_distinct(
    outlines: Outlines,
    reduced: np.ndarray,
    kinds: np.ndarray,
    limits: np.ndarray,
    tolerance: float,
    nearest: int,
    improper: bool,
    progress: Progress,
) -> Distinct:
    """Find copies among environments `(b,)`, and pairs of each environment that is no copy with its `nearest` ones.

    Two environments are compared if the distance of their `reduced` features is at most the limit of the first. They
    are copies if every atom is within the tolerance (Å) of its counterpart. `improper` allows inversion. Copies hide
    other near environments, so that the search is repeated without them until it finds none."""
    b = len(reduced)
    copy_of, mirrored = np.arange(b), np.zeros(b, bool)
    first = np.ones(b, bool)
    nearest_to: dict[int, np.ndarray] = {}
    distances: dict[int, np.ndarray] = {}
    asked = np.arange(b)
    while len(asked):
        members = np.flatnonzero(first)
        parts = list(find_nearest(reduced, kinds, members, asked, nearest))
        for here, found, apart in parts:
            nearest_to.update(zip(here.tolist(), found, strict=True))
            distances.update(zip(here.tolist(), apart, strict=True))
        pairs, apart = unique_pairs(parts)
        near = pairs[apart <= limits[pairs[:, 0]]]
        # In the order of the input, so that the first of several copies stays.
        for i, j in near[np.lexsort((near[:, 1], near[:, 0]))]:
            if first[i] and first[j] and (parity := _compare(outlines, i, j, tolerance, improper)):
                first[j], copy_of[j], mirrored[j] = False, i, parity < 0
        progress(int((~first).sum()), None)
        again = [i for i in members.tolist() if first[i] and i in nearest_to and not first[nearest_to[i]].all()]
        asked = np.asarray(again, dtype=np.int64)
    kept = [i for i in np.flatnonzero(first).tolist() if i in nearest_to]
    parts = [(np.asarray([i]), nearest_to[i][None], distances[i][None]) for i in kept]
    pairs, apart = unique_pairs(parts)
    return Distinct(*_follow(copy_of, mirrored), pairs, apart)


def _compare(outlines: Outlines, i: int, j: int, tolerance: float, improper: bool) -> int:
    """Return 1 for copies, -1 for mirror images that are no copies, and 0 for other environments."""
    (x, kinds_x), (y, kinds_y) = outlines.neighbors(i), outlines.neighbors(j)
    if len(x) != len(y) or (np.sort(kinds_x) != np.sort(kinds_y)).any():
        return 0
    for sign in (1, -1)[: 1 + improper]:
        if congruent_image(x, y, kinds_x, kinds_y, tolerance, (float(sign),)) is not None:
            return sign
    return 0


def _follow(copy_of: np.ndarray, mirrored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow copies of copies to the first one."""
    while (copy_of[copy_of] != copy_of).any():
        mirrored = mirrored ^ mirrored[copy_of]
        copy_of = copy_of[copy_of]
    return copy_of, mirrored
