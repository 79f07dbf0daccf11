"""Where a descriptor is blind, in tables."""

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
    by,
    least,
    median,
    n_null,
    sensitivities,
    sensitivity,
)

MOST_STRUCTURES = 200
MOST_BLIND_STRUCTURES = 30
MOST_BLIND_ENVIRONMENTS = 12
BY_SPECIES = "By species of the center"

CAUSES = {"symmetry": "sym-\nmetry", "incompleteness": "in-\ncom-\nplete", "truncation": "trun-\ncated"}
"""Causes of null directions, and the heads of the columns that count them."""

OTHERS = "oth-\ners"
"""The head of the column that counts all other null directions, so that a row adds up. It is left out of tables that
have none."""


def print_scan(records: Sequence[Record], causes: Mapping[int, str], console: Console | None = None) -> None:
    """Print what a scan found: by structure, by species, and the most blind environments.

    `causes` says why, for the `most_blind` of the records, by their index.
    """
    console = Console() if console is None else console
    console.print(structure_table(records))
    console.print(species_table(records))
    console.print(blind_table(records, causes))
    doubtful = Counter(record["status"] for record in records if record["sigma"] and record["status"] != "ok")
    print_statuses(doubtful, Counter(record["status"] for record in records if not record["sigma"]), console)


def print_statuses(doubtful: Counter[str], left_out: Counter[str], console: Console) -> None:
    """How many environments have which status, most frequent first; `left_out`: those without a spectrum."""
    for what, counts in (
        ("Causes of null or nearly null directions are not certain", doubtful),
        ("Without a spectrum", left_out),
    ):
        if counts:
            console.print(f"{what}: {', '.join(f'{count} {status}' for status, count in counts.most_common())}.")


def species_table(records: Sequence[Record]) -> Table:
    """One row per species of the center."""
    groups = by(records, "species")
    names = sorted(groups, key=lambda name: -len(groups[name]))
    return summary_table(BY_SPECIES, "Center", ((name, _cells(groups[name])) for name in names))


def structure_table(records: Sequence[Record]) -> Table:
    """One row per structure, or for each of the most blind ones where there are too many."""
    groups = by(records, "structure")
    title = "By structure"
    if len(groups) > MOST_STRUCTURES:
        worst = {key: min(map(blindness, seen)) for key, group in groups.items() if (seen := _seen(group))}
        title = f"The {MOST_BLIND_STRUCTURES} most blind of {len(groups)} structures"
        groups = {key: groups[key] for key in sorted(worst, key=lambda key: worst[key])[:MOST_BLIND_STRUCTURES]}
    return summary_table(title, "Structure", ((group[0]["name"], _cells(group)) for group in groups.values()))


def most_blind(records: Sequence[Record], most: int = MOST_BLIND_ENVIRONMENTS) -> list[int]:
    """Indices of the most blind environments, worst first."""
    seen = [k for k, record in enumerate(records) if _seen([record])]
    return sorted(seen, key=lambda k: blindness(records[k]))[:most]


def blind_table(records: Sequence[Record], causes: Mapping[int, str]) -> Table:
    """The most blind environments by name, worst first, and why."""
    rows = []
    for k in most_blind(records):
        record = records[k]
        equilibrated, raw = sensitivity(record, equilibrated=True), sensitivity(record, equilibrated=False)
        name = f"{record['species']}{record['center']} of {record['name']}"
        rows.append(BlindRow(name, record["n_neighbors"], equilibrated, raw, n_null(record), causes.get(k, "")))
    return rows_of_blind(rows, f"The {len(rows)} most blind of {len(_seen(records))} environments")


class BlindRow(NamedTuple):
    """An environment: its name, what is known of it, and the cause in words."""

    name: str
    n_neighbors: int
    equilibrated: Sensitivity | None
    raw: Sensitivity | None
    n_null: int
    cause: str


def rows_of_blind(rows: Sequence[BlindRow], title: str) -> Table:
    """A table of environments in the given order."""
    headers = ("neigh-\nbors", "equili-\nbrated", "raw", "null di-\nrections")
    table = plain_table(f"{title}: σ_min/σ_max", "Environment", headers)
    table.add_column("cause and cure", overflow="fold")
    for column in table.columns:
        column.vertical = "top"  # a cause may take several lines; its environment stands by the first
    table.caption = "Atoms count from 0. Rigid motions are no null directions here, symmetric ones are."
    for row in rows:
        numbers = (str(row.n_neighbors), str(row.equilibrated), str(row.raw), count(row.n_null))
        table.add_row(escape(row.name), *numbers, escape(row.cause))
    return table


def summary_table(title: str, what: str, rows: Iterable[tuple[str, Sequence[str]]]) -> Table:
    """`rows`: a name, and as many cells as there are columns: environments, median and least of the equilibrated and
    of the raw ratio, and null directions of each of `CAUSES` and of all others."""
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
    table = plain_table(title, what, (*headers, OTHERS) if others else headers)
    if others:
        table.caption = "Others: out of reach, or of a cause that cannot be told."
    for name, cells in listed:
        table.add_row(escape(name), *(cells if others else cells[:-1]))
    return table


def plain_table(title: str, what: str, headers: Sequence[str]) -> Table:
    """A table without rows: a first column of names, then numbers."""
    table = Table(title=title, title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.title_justify = table.caption_justify = "left"
    table.add_column(what, overflow="fold", vertical="bottom", min_width=len(what))
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    return table


def _cells(group: Sequence[Record]) -> list[str]:
    cells = [str(len(group))]
    for equilibrated in (True, False):
        ascending = sensitivities(group, equilibrated=equilibrated)
        cells += [str(median(ascending)), str(least(ascending))] if ascending else ["-", "-"]
    counts = [sum(record["null"].get(cause, 0) for record in group) for cause in CAUSES]
    return [*cells, *map(count, counts), count(sum(map(n_null, group)) - sum(counts))]


def _seen(records: Sequence[Record]) -> list[Record]:
    return [
        record
        for record in records
        if sensitivity(record, equilibrated=True) and sensitivity(record, equilibrated=False)
    ]


def count(n: int) -> str:
    """In red where there are any."""
    return f"[bold red]{n}[/]" if n else "0"
