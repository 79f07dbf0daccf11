"""Tables of a page: null directions by cause, sensitivities by species, floors and certification, and bases."""

from collections.abc import Sequence
from html import escape

from jaxfeat.report.advice import explain_bases, recommend_basis
from jaxfeat.report.convergence import BASIS_HEADERS, BASIS_LEGEND, basis_rows
from jaxfeat.report.distribution_plot import name_species
from jaxfeat.report.html_elements import format_number, make_table, mark_count, write_formulas
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.sensitivity import Record
from jaxfeat.report.store_summary import AMBIGUOUS, GROUPS, Distribution, StoreSummary
from jaxfeat.report.tables import format_percent
from jaxfeat.report.verdict import CURABLE

GROUP_TITLES = {"other": "cause unknown", "none": "least sensitive"}  # titles of the groups whose names say too little


def title_group(group: str) -> str:
    """Write the title of a group with its color."""
    name = GROUP_TITLES.get(group, group)
    swatch = f'<span class="swatch" style="background: {CAUSE_COLORS[group]}"></span>'
    return f'<span class="title">{swatch}{name}</span>'


def count_blind(summary: StoreSummary) -> dict[str, int]:
    """Count the environments with null directions by their worst cause."""
    found = {kind: sum(summary.blind[n, kind] for n in summary.environments) for kind in GROUPS if kind != "none"}
    return {kind: n for kind, n in found.items() if n}


def write_causes(summary: StoreSummary) -> str:
    """Write the table of the causes that were found."""
    blind = count_blind(summary)
    if not blind:
        return ""
    directions = {kind: sum(summary.directions[n, kind] for n in summary.environments) for kind in blind}
    lines = [(title_group(kind), kind, n, directions[kind]) for kind, n in blind.items()]
    if len(blind) > 1:
        lines.append(("all", "none", sum(blind.values()), sum(directions.values())))
    return make_table(
        ("Cause", "Environments", "Share", "Null directions"),
        [(head, _mark(n, kind), _share(n, summary), format_number(many)) for head, kind, n, many in lines],
        caption="Null directions by cause: equilibrated singular values at or below their floor, without rigid "
        "motions. An environment with several causes counts once, for the worst.",
        numbers=(1, 2, 3),
    )


def write_species(summary: StoreSummary, symbols: Sequence[str]) -> str:
    """Write the table of equilibrated sensitivities by species."""
    blind = count_blind(summary)
    rows = []
    for number, count in summary.environments.most_common():
        part = summary.distributions(number)[0]
        counts = [_mark(summary.blind[number, kind], kind) for kind in blind]
        ratios = (format_ratio(part.median()), format_ratio(part.smallest()))
        rows.append((escape(name_species(number, symbols)), format_number(count), *ratios, *counts))
    heads = ("Center", "Environments", "Median", "Least", *(GROUP_TITLES.get(kind, kind) for kind in blind))
    caption = "Equilibrated σ<sub>min</sub>/σ<sub>max</sub> by species of the center."
    caption += " The last columns count environments with null directions by cause." if blind else ""
    return make_table(heads, rows, caption=caption, numbers=range(1, len(heads)), wide=bool(blind))


def write_floors(summary: StoreSummary, symbols: Sequence[str]) -> str:
    """Write tables of statuses, floors, certified values, and raw sensitivities."""
    species = [
        f"{name_species(n, symbols)} ({format_number(count)})" for n, count in summary.environments.most_common()
    ]
    statuses = [f"{name} ({format_number(count)})" for name, count in summary.statuses.most_common()]
    rows = [
        ("Environments", format_number(summary.done)),
        ("Structures", format_number(summary.structures)),
        ("Species of the centers", escape(", ".join(species))),
        ("Status", escape(", ".join(statuses))),
        ("Floor over σ<sub>max</sub>, equilibrated", _median_and_range(summary.floors["equilibrated"])),
        ("Floor over σ<sub>max</sub>, raw", _median_and_range(summary.floors["raw"])),
        ("Values certified by QR", f"{format_number(summary.certified)} ({_share(summary.certified, summary)})"),
    ]
    raw = [
        (escape(name_species(n, symbols)), format_ratio(part.median()), format_ratio(part.smallest()))
        for n, _ in summary.environments.most_common()
        for part in [summary.distributions(n)[1]]
    ]
    caption = "Raw σ<sub>min</sub>/σ<sub>max</sub> by species of the center."
    return make_table((), rows, caption="All environments.") + make_table(
        ("Center", "Median", "Least"), raw, caption=caption, numbers=(1, 2)
    )


def write_bases(records: Sequence[Record], whose: str, own: tuple[int, int]) -> str:
    """Write the recommended basis and the table of all bases. `own` are n_max and l_max of the sweep."""
    rows, marked = [], []
    for k, row in enumerate(basis_rows(records)):
        mark = row.mark + ("°" if tuple(map(int, row.sizes[:2])) == own else "")
        rows.append((*row.sizes, mark, *map(mark_count, row.counts), *map(escape, row.ratios)))
        marked += [k] if row.mark else []
    heads = [head.replace("-\n", "").replace("\n", " ") for head in BASIS_HEADERS]
    # A column of marks needs a head for those who hear the table.
    heads = [head.strip() or "mark" for head in heads]
    caption = f"σ<sub>vis</sub>/σ<sub>max</sub> by basis: {escape(whose)}"
    sentences = "".join(f"<li>{write_formulas(sentence)}</li>" for sentence in explain_bases(records))
    return (
        f"<p><strong>{write_formulas(recommend_basis(records))}</strong></p><ul>{sentences}</ul>"
        + make_table(heads, rows, caption=caption, numbers=range(len(heads)), marked=marked, wide=True)
        + f'<p class="note">{write_formulas(BASIS_LEGEND)} ° marks the basis of this sweep.</p>'
    )


def format_ratio(ratio: object) -> str:
    """Write a sensitivity as HTML; a dash if there is none."""
    return escape(str(ratio or "-"))


def _mark(n: int, kind: str) -> str:
    """Write a count, in red if it is of something wrong."""
    return mark_count(n) if kind in CURABLE or kind == AMBIGUOUS else format_number(n)


def _share(n: int, summary: StoreSummary) -> str:
    return f"{escape(format_percent(n, summary.done))} %"


def _median_and_range(part: Distribution) -> str:
    return f"median {format_ratio(part.median())}, from {part.least:.1e} to {part.most:.1e}" if part.total else "-"
