"""The causes of null directions, and the null space of one Jacobian split by cause."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jaxfeat.geometry.symmetry import Stabilizer
from jaxfeat.linalg.subspaces import Gap
from jaxfeat.spectrum.spectrum import StatusName

if TYPE_CHECKING:
    from jaxfeat.nulls.near import LandingRule, NearGroup, NearPoints

CAUSES = ("rigid", "symmetry", "incompleteness", "truncation", "locality", "other", "width")
"""In the order of stored results. Stores of former versions lack the last one."""


def _count(cause: str, meaning: str) -> property:
    return property(lambda null: len(null.directions[cause]), doc=f"The number of {meaning}")


class NearGroups(tuple["NearGroup", ...]):
    """A tuple of `NearGroup`s, which a notebook shows as a table."""

    def rows(self) -> list[list[str | int]]:
        """List cause, number of directions, symbol, distance, and range of singular values of each group."""
        return [
            [
                one.cause,
                len(one.directions),
                one.symbol,
                f"{one.distance:.1e} Å",
                f"{one.sigma[-1]:.1e} to {one.sigma[0]:.1e}",
            ]
            for one in self
        ]

    def _repr_html_(self) -> str:
        from jaxfeat.report.notebook import show_near, wrap

        return wrap(
            f"{len(self)} group{'s' * (len(self) != 1)} of nearly null directions",
            show_near(self.rows()) if self else "",
        )


@dataclass(frozen=True, eq=False)
class NullSpace:
    """Null directions of the Jacobian J = dF/dr at one environment or structure, each under one cause.

    The counts are the attributes `rigid`, `locality`, `symmetry`, `incompleteness`, `truncation`, `other` and
    `width`. The cause is "other" if it cannot be told: for features without a declared order ν, and beyond symmetry for
    sums over parts out of each other's reach, over crystals that repeat in one direction, and over very large cells.
    For features that are not invariant, all null directions are "other".

    **Attributes:**

    - `directions`: For each cause, displacements of shape `(k, n, 3)`. All of them together are orthonormal, and they
        are zero on padding.
    - `nullity`: The dimension of the null space of J. If `status` is "ok", the counts add up to it.
    - `stabilizer`: The `Stabilizer` of the positions within 1e-5 Å, or a tuple with one for each center (for stacked
        features, and for features summed over crystals). `None` if there is no spectrum. Coordinates in files are
        rounded, so J may still see some of the directions that break its symmetry: `near` lists them.
    - `gap`: By the name of a quantity, the largest value taken for zero and the smallest other value, relative to the
        largest. The quantities are "jacobian" (equilibrated singular values), "kernel" (of N_ν) and "weights" (norms
        of a neighbor's columns of J). For structures, "locality", "symmetry" and "intersection" are those of the
        subspaces that all centers share.
    - `floor`: By the same names, the relative value up to which values are taken for zero.
    - `sensitivity`: The smallest non-null singular value over the largest, raw and equilibrated. NaN if there is none.
    - `status`: "ok", "ambiguous", or the status of a `Spectrum` that has no null space.
    - `reason`: A sentence that explains `status`.
    - `near`: A tuple with a `NearGroup` for each cause of nearly null directions at each exact point nearby, the
        nearest point first. Computed when first asked for. The counts do not depend on it. For models from outside of
        JAX, singular points that no symmetry gives away are not sought.
    - `nearby`: The exact points nearby, which `near` is made of. `None` if there is no spectrum.
    - `atoms`: Boolean, shape `(n,)`: the displaced atoms that `stabilizer` permutes. For an environment these are the
        neighbors that J reacts to. `None` if there is no stabilizer, or one for each center.
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
    nearby: "NearPoints | None" = field(default=None, repr=False)
    _found: "dict[tuple[LandingRule, ...], NearGroups]" = field(default_factory=dict, repr=False)

    @cached_property
    def near(self) -> "NearGroups":
        """Groups of directions that are nearly null, because an exact symmetric or singular point is near."""
        return self.find_near()

    def find_near(self, *rule: "LandingRule") -> "NearGroups":
        """Find the groups of `near`, by a quicker rule if one is given. What was found is kept."""
        if self.nearby is None:
            return NearGroups()
        if rule not in self._found:
            null = np.concatenate([rows for cause, rows in self.directions.items() if cause != "rigid"])
            self._found[rule] = NearGroups(self.nearby.groups(null.reshape(len(null), 3 * null.shape[1]), *rule))
        return self._found[rule]

    @property
    def counts(self) -> dict[str, int]:
        """The number of null directions of each cause."""
        return {cause: len(self.directions[cause]) for cause in CAUSES}

    rigid = _count("rigid", "rigid motions, which are not counted as blind.")
    locality = _count("locality", "null directions that move atoms out of each other's reach.")
    symmetry = _count("symmetry", "null directions that break a symmetry. No smooth invariant features see them.")
    incompleteness = _count("incompleteness", "null directions that no basis of this order ν sees.")
    truncation = _count("truncation", "null directions that a larger basis of the same order ν sees.")
    other = _count("other", "null directions whose cause cannot be told.")
    width = _count("width", "null directions that are there because there are fewer features than directions.")

    @property
    def symbol(self) -> str:
        """The Schoenflies symbols of the symmetries ("T_d", or "C_2v, D_∞h"); empty if there is no symmetry."""
        found = self.stabilizer if isinstance(self.stabilizer, tuple) else [self.stabilizer]
        symbols = [one.symbol for one in found if one is not None and one.order > 1]
        return ", ".join(sorted({f"{s[0]}_{s[1:]}".rstrip("_").replace("*", "∞") for s in symbols}))

    def __repr__(self) -> str:
        symbols = {"symmetry": f" ({self.symbol})"} if self.symbol else {}
        counts = [f"{cause}={count}{symbols.get(cause, '')}" for cause, count in self.counts.items() if count]
        return f"NullSpace({', '.join(counts) or 'nullity=0'}; {self.status})"

    def _repr_html_(self) -> str:
        from jaxfeat.nulls.scenes import list_scenes
        from jaxfeat.report.notebook import MOST_SCENES, show_null_space

        # Groups that nobody has asked for would take seconds to find.
        near = next(iter(self._found.values())).rows() if self._found else []
        title = f"Null space: {repr(self).removeprefix('NullSpace(').removesuffix(')')}"
        scenes = list_scenes(self, most=MOST_SCENES) if self.nearby is not None else []
        return show_null_space(title, self.counts, self.symbol, self.reason, near, scenes)
