"""A table of the singular points that a search found."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from jaxfeat.report.tables import format_causes, plain_table, print_cures

Family = dict[str, Any]
"""Singular points of one kind: `cause` (counts by cause), `symmetry` (point group), `dimension`, `cure`, `points` (a
count), `distinct` (a count up to congruence), `example` (`positions`, `direction`, `symbols`,
`center`, `sigma_ratio`)."""


def print_families(families: Sequence[Family], status: Sequence[str], console: Console | None = None) -> None:
    """Print the statuses of the starts, and a table of the kinds of singular points, the most frequent first."""
    console = console or Console(highlight=False)
    listed = ", ".join(f"{count} {name}" for name, count in sorted(Counter(status).items()))
    console.print(f"{len(status)} starts: {listed}")
    if not families:
        return
    counted = ("points", "distinct", "dimension")
    table = plain_table("Kinds of singular points", "", counted, ("null directions", "symmetry"))
    for number, family in enumerate(families, 1):
        counts = [str(family[name]) for name in counted]
        table.add_row(str(number), *counts, format_causes(family["cause"]), family["symmetry"])
    console.print(table)
    print_cures([family["cure"] for family in families], console)
