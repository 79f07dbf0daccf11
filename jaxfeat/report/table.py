"""Where a descriptor is blind, in tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.ratio import Record, blindness, by, median, n_null, ratio, ratios

MOST_STRUCTURES = 200
MOST_BLIND_STRUCTURES = 30
MOST_BLIND_ENVIRONMENTS = 12


CAUSES = {"symmetry": "sym-\nmetry", "incompleteness": "incom-\nplete", "truncation": "trun-\ncated"}
"""Causes of null directions, and the heads of the columns that count them."""


def print_tables(records: Sequence[Record], causes: Mapping[int, str], console: Console | None = None) -> None:
    """Print what a scan found: by structure, by species, and the most blind environments.

    `causes` says why, for the `most_blind` of the records, by their index.
    """
    console = Console() if console is None else console
    console.print(structure_table(records))
    console.print(species_table(records))
    console.print(blind_table(records, causes))
    doubtful = Counter(record["status"] for record in records if record["sigma"] and record["status"] != "ok")
    if doubtful:
        console.print(f"Causes of null directions are not certain: {listed(doubtful)}.")
    left_out = Counter(record["status"] for record in records if not record["sigma"])
    if left_out:
        console.print(f"Without a spectrum: {listed(left_out)}.")


def listed(counts: Counter[str]) -> str:
    """Most frequent first."""
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


def species_table(records: Sequence[Record]) -> Table:
    """One row per species of the center."""
    groups = by(records, "species")
    names = sorted(groups, key=lambda name: -len(groups[name]))
    return _summary("By species of the center", "Center", ((name, groups[name]) for name in names))


def structure_table(records: Sequence[Record]) -> Table:
    """One row per structure, or for each of the most blind ones where there are too many."""
    groups = by(records, "structure")
    title = "By structure"
    if len(groups) > MOST_STRUCTURES:
        worst = {key: min(map(blindness, seen)) for key, group in groups.items() if (seen := _seen(group))}
        title = f"The {MOST_BLIND_STRUCTURES} most blind of {len(groups)} structures"
        groups = {key: groups[key] for key in sorted(worst, key=lambda key: worst[key])[:MOST_BLIND_STRUCTURES]}
    return _summary(title, "Structure", ((group[0]["name"], group) for group in groups.values()))


def most_blind(records: Sequence[Record], most: int = MOST_BLIND_ENVIRONMENTS) -> list[int]:
    """Indices of the most blind environments, worst first."""
    seen = [k for k, record in enumerate(records) if _seen([record])]
    return sorted(seen, key=lambda k: blindness(records[k]))[:most]


def blind_table(records: Sequence[Record], causes: Mapping[int, str], total: int | None = None) -> Table:
    """The most blind environments by name, worst first, and why; `total`: of how many, if not of these records."""
    shown = most_blind(records)
    total = len(_seen(records)) if total is None else total
    headers = ("neigh-\nbors", "equili-\nbrated", "raw", "null di-\nrections")
    table = plain_table(f"The {len(shown)} most blind of {total} environments: σ_min/σ_max", "Environment", headers)
    table.add_column("cause and cure", overflow="fold")
    for column in table.columns:
        column.vertical = "top"  # a cause may take several lines; its environment stands by the first
    table.caption = "Atoms count from 0. Rigid motions are no null directions here, symmetric ones are."
    for k in shown:
        record = records[k]
        name = f"{record['species']}{record['center']} of {record['name']}"
        values = (str(ratio(record, equilibrated=equilibrated)) for equilibrated in (True, False))
        cells = (str(record["n_neighbors"]), *values, count(n_null(record)), escape(causes.get(k, "")))
        table.add_row(escape(name), *cells)
    return table


def _summary(title: str, what: str, groups: Iterable[tuple[str, Sequence[Record]]]) -> Table:
    headers = (
        "environ-\nments",
        "equili-\nbrated\nmedian",
        "least",
        "raw\nmedian",
        "least",
        *CAUSES.values(),
    )
    table = plain_table(f"{title}: σ_min/σ_max, null directions by cause", what, headers)
    for name, group in groups:
        table.add_row(escape(name), *_cells(group))
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
        ascending = ratios(group, equilibrated=equilibrated)
        cells += [str(median(ascending)), str(ascending[0])] if ascending else ["-", "-"]
    return [*cells, *(count(sum(record["null"].get(cause, 0) for record in group)) for cause in CAUSES)]


def _seen(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if ratio(record, equilibrated=True) and ratio(record, equilibrated=False)]


def count(n: int) -> str:
    """In red where there are any."""
    return f"[bold red]{n}[/]" if n else "0"
