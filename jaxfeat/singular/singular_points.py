"""Singular points: what a search returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.symmetry import Stabilizer
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.cure import Cure, cure

SEARCH_MESSAGES = {
    "landed": "a singular point: σ_min/σ_max is at most 1e-12, and Newton's next step below 1e-6 Å.",
    "stalled": "iterations, or digits, ran out on the way to a singular point; allow more iterations or restarts.",
    "left-bounds": "the way leads out of bounds: no singular point was reached within the constraints.",
    "not-singular": "σ_min does not vanish where its descent ends; allow more restarts.",
    "non-finite": "the start is not finite; mend its coordinates.",
    "coincident": "two atoms of the start are at the same point; remove one of them.",
    "out-of-bounds": "the start violates the constraints; move it, or widen them.",
    "empty": "the start has no neighbors, hence nothing to displace.",
}
"""What each status of a start means."""


class SingularKind(NamedTuple):
    """Landed points that are alike.

    **Attributes:** `counts`: null directions by cause, none where points could not be classified; `symbol` of the point
    group, empty likewise; `dimension` of the set that each belongs to; `status` of the classification; `members`:
    their indices, the most exact one first; `distinct`: how many they are up to congruence.
    """

    counts: dict[str, int]
    symbol: str
    dimension: int
    status: str
    members: np.ndarray
    distinct: int


@dataclass(frozen=True, eq=False)
class SingularPoints:
    """Where features are blind, start by start. Arrays have one entry for each of b starts, in their order.

    **Attributes:**

    - `status`: `(b,)`, one of `SEARCH_MESSAGES`; `landed`: `(b,)`, whether it is "landed".
    - `environments`: a batch, of the landed points; where nothing was landed on, of the last try, or of the start if
      that was bad. `positions`: theirs, `(b, n, 3)`, Å.
    - `parameters`: `(b, k)`, of a search on a manifold, otherwise `None`.
    - `directions`: `(b, n, 3)`, the null direction that was landed with, of length 1; zero on padding.
    - `residual`: `(b,)`, |J v| / σ_max for that direction. `sigma_ratio`: `(b,)`, σ_min/σ_max of the non-rigid
      spectrum of all features, as `singular_spectrum` has it. NaN for bad starts.
    - `accuracy`: `(b,)`, Å, Newton's estimate of how far the exact point is: 1e-14 where J v vanishes to
      first order, as it does at most points; 1e-8 where it does so to second order. NaN where nothing was landed on.
    - `null_space`: for each start, the `NullSpace` of the point; `None` where nothing was landed on, or where there are
      too many neighbors for a classification.
    - `dimension`: `(b,)`, of the set of singular points that the point belongs to, within the search space and up to
      rotations: the nullity of the linearised equations. Where several such sets meet, that of what they span. -1
      where nothing was landed on.
    - `iterations`: `(b,)`, steps of Gauss-Newton, of the last try. `restarts`: `(b,)`, tries before the last one.
    - `distinct`: the landed ones, as arrays of indices, those together that are one point up to rotation, inversion and
      permutation of like atoms.
    """

    f: AbstractFeaturizer
    environments: Environment
    parameters: np.ndarray | None
    directions: np.ndarray
    residual: np.ndarray
    sigma_ratio: np.ndarray
    accuracy: np.ndarray
    null_space: list[NullSpace | None]
    dimension: np.ndarray
    iterations: np.ndarray
    restarts: np.ndarray
    status: np.ndarray
    distinct: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.status)

    @property
    def positions(self) -> np.ndarray:
        return np.asarray(self.environments.positions)

    @property
    def landed(self) -> np.ndarray:
        return self.status == "landed"

    def counts(self, cause: str) -> np.ndarray:
        """Null directions of one cause ("symmetry", "incompleteness", "truncation", ...), `(b,)`."""
        return np.asarray([0 if null is None else null.counts[cause] for null in self.null_space])

    def kinds(self) -> list[SingularKind]:
        """The landed points by null directions, point group and dimension, the most frequent kind first."""
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

        **Raises:** `GeometryError` where nothing was landed on; what `null_space` raised where the point could not be
        classified.
        """
        null = self.null_space[index]
        if not self.landed[index]:
            raise GeometryError(
                f"start {index} landed on no singular point: {SEARCH_MESSAGES[str(self.status[index])]}"
            )
        # Of a point that could not be classified, this raises once more what stood in the way.
        return cure(self.f, self.environments[index], null)

    def arrays(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """The same as arrays with the names of their axes, for a data set: null counts by cause, and the family of each
        landed point in `distinct` (-1 for the others)."""
        causes = [null.counts if null is not None else {} for null in self.null_space]
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
        names, counts = np.unique(self.status, return_counts=True)
        how = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
        return f"SingularPoints({how}; {len(self.distinct)} distinct)"
