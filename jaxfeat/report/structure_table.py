"""Tables of what descriptors of whole structures do not see, from the records of a scan."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxfeat.report.scan_table import MOST_STRUCTURES, count_causes, describe_rest
from jaxfeat.report.sensitivity import Record, Sensitivity, count_null, sensitivity
from jaxfeat.report.tables import WordedTable, drop_common_formula, highlight_count, open_console, plain_table
from jaxfeat.report.verdict import CURABLE, find_causes, judge_records

MOST_BLIND_WHOLES = 12
NUMBERS = ("\natoms", "equili-\nbrated", "\nraw")


def print_structures(
    records: Sequence[Record],
    causes: Mapping[int, str],
    console: Console | None = None,
    *,
    ordered: bool = True,
    written: object = None,
) -> None:
    """Print a table of all structures, or of the most blind of many, and the `most_blind_structures` with cause and
    cure, and end with the verdict. If the features are not `ordered` they declare no order ν. If the records are
    `written` to a file, name it."""
    console = console or open_console()
    wholes = wholes_table(records, ordered, written)
    console.print(wholes)
    if wholes.caption:
        console.print()
    console.print(blind_wholes_table(records, causes))
    if others := Counter(record["status"] for record in records if record["status"] != "ok"):
        counts = ", ".join(f"{n} {status}" for status, n in others.most_common())
        console.print(f"Without a spectrum, or with uncertain causes: {counts}.")
    console.print(f"\n{judge_records(records, 'structure', ordered)}", style="bold")


def most_blind_structures(records: Sequence[Record]) -> list[int]:
    """Find the indices of the most blind structures, curable causes first."""
    blind = [k for k, record in enumerate(records) if record["sigma"] or count_null(record)]
    return sorted(blind, key=lambda k: _blindness(records[k]))[:MOST_BLIND_WHOLES]


def wholes_table(records: Sequence[Record], ordered: bool = True, written: object = None) -> Table:
    """Make a table with one row for each structure; of more than `MOST_STRUCTURES`, for the most blind."""
    title, shown = "By structure", records
    if len(records) > MOST_STRUCTURES:
        shown = sorted(records, key=_blindness)[:MOST_STRUCTURES]
        title = f"The {MOST_STRUCTURES} most blind of {len(records)} structures"
    columns, counts, caption = count_causes([record["null"] for record in shown], ordered)
    table = plain_table(f"{title}: σ_min/σ_max, null directions by cause", "Structure", (*NUMBERS, *columns))
    table.caption = " ".join(filter(None, [caption, describe_rest(written) if len(shown) < len(records) else None]))
    names = drop_common_formula([record["name"] for record in shown])
    for name, record, cells in zip(names, shown, counts, strict=True):
        table.add_row(escape(name), *_numbers(record), *cells)
    return table


def blind_wholes_table(records: Sequence[Record], causes: Mapping[int, str]) -> WordedTable:
    """Make a table of the most blind structures, curable causes first, with cause and cure."""
    blind = most_blind_structures(records)
    caption = "Null directions include those that symmetry hides, and no rigid motions."
    title = f"The {len(blind)} most blind of {len(records)} structures: σ_min/σ_max"
    table = WordedTable(title, "Structure", (*NUMBERS, "null di-\nrections"), "cause and cure", caption)
    for k in blind:
        count = highlight_count(count_null(records[k]), bool(find_causes(records[k]) & set(CURABLE)))
        table.add_row(escape(records[k]["name"]), *_numbers(records[k]), count, escape(causes.get(k, "")))
    return table


def _numbers(record: Record) -> tuple[str, str, str]:
    ratios = (sensitivity(record, equilibrated=equilibrated) for equilibrated in (True, False))
    equilibrated, raw = (str(ratio or "-") for ratio in ratios)
    return str(record["n_atoms"]), equilibrated, raw


def _blindness(record: Record) -> tuple[int, bool, Sensitivity, int]:
    """Make the key that sorts records: curable or uncertain causes first, symmetry last, and no spectrum first."""
    causes, ratio = find_causes(record), sensitivity(record, equilibrated=True)
    curable = causes & set(CURABLE) or record["status"] in ("ambiguous", "unclassified")
    known = ratio is not None and ratio.known
    return (
        0 if curable else 2 if causes else 1,
        known,
        ratio if ratio and known else Sensitivity(False, 0.0),
        -count_null(record),
    )
