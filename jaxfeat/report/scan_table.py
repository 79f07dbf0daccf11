"""Tables of the blind spots that a scan found, from its records or from the summary of a store."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.sensitivity import (
    Record,
    Sensitivity,
    count_null,
    group_by,
    median_and_least,
    select_seen,
    sensitivity,
)
from jaxfeat.report.store_summary import Example, StoreSummary
from jaxfeat.report.tables import WordedTable, drop_common_formula, highlight_count, open_console, plain_table
from jaxfeat.report.verdict import CURABLE, group_equivalent, judge_records, judge_summary, name_record, rank

MOST_STRUCTURES = 10  # structures that a table lists; of more, it lists the most blind, so that all fits on a screen
MOST_BLIND_ENVIRONMENTS = 12
BY_SPECIES = "By species of the center"

CAUSES = {"symmetry": "sym-\nmetry", "incompleteness": "in-\ncom-\nplete", "truncation": "trun-\ncated"}
"""Heads of columns by the cause of the null directions that they count."""

RARE_CAUSES = {"width": "width"}  # heads of columns that only tables with such null directions have

Line = tuple[str, int, Sequence[Sensitivity | None], Mapping[str, int]]
"""A group of environments: its name and size, the median and least of the equilibrated and of the raw σ_min/σ_max, and
the number of null directions by cause."""


def print_scan(
    records: Sequence[Record],
    causes: Mapping[int, str],
    console: Console | None = None,
    *,
    ordered: bool = True,
    written: object = None,
) -> None:
    """Print a scan by structure, by species, and its `most_blind_environments`, with cause and cure where known, and
    end with the verdict. If the features are not `ordered` they declare no order ν, so none can be incomplete. If the
    records are `written` to a file, name it."""
    console = console or open_console()
    structures = structure_table(records, ordered, written)
    console.print(structures)
    if structures.caption:
        console.print()
    console.print(species_table(records, ordered))
    console.print(blind_table(records, causes))
    doubtful = Counter(record["status"] for record in records if record["sigma"] and record["status"] != "ok")
    _print_statuses(doubtful, Counter(record["status"] for record in records if not record["sigma"]), console)
    console.print(f"\n{judge_records(records, ordered=ordered)}", style="bold")


def print_store(
    summary: StoreSummary,
    causes: Sequence[str],
    structure: Callable[[int], str],
    symbols: Sequence[str],
    console: Console | None = None,
    *,
    ordered: bool = True,
) -> None:
    """Print a sweep into a store by species, and its `most_blind_examples`; `structure` names one by its index."""
    console = console or open_console()
    lines: list[Line] = []
    for number, total in summary.environments.most_common():
        ratios = [ratio for part in summary.distributions(number) for ratio in (part.median(), part.smallest())]
        counts = {kind: summary.directions[number, kind] for kind in summary.kinds}
        lines.append((symbols[number], total, ratios, counts))
    console.print(_summary_table(BY_SPECIES, "Center", lines, ordered))
    title = f"The most blind of {summary.distributions()[0].total} environments, one of each species in a structure"
    table = _blind_table(title)
    for one, why in zip(most_blind_examples(summary), causes, strict=True):
        name = f"{symbols[one.species]}{one.center} of {structure(one.structure)}"
        null = dict(zip(summary.causes, one.null, strict=True))
        _add_blind(table, name, one.n_neighbors, (one.equilibrated, one.raw), null, why)
    console.print(table)
    without = summary.statuses - summary.doubtful - Counter(ok=summary.statuses["ok"])
    _print_statuses(summary.doubtful, without, console)
    console.print(f"\n{judge_summary(summary, symbols, structure, ordered)}", style="bold")


def _print_statuses(doubtful: Counter[str], left_out: Counter[str], console: Console) -> None:
    names = ("Causes of null or nearly null directions are not certain", "Without a spectrum")
    for name, counts in zip(names, (doubtful, left_out), strict=True):
        if counts:
            console.print(f"{name}: {', '.join(f'{count} {status}' for status, count in counts.most_common())}.")


def species_table(records: Sequence[Record], ordered: bool = True) -> Table:
    """Make a table with one row for each species of the center."""
    groups = sorted(group_by(records, "species").items(), key=lambda item: -len(item[1]))
    return _summary_table(BY_SPECIES, "Center", [_line(name, group) for name, group in groups], ordered)


def describe_rest(written: object) -> str:
    """Say below a table of the most blind where the others are: in the file that is `written`, if there is one."""
    return f"{written or '--json FILE'} {'holds' if written else 'writes'} all."


def structure_table(records: Sequence[Record], ordered: bool = True, written: object = None) -> Table:
    """Make a table with one row for each structure; of more than `MOST_STRUCTURES`, for the most blind: those with
    curable causes first, and those that only symmetry hides something of last."""
    groups = group_by(records, "structure")
    title, shown = "By structure", list(groups.values())
    if len(groups) > MOST_STRUCTURES:
        worst = {key: min(map(rank, seen)) for key, group in groups.items() if (seen := select_seen(group))}
        shown = [groups[key] for key in sorted(worst, key=lambda key: worst[key])[:MOST_STRUCTURES]]
        title = f"The {len(shown)} most blind of {len(groups)} structures"
    names = drop_common_formula([group[0]["name"] for group in shown])
    table = _summary_table(
        title, "Structure", [_line(name, group) for name, group in zip(names, shown, strict=True)], ordered
    )
    if len(groups) > len(shown):
        table.caption = " ".join(filter(None, [str(table.caption or ""), describe_rest(written)]))
    return table


def count_causes(
    groups: Sequence[Mapping[str, int]], ordered: bool = True
) -> tuple[list[str], list[list[str]], str | None]:
    """Make the heads and the cells of columns of null directions by cause, one row for each group, and a caption.

    Features without an order have no column of incomplete and truncated ones.
    """
    heads = {cause: head for cause, head in CAUSES.items() if ordered or cause == "symmetry"}
    heads |= {cause: head for cause, head in RARE_CAUSES.items() if any(group.get(cause) for group in groups)}
    others = [sum(n for cause, n in group.items() if cause not in ("rigid", *heads)) for group in groups]
    rows = [[group.get(cause, 0) for cause in heads] for group in groups]
    caption = ["Width: directions beyond the number of features."] if "width" in heads else []
    columns = list(heads.values())
    if any(others):
        columns.append("oth-\ners")
        rows = [[*row, n] for row, n in zip(rows, others, strict=True)]
        caption.append("Others: beyond the cutoff, or of unknown cause.")
    # Symmetry is no fault of the descriptor.
    curable = [cause != "symmetry" for cause in heads] + [True] * any(others)
    return columns, [list(map(highlight_count, row, curable)) for row in rows], " ".join(caption) or None


def most_blind_environments(records: Sequence[Record]) -> list[int]:
    """Find the indices of the most blind environments, one of each kind: curable causes first, symmetry last."""
    return [members[0] for members in group_equivalent(records)[:MOST_BLIND_ENVIRONMENTS]]


def most_blind_examples(summary: StoreSummary) -> list[Example]:
    """Sort the examples, worst first; a structure has one for each species."""
    return sorted(summary.examples())[:MOST_BLIND_ENVIRONMENTS]


def blind_table(records: Sequence[Record], causes: Mapping[int, str]) -> WordedTable:
    """Make a table of the most blind environments with cause and cure: curable causes first, symmetry last. Equivalent
    atoms, and repeated structures, share a row."""
    groups = group_equivalent(records)[:MOST_BLIND_ENVIRONMENTS]
    total = len(select_seen(records))
    table = _blind_table(f"The {len(groups)} most blind of {total} environments" if total != 1 else "The environment")
    for members in groups:
        record = records[members[0]]
        ratios = [sensitivity(record, equilibrated=equilibrated) for equilibrated in (True, False)]
        name = name_record(record) + (f" ×{len(members)}" if len(members) > 1 else "")
        _add_blind(table, name, record["n_neighbors"], ratios, record["null"], causes.get(members[0], ""))
    return table


def _blind_table(title: str) -> WordedTable:
    caption = (
        "Atoms count from 0, and ×2 stands for two equal environments. Null directions include those that symmetry "
        "hides, and no rigid motions."
    )
    heads = ("neigh-\nbors", "equili-\nbrated", "raw", "null di-\nrections")
    return WordedTable(f"{title}: σ_min/σ_max", "Environment", heads, "cause and cure", caption)


def _add_blind(
    table: WordedTable, name: str, n_neighbors: int, ratios: Sequence[object], null: Mapping[str, int], cause: str
) -> None:
    count = highlight_count(count_null({"null": null}), any(null.get(kind) for kind in CURABLE))
    table.add_row(escape(name), str(n_neighbors), *map(str, ratios), count, escape(cause))


def _line(name: str, group: Sequence[Record]) -> Line:
    ratios: list[Sensitivity | None] = []
    for equilibrated in (True, False):
        ratios += median_and_least(group, equilibrated=equilibrated) or (None, None)
    return name, len(group), ratios, sum((Counter(record["null"]) for record in group), Counter())


def _summary_table(title: str, head: str, lines: Sequence[Line], ordered: bool) -> Table:
    columns, counts, caption = count_causes([line[-1] for line in lines], ordered)
    heads = ["envi-\nron-\nments", "equili-\nbrated\nmedian", "least", "raw\nmedian", "least", *columns]
    table = plain_table(f"{title}: σ_min/σ_max, null directions by cause", head, heads)
    table.caption = caption
    for (name, total, ratios, _), cells in zip(lines, counts, strict=True):
        table.add_row(escape(name), str(total), *(str(ratio or "-") for ratio in ratios), *cells)
    return table
