"""Results as HTML for notebooks: small tables, spark lines, and atoms that turn. All functions take plain values."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from jaxfeat.report.displacement import Scene
from jaxfeat.report.displacement_svg import MOST_ATOMS, draw_svg, turning_script
from jaxfeat.report.palette import CAUSE_COLORS, color_cause
from jaxfeat.report.scan_groups import find_group
from jaxfeat.report.sensitivity import Record, count_null, select_seen, sensitivity
from jaxfeat.report.store_summary import GROUPS
from jaxfeat.report.tables import format_causes
from jaxfeat.report.verdict import group_equivalent, judge_records, name_record

STYLE = (
    "<style>.jaxfeat{font-size:13px;max-width:60em}"
    ".jaxfeat table{border-collapse:collapse;margin:4px 0;font-size:inherit}"
    ".jaxfeat td,.jaxfeat th{padding:1px 10px 1px 0;text-align:left;border:0;background:none}"
    ".jaxfeat th{font-weight:600;border-bottom:1px solid #8888}.jaxfeat td.n,.jaxfeat th.n{text-align:right}"
    ".jaxfeat .scenes{display:flex;flex-wrap:wrap;gap:8px}.jaxfeat figure{margin:0}"
    ".jaxfeat figcaption{font-size:12px;text-align:center}.jaxfeat i.c{display:inline-block;width:9px;height:9px;"
    "border-radius:2px;margin-right:5px}.jaxfeat p{margin:3px 0}</style>"
)
MEANINGS = {
    "rigid": "a motion of all atoms together; not counted as blind",
    "symmetry": "physics: no smooth invariant features see it",
    "incompleteness": "curable: a higher order ν sees it",
    "truncation": "curable: a larger basis sees it",
    "locality": "curable: a larger radius sees it",
    "width": "curable: there are fewer features than directions",
    "other": "its cause cannot be told",
}
MOST_SCENES = 6  # displacements that are drawn
MOST_ROWS = 8  # rows of tables of environments
Displacement = tuple[str, str, Scene]  # a name, the name of a cause, and atoms with arrows

STROKE = 'stroke="currentColor"'
Row = Sequence[Any]


def wrap(title: str, *parts: str) -> str:
    """Put parts under a title, which is text. Its words before a colon are bold."""
    head, _, rest = title.partition(": ")
    return f'<div class="jaxfeat">{STYLE}<p><b>{escape(head)}</b> {escape(rest)}</p>{"".join(parts)}</div>'


def write_table(heads: Sequence[str], rows: Sequence[Row]) -> str:
    """Write a table of HTML cells. Numbers are on the right, and so are heads above numbers."""
    right = [any(isinstance(row[k], int) for row in rows) for k in range(len(heads))]

    def line(tag: str, cells: Row) -> str:
        return "".join(f"<{tag}{' class=n' * right[k]}>{cell}</{tag}>" for k, cell in enumerate(cells))

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{line('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def name_cause(cause: str) -> str:
    """Write the name of a cause after a square of its color. The cause "none" stands for no null direction."""
    words = "no null direction" if cause == "none" else cause
    return f'<i class="c" style="background:{color_cause(cause)}"></i>{escape(words)}'


def write_symbol(symbol: str) -> str:
    """Write a Schoenflies symbol such as "C_2v" with an index below the line."""
    head, line, index = symbol.partition("_")
    return f"{escape(head)}<sub>{escape(index)}</sub>" if line else escape(symbol)


def draw_scenes(found: Sequence[Displacement]) -> str:
    """Draw atoms with arrows, side by side."""
    drawn = [
        draw_svg(scene, name, color_cause(cause)) for name, cause, scene in found if len(scene.places) <= MOST_ATOMS
    ]
    return f'<div class="scenes">{"".join(drawn)}</div>{turning_script()}' if drawn else ""


def show_spectra(title: str, values: np.ndarray, floors: np.ndarray, statuses: Sequence[str]) -> str:
    """Show the spectra of some items, `(b, k)` and `(b,)`: one by its numbers and a spark line, several by the
    distribution of their ratios."""
    rows = [row[np.isfinite(row)] for row in values]
    known = [k for k, row in enumerate(rows) if len(row) and row[0] > 0]
    if len(rows) == 1 and known:
        row, floor = rows[0], float(floors[0])
        cells = [f"{row[0]:.3g}", f"{row[-1] / row[0]:.2g}", f"{floor / row[0]:.0e}", int((row <= floor).sum())]
        table = write_table(
            ["σ<sub>max</sub>", "σ<sub>min</sub>/σ<sub>max</sub>", "floor/σ<sub>max</sub>", "null"], [cells]
        )
        return wrap(title, table, draw_spectrum_line(row, floor))
    counted = [[escape(status), statuses.count(status)] for status in dict.fromkeys(statuses)]
    parts = [write_table(["status", "items"], counted)] if known else []
    ratios = np.asarray([rows[k][-1] / rows[k][0] for k in known])
    below = np.asarray([rows[k][-1] <= floors[k] for k in known], bool)
    return wrap(title, *parts, draw_histogram(ratios[~below], int(below.sum())) if known else "")


def draw_spectrum_line(values: np.ndarray, floor: float) -> str:
    """Draw singular values over the largest one as a spark line. Hollow marks on the floor are null."""
    least = max(float(values[-1]), floor)
    low = min(float(np.log10(least / values[0])), -1.0)
    width, height, step = 260, 54, min(14.0, 250 / len(values))
    y = [4 + height * float(np.log10(max(v, floor) / values[0])) / low for v in values]
    x = [6 + step * k for k in range(len(values))]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    marks = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.4" {STROKE} fill="{"none" if v <= floor else "currentColor"}"/>'
        for a, b, v in zip(x, y, values, strict=True)
    )
    words = f"{'<' if values[-1] <= floor else ''}{least / values[0]:.0e}"
    place = f'x="{x[-1] + 8:.0f}" y="{y[-1] + 3:.0f}"'
    note = f'<text {place} font-size="10" fill="currentColor">{escape(words)}</text>'
    label = f"{len(values)} singular values from 1 to {escape(words)} of the largest"
    return (
        f'<svg role="img" aria-label="{label}" width="{width + 50}" height="{height + 10}">'
        f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1"/>{marks}{note}</svg>'
    )


def draw_histogram(ratios: np.ndarray, n_null: int) -> str:
    """Draw how many items have σ_min/σ_max in each half decade, and how many are below the floor."""
    steps = np.floor(2 * np.log10(ratios)).astype(int) if len(ratios) else np.asarray([-1])
    low, high = int(steps.min()), int(steps.max())
    counts = [int((steps[: len(ratios)] == step).sum()) for step in range(low, high + 1)]
    most, width = max([*counts, n_null, 1]), 10
    bars = [(24 + width * k, n, "#888") for k, n in enumerate(counts)]
    start = 24 + width * len(counts) + 14
    bars += [(start, n_null, CAUSE_COLORS["other"])] if n_null else []
    drawn = "".join(
        f'<rect x="{x}" y="{44 - 40 * n / most:.1f}" width="{width - 1}" height="{40 * n / most:.1f}" fill="{fill}"/>'
        for x, n, fill in bars
    )
    ends = f"1e{low / 2:g}", f"1e{(high + 1) / 2:g}"
    text = '<text y="56" font-size="10" fill="currentColor" x="{}" text-anchor="{}">{}</text>'
    notes = text.format(20, "start", ends[0]) + text.format(24 + width * len(counts), "end", ends[1])
    if n_null:
        notes += f'<text y="40" font-size="10" fill="currentColor" x="{start + 14}">{n_null} with null values</text>'
    label = (
        f"distribution of σ_min/σ_max of {len(ratios)} items from {ends[0]} to {ends[1]}, and {n_null} below the floor"
    )
    return (
        f"<p>σ<sub>min</sub>/σ<sub>max</sub></p>"
        f'<svg role="img" aria-label="{label}" width="{start + 130}" height="60">{drawn}{notes}</svg>'
    )


def show_null_space(
    title: str, counts: Mapping[str, int], symbol: str, reason: str, near: Sequence[Row], scenes: Sequence[Displacement]
) -> str:
    """Show the number of null directions by cause, what each cause means, nearly null directions if they are known,
    and some directions as arrows."""
    where = {"symmetry": f" ({write_symbol(symbol)})"} if symbol else {}
    listed = [cause for cause in CAUSE_COLORS if counts.get(cause)]
    rows = [[name_cause(cause) + where.get(cause, ""), counts[cause], MEANINGS[cause]] for cause in listed]
    parts = [write_table(["cause", "directions", ""], rows)] if rows else [f"<p>{escape(reason)}</p>"]
    return wrap(title, *parts, show_near(near) if near else "", draw_scenes(scenes[:MOST_SCENES]))


def show_near(rows: Sequence[Row]) -> str:
    """Show groups of nearly null directions: cause, number, symbol, distance in Å, and range of singular values."""
    cells = [
        [name_cause(str(cause)), n, write_symbol(str(symbol)), *map(escape, map(str, rest))]
        for cause, n, symbol, *rest in rows
    ]
    return write_table(["nearly null", "directions", "symmetry there", "distance", "σ here"], cells)


def show_atoms(title: str, rows: Sequence[Row], scene: Scene | None) -> str:
    """Show a batch as rows of species, or one environment or structure as a drawing."""
    table = write_table(["center", "items", "atoms around it"], rows) if rows else ""
    return wrap(title, table, draw_scenes([("", "none", scene)]) if scene is not None else "")


def show_scan(records: Sequence[Record]) -> str:
    """Show the verdict of a scan, the numbers of environments by worst cause, and the environments to look at first."""
    item = "structure" if records and "n_atoms" in records[0] else "environment"
    # Records of structures lack what groups of equivalent environments agree in.
    missing = {"species": "", "n_neighbors": 0}
    records = [{**missing, "name": f"structure {record['structure']}", **record} for record in records]
    seen = select_seen(records)
    causes = {group: sum(find_group(record) == group for record in seen) for group in GROUPS}
    shares = [[name_cause(group), n] for group, n in causes.items() if n]
    rows = []
    for members in group_equivalent(records)[:MOST_ROWS]:
        record = records[members[0]]
        ratios = [escape(str(sensitivity(record, equilibrated=kind))) for kind in (True, False)]
        times = f" ×{len(members)}" if len(members) > 1 else ""
        cause = format_causes(record["null"]) or (
            "" if find_group(record) == "none" else f"nearly {find_group(record)}"
        )
        rows.append([escape(name_record(record)) + times, *ratios, count_null(record), escape(cause)])
    heads = [item, "σ<sub>min</sub>/σ<sub>max</sub>, equilibrated", "raw", "null", "cause"]
    parts = [f"<p>{escape(str(judge_records(records, item)))}</p>", write_table(["worst cause", f"{item}s"], shares)]
    return wrap("Scan", *parts, write_table(heads, rows) if rows else "")


def show_kinds(title: str, rows: Sequence[Row], scenes: Sequence[Displacement]) -> str:
    """Show kinds of singular points: counts of null directions, symmetry, dimension, points, distinct ones."""
    heads = ["", "null directions", "symmetry", "dimension", "points", "distinct"]
    return wrap(title, write_table(heads, rows) if rows else "", draw_scenes(scenes[:MOST_SCENES]))
