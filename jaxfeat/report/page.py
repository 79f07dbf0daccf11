"""The page about a sweep, which needs neither network nor other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

from jaxfeat.report.advice import explain_bases, recommend_basis
from jaxfeat.report.convergence import BASIS_HEADERS, BASIS_LEGEND, basis_rows
from jaxfeat.report.distribution_plot import GROUP_COLORS, name_species, plot_distributions, to_svg
from jaxfeat.report.html_elements import format_number, format_share, make_section, make_table, mark_count
from jaxfeat.report.sensitivity import Record, Sensitivity
from jaxfeat.report.store_summary import AMBIGUOUS, Distribution, Example, StoreSummary
from jaxfeat.report.viewer import MISSING, Viewer, embed_licence, embed_viewer

MEANINGS = {
    "symmetry": "A symmetry of the environment hides these directions from every smooth invariant. This is physics.",
    "incompleteness": "Correlations of this body order see these directions in no basis; a higher order does.",
    "truncation": "A larger n_max or l_max sees these directions.",
    "locality": "These directions move neighbors beyond the cutoff; a larger r_cut sees them.",
    "other": "The cause is unknown.",
    "ambiguous": "The environment is nearly symmetric or singular, for example because positions are rounded. The "
    "cause is not certain.",
}
"""Meanings of the kinds of null directions, without rigid motions."""

GROUP_TITLES = {
    "incompleteness": "incompleteness",
    "truncation": "truncation",
    "locality": "locality",
    "other": "cause unknown",
    "ambiguous": "ambiguous",
    "symmetry": "symmetry",
    "none": "least sensitive",
}


class Exhibit(NamedTuple):
    """An environment to show.

    **Attributes:**

    - `example`: The environment in the store.
    - `neighbors`: The numbers of neighbors by species, in words; empty if unknown.
    - `cause`: Cause and cure, in a sentence; empty if unknown.
    - `scene`: The scene that `viewer.make_scene` makes, or `None`.
    """

    example: Example
    neighbors: str = ""
    cause: str = ""
    scene: dict[str, Any] | None = None


class BasisAdvice(NamedTuple):
    """Records of the bases of a grid, or the reason that there are none.

    **Attributes:**

    - `records`: One record for each basis.
    - `whose`: The environments that the records describe, in words.
    - `own`: n_max and l_max of the sweep itself.
    - `missing`: The reason that there are no records, in a sentence.
    """

    records: Sequence[Record] = ()
    whose: str = ""
    own: tuple[int, int] = (0, 0)
    missing: str = ""


def render_page(
    title: str,
    descriptor: Mapping[str, Any],
    attributes: Mapping[str, Any],
    summary: StoreSummary,
    exhibits: Sequence[Exhibit],
    basis: BasisAdvice,
    symbols: Sequence[str],
    made: Mapping[str, str],
    lacking: str,
    shown: Viewer | None,
) -> str:
    """Write the page as HTML.

    **Arguments:**

    - `title`: The name of the input.
    - `descriptor`: The spec of the featurizer.
    - `attributes`: The attributes of the store.
    - `summary`: The summary of the store.
    - `exhibits`: The most blind environments.
    - `basis`: Records for the advice on the basis.
    - `symbols`: Chemical symbols by atomic number.
    - `made`: Facts about the making of the page, by name.
    - `lacking`: The reason that directions and causes are missing, in a sentence; empty if they are not.
    - `shown`: The viewer, or `None`.
    """
    css = files("jaxfeat.report").joinpath("page.css").read_text(encoding="utf-8")
    complete = bool(attributes.get("complete", 0)) and summary.done == summary.total
    body = [
        f"<h1>Blind spots of the descriptor: {escape(title)}</h1>",
        f'<p class="lead">{escape(_describe(descriptor))}</p>',
        "" if complete else _note_incomplete(summary),
        make_section("Summary", _write_summary(summary, symbols)),
        make_section("Sensitivity", _write_sensitivity(summary, symbols)),
        make_section("The most blind environments", _write_exhibits(exhibits, summary, symbols, lacking, shown)),
        make_section("Which basis these environments need", _write_basis(basis)),
        make_section(
            "Provenance", _write_provenance(attributes, made, complete) + (embed_licence(shown) if shown else "")
        ),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - jaxfeat report</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, body))
        + "\n</main>\n</body>\n</html>\n"
    )


def _note_incomplete(summary: StoreSummary) -> str:
    return (
        '<p class="incomplete" role="status"><strong>This sweep is not complete.</strong> '
        f"{format_number(summary.done)} of {format_number(summary.total)} environments in the store are done, and this "
        "page describes only these.</p>"
    )


def _write_summary(summary: StoreSummary, symbols: Sequence[str]) -> str:
    seen, raw = summary.distributions()
    species = [f"{_symbol(n, symbols)} ({format_number(count)})" for n, count in summary.environments.most_common()]
    rows: list[tuple[str, str]] = [
        ("Environments", format_number(summary.done)),
        ("Structures", format_number(summary.structures)),
        ("Species of the centers", ", ".join(species)),
        ("Status", ", ".join(f"{name} ({format_number(count)})" for name, count in summary.statuses.most_common())),
        ("With null directions", _count_with_share(sum(summary.blind.values()), summary.done)),
        ("σ<sub>min</sub>/σ<sub>max</sub>, equilibrated", _median_and_least(seen)),
        ("σ<sub>min</sub>/σ<sub>max</sub>, raw", _median_and_least(raw)),
        ("Floor over σ<sub>max</sub>, equilibrated", _median_and_range(summary.floors["equilibrated"])),
        ("Floor over σ<sub>max</sub>, raw", _median_and_range(summary.floors["raw"])),
        ("Values certified by QR", _count_with_share(summary.certified, summary.done)),
    ]
    kinds = [kind for kind in MEANINGS if kind in summary.kinds]
    directions = {kind: sum(summary.directions[n, kind] for n in summary.environments) for kind in kinds}
    blind = {kind: sum(summary.blind[n, kind] for n in summary.environments) for kind in kinds}
    lines = [
        (
            _name_group(kind),
            mark_count(blind[kind]),
            format_share(blind[kind], summary.done),
            format_number(directions[kind]),
            MEANINGS[kind],
        )
        for kind in kinds
    ]
    total = sum(blind.values())
    by_cause = make_table(
        ("Cause", "Environments", "Share", "Null directions", "Meaning"),
        [
            *lines,
            ("all", mark_count(total), format_share(total, summary.done), format_number(sum(directions.values())), ""),
        ],
        caption="Null directions by cause: equilibrated singular values at or below their floor, without rigid "
        "motions. An environment with several causes counts once, for the worst.",
        numbers=(1, 2, 3),
    )
    ambiguous = summary.statuses["ambiguous"]
    note = (
        f'<p class="note">{format_number(ambiguous)} environments are ambiguous: they are nearly, but not exactly, '
        f"symmetric or singular. {format_number(blind['ambiguous'])} of them have null directions.</p>"
        if ambiguous
        else ""
    )
    return make_table(("", ""), rows, head=False) + by_cause + note


def _median_and_least(part: Distribution) -> str:
    median, least = part.median(), part.smallest()
    return f"median {_format_ratio(median)}, least {_format_ratio(least)}"


def _median_and_range(part: Distribution) -> str:
    if not part.total:
        return "-"
    return f"median {_format_ratio(part.median())}, from {part.least:.1e} to {part.most:.1e}"


def _write_sensitivity(summary: StoreSummary, symbols: Sequence[str]) -> str:
    figure = plot_distributions(summary, symbols)
    if figure is None:
        return "<p>No environment has a direction that is not rigid.</p>"
    drawn = to_svg(
        figure, "Histograms of the sensitivity ratio by species of the center; the table below has the medians"
    )
    causes = [kind for kind in MEANINGS if any(summary.blind[n, kind] for n in summary.environments)]
    rows = []
    for number, count in summary.environments.most_common():
        both = summary.distributions(number)
        ratios = [_format_ratio(found) for part in both for found in (part.median(), part.smallest())]
        rows.append(
            (
                _symbol(number, symbols),
                format_number(count),
                *ratios,
                *(mark_count(summary.blind[number, c]) for c in causes),
            )
        )
    heads = ("Center", "Environments", "Equilibrated: median", "least", "Raw: median", "least")
    return (
        "<p>σ<sub>min</sub>/σ<sub>max</sub> of the Jacobian compares the displacement that the features see least with "
        "the one that they see most. <em>Equilibrated</em> ratios give all neighbors the same weight, so that an atom "
        "in the tail of the cutoff does not count as unseen; judge blindness by these. A ratio below the floor of the "
        "arithmetic cannot be told from zero.</p>"
        f"<figure>{drawn}<figcaption>Equilibrated ratios by species of the center. Colors show the worst cause of each "
        "environment. Each row has its own scale of height.</figcaption></figure>"
        + make_table(
            (*heads, *causes), rows, numbers=range(1, len(heads) + len(causes)),
            caption="By species of the center. The last columns count environments with null directions by cause.",
        )
    )  # fmt: skip


def _write_exhibits(
    exhibits: Sequence[Exhibit], summary: StoreSummary, symbols: Sequence[str], lacking: str, shown: Viewer | None
) -> str:
    if not exhibits:
        return "<p>No environment has a direction that is not rigid.</p>"
    scenes = [exhibit.scene for exhibit in exhibits if exhibit.scene is not None]
    if lacking:
        words = f"{lacking} Therefore the page has no 3D view, no causes in words and no advice on the basis."
        picture = f'<p class="missing">{escape(words)}</p>'
    elif shown is None:
        picture = f'<p class="missing">{escape(MISSING)}</p>'
    else:
        picture = embed_viewer(shown, scenes)
    heads = [
        "Kind",
        *(["3D"] if shown is not None and scenes else []),
        "Structure",
        "Center",
        "Neighbors",
        "Equilibrated",
        "Raw",
        "Null directions",
    ]
    heads += [] if lacking else ["Cause and cure"]
    rows, at = [], 0
    for one in exhibits:
        example = one.example
        counts = [
            f"{AMBIGUOUS if example.status == AMBIGUOUS else cause} {n}"
            for cause, n in zip(summary.causes, example.null, strict=True)
            if n and cause != "rigid"
        ]
        name = f"{_symbol(example.species, symbols)} {example.center}"
        cells = [_name_group(example.group)]
        if shown is not None and scenes:
            label = f"Show {name} of structure {example.structure}"
            pressed = f'data-scene="{at}" aria-pressed="false" aria-label="{escape(label)}"'
            cells.append(f'<button type="button" {pressed}>Show</button>' if one.scene is not None else "")
            at += one.scene is not None
        cells += [
            str(example.structure),
            name,
            escape(one.neighbors) or str(example.n_neighbors),
            _format_ratio(example.equilibrated),
            _format_ratio(example.raw),
            escape(", ".join(counts)) or "none",
        ]
        cells += [] if lacking else [escape(one.cause) or "-"]
        rows.append(tuple(cells))
    caption = (
        "The most blind environments of each kind: up to four, and one for each species of a structure. Structures and "
        "atoms count from 0. Ratios are σ<sub>min</sub>/σ<sub>max</sub>; &lt; marks a ratio below its floor."
    )
    first = heads.index("Structure")
    return picture + make_table(heads, rows, caption=caption, numbers=(first, first + 3, first + 4))


def _write_basis(basis: BasisAdvice) -> str:
    if basis.missing:
        return f"<p>{escape(basis.missing)}</p>"
    rows, marked = [], []
    for row in basis_rows(basis.records):
        sizes = (row.sizes[0], row.sizes[1])
        mark = row.mark + ("°" if tuple(map(int, sizes)) == basis.own else "")
        rows.append((*row.sizes, mark, *map(mark_count, row.counts), *map(escape, row.ratios)))
        marked.append(bool(row.mark))
    heads = [head.replace("-\n", "").replace("\n", " ") for head in BASIS_HEADERS]
    legend = f"{BASIS_LEGEND} ° marks the basis of this sweep."
    return (
        f"<p><strong>{escape(recommend_basis(basis.records))}</strong></p><ul>"
        + "".join(f"<li>{escape(sentence)}</li>" for sentence in explain_bases(basis.records))
        + "</ul>"
        + make_table(
            heads, rows, caption=f"σ<sub>vis</sub>/σ<sub>max</sub> by basis: {escape(basis.whose)}",
            numbers=range(len(heads)), marked=marked,
        )
        + f'<p class="note">{escape(legend)}</p>'
    )  # fmt: skip


def _write_provenance(attributes: Mapping[str, Any], made: Mapping[str, str], complete: bool) -> str:
    rows = [(escape(str(name)), escape(str(value)) or "-") for name, value in attributes.items()]
    rows += [(escape(name), escape(value)) for name, value in made.items()]
    state = "complete" if complete else "not complete"
    return make_table(("Attribute", "Value"), rows, caption=f"Attributes of the store, which is {state}.")


def _describe(descriptor: Mapping[str, Any]) -> str:
    words = [str(descriptor.get("kind", "a featurizer of the user"))]
    for name, value in descriptor.items():
        if name == "kind" or value is None or isinstance(value, Mapping):
            continue
        several = value if isinstance(value, (list, tuple)) else [value]
        words.append(f"{name} {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in several)}")
    return ", ".join(words)


def _name_group(group: str) -> str:
    return f'<span class="swatch" style="background: {GROUP_COLORS[group]}"></span>{GROUP_TITLES[group]}'


def _count_with_share(n: int, total: int) -> str:
    return f"{format_number(n)} ({format_share(n, total)})"


def _format_ratio(ratio: Sensitivity | None) -> str:
    return "-" if ratio is None else escape(str(ratio))


def _symbol(number: int, symbols: Sequence[str]) -> str:
    return escape(name_species(number, symbols))
