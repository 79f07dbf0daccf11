"""The radius of environments, given as a number of Å or by the featurizer that is to describe them."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxfeat.errors import GeometryError

RADIUS_ROUNDING = 1e-6
"""Radii that differ by less than this part of themselves are one radius, which float32 may have rounded."""


def resolve_r_cut(within: Any, r_cut: Any) -> float:
    """Return the radius in Å that `within` and `r_cut` name.

    **Arguments:**

    - `within`: a radius in Å; or a featurizer or structure map, whose `r_cut` is taken; or `None`.
    - `r_cut`: a radius in Å, or `None`.

    **Raises:** `GeometryError` where neither is given, where both are and they differ, for what is no distance, and for
    a featurizer that has no radius of its own.
    """
    given = [_of(one) for one in (within, r_cut) if one is not None]
    if not given:
        raise GeometryError("no radius is given; give r_cut in Å, or the featurizer that has one.")
    if len(given) > 1 and not same_radius(*given):
        raise GeometryError(f"the radius is given as {given[0]:g} Å and as {given[1]:g} Å; give it once.")
    return given[0]


def same_radius(a: Any, b: Any) -> Any:
    """Tell whether radii (Å) are equal to the rounding of float32."""
    return np.abs(np.subtract(a, b)) <= RADIUS_ROUNDING * np.maximum(a, b)


def length(r_cut: Any) -> float:
    """Return a radius as a number. **Raises:** `GeometryError` for what is no distance."""
    try:
        value = float(r_cut)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value) or value <= 0:
        raise GeometryError(f"r_cut is {r_cut!r}; give a positive number of Å.")
    return value


def _of(given: Any) -> float:
    featurizer = getattr(given, "featurizer", given)
    if hasattr(featurizer, "r_cut"):
        return length(featurizer.r_cut)
    if callable(featurizer):
        raise GeometryError(f"a {type(featurizer).__name__} has no r_cut to take the radius from; give it in Å.")
    return length(given)
