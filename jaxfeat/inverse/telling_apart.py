"""The basis or the order that tells two look-alikes apart, each of which has been tried."""

from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.higher_order import HIGHER_SIZES, higher_order
from jaxfeat.features.spec import from_spec, spec
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.overlay import Overlay
from jaxfeat.geometry.symmetry import point_stabilizer
from jaxfeat.inverse.expected_change import ROUNDING, measure_ratios

TELLING_GAIN = 3.0  # factor by which a change has to raise the ratio of two distances
SIZE_STEPS = (4, 2)  # by which n_max and l_max are raised, the first that makes a basis
MAX_FEATURES = 100_000  # features of the larger basis
FEATURE_SIZES = ((6, 4), (5, 5), (4, 6), (4, 4), *HIGHER_SIZES)  # (n_max, l_max) for orders; features are cheap
MAX_NU = 4  # the highest order that is tried
NEAR_SYMMETRY = 0.1  # Å, up to which an environment is close to a more symmetric one
VISIBLE_SHARE = 0.5  # of a displacement; if less of it is totally symmetric, symmetry hides it


class Telling(NamedTuple):
    """How two environments can be told apart.

    **Attributes:** `cause`: "truncation" if a larger basis of the same order tells them apart, "incompleteness" if a
    higher order does, "symmetry" if both are close to a more symmetric environment, from which they differ by
    displacements that no smooth invariant features see to first order, and "none" if nothing that was tried does.
    `sizes`: the larger basis, `None` if there is none. `larger_ratio`: the ratio of the pair in this basis. `order`:
    the order that tells apart, or the highest that was tried; `None` without one. `order_ratio`: the ratio of the pair
    at this order. `symbol`: the point group, for "symmetry".
    """

    cause: str
    sizes: dict[str, int] | None
    larger_ratio: float
    order: int | None
    order_ratio: float
    symbol: str


def tell_apart(
    f: AbstractFeaturizer, ends: Environment, displaced: Environment, overlays: list[Overlay]
) -> list[Telling]:
    """Try a larger basis and higher orders on pairs, `(p,)` first and `(p,)` second environments in `ends`. `displaced`
    are random displacements by which ratios are measured."""
    apart, ratio, norm = measure_ratios(f, ends, displaced)
    sizes, larger = _try_larger(f, ends, displaced, ratio)
    orders, order_ratio, lifted = _try_orders(f, ends, displaced, ratio, apart <= ROUNDING * norm)
    found = []
    for k, one in enumerate(overlays):
        symbol = ""
        if sizes is not None and larger[k] > TELLING_GAIN * ratio[k]:
            cause = "truncation"
        elif lifted[k]:
            cause = "incompleteness"
        else:
            symbol = _find_symmetry(ends[k], ends[len(overlays) + k], one, f.group)
            cause = "symmetry" if symbol else "none"
        order = int(orders[k]) or None
        found.append(Telling(cause, sizes, float(larger[k]), order, float(order_ratio[k]), symbol))
    return found


def _above_rounding(measured: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Return ratios, and 0 for features that are equal to rounding."""
    apart, ratio, norm = measured
    return np.where(apart > 10 * ROUNDING * norm, ratio, 0)


def _try_larger(
    f: AbstractFeaturizer, ends: Environment, displaced: Environment, ratio: np.ndarray
) -> tuple[dict[str, int] | None, np.ndarray]:
    for step in SIZE_STEPS if f.sizes else ():
        sizes = {name: size + step for name, size in f.sizes.items()}
        try:
            larger = f.with_sizes(**sizes)
            if larger.n_features <= MAX_FEATURES:
                return sizes, _above_rounding(measure_ratios(larger, ends, displaced))
        except (BasisError, SizeError):
            continue
    return None, np.full(len(ratio), np.nan)


def _try_orders(
    f: AbstractFeaturizer, ends: Environment, displaced: Environment, ratio: np.ndarray, equal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Try order ν + 1, and for pairs whose features are equal to rounding the orders above it. Return the last order
    tried for each pair, its ratio, and whether it tells the pair apart: it has to do so against the order below in the
    same small basis, and against f."""
    orders, found, lifted = np.zeros(len(ratio), int), np.full(len(ratio), np.nan), np.zeros(len(ratio), bool)
    try:
        own: dict[str, Any] = spec(f)
    except BasisError:
        return orders, found, lifted
    if not {"n_max", "l_max", "weights"} <= own.keys():
        return orders, found, lifted
    open_pairs, half = np.arange(len(ratio)), len(ratio)
    for nu in range(int(f.nu or MAX_NU), MAX_NU):
        both = higher_order(own, nu, FEATURE_SIZES)
        if both is None or not len(open_pairs):
            break
        some = np.concatenate([open_pairs, half + open_pairs])
        draws = len(displaced) // len(ends)
        copies = displaced[(some[:, None] * draws + np.arange(draws)).ravel()]
        before, now = (_above_rounding(measure_ratios(from_spec(one, True), ends[some], copies)) for one in both)
        known = np.where(equal[open_pairs], 0, ratio[open_pairs])
        orders[open_pairs], found[open_pairs] = nu + 1, now
        lifted[open_pairs] = now > TELLING_GAIN * np.maximum(before, known)
        own, open_pairs = both[1], open_pairs[equal[open_pairs] & ~lifted[open_pairs]]
    return orders, found, lifted


def _find_symmetry(x: Environment, y: Environment, found: Overlay, group: Any) -> str:
    """Name the point group that hides the displacement between two environments; empty if there is none."""
    if len(found.first) != x.mask.sum() or len(found.first) != y.mask.sum() or not len(found.first):
        return ""
    fixed = np.asarray(y.positions)[found.second]
    moved = np.asarray(x.positions)[found.first] @ found.matrix.T
    try:
        middle = point_stabilizer((fixed + moved) / 2, np.asarray(y.species)[found.second], group, NEAR_SYMMETRY)
    except GeometryError:
        # Like neighbors are closer to each other than the two environments are.
        return ""
    step = (fixed - moved).ravel()
    seen = np.linalg.norm(middle.fixed_projector() @ step) / np.linalg.norm(step)
    return middle.symbol if middle.order > 1 and seen < VISIBLE_SHARE else ""
