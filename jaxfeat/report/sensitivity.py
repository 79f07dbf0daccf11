"""Sensitivities σ_min/σ_max of records, and how they compare."""

from collections.abc import Sequence
from typing import Any, NamedTuple

Record = dict[str, Any]


class Sensitivity(NamedTuple):
    """The smallest singular value of an environment over the largest, or the floor of this ratio if it is not `known`.
    Tables and pages show σ_min/σ_max of all displacements that are not rigid. Comparisons of bases show σ_vis/σ_max,
    without the directions that no basis of the order sees. Unknown sensitivities sort before known ones."""

    known: bool
    value: float

    def __str__(self) -> str:
        return f"{self.value:.1e}" if self.known else f"<{self.value:.0e}"


def sensitivity(record: Record, *, equilibrated: bool) -> Sensitivity | None:
    """Compute σ_min/σ_max of a record; `None` without a spectrum or without a direction that is not rigid."""
    suffix = "_equilibrated" if equilibrated else ""
    sigma = record[f"sigma{suffix}"]
    if not sigma or not sigma[0] > 0:
        return None
    smallest, floor = sigma[-1], record[f"floor{suffix}"]
    return Sensitivity(smallest > floor, max(smallest, floor) / sigma[0])


def median_and_least(records: Sequence[Record], *, equilibrated: bool) -> tuple[Sensitivity, Sensitivity] | None:
    """Find the lower median and the least of σ_min/σ_max, or `None`; the highest floor stands for unknown ones."""
    found = sorted(r for record in records if (r := sensitivity(record, equilibrated=equilibrated)) is not None)
    if not found:
        return None
    highest = Sensitivity(False, max((r.value for r in found if not r.known), default=0.0))
    middle, least = (r if r.known else highest for r in (found[(len(found) - 1) // 2], found[0]))
    return middle, least


def blindness(record: Record) -> tuple[Sensitivity, int, Sensitivity]:
    """Make the key that sorts the most blind records first. The records must have sensitivities."""
    equilibrated, raw = sensitivity(record, equilibrated=True), sensitivity(record, equilibrated=False)
    assert equilibrated is not None and raw is not None
    # Two unknown sensitivities have no order, so the number of null directions decides.
    return (equilibrated if equilibrated.known else Sensitivity(False, 0.0)), -count_null(record), raw


def count_null(record: Record) -> int:
    """Count the null directions of a record: equilibrated singular values up to their floor, without rigid motions."""
    return sum(count for cause, count in record["null"].items() if cause != "rigid")


def select_seen(records: Sequence[Record]) -> list[Record]:
    """Select the records that have both sensitivities, equilibrated and raw."""
    return [r for r in records if sensitivity(r, equilibrated=True) and sensitivity(r, equilibrated=False)]


def group_by(records: Sequence[Record], key: str) -> dict[Any, list[Record]]:
    """Group records by one of their entries, in order of appearance."""
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return groups
