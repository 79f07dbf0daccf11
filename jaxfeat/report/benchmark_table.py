"""Tables of the speed of jaxfeat beside its peers, as `jaxfeat bench` measured it, for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from jaxfeat.report.scan_table import plain_table

STAGES = {
    "features": "features",
    "jacobian": "Jacobian",
    "values": "singular values",
    "screened": "values, screened",
    "vectors": "U, S, V",
}
PEER_TITLES = {"dscribe": "DScribe", "featomic": "featomic", "quippy": "quippy", "reference": "the reference path"}

UNDISTURBED = 0.95
"""Share of a core that a process gets if no other process uses the core."""

RATE_LEGEND = (
    "Items per second on one core in float64. Brackets hold the seconds of compilation, if above 0.1, and the growth "
    "of memory in MB. jaxfeat computes V with its singular values, and no U. Screened values have a higher floor, "
    "which comes with them. Δσ is the largest difference of singular values: relative to the largest value of the "
    "item, and for values above 1e-6 of the largest, relative to the value itself."
)


class Row(NamedTuple):
    """Results of one package at one work.

    **Attributes:**

    - `name`: The name of the package, for readers.
    - `stages`: Measurements by stage.
    - `note`: The reason if there are no measurements.
    - `differences`: Differences of singular values, by the package that they are compared with.
    - `ratios`: The rate of jaxfeat over the rate of this package, by stage.
    - `lists`: Seconds that the neighbor lists of jaxfeat took, which the rates leave out.
    """

    name: str
    stages: Mapping[str, Any]
    note: str
    differences: Mapping[str, Any]
    ratios: Mapping[str, float]
    lists: float | None = None


def list_rows(work: Mapping[str, Any]) -> Iterator[Row]:
    """List the rows of jaxfeat, one for each variant, each before its peers; then the packages without a variant."""
    packages = dict(work["packages"])
    ours = packages.pop("jaxfeat", {})
    for variant, found in ours.get("variants", {}).items():
        yield Row(f"jaxfeat, {variant}", found["stages"], "", found["differences"], {}, found["lists"])
        for key in found["beside"]:
            yield _peer(key, packages.pop(key), found["stages"])
    for n, found in ours.get("runs", {}).items():
        yield Row(f"jaxfeat, {int(n):,}", {"values": found | {"n": int(n)}}, "", {}, {})
    if "failed" in ours:
        yield Row("jaxfeat", {}, _note(ours), {}, {})
    for key, found in packages.items():
        yield _peer(key, found, {})


def _peer(key: str, found: Mapping[str, Any], ours: Mapping[str, Any]) -> Row:
    stages = found.get("stages", {})
    return Row(PEER_TITLES[key], stages, _note(found), {}, _ratios(ours, stages))


def _note(found: Mapping[str, Any]) -> str:
    return found.get("skipped") or (f"failed: {found['failed']}" if "failed" in found else "")


def _ratios(ours: Mapping[str, Any], peer: Mapping[str, Any]) -> dict[str, float]:
    """Compute ratios of rates. Screened values compare with a peer's values, and S and V with its U, S, V."""
    beside = {"screened": ("screened", "values"), "vectors": ("vectors", "vectors")}
    found = {}
    for stage in STAGES:
        own, other = beside.get(stage, (stage, stage))
        if own in ours and other in peer:
            found[stage] = peer[other]["seconds"] / ours[own]["seconds"]
    return found


def format_cell(stage: Mapping[str, Any] | None, n: int, between: str = " ") -> str:
    """Write a rate, the compile time and the memory, with `between` between them."""
    if stage is None:
        return "-"
    compiled = f"{stage['compile']:.1f} s,{between}" if stage["compile"] > 0.1 else ""
    # Some systems do not report memory.
    memory = "?" if stage["memory"] is None or np.isnan(stage["memory"]) else f"{max(stage['memory'], 0):.0f}"
    return f"{_digits(stage.get('n', n) / stage['seconds'])}{between}({compiled}{memory})"


def _digits(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def list_notes(work: Mapping[str, Any]) -> list[str]:
    """List the results that have no column in the table, one line each."""
    found = []
    for row in list_rows(work):
        if row.note:
            found.append(f"{row.name}: {row.note}")
        for key, kinds in row.differences.items():
            for kind, apart in kinds.items():
                if apart is not None:
                    sizes = f"{apart['of_largest']:.0e}, {apart['each']:.0e}"
                    found.append(f"{row.name}, Δσ {kind} from {PEER_TITLES[key]}: {sizes}.")
        shares = [stage["share"] for stage in row.stages.values() if stage["share"] < UNDISTURBED]
        if shares:
            found.append(f"{row.name}: disturbed; other processes had up to {1 - min(shares):.0%} of the core.")
        # Results of former versions hold no count.
        dropped = sum(stage.get("dropped", 0) for stage in row.stages.values())
        if dropped:
            total = dropped + sum(stage["calls"] for stage in row.stages.values())
            found.append(f"{row.name}: {dropped} of {total} calls had less than 0.9 of the core and were dropped.")
        if row.lists is not None:
            found.append(f"{row.name}: neighbor lists took {row.lists:.1f} s, which the rates leave out.")
    return [*found, *([f"{work['alone']}."] if "alone" in work else [])]


def print_benchmark(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a table for each work."""
    console = Console() if console is None else console
    for name, work in results["works"].items():
        if "skipped" in work:
            console.print(f"{name}: {work['skipped']}\n", highlight=False)
            continue
        listed = list(list_rows(work))
        shown = _shown(listed)
        console.print(format_heading(name, work), style="bold", highlight=False)
        table = plain_table(
            "",
            " " * 19,
            [STAGES[stage].replace(" values", "\nvalues").replace("values, ", "values,\n") for stage in shown],
        )
        for row in listed:
            if row.stages:
                cells = (format_cell(row.stages.get(stage), work.get("n", 0), "\n") for stage in shown)
                table.add_row(row.name, *cells)
            if row.ratios:
                times = [f"{_digits(row.ratios[stage])} x" if stage in row.ratios else "" for stage in shown]
                table.add_row("  jaxfeat is", *times, style="bold")
        console.print(table)
        for line in list_notes(work):
            console.print(line, highlight=False)
        console.print()
    console.print(RATE_LEGEND, style="italic", highlight=False)
    if results.get("smoke"):
        console.print(
            "This is a smoke run with few items and unoptimised programs; its rates mean nothing.", style="bold"
        )


def format_heading(name: str, work: Mapping[str, Any]) -> str:
    count = f": {work['n']} {work['unit']}" if work.get("n") else ""
    return f"{name}, {work.get('title', '')}{count}"


def _shown(listed: Sequence[Row]) -> list[str]:
    return [stage for stage in STAGES if any(stage in row.stages or stage in row.ratios for row in listed)]


def to_markdown(results: Mapping[str, Any]) -> str:
    """Write the same as Markdown: first the ratios, then a table for each work."""
    lines = ["| jaxfeat over | " + " | ".join(STAGES.values()) + " |", "|---" * (len(STAGES) + 1) + "|"]
    for name, work in results["works"].items():
        for row in list_rows(work) if "skipped" not in work else ():
            if row.ratios:
                times = [f"{_digits(row.ratios[stage])}" if stage in row.ratios else "" for stage in STAGES]
                lines.append(f"| {name}, {row.name} | " + " | ".join(times) + " |")
    for name, work in results["works"].items():
        lines += ["", f"### {format_heading(name, work)}", ""]
        if "skipped" in work:
            lines.append(work["skipped"])
            continue
        listed = list(list_rows(work))
        shown = _shown(listed)
        lines += ["| | " + " | ".join(STAGES[stage] for stage in shown) + " |", "|---" * (len(shown) + 1) + "|"]
        lines += [
            f"| {row.name} | "
            + " | ".join(format_cell(row.stages.get(stage), work.get("n", 0)) for stage in shown)
            + " |"
            for row in listed
            if row.stages
        ]
        lines += ["", *(f"- {note}" for note in list_notes(work))]
    return "\n".join(lines) + "\n"


def describe_machine(results: Mapping[str, Any]) -> str:
    """Name the machine and the versions in a sentence."""
    at, versions = results["machine"], results["versions"]
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{at['date']}: {at['processor']}, {at['cores']} cores, {at['system']}; {listed}."
