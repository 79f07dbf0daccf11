"""What a stored sweep comes to, in tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rich.console import Console

from jaxfeat.report.scan_table import (
    BY_SPECIES,
    CAUSES,
    MOST_BLIND_ENVIRONMENTS,
    BlindRow,
    count,
    print_statuses,
    rows_of_blind,
    summary_table,
)
from jaxfeat.report.store_summary import Example, StoreSummary


def most_blind(tally: StoreSummary) -> list[Example]:
    """Worst first; of each species in a structure only one."""
    return sorted(tally.examples())[:MOST_BLIND_ENVIRONMENTS]


def print_store(
    tally: StoreSummary,
    causes: Sequence[str],
    structure: Callable[[int], str],
    symbols: Sequence[str],
    console: Console | None = None,
) -> None:
    """Print what was added up, and the most blind environments.

    `causes` says why, for the `most_blind`; `structure`: what to call a structure; `symbols`: by atomic number.
    """
    console = Console() if console is None else console
    species = tally.environments.most_common()
    console.print(summary_table(BY_SPECIES, "Center", ((symbols[n], _cells(tally, n, total)) for n, total in species)))
    rows = [
        BlindRow(
            f"{symbols[one.species]}{one.center} of {structure(one.structure)}",
            one.n_neighbors,
            one.equilibrated,
            one.raw,
            sum(n for cause, n in zip(tally.causes, one.null, strict=True) if cause != "rigid"),
            cause,
        )
        for one, cause in zip(most_blind(tally), causes, strict=True)
    ]
    total = tally.distributions()[0].total
    console.print(rows_of_blind(rows, f"The most blind of {total} environments, one of each species in a structure"))
    print_statuses(tally.doubtful, tally.statuses - tally.doubtful - Counter(ok=tally.statuses["ok"]), console)


def _cells(tally: StoreSummary, number: int, total: int) -> list[str]:
    both = tally.distributions(number)
    ratios = [str(found or "-") for part in both for found in (part.median(), part.smallest())]
    counts = {cause: tally.directions[number, cause] for cause in tally.kinds}
    others = sum(n for cause, n in counts.items() if cause not in CAUSES)
    return [str(total), *ratios, *(count(counts.get(cause, 0)) for cause in CAUSES), count(others)]
