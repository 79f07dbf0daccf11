"""A table of the singular points that a search found."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from jaxfeat.report.tables import format_causes, open_console, plain_table, print_cures

Family = dict[str, Any]
"""Singular points of one kind: `cause` (counts by cause), `symmetry` (point group), `dimension`, `cure`, `points` (a
count), `distinct` (a count up to congruence), `families` (their counts by the name of the stratum, empty if they are
not incomplete), `example` (`positions`, `displacement`, `symbols`, `center`, `sigma_ratio`)."""


def print_families(families: Sequence[Family], status: Sequence[str], console: Console | None = None) -> None:
    """Print the statuses of the starts, and a table of the kinds of singular points, the most frequent first."""
    console = console or open_console()
    listed = ", ".join(f"{count} {name}" for name, count in sorted(Counter(status).items()))
    console.print(f"{len(status)} starts: {listed}")
    if not families:
        return
    counted = ("points", "distinct", "dimension")
    named = ("family",) if any(family["families"] for family in families) else ()
    table = plain_table("Kinds of singular points", "", counted, ("null directions", "symmetry", *named))
    for number, family in enumerate(families, 1):
        counts = [str(family[name]) for name in counted]
        names = [", ".join(f"{name} {n}" for name, n in family["families"].items())] if named else []
        table.add_row(str(number), *counts, format_causes(family["cause"]), family["symmetry"], *names)
    console.print(table)
    print_cures([family["cure"] for family in families], console)
