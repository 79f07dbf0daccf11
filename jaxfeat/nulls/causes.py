"""Null directions of one Jacobian, by cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxfeat.geometry.symmetry import Stabilizer
from jaxfeat.linalg.subspaces import Gap
from jaxfeat.spectrum.status import StatusName

CAUSES = ("rigid", "symmetry", "incompleteness", "truncation", "locality", "other")
"""Causes of null directions, in the order of stored results."""


@dataclass(frozen=True, eq=False)
class NullSpace:
    """The null directions of J = dF/dr at one environment or structure, by cause.

    **Attributes:**

    - `rigid`, `locality`, `symmetry`, `incompleteness`, `truncation`, `other`: how many have that cause; `counts` has
      them all. Locality is what lies out of every center's reach; other is what cannot be told apart, for features of
      undeclared order, and beyond symmetry for sums over crystals or over parts out of each other's reach.
    - `directions`: for each of these, `(k, n, 3)`: orthonormal displacements, zero on padding, orthogonal to the
      classes before.
    - `nullity`: of J. The sum of the counts where `status` is "ok".
    - `stabilizer`: the `Stabilizer` that `symmetry` rests on; of stacked features, one for each center, and of
      features summed over crystals too.
    - `gap`: for each thing that was counted, the largest null value and the smallest not, relative to the largest:
      "jacobian" (equilibrated, non-rigid), "kernel" (of N_ν), "weights" (of neighbors that J does not react to, and of
      the others); for structures also the intersections of sites, "locality", "symmetry", "intersection".
    - `floor`: by the same names, the relative value up to which values are null.
    - `sensitivity`: the smallest non-null singular value over the largest, raw and equilibrated; NaN if there is none.
    - `status`: "ok"; "ambiguous"; or what is wrong with the spectrum, as `Spectrum.status` has it. Comparing it with a
      text that names no status raises a `ValueError`. `reason` is a sentence.
    - `atoms`: `(n,)`, which of the displaced atoms `stabilizer` is of: of an environment, the neighbors that J reacts
      to. `None` where there is no stabilizer, or one for each center.
    """

    directions: dict[str, np.ndarray]
    nullity: int
    stabilizer: Stabilizer | tuple[Stabilizer, ...] | None
    gap: dict[str, Gap]
    floor: dict[str, float]
    sensitivity: tuple[float, float]
    status: StatusName
    reason: str
    atoms: np.ndarray | None = None

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(self.directions[name]) for name in CAUSES}

    @property
    def rigid(self) -> int:
        return len(self.directions["rigid"])

    @property
    def locality(self) -> int:
        return len(self.directions["locality"])

    @property
    def symmetry(self) -> int:
        return len(self.directions["symmetry"])

    @property
    def incompleteness(self) -> int:
        return len(self.directions["incompleteness"])

    @property
    def truncation(self) -> int:
        return len(self.directions["truncation"])

    @property
    def other(self) -> int:
        return len(self.directions["other"])

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}={count}" for name, count in self.counts.items() if count)
        return f"NullSpace({counts or 'nullity=0'}; {self.status})"
