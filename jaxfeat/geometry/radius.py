"""The radius of environments, given in Å or by the featurizer that describes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxfeat.errors import GeometryError

RADIUS_ROUNDING = 1e-6
"""Relative difference up to which two radii are one, because float32 may have rounded them."""


def resolve_r_cut(within: Any, r_cut: Any) -> float:
    """Return the radius in Å that `within` and `r_cut` name.

    **Arguments:**

    - `within`: A radius in Å; or a featurizer or structure map, whose `r_cut` is taken; or `None`.
    - `r_cut`: A radius in Å, or `None`.

    **Raises:** `GeometryError` if no radius or two different radii are given, if one is not positive and finite, and if
    the featurizer has no radius.
    """
    given = [_read_radius(one) for one in (within, r_cut) if one is not None]
    if not given:
        raise GeometryError("no radius is given; give r_cut in Å, or the featurizer that has one.")
    if np.ptp(given) > RADIUS_ROUNDING * max(given):
        raise GeometryError(f"the radius is given as {given[0]:g} Å and as {given[1]:g} Å; give it once.")
    return given[0]


def _read_radius(given: Any) -> float:
    featurizer = getattr(given, "featurizer", given)
    radius = getattr(featurizer, "r_cut", featurizer)
    if callable(radius):
        raise GeometryError(f"a {type(featurizer).__name__} has no r_cut to take the radius from; give it in Å.")
    try:
        value = float(radius)
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value) or value <= 0:
        raise GeometryError(f"r_cut is {radius!r}; give a positive number of Å.")
    return value
