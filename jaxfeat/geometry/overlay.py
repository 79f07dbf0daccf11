"""The distance of two sets of neighbors, in Å: the least displacement that turns one into the other.

A rotation about the center, proper or not, is free, and so is a permutation of like neighbors. A neighbor that has no
counterpart leaves through the surface of the sphere, which takes its depth below the surface. The squared distance is
the least possible value of

    Σ |R x_i - y_j|²  over matched neighbors  +  Σ (r_cut - r)²  over all others.

This is a metric of sets of any size, and continuous when a neighbor enters or leaves the sphere. No neighbor is matched
with one that is farther away than the surface makes both: a neighbor close to the surface counts little, wherever it
is. Without a radius nothing leaves, and sets of other atoms are infinitely far apart.

**Source:** Figalli and Gigli, J. Math. Pures Appl. 94, 107 (2010): transport of measures to and from a boundary.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from jaxfeat.geometry.point_group import kabsch, orthonormal_axes

COLLINEAR_AREA = 1e-8  # Å²; two vectors that span a smaller area are in line
N_ANCHORS = 3  # pairs of neighbors whose images give trial rotations; one of them should be matched in the best overlay
N_SIMPLE, N_REFINED = 3, 12  # the numbers of the best trial rotations, of two kinds, that are refined
SMALL = 64  # products of numbers of neighbors up to which more is tried: all pairs, and
N_REFINED_MORE = 40
N_RANDOM = 1000  # random trial rotations of a thorough search
MAX_ROUNDS = 50  # rounds of matching and rotating in one refinement
TRIALS_TOGETHER = 2e5  # squared distances between neighbors that are computed together


class Overlay(NamedTuple):
    """The best overlay of neighbors x on neighbors y that was found.

    **Attributes:** `distance`: Å. `matrix`: `(3, 3)`, orthogonal; `x @ matrix.T` lies on y. `first`, `second`: `(k,)`,
    indices of matched neighbors of x and their counterparts in y. `moves`, `other_moves`: `(n,)` and `(m,)`, the length
    by which each neighbor of x and of y moves (Å), to its counterpart or to the surface.
    """

    distance: float
    matrix: np.ndarray
    first: np.ndarray
    second: np.ndarray
    moves: np.ndarray
    other_moves: np.ndarray


def overlay(
    x: np.ndarray,
    kinds_x: np.ndarray,
    y: np.ndarray,
    kinds_y: np.ndarray,
    radius: float = np.inf,
    signs: Sequence[float] = (1.0,),
    bound: float = np.inf,
    thorough: bool = False,
) -> Overlay:
    """Overlay neighbors `x`, `(n, 3)` Å from the center, on neighbors `y`, `(m, 3)`, within a radius (Å).

    Trial rotations take two neighbors of x to the directions of two neighbors of y. Refinement matches (by assignment)
    and rotates in turn. `signs` are the allowed determinants; -1 allows inversion. `bound` is a distance (Å) that is
    known to be too long: trials are left out that cannot end below it. `thorough` adds random trial rotations.
    """
    sets = _Sets(x, kinds_x, y, kinds_y, radius)
    allowed = np.asarray(signs)
    proper = np.concatenate([np.eye(3)[None], _axis_rotations(sets)])
    simple = (allowed[:, None, None, None] * proper).reshape(-1, 3, 3)
    order = np.argsort(sets.least_costs(simple), kind="stable")[:N_SIMPLE]
    best = _refine(sets, simple[np.unique([0, *order])])
    trials = list(_trial_rotations(sets, allowed, min(bound, sets.length(best[0]))))
    if thorough:
        drawn = Rotation.from_quat(np.random.default_rng(0).normal(size=(N_RANDOM, 4))).as_matrix()
        trials += list((allowed[:, None, None, None] * drawn).reshape(-1, 3, 3))
    if trials:
        stacked = np.stack(trials)
        n_refined = N_REFINED if len(x) * len(y) > SMALL and not thorough else N_REFINED_MORE
        order = np.argsort(sets.least_costs(stacked), kind="stable")[:n_refined]
        best = min(best, _refine(sets, stacked[order]), key=lambda one: one[0])
    return _measure(sets, *best[1:])


class _Sets:
    """Two sets of neighbors, and the squared distances (Å²) from each to the surface; without a radius, large ones."""

    def __init__(self, x: np.ndarray, kinds_x: np.ndarray, y: np.ndarray, kinds_y: np.ndarray, radius: float) -> None:
        self.x, self.y, self.kinds_x, self.kinds_y, self.radius = x, y, kinds_x, kinds_y, radius
        squares = (x**2).sum(1), (y**2).sum(1)
        if np.isfinite(radius):
            self.exits_x, self.exits_y = (np.maximum(radius - np.sqrt(square), 0) ** 2 for square in squares)
        else:
            # Matching one pair of neighbors more saves more than all squared distances together can cost.
            far = 2 * (1 + squares[0].sum() + squares[1].sum())
            self.exits_x, self.exits_y = np.full(len(x), far), np.full(len(y), far)
        self.alone = self.exits_x.sum() + self.exits_y.sum()
        self._constant = squares[0][:, None] + squares[1]
        self._constant[kinds_x[:, None] != kinds_y] = np.inf
        self._exits = self.exits_x[:, None] + self.exits_y

    def squares(self, rotations: np.ndarray) -> np.ndarray:
        """Compute squared distances (Å²) from neighbors of x to those of y at rotations `(t, 3, 3)`, `(t, n, m)`;
        infinite between unlike ones."""
        return self._constant - 2 * (self.x @ rotations.transpose(0, 2, 1)) @ self.y.T

    def savings(self, rotations: np.ndarray) -> np.ndarray:
        """Compute how much less than to the surface it is from neighbors of x to those of y, as negative Å²,
        `(t, n, m)`; 0 for neighbors that are not to be matched."""
        return np.minimum(self.squares(rotations) - self._exits, 0)

    def least_costs(self, rotations: np.ndarray) -> np.ndarray:
        """Bound the cost (Å²) at each rotation from below: every neighbor pays half of the way to the nearest one."""
        if not len(self.x) or not len(self.y):
            return np.zeros(len(rotations))
        step = max(int(TRIALS_TOGETHER / (len(self.x) * len(self.y))), 1)
        found = []
        for start in range(0, len(rotations), step):
            square = self.squares(rotations[start : start + step]) / 2
            sums = (np.minimum(square.min(3 - k), exits).sum(1) for k, exits in ((1, self.exits_x), (2, self.exits_y)))
            found.append(sum(sums))
        return np.concatenate(found)

    def length(self, saved: float) -> float:
        """Turn savings into a distance (Å)."""
        return float(np.sqrt(max(self.alone + saved, 0.0)))


def _refine(sets: _Sets, rotations: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Match and rotate in turn from each of some rotations `(t, 3, 3)`. Return the savings of the best end (Å²), its
    rotation, and the indices of matched neighbors."""
    t, n, m = len(rotations), len(sets.x), len(sets.y)
    signs = np.sign(np.linalg.det(rotations))
    rotations, active = rotations.copy(), np.arange(t)
    saved, matches = np.zeros(t), np.zeros((t, n, m), bool)
    for _ in range(MAX_ROUNDS):
        table = sets.savings(rotations[active])
        matched = np.zeros(table.shape, bool)
        for one, of_one in zip(table, matched, strict=True):
            of_one[linear_sum_assignment(one)] = True
        matched &= table < 0
        now = np.where(matched, table, 0).sum((1, 2))
        better = now < saved[active] - 1e-14 * (1 + sets.alone)
        active = active[better]
        if not len(active):
            break
        saved[active], matches[active] = now[better], matched[better]
        rotations[active] = kabsch(sets.x, matched[better] @ sets.y, signs[active])
    best = int(saved.argmin())
    return float(saved[best]), rotations[best], *np.nonzero(matches[best])


def _measure(sets: _Sets, matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Overlay:
    moves, other_moves = np.sqrt(sets.exits_x), np.sqrt(sets.exits_y)
    if not np.isfinite(sets.radius):
        moves, other_moves = np.full_like(moves, np.inf), np.full_like(other_moves, np.inf)
    lengths = np.linalg.norm(sets.x[rows] @ matrix.T - sets.y[columns], axis=1)
    moves[rows] = other_moves[columns] = lengths
    lost = np.delete(moves, rows), np.delete(other_moves, columns)
    distance = float(np.sqrt(sum((part**2).sum() for part in (lengths, *lost))))
    return Overlay(distance, matrix, rows, columns, moves, other_moves)


def principal_axes(positions: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Compute the right-handed principal axes `(*b, 3, 3)`, in columns, of points `(*b, n, 3)` with weights."""
    axes = np.linalg.eigh(np.einsum("...n,...nx,...ny->...xy", weights, positions, positions))[1]
    axes[..., 2] *= np.linalg.det(axes)[..., None]
    return axes


HALF_TURNS = np.asarray([(1.0, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
"""Turns that keep each axis: the four ways in which one right-handed frame lies on another."""


def _axis_rotations(sets: _Sets) -> np.ndarray:
    """List the four rotations of the principal axes of x onto those of y."""
    from_axes = principal_axes(sets.x, sets.exits_x * sets.kinds_x)
    onto_axes = principal_axes(sets.y, sets.exits_y * sets.kinds_y)
    return np.einsum("xi,ti,yi->txy", onto_axes, HALF_TURNS, from_axes)


def _trial_rotations(sets: _Sets, signs: np.ndarray, bound: float) -> Iterator[np.ndarray]:
    """List rotations of two neighbors of x to the directions of two of y, if these move by less than a bound (Å)."""
    x, y = sets.x, sets.y
    if not len(x) or not len(y):
        return
    slack = bound + 1e-6
    radii = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    near = (sets.kinds_x[:, None] == sets.kinds_y) & (np.abs(radii[0][:, None] - radii[1]) <= slack)
    area = np.linalg.norm(np.cross(x[:, None], x), axis=-1)
    apart = np.linalg.norm(x[:, None] - x, axis=-1)
    anchors = list(_choose_anchors(sets))
    if len(x) * len(y) <= SMALL or not anchors or area.max() < COLLINEAR_AREA:
        # Perhaps one neighbor alone is matched, or one of the sets is a line.
        for i, j in np.argwhere(near):
            proper, normal = _rotation_between(x[i], y[j])
            yield from (_reflect(proper, normal, sign) for sign in signs)
    for p, q in anchors:
        goal, gap = orthonormal_axes(y[p], y[q]), np.linalg.norm(y[p] - y[q])
        fits = near[:, p][:, None] & near[:, q] & (area > COLLINEAR_AREA) & (np.abs(apart - gap) <= np.sqrt(2) * slack)
        i, j = np.nonzero(fits)
        if len(i):
            proper = goal @ orthonormal_axes(x[i], x[j]).transpose(0, 2, 1)
            for sign in signs:
                yield from _reflect(proper, goal[:, 2], sign)


def _choose_anchors(sets: _Sets) -> Iterator[tuple[int, int]]:
    """Choose pairs of neighbors of y that span large areas far from the surface. Unless there are few neighbors, no
    neighbor is in two pairs."""
    out_y = sets.exits_y
    worth = np.linalg.norm(np.cross(sets.y[:, None], sets.y), axis=-1)
    worth[worth <= COLLINEAR_AREA] = 0
    if np.isfinite(sets.radius):
        worth *= np.minimum(out_y[:, None], out_y)
    few = len(sets.x) * len(sets.y) <= SMALL
    for _ in range(len(sets.y) * (len(sets.y) - 1) // 2 if few else N_ANCHORS):
        if not worth.size or worth.max() <= 0:
            return
        p, q = np.unravel_index(int(worth.argmax()), worth.shape)
        yield int(p), int(q)
        worth[[p, q], [q, p]] = 0
        if not few:
            worth[[p, q]] = 0
            worth[:, [p, q]] = 0


def _reflect(rotations: np.ndarray, normal: np.ndarray, sign: float) -> np.ndarray:
    """Give rotations `(*t, 3, 3)` the determinant `sign`, by a reflection in the plane that holds the images."""
    return rotations if sign > 0 else rotations - 2 * normal[:, None] * (normal @ rotations)[..., None, :]


def _rotation_between(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find a rotation that takes the direction of `a` to the direction of `b`, and a normal of `b`."""
    other = np.eye(3)[int(np.abs(np.cross(np.eye(3), a)).sum(-1).argmax())]
    across = np.cross(a, b) if np.linalg.norm(np.cross(a, b)) > COLLINEAR_AREA else np.cross(a, other)
    goal = orthonormal_axes(b, np.cross(across, b))
    return goal @ orthonormal_axes(a, np.cross(across, a)).T, goal[:, 2]
