"""Look-alikes: environments that are different and have nearly equal features."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64
from jaxfeat.inverse.alike_search import AlikeSearch, Compared
from jaxfeat.inverse.expected_change import ROUNDING
from jaxfeat.inverse.telling_apart import Telling, tell_apart
from jaxfeat.progress import Progress, show_progress

COPY_TOLERANCE = 1e-4  # Å; a file with five decimals moves no atom by more
NEAREST = 8  # nearest environments in feature space that are compared with each environment
COUNT = 20  # pairs that are listed


@dataclass(frozen=True, eq=False)
class LookAlike:
    """Two environments with nearly equal features.

    **Attributes:**

    - `first`, `second`: Indices in the batch.
    - `ratio`: The feature distance over the one that is expected of displacements as long as those between the two
        environments. About 1 is usual, and 0 means that the features cannot tell them apart.
    - `feature_distance`, `relative_distance`: |F(x) - F(y)|, and this over the root mean square of both norms.
    - `distance`: The distance of the two environments (Å) after the best rotation and matching.
    - `largest_move`: The length (Å) of the longest move of a neighbor.
    - `unmatched`: The number of neighbors of either environment that leave through the surface of the sphere.
    - `equal`: True if the features are equal to rounding.
    - `cause`: "truncation", "incompleteness", "symmetry", "none", or "not tried" after an interruption.
    - `sizes`, `larger_ratio`: The larger basis that was tried, and the ratio there. `None` and NaN if there is none.
    - `order`, `order_ratio`: The order that tells the two apart, or the highest that was tried, and the ratio there.
    - `symbol`: For "symmetry", the point group of the environment between the two.
    - `turned`: The first environment, turned to lie on the second.
    - `moves`: `(n, 3)`, the displacements (Å) of the neighbors of `turned` to their counterparts in the second one;
        zero for those without counterpart.
    """

    first: int
    second: int
    ratio: float
    feature_distance: float
    relative_distance: float
    distance: float
    largest_move: float
    unmatched: int
    equal: bool
    cause: str
    sizes: dict[str, int] | None
    larger_ratio: float
    order: int | None
    order_ratio: float
    symbol: str
    turned: Environment
    moves: np.ndarray

    def __repr__(self) -> str:
        by = {"truncation": f" ({self.sizes})", "incompleteness": f" (ν = {self.order})", "symmetry": f" {self.symbol}"}
        return (
            f"LookAlike({self.first} and {self.second}: ratio {self.ratio:.2g}, {self.distance:.3g} Å apart, "
            f"|F - F'| = {self.feature_distance:.2g}; {self.cause}{by.get(self.cause, '')})"
        )


@dataclass(frozen=True, eq=False)
class LookAlikes:
    """Pairs of look-alikes among b environments, the most alike first.

    **Attributes:**

    - `pairs`: A list of `LookAlike`.
    - `copy_of`: `(b,)`, the index of the environment of which each one is a copy within the tolerance, up to rotation,
        permutation, and inversion for features of O(3). It is the own index of the first copy.
    - `mirrored`: `(b,)`, True for a copy by inversion only: a mirror image.
    - `mirror_images`: Pairs like those of `pairs` that differ by inversion only. Features of O(3) are equal for them by
        definition, and those of SO(3) should not be. They hold at most as many pairs as were asked for.
    - `compared`: Arrays `(p,)` with the `feature_distance`, the `distance` (Å) and the `ratio` of pairs: "kept", those
        from which `pairs` are taken; "nearest", a sample of pairs with near features; and "random" pairs.
    - `n_pairs`: The number of pairs of nearest features.
    - `complete`: False if the search was interrupted.
    """

    pairs: list[LookAlike]
    copy_of: np.ndarray
    mirrored: np.ndarray
    mirror_images: list[LookAlike]
    compared: dict[str, dict[str, np.ndarray]]
    n_pairs: int
    complete: bool

    @property
    def n_copies(self) -> int:
        """The number of environments that are copies of another one, mirror images left out."""
        return int((self.copy_of != np.arange(len(self.copy_of))).sum() - self.mirrored.sum())

    def __repr__(self) -> str:
        worst = f"least ratio {self.pairs[0].ratio:.2g}" if self.pairs else "no pairs"
        apart = f"{self.n_copies} copies, {self.mirrored.sum()} mirror images"
        return f"LookAlikes({len(self.copy_of)} environments: {apart}; {len(self.pairs)} pairs, {worst})"


def alike(
    f: AbstractFeaturizer,
    batch: Environment,
    *,
    count: int = COUNT,
    tolerance: float = COPY_TOLERANCE,
    nearest: int = NEAREST,
    progress: Progress | bool | None = None,
) -> LookAlikes:
    """Find pairs of environments that are different and have nearly equal features.

    Pairs have the same center species. Each environment is compared with those whose features are nearest. A pair is
    ranked by the ratio of two distances of features: the one between x and y, and the one that is expected of random
    displacements of the same lengths. The ratio has no unit, and is about 1 for a pair without special direction, in
    every descriptor. For neighboring environments it is √3 times the equilibrated singular value along the step from
    x to y, so that it is small where a scan finds insensitive directions.

    The lengths are those of the least displacement between x and y: over rotations about the center (and inversion, for
    features of O(3)), and over matchings of like neighbors. A neighbor that is not matched moves to the surface of the
    sphere, at a distance `r_cut - r`. So a neighbor next to the cutoff counts little, environments of any number of
    neighbors have a distance (Å), and it is continuous when a neighbor enters.

    Copies of an environment, and mirror images, are listed apart. For each pair, a larger basis of the same order and
    the next order are tried.

    **Arguments:**

    - `f`: A featurizer. Only features are needed, no derivatives.
    - `batch`: Environments `(b,)`, float64, cut at the featurizer's radius or a larger one.
    - `count`: The number of pairs to list.
    - `tolerance`: Å. Environments are copies if no atom is farther than this from its counterpart.
    - `nearest`: The number of environments with nearest features that are compared with each one. Their feature
        distances are those of a random projection, right within 12 % (one standard deviation).
    - `progress`: True to show progress, or a function that is called with the numbers of finished and all items.

    **Returns:** `LookAlikes`. Distances of environments are those of the best overlay that was found. Of unrelated sets
    of up to five neighbors, one or two in a hundred have a better one.

    **Raises:** `GeometryError` if `batch` is no batch of environments, or for a number that is not positive;
    `PrecisionError` if positions are not float64; otherwise as `f` does.

    **Source:** docs/theory, "Look-alikes".
    """
    search = make_search(f, batch, count, tolerance, nearest)
    run_search(search, progress)
    return collect(search)


def make_search(f: AbstractFeaturizer, batch: Environment, count: int, tolerance: float, nearest: int) -> AlikeSearch:
    """Check the arguments of `alike`, and make its search."""
    f.check(batch)
    if len(batch.batch_shape) != 1:
        raise GeometryError(f"the environments have batch shape {batch.batch_shape}; give a batch with one axis.")
    check_float64(batch.positions, "positions", "a search for look-alikes")
    for name, value in (("count", count), ("tolerance", tolerance), ("nearest", nearest)):
        if not value > 0:
            raise GeometryError(f"{name} is {value:g}; give a positive number.")
    return AlikeSearch(f.prepared(), batch, tolerance, nearest, count)


def run_search(search: AlikeSearch, progress: Progress | bool | None) -> None:
    """Go through the steps of a search. An interruption in the last one leaves what is done."""
    n = len(search.batch)
    with show_progress(progress, "environments described", n) as report:
        search.describe(report)
    with show_progress(progress, "copies found", None) as report:
        search.separate(report)
    with show_progress(progress, "pairs overlaid", None) as report:
        search.overlay_pairs(report)


def collect(search: AlikeSearch, tell: bool = True) -> LookAlikes:
    """Rank the pairs of a search, and find out what tells them apart unless `tell` is False."""
    ranked, mirrors = search.rank()
    n = search.count
    pairs = _describe(search, ranked.take(np.arange(min(n, len(ranked.pairs)))), tell)
    images = _describe(search, mirrors.take(np.arange(min(n, len(mirrors.pairs)))), False)
    near, random = search.background()
    compared = {
        name: {"feature_distance": one.apart, "distance": one.distance, "ratio": one.ratio}
        for name, one in (("kept", ranked), ("nearest", near), ("random", random))
    }
    distinct = search.distinct
    return LookAlikes(
        pairs, distinct.copy_of, distinct.mirrored, images, compared, len(distinct.pairs), search.complete and tell
    )


def _describe(search: AlikeSearch, ranked: Compared, tell: bool) -> list[LookAlike]:
    if not len(ranked.pairs):
        return []
    ends, displaced = search.ends(ranked.pairs, ranked.overlays)
    untold = Telling("not tried", None, np.nan, None, np.nan, "")
    told = tell_apart(search.f, ends, displaced, ranked.overlays) if tell else [untold] * len(ranked.pairs)
    found = []
    for k, (one, telling) in enumerate(zip(ranked.overlays, told, strict=True)):
        x, y = (ends[row] for row in (k, len(told) + k))
        turned = np.asarray(x.positions) @ one.matrix.T
        moves = np.zeros_like(turned)
        moves[one.first] = np.asarray(y.positions)[one.second] - turned[one.first]
        found.append(
            LookAlike(
                first=int(ranked.pairs[k, 0]),
                second=int(ranked.pairs[k, 1]),
                ratio=float(ranked.ratio[k]),
                feature_distance=float(ranked.apart[k]),
                relative_distance=float(ranked.apart[k] / ranked.norm[k]),
                distance=float(ranked.distance[k]),
                largest_move=float(max(one.moves.max(initial=0), one.other_moves.max(initial=0))),
                unmatched=len(one.moves) + len(one.other_moves) - 2 * len(one.first),
                equal=bool(ranked.apart[k] <= ROUNDING * ranked.norm[k]),
                **telling._asdict(),
                turned=jax.tree.map(np.asarray, x).with_positions(jnp.asarray(turned)),
                moves=moves,
            )
        )
    return found
