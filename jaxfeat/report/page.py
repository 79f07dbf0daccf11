"""The page about a sweep, which needs neither network nor other files."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from jaxfeat.report.advice import explain_bases, recommend_basis
from jaxfeat.report.convergence import BASIS_HEADERS, BASIS_LEGEND, basis_rows
from jaxfeat.report.distribution_plot import name_species, plot_distributions, to_svg
from jaxfeat.report.html_elements import fill_template, format_number, make_table, mark_count, read_resource
from jaxfeat.report.palette import CAUSE_COLORS
from jaxfeat.report.sensitivity import Record
from jaxfeat.report.store_summary import AMBIGUOUS, Distribution, Example, StoreSummary
from jaxfeat.report.tables import format_causes, format_percent
from jaxfeat.report.verdict import judge_summary
from jaxfeat.report.viewer import MISSING, Viewer, embed_licence, embed_viewer

MEANINGS = {  # meanings of the kinds of null directions, without rigid motions
    "symmetry": "A symmetry of the environment hides these directions from every smooth invariant. This is physics.",
    "incompleteness": "Correlations of this body order see these directions in no basis; a higher order does.",
    "truncation": "A larger n_max or l_max sees these directions.",
    "locality": "These directions move neighbors beyond the cutoff; a larger r_cut sees them.",
    "width": "There are fewer features than directions; more features see these.",
    "other": "The cause is unknown.",
    "ambiguous": "Neither the Jacobian nor an exact geometry nearby tells the cause.",
}

MEANINGS_FOR_MODELS = MEANINGS | {  # whose basis is not a matter of n_max and l_max
    "incompleteness": "Correlations of this body order see these directions in no basis; a higher correlation order or "
    "another layer does.",
    "truncation": "A larger basis of the same order sees these directions.",
    "locality": "These directions move neighbors beyond the reach; a larger cutoff or another layer sees them.",
    "width": "There are fewer features than directions; more features, for example channels, see these.",
    "other": "The cause is unknown, for example because no order is declared. A higher correlation order or another "
    "layer may see these directions.",
}

OF_AN_ORDER = ("incompleteness", "truncation")  # kinds that only features with a declared order ν have
GROUP_TITLES = {"other": "cause unknown", "none": "least sensitive"}  # titles of the groups whose names say too little


class Exhibit(NamedTuple):
    """An environment with its numbers of neighbors, cause and cure in words if known, and a scene of `make_scene`."""

    example: Example
    neighbors: str = ""
    cause: str = ""
    scene: dict[str, Any] | None = None


class BasisAdvice(NamedTuple):
    """Records of bases for some environments, or a sentence why they are `missing`. The sweep's `own` sizes."""

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
    of_model: bool = False,
    ordered: bool = True,
) -> str:
    """Write the page as HTML from the featurizer's spec, the store's attributes, and facts about how the page was
    `made`. `lacking` is a sentence why directions and causes are missing, or empty. `of_model` is True for features of
    models and functions, and `ordered` False if they declare no order ν."""
    meanings = MEANINGS_FOR_MODELS if of_model else MEANINGS
    if not ordered:
        meanings = {kind: why for kind, why in meanings.items() if kind not in OF_AN_ORDER}
    complete = bool(attributes.get("complete", 0)) and summary.done == summary.total
    incomplete = (
        '<p class="incomplete" role="status"><strong>This sweep is not complete.</strong> '
        f"{format_number(summary.done)} of {format_number(summary.total)} environments in the store are done, and this "
        "page describes only these.</p>"
    )
    facts = [(escape(str(name)), escape(str(value)) or "-") for name, value in {**attributes, **made}.items()]
    state = "complete" if complete else "not complete"
    provenance = make_table(("Attribute", "Value"), facts, caption=f"Attributes of the store, which is {state}.")
    return fill_template(
        "page.html",
        title=escape(title),
        css=read_resource("page.css"),
        verdict=escape(str(judge_summary(summary, symbols, ordered=ordered))),
        descriptor=escape(_describe(descriptor)),
        incomplete="" if complete else incomplete,
        summary=_write_summary(summary, symbols, meanings),
        sensitivity=_write_sensitivity(summary, symbols),
        exhibits=_write_exhibits(exhibits, summary, symbols, lacking, shown),
        basis=_write_basis(basis),
        provenance=provenance + (embed_licence(shown) if shown else ""),
    )


def _describe(descriptor: Mapping[str, Any]) -> str:
    words = [str(descriptor.get("kind", "a featurizer of the user"))]
    for name, value in descriptor.items():
        if name == "kind" or value is None or isinstance(value, Mapping):
            continue
        several = value if isinstance(value, (list, tuple)) else [value]
        words.append(f"{name} {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in several)}")
    return ", ".join(words)


def _write_summary(summary: StoreSummary, symbols: Sequence[str], meanings: Mapping[str, str]) -> str:
    species = [f"{_symbol(n, symbols)} ({format_number(count)})" for n, count in summary.environments.most_common()]
    statuses = [f"{name} ({format_number(count)})" for name, count in summary.statuses.most_common()]
    blind, directions = (
        {kind: sum(counts[n, kind] for n in summary.environments) for kind in meanings if kind in summary.kinds}
        for counts in (summary.blind, summary.directions)
    )
    n_blind = sum(blind.values())
    equilibrated, raw = summary.distributions()
    rows = [
        ("Environments", format_number(summary.done)),
        ("Structures", format_number(summary.structures)),
        ("Species of the centers", ", ".join(species)),
        ("Status", ", ".join(statuses)),
        ("With null directions", f"{format_number(n_blind)} ({_share(n_blind, summary)})"),
        ("σ<sub>min</sub>/σ<sub>max</sub>, equilibrated", _median_and_least(equilibrated)),
        ("σ<sub>min</sub>/σ<sub>max</sub>, raw", _median_and_least(raw)),
        ("Floor over σ<sub>max</sub>, equilibrated", _median_and_range(summary.floors["equilibrated"])),
        ("Floor over σ<sub>max</sub>, raw", _median_and_range(summary.floors["raw"])),
        ("Values certified by QR", f"{format_number(summary.certified)} ({_share(summary.certified, summary)})"),
    ]
    lines = [(_title(kind), blind[kind], directions[kind], why) for kind, why in meanings.items() if kind in blind]
    by_cause = make_table(
        ("Cause", "Environments", "Share", "Null directions", "Meaning"),
        [
            (head, mark_count(n), _share(n, summary), format_number(n_directions), meaning)
            for head, n, n_directions, meaning in [*lines, ("all", n_blind, sum(directions.values()), "")]
        ],
        caption="Null directions by cause: equilibrated singular values at or below their floor, without rigid "
        "motions. An environment with several causes counts once, for the worst.",
        numbers=(1, 2, 3),
    )
    note = ""
    if ambiguous := summary.statuses[AMBIGUOUS]:
        note = (
            f'<p class="note">{format_number(ambiguous)} environments are ambiguous: neither the Jacobian nor an exact '
            f"geometry nearby tells the cause. {format_number(blind[AMBIGUOUS])} of them have null directions.</p>"
        )
    return make_table((), rows) + by_cause + note


def _median_and_least(part: Distribution) -> str:
    return f"median {_format(part.median())}, least {_format(part.smallest())}"


def _median_and_range(part: Distribution) -> str:
    return f"median {_format(part.median())}, from {part.least:.1e} to {part.most:.1e}" if part.total else "-"


def _write_sensitivity(summary: StoreSummary, symbols: Sequence[str]) -> str:
    figure = plot_distributions(summary, symbols)
    if figure is None:
        return "<p>No environment has a direction that is not rigid.</p>"
    described = "Histograms of the sensitivity ratio by species of the center; the table below has the medians"
    causes = [kind for kind in MEANINGS if any(summary.blind[n, kind] for n in summary.environments)]
    rows = []
    for number, count in summary.environments.most_common():
        ratios = [ratio for part in summary.distributions(number) for ratio in (part.median(), part.smallest())]
        blind = [mark_count(summary.blind[number, cause]) for cause in causes]
        rows.append((_symbol(number, symbols), format_number(count), *map(_format, ratios), *blind))
    heads = ("Center", "Environments", "Equilibrated: median", "least", "Raw: median", "least", *causes)
    table = make_table(
        heads, rows, numbers=range(1, len(heads)),
        caption="By species of the center. The last columns count environments with null directions by cause.",
    )  # fmt: skip
    return (
        f"<figure>{to_svg(figure, described)}<figcaption>Equilibrated ratios by species of the center. Colors show the "
        f"worst cause of each environment. Each row has its own scale of height.</figcaption></figure>{table}"
    )


def _write_exhibits(
    exhibits: Sequence[Exhibit], summary: StoreSummary, symbols: Sequence[str], lacking: str, shown: Viewer | None
) -> str:
    if not exhibits:
        return "<p>No environment has a direction that is not rigid.</p>"
    scenes = [exhibit.scene for exhibit in exhibits if exhibit.scene is not None]
    if shown is not None and not lacking:
        picture = embed_viewer(shown, scenes)
    else:
        gone = f"{lacking} Therefore the page has no 3D view, no causes in words and no advice on the basis."
        picture = f'<p class="missing">{escape(gone if lacking else MISSING)}</p>'
    # Columns by head; those that the page lacks are left out.
    columns: dict[str, list[str]] = {"Kind": [_title(one.example.group) for one in exhibits]}
    names = [f"{_symbol(one.example.species, symbols)} {one.example.center}" for one in exhibits]
    if shown is not None and scenes:
        columns["3D"], at = [], 0
        for one, name in zip(exhibits, names, strict=True):
            label = f'aria-label="Show {name} of structure {one.example.structure}"'
            button = f'<button type="button" data-scene="{at}" aria-pressed="false" {label}>Show</button>'
            columns["3D"].append(button if one.scene is not None else "")
            at += one.scene is not None
    columns |= {
        "Structure": [str(one.example.structure) for one in exhibits],
        "Center": names,
        "Neighbors": [escape(one.neighbors) or str(one.example.n_neighbors) for one in exhibits],
        "Equilibrated": [_format(one.example.equilibrated) for one in exhibits],
        "Raw": [_format(one.example.raw) for one in exhibits],
        "Null directions": [escape(_list_null(one.example, summary)) or "none" for one in exhibits],
    }
    if not lacking:
        columns["Cause and cure"] = [escape(one.cause) or "-" for one in exhibits]
    numbers = [k for k, head in enumerate(columns) if head in ("Structure", "Equilibrated", "Raw")]
    caption = (
        "The most blind environments of each kind: up to four, and one for each species of a structure. Structures and "
        "atoms count from 0. Ratios are σ<sub>min</sub>/σ<sub>max</sub>; &lt; marks a ratio below its floor."
    )
    rows = list(zip(*columns.values(), strict=True))
    return picture + make_table(list(columns), rows, caption=caption, numbers=numbers)


def _list_null(example: Example, summary: StoreSummary) -> str:
    counts = dict(zip(summary.causes, example.null, strict=True))
    if example.status == AMBIGUOUS:
        counts = {AMBIGUOUS: sum(n for cause, n in counts.items() if cause != "rigid")}
    return format_causes(counts)


def _write_basis(basis: BasisAdvice) -> str:
    if basis.missing:
        return f"<p>{escape(basis.missing)}</p>"
    rows, marked = [], []
    for k, row in enumerate(basis_rows(basis.records)):
        own = "°" if tuple(map(int, row.sizes[:2])) == basis.own else ""
        rows.append((*row.sizes, row.mark + own, *map(mark_count, row.counts), *map(escape, row.ratios)))
        marked += [k] if row.mark else []
    heads = [head.replace("-\n", "").replace("\n", " ") for head in BASIS_HEADERS]
    caption = f"σ<sub>vis</sub>/σ<sub>max</sub> by basis: {escape(basis.whose)}"
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in explain_bases(basis.records))
    return (
        f"<p><strong>{escape(recommend_basis(basis.records))}</strong></p><ul>{sentences}</ul>"
        + make_table(heads, rows, caption=caption, numbers=range(len(heads)), marked=marked)
        + f'<p class="note">{escape(BASIS_LEGEND)} ° marks the basis of this sweep.</p>'
    )


def _title(group: str) -> str:
    name = GROUP_TITLES.get(group, group)
    return f'<span class="swatch" style="background: {CAUSE_COLORS[group]}"></span>{name}'


def _share(n: int, summary: StoreSummary) -> str:
    return f"{escape(format_percent(n, summary.done))} %"


def _format(ratio: object) -> str:
    return escape(str(ratio or "-"))


def _symbol(number: int, symbols: Sequence[str]) -> str:
    return escape(name_species(number, symbols))
