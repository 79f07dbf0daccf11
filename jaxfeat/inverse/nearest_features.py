"""Environments whose features are near, among any number of them.

Distances are those of a random projection of the features to few numbers. With 32 numbers they are right within 12 %
(one standard deviation) at any length, also at rounding errors: a projection keeps equal features equal.

**Source:** Johnson and Lindenstrauss, Contemp. Math. 26, 189 (1984).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import room_for_neighbors
from jaxfeat.geometry.environment import Environment
from jaxfeat.progress import Progress

N_REDUCED = 32  # numbers to which features are reduced
CHUNK = 1024  # environments that are described together, at most
CHUNK_BYTES = 64e6  # bytes of their features
FEW = 32  # environments of a short chunk, which NumPy describes if they are small
LEAST_ROOM = 8  # the smallest room for neighbors with a program of its own


def features_in_chunks(f: AbstractFeaturizer, batch: Environment, room: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Compute the features of environments `(b,)` of NumPy arrays. Yield indices, and rows of features.

    Chunks have one of two lengths, and few rooms for neighbors from `room` downwards, so that calls share programs."""
    n_neighbors, many = batch.mask.sum(1), len(batch) > CHUNK
    rooms = [room_for_neighbors(room)]
    while many and rooms[-1] > LEAST_ROOM:
        rooms.append(min(room_for_neighbors(rooms[-1] * 2 // 3), rooms[-1] - 1))
    known = f.n_features_if_known
    length = CHUNK if known is None else int(np.clip(CHUNK_BYTES // (8 * max(known, 1)), FEW, CHUNK))
    length = 2 ** int(np.log2(length)) if many else FEW
    for largest, below in zip(rooms, [*rooms[1:], -1], strict=True):
        members = np.flatnonzero((n_neighbors <= largest) & (n_neighbors > below))
        for start in range(0, len(members), length):
            indices = members[start : start + length]
            filled = np.pad(indices, (0, length - len(indices)), mode="edge")
            yield indices, np.asarray(f(batch[filled].padded(largest)))[: len(indices)]


def compute_features(f: AbstractFeaturizer, batch: Environment, room: int) -> np.ndarray:
    """Compute the features of environments `(b,)` of NumPy arrays, as an array `(b, d)`."""
    found: Any = None
    for indices, rows in features_in_chunks(f, batch, room):
        found = np.zeros((len(batch), rows.shape[1])) if found is None else found
        found[indices] = rows
    return np.zeros((0, 0)) if found is None else found


def reduce_features(
    f: AbstractFeaturizer, batch: Environment, room: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the features of environments, and keep a random projection `(b, N_REDUCED)` and the norms `(b,)`."""
    projection: Any = None
    reduced, norms, done = np.zeros((len(batch), N_REDUCED)), np.zeros(len(batch)), 0
    for indices, rows in features_in_chunks(f, batch, room):
        if projection is None:
            drawn = np.random.default_rng(0).normal(size=(rows.shape[1], N_REDUCED))
            projection = drawn / np.sqrt(N_REDUCED)
        reduced[indices], norms[indices] = rows @ projection, np.linalg.norm(rows, axis=1)
        done += len(indices)
        progress(done, len(batch))
    return reduced, norms


def find_nearest(
    reduced: np.ndarray, kinds: np.ndarray, members: np.ndarray, asked: np.ndarray, nearest: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Find the nearest of `members` for each of `asked`, kind by kind; both are indices. Yield indices of asked ones,
    `(a,)`, and their nearest others and distances, `(a, k)`, nearest first."""
    for kind in np.unique(kinds[asked]):
        here, there = asked[kinds[asked] == kind], members[kinds[members] == kind]
        k = min(nearest + 1, len(there))
        if k < 2:
            continue
        distances, places = cKDTree(reduced[there]).query(reduced[here], k=k, workers=-1)
        found = there[places]
        # Among copies an environment is not always its own nearest one.
        own = found == here[:, None]
        own[~own.any(1), -1] = True
        yield here, found[~own].reshape(-1, k - 1), distances[~own].reshape(-1, k - 1)


def unique_pairs(parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """List each pair of nearest environments once, `(p, 2)` with the smaller index first, and the distances `(p,)`,
    ascending."""
    if not parts:
        return np.zeros((0, 2), int), np.zeros(0)
    first = np.concatenate([np.repeat(here, found.shape[1]) for here, found, _ in parts])
    second = np.concatenate([found.ravel() for _, found, _ in parts])
    distances = np.concatenate([apart.ravel() for *_, apart in parts])
    pairs, where = np.unique(np.sort(np.stack([first, second], 1), axis=1), axis=0, return_index=True)
    order = np.argsort(distances[where], kind="stable")
    return pairs[order], distances[where][order]
