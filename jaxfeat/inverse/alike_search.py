"""The steps of a search for look-alikes: near features, copies, overlays, and ratios."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.cutting import cut_at_radius
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.overlay import Overlay, overlay
from jaxfeat.geometry.rough_overlay import make_outlines, rough_moves
from jaxfeat.inverse.copies import find_distinct
from jaxfeat.inverse.expected_change import ROUNDING, displace, expected_changes, measure_ratios
from jaxfeat.inverse.nearest_features import compute_features, reduce_features
from jaxfeat.progress import Progress

CALIBRATED = (
    24  # environments of each kind on which the features' change for displacements by the tolerance is measured
)
LIMIT_FACTOR = 3.0  # of that change, up to which two environments are compared
DRAWS = 16  # random displacements of each end of a pair
KEPT_FACTOR, LEAST_KEPT = 10, 200  # pairs whose ratios are computed, for each one that is listed, and at least
MOST_OVERLAID = 20_000  # pairs that are overlaid with care
OVERLAID_TOGETHER = 100  # pairs that are overlaid before the search looks whether others can be worse
BACKGROUND = 250  # pairs of nearest features, and as many random ones, that show what is usual
EDGE = 1.0  # Å below the surface, over which a move counts less and less in the order of overlays
MIRROR_RATIO = 1e-3  # ratio of a pair that may be mirror images, if the features are of SO(3)


class Compared(NamedTuple):
    """Pairs of environments `(p, 2)`, with feature distances, distances (Å), ratios, and mean feature norms, all
    `(p,)`; and the overlays of the pairs."""

    pairs: np.ndarray
    apart: np.ndarray
    distance: np.ndarray
    ratio: np.ndarray
    norm: np.ndarray
    overlays: list[Overlay]

    def take(self, order: np.ndarray) -> Compared:
        pairs, apart, distance, ratio, norm = (array[order] for array in self[:5])
        return Compared(pairs, apart, distance, ratio, norm, [self.overlays[k] for k in order])


class AlikeSearch:
    """A search in steps. Between two steps, and after an interruption, `ranked` holds what was found."""

    def __init__(self, f: AbstractFeaturizer, batch: Environment, tolerance: float, nearest: int, count: int) -> None:
        host: Environment = jax.tree.map(np.asarray, batch)
        least = float(np.max(f.accepted_radii[0]))
        self.radius = least if least > 0 else float(np.min(host.r_cut, initial=np.inf))
        if np.isfinite(self.radius):
            host = cut_at_radius(host, self.radius)
        self.f, self.batch = f, host
        self.tolerance, self.nearest, self.count = tolerance, nearest, count
        self.signs = (1.0, -1.0) if f.group == "O3" else (1.0,)
        self.kinds = np.asarray(host.center_species)
        self.outlines = make_outlines(host, self.radius)
        self.complete = False
        self.overlaid: dict[int, Overlay] = {}
        self.careful = np.zeros(0)

    # Step 1

    def describe(self, progress: Progress) -> None:
        """Compute and reduce the features."""
        self.reduced, self.norms = reduce_features(self.f, self.batch, self.batch.max_neighbors, progress)

    # Step 2

    def separate(self, progress: Progress) -> None:
        """Find copies, and the nearest environments of all others."""
        limits = self._limits()
        self.distinct = find_distinct(
            self.outlines, self.reduced, self.kinds, limits, self.tolerance, self.nearest, len(self.signs) > 1, progress
        )
        self.score, self.bound = self._rough_scores(self.distinct.pairs, self.distinct.distances)

    def _limits(self) -> np.ndarray:
        """Bound the distance of the features of copies, from changes by displacements of the tolerance."""
        limits, rng, room = np.zeros(len(self.batch)), np.random.default_rng(1), self.batch.max_neighbors
        self.slopes = np.ones(len(self.batch))
        for kind in np.unique(self.kinds):
            members = np.flatnonzero(self.kinds == kind)
            drawn = self.batch[rng.choice(members, min(CALIBRATED, len(members)), replace=False)]
            moves = np.where(drawn.mask, self.tolerance, 0)
            moved = displace(drawn, moves, 4, rng, self.radius)
            squares = expected_changes(self.f, compute_features(self.f, drawn, room), moved, room)
            limits[members] = LIMIT_FACTOR * np.sqrt(squares.max()) + ROUNDING * self.norms[members].max()
            self.slopes[members] = np.sqrt(squares.mean() / max((moves**2).sum(1).mean(), 1e-300)) or 1.0
        return limits

    def _rough_scores(self, pairs: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bound the scores of pairs from below, and their distances (Å) from above."""
        scores, bounds = np.zeros(len(pairs)), np.zeros(len(pairs))
        for start in range(0, len(pairs), 4096):
            part = slice(start, start + 4096)
            first, second = pairs[part].T
            bounds[part], *moves = rough_moves(self.outlines, first, second, self.signs)
            scores[part] = self._score(first, second, distances[part], *moves)
        return scores, bounds

    def _score(
        self, first: np.ndarray, second: np.ndarray, apart: np.ndarray, moves: np.ndarray, other_moves: np.ndarray
    ) -> np.ndarray:
        """Estimate ratios: moves close to the surface count less, and features change as far as they do for small moves
        of centers of this kind."""
        weights = np.minimum(np.sqrt(self.outlines.exits) / EDGE, 1)
        squares = sum(((weights[at] * move) ** 2).sum(1) for at, move in ((first, moves), (second, other_moves)))
        return apart / (self.slopes[first] * np.sqrt(np.maximum(squares / 2, 1e-300)))

    # Step 3

    def overlay_pairs(self, progress: Progress) -> None:
        """Overlay pairs with care, the most alike first, until no other pair can be more alike."""
        order = np.argsort(self.score, kind="stable")
        n_kept = max(KEPT_FACTOR * self.count, LEAST_KEPT)
        self.careful = np.full(len(self.score), np.inf)
        for start in range(0, min(len(order), MOST_OVERLAID), OVERLAID_TOGETHER):
            if start >= n_kept and np.partition(self.careful, n_kept - 1)[n_kept - 1] <= self.score[order[start]]:
                break
            for k in order[start : start + OVERLAID_TOGETHER]:
                self.careful[k] = self._overlay(int(k))
            progress(min(start + OVERLAID_TOGETHER, len(order)), None)
        self.complete = True

    def _overlay(self, k: int) -> float:
        i, j = self.distinct.pairs[k]
        found = self.overlay_two(i, j, self.bound[k])
        self.overlaid[k] = found
        moves = (
            np.pad(one, (0, self.batch.max_neighbors - len(one)))[None] for one in (found.moves, found.other_moves)
        )
        if not np.isfinite(found.distance):
            # Sets of other atoms, without a radius.
            del self.overlaid[k]
            return np.inf
        at = np.asarray([i]), np.asarray([j])
        return float(self._score(*at, self.distinct.distances[k : k + 1], *moves)[0])

    def overlay_two(self, i: int, j: int, bound: float = np.inf, thorough: bool = False) -> Overlay:
        x, y = self.outlines.neighbors(i), self.outlines.neighbors(j)
        return overlay(*x, *y, self.radius, self.signs, bound, thorough)

    # Step 4

    def rank(self) -> tuple[Compared, Compared]:
        """Compute the ratios of the pairs that were overlaid, the most alike first, and list mirror images apart."""
        n_kept = max(KEPT_FACTOR * self.count, LEAST_KEPT)
        chosen = sorted(self.overlaid, key=lambda k: self.careful[k])[:n_kept]
        found = self.compare(self.distinct.pairs[chosen], [self.overlaid[k] for k in chosen])
        order = np.argsort(found.ratio, kind="stable")
        # The pairs that will be listed deserve a longer search for their best overlay.
        for k in order[: 2 * self.count]:
            better = self.overlay_two(found.pairs[k, 0], found.pairs[k, 1], thorough=True)
            if better.distance < found.overlays[k].distance - 1e-9:
                found.overlays[k] = better
        found = self.compare(found.pairs, found.overlays)
        found = found.take(np.argsort(found.ratio, kind="stable"))
        images = np.asarray([self._are_images(found, k) for k in range(len(found.pairs))], bool)
        copies = self.distinct.copy_of[self.distinct.mirrored], np.flatnonzero(self.distinct.mirrored)
        known = np.stack(copies, 1)[: self.count]
        mirrors = self.compare(known, [self.overlay_two(*pair) for pair in known])
        if images.any():
            mirrors = found.take(np.flatnonzero(images))
        return found.take(np.flatnonzero(~images)), mirrors

    def _are_images(self, found: Compared, k: int) -> bool:
        """Tell whether a pair of an SO(3) featurizer with equal features differs by inversion only."""
        if len(self.signs) > 1 or found.ratio[k] > MIRROR_RATIO:
            return False
        (x, kinds_x), (y, kinds_y) = (self.outlines.neighbors(i) for i in found.pairs[k])
        image = overlay(x, kinds_x, y, kinds_y, self.radius, (-1.0,))
        return max(image.moves.max(initial=0), image.other_moves.max(initial=0)) <= self.tolerance

    def compare(self, pairs: np.ndarray, overlays: list[Overlay]) -> Compared:
        ends, displaced = self.ends(pairs, overlays)
        apart, ratio, norm = measure_ratios(self.f, ends, displaced)
        return Compared(pairs, apart, np.asarray([one.distance for one in overlays]), ratio, norm, overlays)

    def ends(self, pairs: np.ndarray, overlays: list[Overlay]) -> tuple[Environment, Environment]:
        """Return both environments of each pair, all first ones before all second ones, and displaced copies."""
        ends = self.batch[pairs.T.ravel()]
        moves = np.zeros(ends.mask.shape)
        for row, one in enumerate([*(o.moves for o in overlays), *(o.other_moves for o in overlays)]):
            moves[row, : len(one)] = one
        return ends, displace(ends, moves, DRAWS, np.random.default_rng(2), self.radius)

    def background(self) -> tuple[Compared, Compared]:
        """Compare some pairs of nearest features, and some pairs at random."""
        rng = np.random.default_rng(3)
        near = self.distinct.pairs
        near = near[rng.choice(len(near), min(BACKGROUND, len(near)), replace=False)]
        free = np.flatnonzero(self.distinct.copy_of == np.arange(len(self.batch)))
        first, second = free[rng.integers(len(free), size=(2, 4 * BACKGROUND))] if len(free) else np.zeros((2, 0), int)
        fit = (first != second) & (self.kinds[first] == self.kinds[second])
        random = np.stack([first[fit], second[fit]], 1)[:BACKGROUND]
        return self._compare_finite(near), self._compare_finite(random)

    def _compare_finite(self, pairs: np.ndarray) -> Compared:
        overlays = [self.overlay_two(*pair) for pair in pairs]
        finite = [k for k, one in enumerate(overlays) if np.isfinite(one.distance)]
        return self.compare(pairs[finite], [overlays[k] for k in finite])
