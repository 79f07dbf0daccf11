"""Which basis to take: what the records of `jaxfeat.choose.converge.converge` come to."""

from __future__ import annotations

from collections.abc import Sequence

from jaxfeat.report.sensitivity import Record, Sensitivity, by

WITHIN = 2.0
"""Sensitivity has stopped to grow where it is this near to that of the largest basis."""


def quantile(record: Record, name: str, *, equilibrated: bool = True) -> Sensitivity | None:
    """σ_vis/σ_max of one basis, a quantile over environments: the smallest singular value over the largest, apart from
    directions that no basis of the order sees. `None` where no environment has a direction to see."""
    found = record["equilibrated" if equilibrated else "raw"].get(name)
    return None if found is None else Sensitivity(found["known"], found["value"])


def doubted(record: Record) -> int:
    """Environments that this basis truncates, or may."""
    return record["truncated"] + record["ambiguous"]


def smallest(records: Sequence[Record]) -> Record | None:
    """The basis of one order with the fewest features that truncates nothing, if there is one.

    Environments that are ambiguous for the largest basis too do not count: no basis tells.
    """
    allowed = largest(records)["ambiguous"]
    free = [r for r in records if r["truncated"] == 0 and r["ambiguous"] <= allowed]
    return min(free, key=_size, default=None)


def plateau(records: Sequence[Record]) -> Record:
    """The basis of one order with the fewest features, and no truncation if that can be had, that is as sensitive as
    the largest up to a factor of two: in the median and for the most blind hundredth of the environments."""
    top = largest(records)
    allowed = doubted(top)
    return min((r for r in records if doubted(r) <= allowed and _as_sensitive(r, top)), key=_size)


def largest(records: Sequence[Record]) -> Record:
    """The basis with the largest n_max and l_max."""
    return max(records, key=lambda r: (r["n_max"], r["l_max"]))


def _size(record: Record) -> tuple[int, int, int]:
    return record["n_features"], record["l_max"], record["n_max"]


def _as_sensitive(record: Record, top: Record) -> bool:
    for name in ("1%", "median"):
        own, most = quantile(record, name), quantile(top, name)
        if own and most and most.known and not (own.known and own.value >= most.value / WITHIN):
            return False
    return True


def advice(records: Sequence[Record]) -> str:
    """What to take, in a sentence: the lowest order that leaves the fewest environments incomplete, and its plateau."""
    orders = by(records, "nu")
    left = {nu: group[0]["incomplete"] for nu, group in orders.items()}
    nu = min(left, key=lambda nu: (left[nu], nu))
    group = orders[nu]
    take, top = plateau(group), largest(group)
    if not top["environments"]:
        return "There is nothing to see in this data: no environment has neighbors."
    if take is top:
        why = "every smaller basis of this grid truncates more, or has less than half its σ_vis/σ_max, in the median or"
    else:
        why = f"the largest basis of this grid, {named(top)}, has less than twice its σ_vis/σ_max, in the median and"
    why += " for the blindest 1 % of environments"
    if doubted(take):
        why += f", but it {_blocked(take)}"
    grows = growing(group)
    if grows:
        why += f"; at {named(top)} that still grows with {' and '.join(grows)}, so try more"
    if left[nu]:
        others = f"ν = {nu}" if len(orders) == 1 else f"ν = {nu}, the best of those tried,"
        why += f"; what {others} misses in {left[nu]} environments only a higher order can see"
    order = f"ν = {nu}, " if len(orders) > 1 else ""
    return f"Take {order}{named(take)} ({take['n_features']} features): {why}."


def verdicts(records: Sequence[Record]) -> list[str]:
    """What the bases of one order come to, in sentences: the smallest that truncates nothing, what limits the smaller
    ones, and what no basis sees."""
    top = largest(records)
    if not top["environments"]:
        return []
    sentences = [_smallest(records), *_bottleneck(records)]
    nu, n = top["nu"], top["environments"]
    if top["symmetric"]:
        sentences.append(
            f"{top['symmetric']} of {n} environments have directions that symmetry hides from every basis and order: "
            "physics, and left out of σ_vis."
        )
    if top["incomplete"]:
        sentences.append(
            f"{top['incomplete']} of {n} environments have directions that ν = {nu} does not see in any basis: only a "
            "higher order does. They are left out of σ_vis."
        )
    if top["nearly"]:
        sentences.append(
            f"{top['nearly']} of {n} environments are nearly, but not exactly, symmetric or singular: scans call them "
            "ambiguous. Directions that exact positions would hide are left out of σ_vis."
        )
    if top["unclassified"]:
        sentences.append(
            f"{top['unclassified']} environments with null directions have too many neighbors to tell why; "
            "a smaller r_cut can."
        )
    return sentences


def growing(records: Sequence[Record]) -> list[str]:
    """The sizes with which the sensitivity of the largest basis still grows by more than a factor of two a step."""
    top = largest(records)
    names = []
    for name, other in (("n_max", "l_max"), ("l_max", "n_max")):
        smaller = [(r[name], r) for r in records if r[name] < top[name] and r[other] == top[other]]
        if smaller and not _as_sensitive(max(smaller, key=lambda sized: sized[0])[1], top):
            names.append(name)
    return names


def named(record: Record) -> str:
    """The basis in words. The radial spectrum has no l."""
    return f"n_max {record['n_max']}" + (f", l_max {record['l_max']}" if record["nu"] != 1 else "")


def _smallest(records: Sequence[Record]) -> str:
    free = smallest(records)
    if free is None:
        least = min(records, key=lambda r: (doubted(r), _size(r)))
        return f"Every basis of this grid truncates; the least is {named(least)}, which {_blocked(least)}."
    doubt = f", though {free['ambiguous']} environments remain ambiguous" if free["ambiguous"] else ""
    return f"The smallest basis that truncates nothing is {named(free)}, {free['n_features']} features{doubt}."


def _bottleneck(records: Sequence[Record]) -> list[str]:
    """Which of n_max and l_max limits small bases: the one that does so though the other is as large as can be."""
    top = largest(records)
    few_l = min((r for r in records if r["n_max"] == top["n_max"]), key=lambda r: r["l_max"])
    few_n = min((r for r in records if r["l_max"] == top["l_max"]), key=lambda r: r["n_max"])
    if few_l is top or few_n is top:
        return []
    for name, worse, better in (("l_max", few_l, few_n), ("n_max", few_n, few_l)):
        if doubted(worse) > doubted(better):
            return [f"{name} is the bottleneck: {named(worse)} {_blocked(worse)}, {named(better)} {_blocked(better)}."]
    if doubted(few_l) == 0:
        for name, worse, better in (("l_max", few_l, few_n), ("n_max", few_n, few_l)):
            low, high = quantile(worse, "median"), quantile(better, "median")
            if low is not None and high is not None and low.value * WITHIN < high.value:
                return [
                    f"{name} is the bottleneck: the median of σ_vis/σ_max is {low} with {named(worse)}, {high} with "
                    f"{named(better)}."
                ]
    return ["Neither n_max nor l_max is the bottleneck: the one limits as much as the other."]


def _blocked(record: Record) -> str:
    n, truncated, ambiguous = record["environments"], record["truncated"], record["ambiguous"]
    if not truncated and not ambiguous:
        return "truncates none"
    if not ambiguous:
        return f"truncates {truncated} of {n} environments"
    if not truncated:
        return f"may truncate {ambiguous} of {n} environments"
    return f"truncates {truncated} of {n} environments and may truncate {ambiguous} more"
