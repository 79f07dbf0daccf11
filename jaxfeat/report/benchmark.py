"""Tables and a picture of the speed of jaxfeat beside its peers, as `jaxfeat bench` measured it."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from rich.console import Console

from jaxfeat.report.figures import Maker, add_legend, open_axes, say_nothing_to_draw, style
from jaxfeat.report.tables import open_console, plain_table

STAGES = {
    "features": "features",
    "jacobian": "Jacobian",
    "values": "singular values",
    "screened": "values, screened",
    "vectors": "U, S, V",
}
STAGE_COLORS = dict(zip(STAGES, ("#999999", "#0072B2", "#D55E00", "#E69F00", "#009E73"), strict=True))
TITLES = {"dscribe": "DScribe", "reference": "the reference path"}  # names for readers, where packages have others
UNDISTURBED = 0.95  # share of a core that a process gets if no other process uses the core

RATE_LEGEND = (
    "Items per second on one core in float64. Brackets hold the seconds of compilation, if above 0.1, and the growth "
    "of memory in MB. jaxfeat computes V with its singular values, and no U. Screened values have a higher floor, "
    "which comes with them. Δσ is the largest difference of singular values: relative to the largest value of the "
    "item, and for values above 1e-6 of the largest, relative to the value itself."
)


class Row(NamedTuple):
    """Results of one package at one work; `ratios` are jaxfeat's rate over that of the package, by stage."""

    name: str
    stages: Mapping[str, Any]
    ratios: Mapping[str, float]
    notes: Sequence[str]


def list_rows(work: Mapping[str, Any]) -> Iterator[Row]:
    """List the rows of jaxfeat, one for each variant, each before its peers; then the packages without a variant."""
    packages = dict(work["packages"])
    ours = packages.pop("jaxfeat", {})
    for variant, found in ours.get("variants", {}).items():
        yield _make_row(f"jaxfeat, {variant}", found)
        for key in found["beside"]:
            yield _make_row(key, packages.pop(key), found["stages"])
    for n, found in ours.get("runs", {}).items():
        yield _make_row(f"jaxfeat, {int(n):,}", {"stages": {"values": found | {"n": int(n)}}})
    if "failed" in ours:
        packages = {"jaxfeat": ours} | packages
    for key, found in packages.items():
        yield _make_row(key, found)


def _make_row(key: str, found: Mapping[str, Any], ours: Mapping[str, Any] = MappingProxyType({})) -> Row:
    """Make the row of a package. `ours` are jaxfeat's measurements by stage if the package is a peer beside it."""
    name, stages, notes = TITLES.get(key, key), found.get("stages", {}), []
    if "skipped" in found or "failed" in found:
        notes.append(f"{name}: {found.get('skipped') or 'failed: ' + found['failed']}")
    for other, kinds in found.get("differences", {}).items():
        for kind, apart in kinds.items():
            if apart is not None:
                sizes = f"{apart['of_largest']:.0e}, {apart['each']:.0e}"
                notes.append(f"{name}, Δσ {kind} from {TITLES.get(other, other)}: {sizes}.")
    if (share := min((stage["share"] for stage in stages.values()), default=1.0)) < UNDISTURBED:
        notes.append(f"{name}: disturbed; other processes had up to {1 - share:.0%} of the core.")
    # Results of former versions hold no count.
    if dropped := sum(stage.get("dropped", 0) for stage in stages.values()):
        n_calls = dropped + sum(stage["calls"] for stage in stages.values())
        notes.append(f"{name}: {dropped} of {n_calls} calls had less than 0.9 of the core and were dropped.")
    if "lists" in found:
        notes.append(f"{name}: neighbor lists took {found['lists']:.1f} s, which the rates leave out.")
    # A peer screens no values, so its values stand beside jaxfeat's screened ones too.
    peer = stages | ({"screened": stages["values"]} if "values" in stages else {})
    ratios = {s: peer[s]["seconds"] / ours[s]["seconds"] for s in STAGES if s in peer and s in ours}
    return Row(name, stages, ratios, notes)


def describe_works(
    results: Mapping[str, Any],
) -> Iterator[tuple[str, Mapping[str, Any], list[Row], list[str], list[str]]]:
    """Yield the heading of each work, its results, its rows, the stages that have a column, and the notes."""
    for name, work in results["works"].items():
        heading = ", ".join(filter(None, (name, work.get("title"))))
        heading += f": {work['n']} {work['unit']}" if work.get("n") else ""
        rows = list(list_rows(work))
        shown = [stage for stage in STAGES if any(stage in row.stages or stage in row.ratios for row in rows)]
        notes = [note for row in rows for note in row.notes] + ([f"{work['alone']}."] if "alone" in work else [])
        yield heading, work, rows, shown, notes


def list_ratios(results: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    """List jaxfeat's rate over that of each peer by stage, under the name of the work and the peer."""
    works = results["works"].items()
    return [(f"{name}, {row.name}", row.ratios) for name, work in works for row in list_rows(work) if row.ratios]


def format_cell(stage: Mapping[str, Any] | None, work: Mapping[str, Any], between: str = " ") -> str:
    """Write a rate, the compile time and the memory, with `between` between them."""
    if stage is None:
        return "-"
    compiled = f"{stage['compile']:.1f} s,{between}" if stage["compile"] > 0.1 else ""
    # Some systems do not report memory.
    memory = "?" if stage["memory"] is None or np.isnan(stage["memory"]) else f"{max(stage['memory'], 0):.0f}"
    return f"{format_digits(stage.get('n', work.get('n', 0)) / stage['seconds'])}{between}({compiled}{memory})"


def format_digits(x: float) -> str:
    """Write a number with three digits, or all those before the point."""
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def print_benchmark(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a table for each work."""
    console = console or open_console()
    for heading, work, rows, shown, notes in describe_works(results):
        if "skipped" in work:
            console.print(f"{heading}: {work['skipped']}\n", markup=False)
            continue
        console.print(heading, style="bold")
        heads = [STAGES[stage].replace(" values", "\nvalues").replace("values, ", "values,\n") for stage in shown]
        table = plain_table("", " " * 19, heads)
        for row in rows:
            if row.stages:
                table.add_row(row.name, *(format_cell(row.stages.get(stage), work, "\n") for stage in shown))
            if row.ratios:
                times = [f"{format_digits(row.ratios[stage])} x" if stage in row.ratios else "" for stage in shown]
                table.add_row("  jaxfeat is", *times, style="bold")
        console.print(table)
        console.print("\n".join([*notes, ""]), markup=False)
    console.print(RATE_LEGEND, style="italic")
    if results.get("smoke"):
        warning = "This is a smoke run with few items and unoptimised programs; its rates mean nothing."
        console.print(warning, style="bold")


@style()
def plot_rates(
    results: Mapping[str, Any], title: str | None = None, ax: Any = None, make: Maker = Figure
) -> list[Axes]:
    """Draw the rate of jaxfeat over that of each peer, by work and stage, on a logarithmic axis."""
    rows = list_ratios(results)
    (axes,) = open_axes(ax, (7.0, 1.0 + 0.32 * max(len(rows), 2)), title, make)
    if not rows:
        say_nothing_to_draw([axes], "no peer was timed")
        return [axes]
    for stage, name in STAGES.items():
        points = [(ratios[stage], k) for k, (_, ratios) in enumerate(rows) if stage in ratios]
        if points:
            axes.plot(*zip(*points, strict=True), "o", ms=6, color=STAGE_COLORS[stage], label=name)
    axes.axvline(1, color="#000000", lw=0.8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", which="both", lw=0.3)
    axes.set_xlabel("jaxfeat's rate over the peer's, one core, float64")
    add_legend(axes)
    return [axes]
