"""Upper bounds of the distances of many pairs of environments at once (see `overlay`): trial rotations are the identity
and those of the principal axes, and neighbors are matched if each is the nearest to the other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.overlay import HALF_TURNS, principal_axes
from jaxfeat.geometry.point_group import kabsch

ROUNDS = 3  # rounds of rotating and matching
ENTRIES_TOGETHER = 1_000_000  # squared distances between neighbors that are computed together


class Outlines(NamedTuple):
    """Environments `(b,)` ready for overlays: positions `(b, n, 3)` and atomic numbers `(b, n)`, 0 for padding; squared
    distances to the surface `(b, n)`, 0 for padding; principal axes `(b, 3, 3)`; and the radius (Å)."""

    positions: np.ndarray
    kinds: np.ndarray
    exits: np.ndarray
    axes: np.ndarray
    radius: float

    def neighbors(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return positions and atomic numbers of one environment, without padding."""
        there = self.kinds[index] > 0
        return self.positions[index, there], self.kinds[index, there]


def make_outlines(batch: Environment, radius: float) -> Outlines:
    """Prepare environments `(b,)` of NumPy arrays that were cut at a radius (Å), perhaps an infinite one."""
    positions, kinds = np.asarray(batch.positions), np.where(batch.mask, batch.species, 0)
    lengths = np.linalg.norm(positions, axis=-1)
    far = 2 * (1 + 2 * (lengths**2).sum(1).max(initial=0))
    exits = np.maximum(radius - lengths, 0) ** 2 if np.isfinite(radius) else np.full(lengths.shape, far)
    exits = np.where(kinds > 0, exits, 0)
    return Outlines(positions, kinds, exits, principal_axes(positions, exits * kinds), radius)


def rough_moves(
    outlines: Outlines, first: np.ndarray, second: np.ndarray, signs: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overlay environments `first` on `second`, both `(p,)` indices. Return upper bounds of the distances (Å), and the
    length by which each neighbor moves, `(p, n)` for both, infinite where it has no counterpart and cannot leave."""
    n = outlines.kinds.shape[1]
    n_trials = (1 + len(HALF_TURNS)) * len(signs)
    step = max(int(ENTRIES_TOGETHER / max(n_trials * n * n, 1)), 1)
    parts = [
        _overlay_together(outlines, first[start : start + step], second[start : start + step], np.asarray(signs))
        for start in range(0, len(first), step)
    ]
    if not parts:
        return np.zeros(0), np.zeros((0, n)), np.zeros((0, n))
    bounds, moves, other_moves = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return bounds, moves, other_moves


def _overlay_together(o: Outlines, first: np.ndarray, second: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, ...]:
    turned = np.einsum("pxi,ti,pyi->ptxy", o.axes[second], HALF_TURNS, o.axes[first])
    proper = np.concatenate([np.broadcast_to(np.eye(3), (len(first), 1, 3, 3)), turned], 1)
    trials = (signs[:, None, None, None] * proper[:, None]).reshape(len(first), -1, 3, 3)
    cost, _ = _match(o, first, second, trials)
    best = cost.argmin(1)
    sign = np.repeat(signs, proper.shape[1])[best]
    rotations = trials[np.arange(len(first)), best]
    for _ in range(ROUNDS):
        _, counterpart = _match(o, first, second, rotations[:, None])
        there = (counterpart >= 0)[:, 0]
        targets = np.take_along_axis(o.positions[second], np.maximum(counterpart[:, 0], 0)[..., None], 1)
        rotations = kabsch(o.positions[first] * there[..., None], targets * there[..., None], sign)
    _, counterpart = _match(o, first, second, rotations[:, None])
    return _measure(o, first, second, rotations, counterpart[:, 0])


def _match(o: Outlines, first: np.ndarray, second: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match mutual nearest neighbors at rotations `(p, t, 3, 3)`. Return what is saved `(p, t)`, as negative Å², and
    the counterpart of each neighbor `(p, t, n)`, -1 for none."""
    x, y = o.positions[first], o.positions[second]
    moved = np.einsum("pnx,ptyx->ptny", x, trials)
    square = (y**2).sum(-1)[:, None, None] - 2 * moved @ y.transpose(0, 2, 1)[:, None]
    square += (x**2).sum(-1)[:, None, :, None]
    unlike = (o.kinds[first][:, :, None] != o.kinds[second][:, None]) | (o.kinds[first] == 0)[:, :, None]
    square += np.where(unlike, np.inf, 0)[:, None]
    nearest, back = square.argmin(3), square.argmin(2)
    mutual = np.take_along_axis(back, nearest, 2) == np.arange(x.shape[1])
    exits = o.exits[first][:, None] + np.take_along_axis(o.exits[second][:, None], nearest, 2)
    gained = np.take_along_axis(square, nearest[..., None], 3)[..., 0] - exits
    mutual &= gained < 0
    return np.where(mutual, gained, 0).sum(-1), np.where(mutual, nearest, -1)


def _measure(
    o: Outlines, first: np.ndarray, second: np.ndarray, rotations: np.ndarray, counterpart: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    alone = np.sqrt(o.exits) if np.isfinite(o.radius) else np.where(o.kinds > 0, np.inf, 0)
    moves, other_moves = alone[first], alone[second]
    p, i = np.nonzero(counterpart >= 0)
    j = counterpart[p, i]
    moved = np.einsum("kx,kyx->ky", o.positions[first[p], i], rotations[p])
    lengths = np.linalg.norm(moved - o.positions[second[p], j], axis=1)
    moves[p, i] = other_moves[p, j] = lengths
    # Matched neighbors are in both sums.
    squares = (moves**2).sum(1) + (other_moves**2).sum(1) - np.bincount(p, lengths**2, len(first))
    return np.sqrt(np.maximum(squares, 0)), moves, other_moves
