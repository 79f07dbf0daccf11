"""Sensitivity ratios, and what may be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Record = dict[str, Any]


class Sensitivity(NamedTuple):
    """A ratio of singular values of an environment, or, where that is not `known`, the floor that it lies below.

    Of tables and pages it is σ_min/σ_max, the smallest value over the largest, of all displacements that are not rigid;
    where bases are compared it is σ_vis/σ_max, without the directions that no basis of the order sees.

    Ratios compare as one would wish: unknown ones are smaller than known ones.
    """

    known: bool
    value: float

    def __str__(self) -> str:
        return f"{self.value:.1e}" if self.known else f"<{self.value:.0e}"


def sensitivity(record: Record, *, equilibrated: bool) -> Sensitivity | None:
    """The σ_min/σ_max of one environment; `None` if there is no spectrum or no direction that is not rigid."""
    suffix = "_equilibrated" if equilibrated else ""
    sigma = record[f"sigma{suffix}"]
    if not sigma or not sigma[0] > 0:
        return None
    smallest, floor = sigma[-1], record[f"floor{suffix}"]
    return Sensitivity(smallest > floor, max(smallest, floor) / sigma[0])


def sensitivities(records: Sequence[Record], *, equilibrated: bool) -> list[Sensitivity]:
    """The ratios that there are, in ascending order."""
    return sorted(r for record in records if (r := sensitivity(record, equilibrated=equilibrated)) is not None)


def least(ascending: Sequence[Sensitivity]) -> Sensitivity:
    """Take the smallest of some ratios. Those below their floors have no order: the highest of these floors stands for
    all of them, in the median too."""
    return _bounded(ascending[0], ascending)


def median(ascending: Sequence[Sensitivity]) -> Sensitivity:
    """Take the median; of an even number the lower of the middle two, so that it is a ratio that occurs."""
    return _bounded(ascending[(len(ascending) - 1) // 2], ascending)


def _bounded(one: Sensitivity, ascending: Sequence[Sensitivity]) -> Sensitivity:
    return one if one.known else Sensitivity(False, max(r.value for r in ascending if not r.known))


def blindness(record: Record) -> tuple[Sensitivity, int, Sensitivity]:
    """What to sort by to have the most blind environments first. They must have ratios."""
    equilibrated, raw = sensitivity(record, equilibrated=True), sensitivity(record, equilibrated=False)
    assert equilibrated is not None and raw is not None
    # Of two ratios below the floor neither is the smaller one: then the number of null directions decides.
    return (equilibrated if equilibrated.known else Sensitivity(False, 0.0)), -n_null(record), raw


def n_null(record: Record) -> int:
    """Count the null directions of an environment: equilibrated singular values at or below their floor, rigid motions
    apart. It is the sum of the counts by cause."""
    return sum(count for cause, count in record["null"].items() if cause != "rigid")


def by(records: Sequence[Record], key: str) -> dict[Any, list[Record]]:
    """Records grouped by one of their entries, in order of appearance."""
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    return groups
