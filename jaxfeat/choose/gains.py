"""The gain of each single change of a descriptor, in the environments that it sees worst."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxfeat.choose.cost import measure_cost
from jaxfeat.choose.search import Candidate, Search
from jaxfeat.choose.space import build, format_change, key, smoothness
from jaxfeat.features.higher_order import higher_order

HIGHER_ENVIRONMENTS = 12  # environments on which order ν + 1 is compared, because a program computes its Jacobians
GAIN_QUANTILES = {"median": 0.5, "10%": 0.1, "90%": 0.9}
Record = dict[str, Any]


def gains_of(search: Search, base: Candidate, name: str, values: Sequence[Any]) -> list[Record]:
    """Measure the gain of each value of one axis, as long as there is time."""
    records = []
    for value in values:
        if search.is_over:
            break
        change = {"axis": name, "value": value, "words": format_change(name, value)}
        if name == "nu":
            records.append({**change, **_gain_of_order(search, base, value)})
            continue
        changed = {**base.spec, name: value}
        one = search.candidate(changed)
        if one is None:
            records.append({**change, "note": search.refused[key(changed)]})
            continue
        level = search.evaluate(one)
        note = "features jump at the cutoff" if smoothness(changed) < 0 else None
        record = _compare(search.sample.least, base.values, one.values)
        measured = {"level": level, "lowest": level / base.level, "n_features": one.n_features, "at": None}
        records.append({**change, "note": note, **record, **measured, **cost_of(search, one.f)})
    return records


def _gain_of_order(search: Search, base: Candidate, nu: int) -> Record:
    """Measure the gain of order ν + 1 in a small basis, because in that of `f` it has too many features."""
    if nu != (base.f.nu or 0) + 1:
        return {"note": f"only ν = {(base.f.nu or 0) + 1} follows ν = {base.f.nu}"}
    pair = higher_order(base.spec, nu - 1)
    if pair is None:
        return {"note": "too many features"}
    least = np.flatnonzero(search.sample.least)[:HIGHER_ENVIRONMENTS]
    lower, higher = map(build, pair)
    before, after = (search.sample.at(f, least) for f in (lower, higher))
    found = _compare(np.ones(len(least), bool), before, after)
    level = float(np.exp(np.nanmedian(np.log(after))))
    ratio = level / float(np.exp(np.nanmedian(np.log(before))))
    at = {name: pair[1][name] for name in ("n_max", "l_max")}
    measured = {"level": level, "lowest": ratio, "n_features": higher.n_features, "at": at}
    return {"note": None, **found, **measured, **cost_of(search, higher)}


def _compare(least: np.ndarray, before: np.ndarray, after: np.ndarray) -> Record:
    ratios = (after / before)[least]
    ratios = ratios[np.isfinite(ratios)]
    if not len(ratios):
        return {"gain": dict.fromkeys(GAIN_QUANTILES)}
    return {"gain": {name: float(np.quantile(ratios, q)) for name, q in GAIN_QUANTILES.items()}}


def cost_of(search: Search, f: Any) -> Record:
    cost = measure_cost(f, search.sample.at.at_radius(float(f.r_cut)))
    return {"features_seconds": cost.features, "gradients_seconds": cost.gradients, "route": cost.route}
