"""Tables of the blind spots that a scan found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.sensitivity import (
    Record,
    Sensitivity,
    blindness,
    count_null,
    group_by,
    least,
    median,
    select_seen,
    sensitivities,
    sensitivity,
)

MOST_STRUCTURES = 200
"""Structures that a table lists; of more, it lists the most blind."""

MOST_BLIND_STRUCTURES = 30
MOST_BLIND_ENVIRONMENTS = 12
BY_SPECIES = "By species of the center"

CAUSES = {"symmetry": "sym-\nmetry", "incompleteness": "in-\ncom-\nplete", "truncation": "trun-\ncated"}
"""Heads of columns by the cause of the null directions that they count."""

OTHERS = "oth-\ners"
"""Head of the column for null directions of other causes. Tables without any leave the column out."""


def print_scan(records: Sequence[Record], causes: Mapping[int, str], console: Console | None = None) -> None:
    """Print the tables of a scan: by structure, by species, and the most blind environments.

    **Arguments:** `causes`: cause and cure in words, by the indices that `most_blind_environments` returns.
    """
    console = Console() if console is None else console
    console.print(structure_table(records))
    console.print(species_table(records))
    console.print(blind_table(records, causes))
    doubtful = Counter(record["status"] for record in records if record["sigma"] and record["status"] != "ok")
    print_statuses(doubtful, Counter(record["status"] for record in records if not record["sigma"]), console)


def print_statuses(doubtful: Counter[str], left_out: Counter[str], console: Console) -> None:
    """Print how many environments have each status. `left_out` counts environments without a spectrum."""
    for name, counts in (
        ("Causes of null or nearly null directions are not certain", doubtful),
        ("Without a spectrum", left_out),
    ):
        if counts:
            console.print(f"{name}: {', '.join(f'{count} {status}' for status, count in counts.most_common())}.")


def species_table(records: Sequence[Record]) -> Table:
    """Make a table with one row for each species of the center."""
    groups = group_by(records, "species")
    names = sorted(groups, key=lambda name: -len(groups[name]))
    return summary_table(BY_SPECIES, "Center", ((name, _cells(groups[name])) for name in names))


def structure_table(records: Sequence[Record]) -> Table:
    """Make a table with one row for each structure; of more than `MOST_STRUCTURES`, for the most blind."""
    groups = group_by(records, "structure")
    title = "By structure"
    if len(groups) > MOST_STRUCTURES:
        worst = {key: min(map(blindness, seen)) for key, group in groups.items() if (seen := select_seen(group))}
        title = f"The {MOST_BLIND_STRUCTURES} most blind of {len(groups)} structures"
        groups = {key: groups[key] for key in sorted(worst, key=lambda key: worst[key])[:MOST_BLIND_STRUCTURES]}
    return summary_table(title, "Structure", ((group[0]["name"], _cells(group)) for group in groups.values()))


def most_blind_environments(records: Sequence[Record], most: int = MOST_BLIND_ENVIRONMENTS) -> list[int]:
    """Find the indices of the most blind environments, worst first."""
    seen = [k for k, record in enumerate(records) if select_seen([record])]
    return sorted(seen, key=lambda k: blindness(records[k]))[:most]


def blind_table(records: Sequence[Record], causes: Mapping[int, str]) -> Table:
    """Make a table of the most blind environments, worst first, with cause and cure."""
    rows = []
    for k in most_blind_environments(records):
        record = records[k]
        equilibrated, raw = sensitivity(record, equilibrated=True), sensitivity(record, equilibrated=False)
        name = f"{record['species']}{record['center']} of {record['name']}"
        rows.append(BlindRow(name, record["n_neighbors"], equilibrated, raw, count_null(record), causes.get(k, "")))
    return rows_of_blind(rows, f"The {len(rows)} most blind of {len(select_seen(records))} environments")


class BlindRow(NamedTuple):
    """A row of a table of blind environments; `cause` is in words."""

    name: str
    n_neighbors: int
    equilibrated: Sensitivity | None
    raw: Sensitivity | None
    n_null: int
    cause: str


def rows_of_blind(rows: Sequence[BlindRow], title: str) -> Table:
    """Make a table of environments in the given order."""
    headers = ("neigh-\nbors", "equili-\nbrated", "raw", "null di-\nrections")
    table = plain_table(f"{title}: σ_min/σ_max", "Environment", headers)
    table.add_column("cause and cure", overflow="fold")
    for column in table.columns:
        column.vertical = "top"  # a cause may take several lines; the environment is named beside the first
    table.caption = "Atoms count from 0. Null directions include those that symmetry hides, and no rigid motions."
    for row in rows:
        numbers = (str(row.n_neighbors), str(row.equilibrated), str(row.raw), highlight_count(row.n_null))
        table.add_row(escape(row.name), *numbers, escape(row.cause))
    return table


def summary_table(title: str, head: str, rows: Iterable[tuple[str, Sequence[str]]]) -> Table:
    """Make a table of groups of environments.

    **Arguments:** `rows`: names, and their cells: the number of environments, median and least of the equilibrated and
    of the raw σ_min/σ_max, and null directions by `CAUSES` and of other causes.
    """
    headers = (
        "envi-\nron-\nments",
        "equili-\nbrated\nmedian",
        "least",
        "raw\nmedian",
        "least",
        *CAUSES.values(),
    )
    listed = list(rows)
    others = any(cells[-1] != "0" for _, cells in listed)
    title = f"{title}: σ_min/σ_max, null directions by cause"
    table = plain_table(title, head, (*headers, OTHERS) if others else headers)
    if others:
        table.caption = "Others: they move neighbors beyond the cutoff, or have an unknown cause."
    for name, cells in listed:
        table.add_row(escape(name), *(cells if others else cells[:-1]))
    return table


def plain_table(title: str, head: str, headers: Sequence[str]) -> Table:
    """Make a table without rows: a first column of names, then columns of numbers."""
    table = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    table.add_column(head, overflow="fold", vertical="bottom", min_width=len(head))
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    return table


def _cells(group: Sequence[Record]) -> list[str]:
    cells = [str(len(group))]
    for equilibrated in (True, False):
        ascending = sensitivities(group, equilibrated=equilibrated)
        cells += [str(median(ascending)), str(least(ascending))] if ascending else ["-", "-"]
    counts = [sum(record["null"].get(cause, 0) for record in group) for cause in CAUSES]
    return [*cells, *map(highlight_count, counts), highlight_count(sum(map(count_null, group)) - sum(counts))]


def highlight_count(n: int) -> str:
    """Write a number, in red if it is not 0."""
    return f"[bold red]{n}[/]" if n else "0"
