"""When the counts of null directions are not to be relied on, and why."""

from __future__ import annotations

import numpy as np

from jaxfeat.linalg.subspaces import Gap, largest_sine
from jaxfeat.nulls.visibility import least_visibility

CLEAR_RATIO = 100.0
"""Two values are clearly apart where one is this many times the other."""

_INCLUDED = 1e-3


def find_ambiguity(
    chain: dict[str, np.ndarray],
    aligned: bool,
    jacobian: np.ndarray,
    rounding: float,
    gap: dict[str, Gap],
    floor: dict[str, float],
) -> str:
    """Say in a sentence why counts of null directions cannot be relied on; say nothing where they can.

    **Arguments:**

    - `chain`: the nested subspaces by name, `(k, 3 n)` each; the null space of J is the last.
    - `aligned`: whether stabilizers and rigid motions agree on which sites lie on a line.
    - `jacobian`: `(d, n, 3)`, of norm 1. `rounding`: the error of its product with a direction that is exact.
    - `gap`, `floor`: by name, relative to the largest value, as in `NullSpace`.
    """
    if not aligned:
        return (
            "neighbors lie on a line with their center within the tolerance but not to rounding, or the other way "
            "round: the number of rigid rotations is open; see jaxfeat.symmetrized, or choose another tolerance."
        )
    for name in ("jacobian", "weights"):
        if gap[name][1] <= CLEAR_RATIO * max(floor[name], gap[name][0]):
            what = "singular value of J" if name == "jacobian" else "weight of a neighbor"
            return f"the smallest non-null {what} is {gap[name][1]:.1e}, too close to the floor {floor[name]:.1e}."
    for name in ("kernel", "locality", "symmetry", "intersection"):
        low, high = gap.get(name, (0.0, np.inf))
        if high < CLEAR_RATIO * low:
            return f"null values of the {name} reach {low:.1e} and the others {high:.1e}: the gap is too narrow."
    *lower, _ = chain.values()
    names = list(chain)
    for small, large, name in zip(lower, lower[1:], names[1:], strict=False):
        if len(small) > len(large) or largest_sine(small, large) > _INCLUDED:
            return f"{name} does not hold all of the classes before it; choose another tolerance."
    below, null = lower[-1], list(chain.values())[-1]
    moved = np.linalg.norm(jacobian.reshape(len(jacobian), -1) @ below.T, 2) if len(below) else 0.0
    # Directions of the kernel are as good as rounding over its smallest non-null value.
    known = max(rounding, 1e-15 / min(gap.get("kernel", (0.0, 1.0))[1], 1.0))
    if len(null) < len(below) or moved > CLEAR_RATIO * known:
        symmetric = len(chain["symmetry"]) == len(below)
        nearby = (
            "more symmetric: see jaxfeat.symmetrized" if symmetric else "more singular: a finer tolerance leaves it out"
        )
        return (
            f"{len(below)} directions are null within the tolerance, {len(null)} for J, which sees the others by up to "
            f"{moved:.0e}; a point nearby is {nearby}."
        )
    return ""


def find_truncation_ambiguity(directions: np.ndarray, rows: np.ndarray, floor: float) -> str:
    """Say in a sentence why null directions of J that N_ν does not hold may not be due to truncation.

    Larger bases approach a complete one. What that sees no better than rounding, no larger basis lifts.

    **Arguments:** `directions`: `(k, 3 n)`, orthonormal. `rows`: of `sight`, at the order of the features. `floor`: of
    the spectrum of J, relative to the largest value.

    **Returns:** the sentence; empty where a complete basis sees all of the directions clearly.
    """
    seen, known = least_visibility(rows, directions)
    if seen > CLEAR_RATIO * max(floor, known):
        return ""
    return (
        f"of {len(directions)} directions that J does not see, a complete basis sees one by {max(seen, known):.0e} at "
        f"most, too close to the floor {floor:.1e}; a point nearby is more symmetric or more singular."
    )
