"""Why the counts of null directions cannot be relied on, if they cannot.

The sentences hold no semicolon, because several of them are joined by semicolons and split there again.
"""

from __future__ import annotations

import numpy as np

from jaxfeat.linalg.subspaces import largest_sine
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.filtration import Filtration
from jaxfeat.nulls.visibility import least_visibility

CLEAR_RATIO = 100.0
"""Two values are clearly apart if one is this many times the other."""

_INCLUDED = 1e-3
"""The largest sine of an angle at which one subspace still holds another."""


def find_ambiguity(
    found: NullSpace,
    subspaces: dict[str, np.ndarray],
    filtration: Filtration,
    jacobian: np.ndarray,
    rounding: float,
    tolerance: float,
) -> str:
    """Say in a sentence why the counts cannot be relied on; return an empty string if they can.

    - `subspaces`: the nested subspaces by cause, `(k, 3 n)` each; the null space of J is the last.
    - `jacobian`: `(d, n, 3)`, of norm 1. `rounding`: the error of its product with an exact direction.
    """
    gap, floor = found.gap, found.floor
    if not filtration.lines_agree:
        return (
            "neighbors lie on a line with their center within the tolerance but not to rounding, or the other way "
            "round, so the number of rigid rotations is open: take exact positions from jaxfeat.symmetrized, or "
            "another tolerance."
        )
    for name, value in (("jacobian", "singular value of J"), ("weights", "weight of a neighbor")):
        if gap[name][1] <= CLEAR_RATIO * max(floor[name], gap[name][0]):
            return f"the smallest non-null {value} is {gap[name][1]:.1e}, too close to the floor {floor[name]:.1e}."
    for name in ("kernel", "locality", "symmetry", "intersection"):
        low, high = gap.get(name, (0.0, np.inf))
        if high < CLEAR_RATIO * low:
            return (
                f"the values of the {name} that are taken for zero reach {low:.1e}, and the others begin at "
                f"{high:.1e}, too narrow a gap."
            )
    *lower, null = subspaces.values()
    for small, large, name in zip(lower, lower[1:], list(subspaces)[1:], strict=False):
        if len(small) > len(large) or largest_sine(small, large) > _INCLUDED:
            return f"the directions of {name} do not hold all of the causes before it: choose another tolerance."
    below = lower[-1]
    moved = np.linalg.norm(jacobian.reshape(len(jacobian), -1) @ below.T, 2) if len(below) else 0.0
    # Directions of the kernel are as exact as rounding over its smallest non-null value.
    known = max(rounding, 1e-15 / min(gap.get("kernel", (0.0, 1.0))[1], 1.0))
    if len(null) >= len(below) and moved <= CLEAR_RATIO * known:
        return ""
    symmetric = len(subspaces["symmetry"]) == len(below)
    hidden, visible = len(below) - found.rigid, len(below) - len(null)
    where, cure = "close to those of a singular point", "Give a smaller tolerance."
    if symmetric:
        where = f"within {tolerance:g} Å of a {found.symbol or 'more symmetric'} geometry"
        cure = "Take exact positions from jaxfeat.symmetrized."
    return (
        f"the positions are {where}, where {hidden} direction{'s are' if hidden > 1 else ' is'} null. "
        f"At these coordinates J still sees {visible if visible > 0 else 'some'} of them, with σ/σ_max up to "
        f"{moved:.0e}. {cure}"
    )


def find_truncation_ambiguity(directions: np.ndarray, rows: np.ndarray, floor: float) -> str:
    """Say in a sentence why null directions of J outside N_ν may not be due to truncation.

    Larger bases approach a complete one, so no larger basis lifts a direction that a complete one sees no better than
    rounding.

    - `directions`: `(k, 3 n)`, orthonormal. `rows`: from `visibility_rows`, at the order of the features.
    - `floor`: of the spectrum of J, relative to the largest value.
    """
    seen, known = least_visibility(rows, directions)
    if seen > CLEAR_RATIO * max(floor, known):
        return ""
    return (
        f"of {len(directions)} directions that J does not see, a complete basis sees one by {max(seen, known):.0e} at "
        f"most, too close to the floor {floor:.1e}: more symmetric or more singular positions are nearby."
    )
