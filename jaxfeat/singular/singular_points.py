"""Results of a search for singular points."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.symmetry import Stabilizer
from jaxfeat.geometry.unpadded import unpadded_atoms
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.cure import Cure, cure
from jaxfeat.singular.search_space import SearchResult

SEARCH_MESSAGES = {  # meaning of each `SingularPoints.status`
    "landed": "a singular point: σ_min/σ_max is at most 1e-12, and the next Newton step below 1e-6 Å.",
    "stalled": "iterations or digits ran out on the way to a singular point; allow more iterations or restarts.",
    "left-bounds": "no singular point was reached within the constraints; widen them, or allow more restarts.",
    "not-singular": "σ_min does not vanish where the search ended; allow more restarts.",
    "non-finite": "the start holds NaN or infinity; correct its coordinates.",
    "coincident": "two atoms of the start are at the same point; remove one of them.",
    "out-of-bounds": "the start violates the constraints; move it, or widen them.",
    "empty": "the start has no neighbors, so nothing can move; give an environment with neighbors.",
    "neighbors-missed": "the end is not singular with the neighbors that it has now; start there again.",
}


class SingularKind(NamedTuple):
    """Landed points with the same `counts` of null directions by cause, point group and dimension. The first two are
    empty if the points could not be classified, and their status is "unclassified". `members` are indices of points,
    the one with the smallest σ_min/σ_max first; `distinct` counts those that are not congruent."""

    counts: dict[str, int]
    symbol: str
    dimension: int
    status: str
    members: np.ndarray
    distinct: int


@dataclass(frozen=True, eq=False, kw_only=True)
class SingularPoints(SearchResult):
    """Singular points, one entry for each of b starts, in their order.

    **Attributes:** Arrays have shape `(b,)`, unless another one is given.

    - `f`: The featurizer, or the structure map.
    - `environments`: A batch of b environments, or of structures with the neighbors that they have now: the landed
        points, the ends of the last attempts of other starts, and the bad starts as they were. `positions` (Å) has
        shape `(b, n, 3)`.
    - `parameters`: Parameters of a search on a manifold, of shape `(b, k)`; otherwise `None`.
    - `directions`: The null direction that was landed with, of length 1 and shape `(b, n, 3)`; zero on padding.
    - `residual`: |J v| / σ_max of that direction; NaN for bad starts.
    - `sigma_ratio`: σ_min/σ_max of the non-rigid spectrum of all features, as in `singular_spectrum`; NaN for bad
        starts.
    - `accuracy`: Estimated distance (Å) of the exact singular point: about 1e-14 where J v vanishes to first order, as
        it does at most points, and about 1e-8 where it vanishes to second order. NaN if not landed.
    - `null_space`: List of b `NullSpace`s; `None` if not landed, or if there are too many neighbors to classify.
    - `dimension`: Dimension of the set of singular points that the point belongs to, within the search space and up to
        rigid motions. Where several sets meet, that of their common span. -1 if not landed.
    - `iterations`: Gauss-Newton steps of the last attempt.
    - `restarts`: Attempts before the last one.
    - `status`: One of the keys of `jaxfeat.singular.singular_points.SEARCH_MESSAGES`. `landed` is True where it is
        "landed".
    - `distinct`: Arrays of indices of landed points. Those of one array are one point, up to rotation, inversion and
        permutation of like atoms, and in molecules up to translation. Crystals are not compared.
    """

    parameters: np.ndarray | None
    directions: np.ndarray
    sigma_ratio: np.ndarray
    accuracy: np.ndarray
    null_space: list[NullSpace | None]
    dimension: np.ndarray
    restarts: np.ndarray
    distinct: tuple[np.ndarray, ...]

    @property
    def landed(self) -> np.ndarray:
        return self.status == "landed"

    def counts(self, cause: str) -> np.ndarray:
        """Count the null directions of one cause ("symmetry", "incompleteness", "truncation", ...), `(b,)`."""
        return np.asarray([0 if null is None else null.counts[cause] for null in self.null_space])

    def kinds(self) -> list[SingularKind]:
        """Group the landed points by null directions, point group and dimension, the most frequent kind first."""
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for i in np.flatnonzero(self.landed).tolist():
            null = self.null_space[i]
            counts = tuple(null.counts.items()) if null is not None else ()
            symbol = null.stabilizer.symbol if null is not None and isinstance(null.stabilizer, Stabilizer) else ""
            status = str(null.status) if null is not None else "unclassified"
            kinds.setdefault((counts, symbol, int(self.dimension[i]), status), []).append(i)
        listed = []
        for (counts, symbol, dimension, status), found in sorted(kinds.items(), key=lambda item: -len(item[1])):
            members = np.asarray(found)[np.argsort(self.sigma_ratio[found], kind="stable")]
            distinct = sum(bool(np.isin(family, members).any()) for family in self.distinct)
            listed.append(SingularKind(dict(counts), symbol, dimension, status, members, distinct))
        return listed

    def cure(self, index: int) -> dict[str, Cure]:
        """Find out what lifts the null directions of one landed point, by cause, as `jaxfeat.cure` does.

        **Raises:** `GeometryError` if the start did not land. If the point could not be classified, the error that
        `null_space` raised.
        """
        null = self.null_space[index]
        if not self.landed[index]:
            why = SEARCH_MESSAGES[str(self.status[index])]
            raise GeometryError(f"start {index} landed on no singular point: {why}")
        # For a point that could not be classified, `cure` classifies again, and raises the reason.
        return cure(self.f, self.environments[index], null)

    def arrays(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Make arrays with the names of their axes, `null` by cause and `family` by entry of `distinct` (or -1)."""
        causes = [{} if null is None else null.counts for null in self.null_space]
        names = sorted({name for counts in causes for name in counts})
        family = np.full(len(self), -1)
        for k, members in enumerate(self.distinct):
            family[members] = k
        arrays: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            "positions": (("start", "neighbor", "xyz"), self.positions),
            "species": (("start", "neighbor"), np.asarray(self.environments.species)),
            "directions": (("start", "neighbor", "xyz"), self.directions),
            "null": (("start", "cause"), np.asarray([[c.get(name, 0) for name in names] for c in causes], int)),
            "cause": (("cause",), np.asarray(names, str)),
            "family": (("start",), family),
            "null_status": (("start",), np.asarray(["" if n is None else n.status for n in self.null_space], str)),
        }
        for name in ("residual", "sigma_ratio", "accuracy", "dimension", "iterations", "restarts", "status"):
            arrays[name] = (("start",), np.asarray(getattr(self, name)))
        return arrays

    def __repr__(self) -> str:
        names, counts = np.unique(self.status[~self.landed], return_counts=True)
        others = [f"{count} {name}" for name, count in zip(names, counts, strict=True)]
        kinds: Counter[str] = Counter()
        for kind in self.kinds():
            causes = [f"{cause} {n}" for cause, n in kind.counts.items() if n and cause != "rigid"]
            kinds[" + ".join(causes) or kind.status] += len(kind.members)
        landed = ", ".join([f"{self.landed.sum()} landed of {len(self)} starts", *others])
        listed = "".join(f"; {count} by {kind}" for kind, count in kinds.most_common())
        return f"SingularPoints({landed}; {len(self.distinct)} distinct{listed})"

    def _repr_html_(self) -> str:
        from jaxfeat.report.displacement import make_scene
        from jaxfeat.report.notebook import MOST_SCENES, show_kinds
        from jaxfeat.report.palette import CAUSE_COLORS

        rows: list[list[str | int]] = []
        scenes = []
        for number, kind in enumerate(self.kinds(), 1):
            causes = ", ".join(f"{cause} {n}" for cause, n in kind.counts.items() if n and cause != "rigid")
            rows.append(
                [str(number), causes or kind.status, kind.symbol, kind.dimension, len(kind.members), kind.distinct]
            )
            worst = next((cause for cause in CAUSE_COLORS if kind.counts.get(cause)), "other")
            i = int(kind.members[0])
            if number <= MOST_SCENES:
                atoms = unpadded_atoms(self.environments[i], self.directions[i])
                scenes.append((f"{number}: {causes or kind.status}", worst, make_scene(*atoms)))
        title = repr(self).partition(";")[0].replace("(", ": ")
        return show_kinds(title, rows, scenes)
