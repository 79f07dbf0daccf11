"""One line that says what a descriptor does not see in some environments, and which of them to look at first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxfeat.report.sensitivity import Record, Sensitivity, blindness, count_null, select_seen, sensitivity
from jaxfeat.report.store_summary import AMBIGUOUS, Example, StoreSummary

ROUNDED = 1e-3
"""Å. Exact points within this distance are those that coordinates were rounded from, so they count like exact ones."""

CURABLE = ("incompleteness", "truncation", "locality", "width", "other")


class Verdict(NamedTuple):
    """The result of a scan: numbers of environments, and the least sensitive direction that is seen. `least` is its
    equilibrated σ/σ_max, `where` names the environment, and `why` says why it is small, if that is known.
    `item` is the noun for one of them."""

    total: int
    symmetric: int
    incomplete: int
    truncated: int
    local: int
    uncertain: int
    least: float | None = None
    where: str = ""
    why: str = ""
    item: str = "environment"
    narrow: int = 0  # those with fewer features than directions
    ordered: bool = True  # False if the features declare no order ν, so that no direction is incomplete or truncated
    behind: int = 0  # those known to have second-order responses, hidden by symmetry, that the order ν does not see

    def __str__(self) -> str:
        hide = "hides" if self.symmetric == 1 else "hide"
        cure = "nothing to cure"
        if self.behind:
            has = "has" if self.behind == 1 else "have"
            cure += (
                f" to first order; at least {self.behind:,} {has} second-order responses that a higher order would see"
            )
        hidden = [f"{self.symmetric:,} {hide} something by symmetry ({cure})"]
        if self.ordered:
            hidden += [f"{self.incomplete:,} incomplete", f"{self.truncated:,} truncated"]
        if self.local:
            edge = "neighbors out of reach at the cutoff's edge"
            hidden.append(f"{self.local:,} with {edge if self.item == 'environment' else 'atoms out of reach'}")
        if self.narrow:
            hidden.append(f"{self.narrow:,} with fewer features than directions")
        if not self.ordered:
            cure = "a higher order or another layer may see more"
            hidden.append(f"{self.uncertain:,} of unknown or uncertain cause ({cure})")
        elif self.uncertain:
            hidden.append(f"{self.uncertain:,} of other or uncertain cause")
        text = f"{self.total:,} {self.item}{'s' if self.total != 1 else ''}: {', '.join(hidden)}"
        if self.least is None:
            return f"{text}."
        reason = f", {self.why}" if self.why else ""
        return f"{text}; the least sensitive seen direction is {self.least:.0e} of the largest ({self.where}{reason})."


def judge_records(records: Sequence[Record], item: str = "environment", ordered: bool = True) -> Verdict:
    """Judge the records of a scan. Structures without a signal have null directions, and no spectrum."""
    seen = [record for record in records if select_seen([record]) or count_null(record)]
    kinds = [find_causes(record) for record in seen]
    sure = ("ok", "no-signal", "empty")
    uncertain = ["other" in kind or record["status"] not in sure for kind, record in zip(kinds, seen, strict=True)]
    symmetric, incomplete, truncated = (
        sum(cause in kind for kind in kinds) for cause in ("symmetry", "incompleteness", "truncation")
    )
    # A neighbor next to the cutoff is nearly out of reach in any environment of a liquid, so only null ones count.
    local = sum(record["null"].get("locality", 0) > 0 for record in seen)
    narrow = sum("width" in kind for kind in kinds)
    hidden = symmetric, incomplete, truncated, local, sum(uncertain)
    behind = sum(misses_second_order(record) for record in seen)
    found = Verdict(len(records), *hidden, item=item, narrow=narrow, ordered=ordered, behind=behind)
    ratios = [ratio for record in seen if (ratio := _least_seen(record)) is not None]
    if not ratios:
        return found
    least = min(ratios)
    record = next(record for record in seen if _least_seen(record) == least)
    return found._replace(least=least, where=name_record(record), why=_explain_least(record))


def judge_summary(
    summary: StoreSummary,
    symbols: Sequence[str],
    structure: Callable[[int], str] = "structure {}".format,
    ordered: bool = True,
) -> Verdict:
    """Judge a store, whose structures the function `structure` names by their indices. An environment with several
    causes counts once, for the worst."""
    blind = {group: sum(summary.blind[n, group] for n in summary.environments) for group in (*CURABLE, "symmetry")}
    uncertain = blind["other"] + summary.statuses[AMBIGUOUS]
    symmetric, incomplete, truncated, local = (blind[cause] for cause in ("symmetry", *CURABLE[:3]))
    hidden = symmetric, incomplete, truncated, local, uncertain
    found = Verdict(summary.done, *hidden, narrow=blind["width"], ordered=ordered)
    known = [example for example in summary.examples() if example.equilibrated.known]
    if not known:
        return found
    least: Example = min(known, key=lambda example: example.equilibrated)
    where = f"{symbols[least.species]}{least.center} of {structure(least.structure)}"
    return found._replace(least=least.equilibrated.value, where=where)


def find_causes(record: Mapping[str, Any]) -> set[str]:
    """Find the causes of the null directions of a record, here or at the geometry that was rounded."""
    exact = {cause for cause, n in record["null"].items() if n and cause != "rigid"}
    near = (one for one in record.get("near", ()) if one["cause"] != "locality")
    return exact | {one["cause"] for one in near if one["distance"] < ROUNDED}


def misses_second_order(record: Mapping[str, Any]) -> bool:
    """Tell whether the order ν is known not to see some of the second-order responses that symmetry allows."""
    known = record.get("second_order")
    return known is not None and known["seen_by_order"] < known["allowed"]


def name_record(record: Record) -> str:
    """Name an environment, as in "H7 of C6H6", or a structure. Records of `jaxfeat.scan` have numbers for names."""
    name = record.get("name", f"structure {record['structure']}")
    return f"{record['species']}{record['center']} of {name}" if "center" in record else name


def rank(record: Record) -> tuple[int, tuple[Sensitivity, int, Sensitivity]]:
    """Make the key that sorts records: curable or uncertain causes first, then small sensitivity, symmetry last."""
    causes = find_causes(record)
    if record["status"] != "ok" or causes & set(CURABLE):
        first = 0
    else:
        first = 2 if "symmetry" in causes else 1
    return first, blindness(record)


def group_equivalent(records: Sequence[Record]) -> list[list[int]]:
    """Group the indices of records that have both sensitivities and agree in name, species, causes and numbers, as
    equivalent atoms and repeated structures do. The groups are sorted by `rank`."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for k, record in enumerate(records):
        if select_seen([record]):
            ratios = (str(sensitivity(record, equilibrated=equilibrated)) for equilibrated in (True, False))
            near = tuple((group["cause"], group["symbol"], group["directions"]) for group in record.get("near", ()))
            null = tuple(record["null"].items())
            key = (record["name"], record["species"], record["n_neighbors"], null, near, record["status"], *ratios)
            groups.setdefault(key, []).append(k)
    return sorted(groups.values(), key=lambda members: rank(records[members[0]]))


def _least_seen(record: Record) -> float | None:
    sigma, floor = record["sigma_equilibrated"], record["floor_equilibrated"]
    seen = [value for value in sigma if value > floor]
    return seen[-1] / sigma[0] if seen else None


def _explain_least(record: Record) -> str:
    """Name the nearest exact point that may explain why a direction of a record is hardly seen."""
    groups = [group for group in record.get("near", ()) if group["cause"] != "locality"]
    if not groups:
        return ""
    # The direction that is seen least belongs to the group of the smallest singular value.
    group = min(groups, key=lambda group: group["sigma"][0])
    what = {"incompleteness": "incomplete", "truncation": "truncated"}.get(group["cause"], group["cause"])
    return f"nearly {group['symbol'] or what} within {group['distance']:.0e} Å"
