"""The next order, in a basis that is small enough for it."""

from collections.abc import Sequence
from typing import Any

from jaxfeat.features.couplings import count_features

ORDER_STEPS = {1: "PowerSpectrum", 2: "Bispectrum"}  # the class of order ν + 1; above that it is `Correlations`
MAX_HIGHER_FEATURES = 20_000  # features of order ν + 1 whose Jacobians take a fraction of a second
HIGHER_SIZES = (
    (4, 3),
    (3, 3),
    (2, 2),
    (2, 1),
    (1, 1),
)  # (n_max, l_max) at which orders are compared, the largest first


def higher_order(
    own: dict[str, Any], nu: int, sizes: Sequence[tuple[int, int]] = HIGHER_SIZES
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Choose the first of some sizes at which features of order ν + 1 can be computed. Return the specs of ν and ν + 1
    in these sizes, or `None` if there are none."""
    for n_max, l_max in sizes:
        lower = {**own, "n_max": min(n_max, own["n_max"]), "l_max": min(l_max, own["l_max"])}
        shared = {name: value for name, value in lower.items() if name not in ("kind", "nu", "pseudoscalars")}
        higher = {"kind": ORDER_STEPS.get(nu, "Correlations"), **shared}
        if nu not in ORDER_STEPS:
            higher["nu"] = nu + 1
        if count_features(nu + 1, len(own["weights"]) * lower["n_max"], lower["l_max"], False) <= MAX_HIGHER_FEATURES:
            return lower, higher
    return None
