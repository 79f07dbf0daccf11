"""Recommendation of a basis from the records of `jaxfeat.choose.converge.converge`, one for each basis of a grid."""

from collections.abc import Sequence
from operator import itemgetter

from jaxfeat.report.sensitivity import Record, Sensitivity, group_by

PLATEAU_FACTOR = 2.0  # A basis is on the plateau if its sensitivity is within this factor of that of the largest basis


def quantile(record: Record, name: str, *, equilibrated: bool = True) -> Sensitivity | None:
    """Read a quantile over environments of σ_vis/σ_max; `None` if no environment has a visible direction. σ_vis is the
    smallest singular value without the directions that no basis of the order sees."""
    found = record["equilibrated" if equilibrated else "raw"].get(name)
    return None if found is None else Sensitivity(found["known"], found["value"])


def count_truncated(record: Record) -> int:
    """Count the environments that a basis truncates, or may truncate."""
    return record["truncated"] + record["ambiguous"]


def untruncated_basis(records: Sequence[Record]) -> Record | None:
    """Find the basis of one order with the fewest features that truncates nothing; `None` if there is none.
    Environments that are ambiguous for the largest basis too do not count, because no basis can tell."""
    allowed = largest_basis(records)["ambiguous"]
    free = [r for r in records if r["truncated"] == 0 and r["ambiguous"] <= allowed]
    return min(free, key=_size, default=None)


def plateau_basis(records: Sequence[Record]) -> Record:
    """Find the basis of one order with the fewest features that is as sensitive as the largest one within a factor of
    two, in the median and for the most blind hundredth, and truncates no more environments."""
    top = largest_basis(records)
    allowed = count_truncated(top)
    return min((r for r in records if count_truncated(r) <= allowed and _as_sensitive(r, top)), key=_size)


def largest_basis(records: Sequence[Record]) -> Record:
    """Find the basis with the largest n_max and l_max."""
    return max(records, key=lambda r: (r["n_max"], r["l_max"]))


def growing_sizes(records: Sequence[Record]) -> list[str]:
    """Name the sizes whose last step in the grid still raises the sensitivity by more than a factor of two."""
    top = largest_basis(records)
    names = []
    for name, other in (("n_max", "l_max"), ("l_max", "n_max")):
        smaller = [r for r in records if r[name] < top[name] and r[other] == top[other]]
        if smaller and not _as_sensitive(max(smaller, key=itemgetter(name)), top):
            names.append(name)
    return names


def _size(record: Record) -> tuple[int, int, int]:
    return record["n_features"], record["l_max"], record["n_max"]


def _as_sensitive(record: Record, top: Record) -> bool:
    for name in ("1%", "median"):
        own, most = quantile(record, name), quantile(top, name)
        if own and most and most.known and not (own.known and own.value >= most.value / PLATEAU_FACTOR):
            return False
    return True


def recommend_basis(records: Sequence[Record]) -> str:
    """Recommend the plateau of the lowest order that leaves the fewest environments incomplete, in sentences."""
    orders = group_by(records, "nu")
    incomplete = {nu: group[0]["incomplete"] for nu, group in orders.items()}
    nu = min(incomplete, key=lambda nu: (incomplete[nu], nu))
    group = orders[nu]
    take, top = plateau_basis(group), largest_basis(group)
    if not top["environments"]:
        return "No environment has neighbors, so there is nothing to see."
    order = f"ν = {nu}, " if len(orders) > 1 else ""
    sentences = [f"Take {order}{name_basis(take)} ({take['n_features']} features)."]
    if take is top:
        why = "Every smaller basis of this grid truncates more, or has less than half its σ_vis/σ_max in the median or"
    else:
        largest = f"The largest basis of this grid, {name_basis(top)},"
        why = f"{largest} has less than twice its σ_vis/σ_max in the median and"
    sentences.append(f"{why} for the blindest 1 % of environments.")
    if count_truncated(take):
        sentences.append(f"It {_describe_truncation(take)}.")
    if grows := growing_sizes(group):
        sentences.append(f"At {name_basis(top)} the sensitivity still grows with {' and '.join(grows)}, so try more.")
    if incomplete[nu]:
        which = f"ν = {nu} misses" if len(orders) == 1 else f"Even ν = {nu}, the best of these orders, misses"
        sentences.append(f"{which} directions in {incomplete[nu]} environments; only a higher order sees them.")
    return " ".join(sentences)


def explain_bases(records: Sequence[Record]) -> list[str]:
    """Explain the bases of one order in sentences: the smallest, the bottleneck, and the directions that none sees."""
    top = largest_basis(records)
    if not top["environments"]:
        return []
    share = f"of {top['environments']} environments"
    unseen = {
        "symmetric": f"{share} have directions that symmetry hides from every basis and order. This is physics; "
        "σ_vis leaves these directions out.",
        "incomplete": f"{share} have directions that ν = {top['nu']} sees in no basis; a higher order does. "
        "σ_vis leaves these directions out.",
        "nearly": f"{share} are nearly, but not exactly, symmetric or singular; scans call them ambiguous. "
        "σ_vis leaves out the directions that exact positions would hide.",
        "unclassified": "environments with null directions have too many neighbors to find the cause; reduce r_cut.",
    }
    sentences = [f"{top[name]} {sentence}" for name, sentence in unseen.items() if top[name]]
    return [_explain_smallest(records), *_explain_bottleneck(records), *sentences]


def name_basis(record: Record) -> str:
    """Name a basis by its sizes. The radial spectrum has no l_max."""
    return f"n_max {record['n_max']}" + (f", l_max {record['l_max']}" if record["nu"] != 1 else "")


def _explain_smallest(records: Sequence[Record]) -> str:
    free = untruncated_basis(records)
    if free is None:
        best = min(records, key=lambda r: (count_truncated(r), _size(r)))
        return f"Every basis of this grid truncates; {name_basis(best)} does so least: it {_describe_truncation(best)}."
    doubt = f", though {free['ambiguous']} environments remain ambiguous" if free["ambiguous"] else ""
    return f"The smallest basis that truncates nothing is {name_basis(free)}, {free['n_features']} features{doubt}."


def _explain_bottleneck(records: Sequence[Record]) -> list[str]:
    """Name the size that limits the basis even if the other size is as large as the grid allows."""
    top = largest_basis(records)
    few_l = min((r for r in records if r["n_max"] == top["n_max"]), key=lambda r: r["l_max"])
    few_n = min((r for r in records if r["l_max"] == top["l_max"]), key=lambda r: r["n_max"])
    if few_l is top or few_n is top:
        return []
    pairs = (("l_max", few_l, few_n), ("n_max", few_n, few_l))
    for name, worse, better in pairs:
        if count_truncated(worse) > count_truncated(better):
            limited, free = (f"{name_basis(r)} {_describe_truncation(r)}" for r in (worse, better))
            return [f"{name} is the bottleneck: {limited}, {free}."]
    if count_truncated(few_l) == 0:
        for name, worse, better in pairs:
            low, high = quantile(worse, "median"), quantile(better, "median")
            if low is not None and high is not None and low.value * PLATEAU_FACTOR < high.value:
                medians = f"{low} with {name_basis(worse)}, {high} with {name_basis(better)}"
                return [f"{name} is the bottleneck: the median of σ_vis/σ_max is {medians}."]
    return ["Neither n_max nor l_max is the bottleneck: both limit the basis equally."]


def _describe_truncation(record: Record) -> str:
    share, truncated, ambiguous = f"of {record['environments']} environments", record["truncated"], record["ambiguous"]
    if not truncated:
        return f"may truncate {ambiguous} {share}" if ambiguous else "truncates none"
    return f"truncates {truncated} {share}" + (f" and may truncate {ambiguous} more" if ambiguous else "")
