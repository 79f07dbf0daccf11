"""Tables of a sweep in a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console

from jaxfeat.report.scan_table import (
    BY_SPECIES,
    CAUSES,
    MOST_BLIND_ENVIRONMENTS,
    BlindRow,
    highlight_count,
    print_statuses,
    rows_of_blind,
    summary_table,
)
from jaxfeat.report.store_summary import Example, StoreSummary


def most_blind_examples(summary: StoreSummary) -> list[Example]:
    """Sort the examples, worst first; a structure has one for each species."""
    return sorted(summary.examples())[:MOST_BLIND_ENVIRONMENTS]


def print_store(
    summary: StoreSummary,
    causes: Sequence[str],
    structure: Callable[[int], str],
    symbols: Sequence[str],
    console: Console | None = None,
) -> None:
    """Print the tables of a sweep: by species, and the most blind environments.

    **Arguments:**

    - `causes`: Cause and cure in words, for each of the `most_blind_examples`.
    - `structure`: A function that names a structure by its index.
    - `symbols`: Chemical symbols by atomic number.
    """
    console = Console() if console is None else console
    species = summary.environments.most_common()
    console.print(
        summary_table(BY_SPECIES, "Center", ((symbols[n], _cells(summary, n, total)) for n, total in species))
    )
    rows = [
        BlindRow(
            f"{symbols[one.species]}{one.center} of {structure(one.structure)}",
            one.n_neighbors,
            one.equilibrated,
            one.raw,
            sum(n for cause, n in zip(summary.causes, one.null, strict=True) if cause != "rigid"),
            cause,
        )
        for one, cause in zip(most_blind_examples(summary), causes, strict=True)
    ]
    total = summary.distributions()[0].total
    console.print(rows_of_blind(rows, f"The most blind of {total} environments, one of each species in a structure"))
    print_statuses(summary.doubtful, summary.statuses - summary.doubtful - Counter(ok=summary.statuses["ok"]), console)


def _cells(summary: StoreSummary, number: int, total: int) -> list[str]:
    both = summary.distributions(number)
    ratios = [str(found or "-") for part in both for found in (part.median(), part.smallest())]
    counts = {cause: summary.directions[number, cause] for cause in summary.kinds}
    others = sum(n for cause, n in counts.items() if cause not in CAUSES)
    return [str(total), *ratios, *(highlight_count(counts.get(cause, 0)) for cause in CAUSES), highlight_count(others)]
