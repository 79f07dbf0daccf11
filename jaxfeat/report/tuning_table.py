"""Tables of the gains of a descriptor's changes and of the front, and the recommendation."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from jaxfeat.report.sensitivity import Record
from jaxfeat.report.tables import open_console, plain_table

GAIN_HEADERS = ("fea-\ntures", "gain\nmedian", "10 %", "90 %", "own\nlowest", "ms\nfeat.", "ms\ngrad.")
FRONT_HEADERS = ("fea-\ntures", "level", "against\nf", "ms\nfeat.", "ms\ngrad.")

GAIN_LEGEND = (
    "Gain: σ_vis/σ_max after the change over that before, for environments of the least sensitive share before. Own "
    "lowest: the same for the median over the least sensitive share, which may be other environments after the change; "
    "after a change of r_cut only this ratio means something. Times are CPU milliseconds for one environment, * by a "
    "compiled program, otherwise by NumPy."
)


def print_tuning(tuning: Mapping[str, Any], console: Console | None = None) -> None:
    """Print the tables and the recommendation of a result of `jaxfeat.tune`, given as plain values."""
    console = console or open_console()
    sample, f = tuning["sample"], tuning["f"]
    share = f"the least sensitive {100 * sample['share']:g} %"
    title = f"Single changes of f ({f['n_features']:,} features, level {f['level']:.1e} in {share})"
    console.print(_gain_table(tuning["gains"], title))
    for record in tuning["gains"]:
        if record["note"] is not None:
            console.print(f"- {record['words']}: {record['note']}.", markup=False)
        elif record["at"] is not None:
            sizes = ", ".join(f"{name} {size}" for name, size in record["at"].items())
            console.print(f"- {record['words']} is compared with the order below it at {sizes}.", markup=False)
    console.print(GAIN_LEGEND, style="italic")
    console.print(_front_table(tuning["front"], tuning["recommended"]))
    if not tuning["complete"]:
        console.print("The budget ended the search, so that better descriptors may be missing.")
    if (line := describe_ascent(tuning["ascent"])) is not None:
        console.print(line, markup=False)
    console.print(tuning["reason"], style="bold", markup=False)


def describe_ascent(ascent: Record) -> str | None:
    """Say in a sentence what the steps along the gradient gained; `None` if none were to be made."""
    note = "" if ascent["note"] is None else f": {ascent['note']}"
    if not ascent["n_steps"]:
        return f"No step along the gradient{note}." if note else None
    steps = f"{ascent['n_steps']} steps along the gradient{note}"
    if not ascent["words"]:
        return f"{steps}. They lead to no clearly more sensitive descriptor."
    gains = f"{ascent['sample_gain']:.3g} on the sample and {ascent['check_gain']:.3g} on the check"
    rest = "" if ascent["kept"] else ", so the start is kept"
    return f"{steps} lead to {ascent['words']}. They gain a factor of {gains}{rest}."


def _gain_table(records: list[Record], title: str) -> Table:
    table = plain_table(title, "change", GAIN_HEADERS)
    for record, following in zip(records, [*records[1:], None], strict=True):
        if "gain" in record:
            last = following is not None and following["axis"] != record["axis"]
            gains = [record["gain"][name] for name in ("median", "10%", "90%")]
            cells = [*map(_format_ratio, (*gains, record["lowest"])), *_times(record)]
            table.add_row(record["words"], _format_count(record["n_features"]), *cells, end_section=last)
    return table


def _front_table(records: list[Record], recommended: Any) -> Table:
    table = plain_table("The most sensitive descriptors by number of features", "changes of f", FRONT_HEADERS)
    for record in records:
        chosen = record["spec"] == recommended
        level, ratio = f"{record['level']:.1e}", _format_ratio(record["lowest"])
        words = (record["words"] or "none") + (" (recommended)" if chosen else "")
        count = _format_count(record["n_features"])
        table.add_row(words, count, level, ratio, *_times(record), style="bold" if chosen else None)
    return table


def _format_ratio(ratio: float | None) -> str:
    return (
        "-" if ratio is None else f"{ratio:.2g}" if ratio < 100 else f"{ratio:.0f}" if ratio < 1e4 else f"{ratio:.0e}"
    )


def _format_count(n: int) -> str:
    return str(n) if n < 100_000 else f"{n / 1000:.0f}k"


def _times(record: Record) -> list[str]:
    mark = "*" if record["route"] == "compiled" else ""
    return [f"{1e3 * record[f'{name}_seconds']:.2g}{mark}" for name in ("features", "gradients")]
