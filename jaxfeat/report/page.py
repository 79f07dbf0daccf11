"""What a sweep found, as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, NamedTuple

from jaxfeat.report.advice import advice, verdicts
from jaxfeat.report.convergence import HEADERS, LEGEND, basis_rows
from jaxfeat.report.distribution_plot import COLORS, named, plot_distributions, svg
from jaxfeat.report.sensitivity import Record, Sensitivity
from jaxfeat.report.store_summary import AMBIGUOUS, Distribution, Example, StoreSummary
from jaxfeat.report.viewer import MISSING, Viewer, licence, view

MEANINGS = {
    "symmetry": "A symmetry of the environment hides them from every smooth invariant: physics.",
    "incompleteness": "Correlations of this body order cannot see them in any basis; a higher order can.",
    "truncation": "A larger n_max or l_max would see them.",
    "locality": "They move neighbors that are out of reach; a larger r_cut would see them.",
    "other": "Their cause could not be told.",
    "ambiguous": "The environment is nearly symmetric or singular, as rounded ones are: the cause is not certain.",
}
"""What a null direction of each kind is, rigid motions apart."""

TITLES = {
    "incompleteness": "incompleteness",
    "truncation": "truncation",
    "locality": "locality",
    "other": "cause unknown",
    "ambiguous": "ambiguous",
    "symmetry": "symmetry",
    "none": "least sensitive",
}


_TAG = re.compile("<[^>]*>")


class Exhibit(NamedTuple):
    """An environment to show.

    - `neighbors`: how many of what, in words; `cause`: why it is blind and what would lift that, in a sentence. Both
      empty where that could not be worked out.
    - `scene`: the environment for the viewer, as `viewer.scene` makes it, or `None`.
    """

    example: Example
    neighbors: str = ""
    cause: str = ""
    scene: dict[str, Any] | None = None


class Advice(NamedTuple):
    """Which basis to take: `records` of the bases of a grid, or a sentence why there are none.

    - `whose`: the environments that they are of, in words; `own`: n_max and l_max of the sweep itself.
    """

    records: Sequence[Record] = ()
    whose: str = ""
    own: tuple[int, int] = (0, 0)
    missing: str = ""


def page(
    title: str,
    descriptor: Mapping[str, Any],
    attributes: Mapping[str, Any],
    tally: StoreSummary,
    exhibits: Sequence[Exhibit],
    basis: Advice,
    symbols: Sequence[str],
    made: Mapping[str, str],
    lacking: str,
    shown: Viewer | None,
) -> str:
    """The page, as HTML.

    **Arguments:**

    - `title`: what was swept; `descriptor`, the featurizer's spec; `attributes`, all that the store says of itself.
    - `tally`: what the store holds; `exhibits`: its most blind environments; `basis`: which one to take.
    - `symbols`: chemical symbols by atomic number. `made`: when and with what the page was made, by name.
    - `lacking`: why neither directions nor causes could be worked out, in a sentence, or nothing; `shown`: the viewer,
      if there is one.
    """
    css = files("jaxfeat.report").joinpath("page.css").read_text(encoding="utf-8")
    complete = bool(attributes.get("complete", 0)) and tally.done == tally.total
    body = [
        f"<h1>What the descriptor does not see: {escape(title)}</h1>",
        f'<p class="lead">{escape(_described(descriptor))}</p>',
        "" if complete else _incomplete(tally),
        _section("Summary", _summary(tally, symbols)),
        _section("Sensitivity", _sensitivity(tally, symbols)),
        _section("The most blind environments", _blind(exhibits, tally, symbols, lacking, shown)),
        _section("Which basis these environments need", _basis(basis)),
        _section("Provenance", _provenance(attributes, made, complete) + (licence(shown) if shown else "")),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - jaxfeat report</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, body))
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>"


def _incomplete(tally: StoreSummary) -> str:
    return (
        f'<p class="incomplete" role="status"><strong>This sweep is not complete.</strong> {_n(tally.done)} of '
        f"{_n(tally.total)} environments in the store are done; everything below is about those.</p>"
    )


def _summary(tally: StoreSummary, symbols: Sequence[str]) -> str:
    seen, raw = tally.distributions()
    species = [f"{_symbol(n, symbols)} ({_n(count)})" for n, count in tally.environments.most_common()]
    rows: list[tuple[str, str]] = [
        ("Environments", _n(tally.done)),
        ("Structures", _n(tally.structures)),
        ("Species of the centers", ", ".join(species)),
        ("Status", ", ".join(f"{name} ({_n(count)})" for name, count in tally.statuses.most_common())),
        ("With null directions", _with_share(sum(tally.blind.values()), tally.done)),
        ("σ<sub>min</sub>/σ<sub>max</sub>, equilibrated", _median_and_least(seen)),
        ("σ<sub>min</sub>/σ<sub>max</sub>, raw", _median_and_least(raw)),
        ("Floor over σ<sub>max</sub>, equilibrated", _median_and_range(tally.floors["equilibrated"])),
        ("Floor over σ<sub>max</sub>, raw", _median_and_range(tally.floors["raw"])),
        ("Values certified by QR", _with_share(tally.certified, tally.done)),
    ]
    kinds = [kind for kind in MEANINGS if kind in tally.kinds]
    directions = {kind: sum(tally.directions[n, kind] for n in tally.environments) for kind in kinds}
    blind = {kind: sum(tally.blind[n, kind] for n in tally.environments) for kind in kinds}
    lines = [
        (_swatched(kind), _some(blind[kind]), _share(blind[kind], tally.done), _n(directions[kind]), MEANINGS[kind])
        for kind in kinds
    ]
    total = sum(blind.values())
    by_cause = _table(
        ("Cause", "Environments", "Share", "Null directions", "What they are"),
        [*lines, ("all", _some(total), _share(total, tally.done), _n(sum(directions.values())), "")],
        caption="Null directions by cause: equilibrated singular values at or below their floor, rigid motions apart. "
        "An environment of several causes counts as one of the worst of them.",
        numbers=(1, 2, 3),
    )
    ambiguous = tally.statuses["ambiguous"]
    note = (
        f'<p class="note">{_n(ambiguous)} environments are ambiguous: they are nearly, but not exactly, symmetric or '
        f"singular. Of these {_n(blind['ambiguous'])} have null directions.</p>"
        if ambiguous
        else ""
    )
    return _table(("", ""), rows, head=False) + by_cause + note


def _median_and_least(part: Distribution) -> str:
    median, least = part.median(), part.smallest()
    return f"median {_ratio(median)}, least {_ratio(least)}"


def _median_and_range(part: Distribution) -> str:
    if not part.total:
        return "-"
    return f"median {_ratio(part.median())}, from {part.least:.1e} to {part.most:.1e}"


def _sensitivity(tally: StoreSummary, symbols: Sequence[str]) -> str:
    figure = plot_distributions(tally, symbols)
    if figure is None:
        return "<p>No environment has a direction that is not rigid.</p>"
    drawn = svg(figure, "Histograms of the sensitivity ratio by species of the center; the table below has the medians")
    causes = [kind for kind in MEANINGS if any(tally.blind[n, kind] for n in tally.environments)]
    rows = []
    for number, count in tally.environments.most_common():
        both = tally.distributions(number)
        ratios = [_ratio(found) for part in both for found in (part.median(), part.smallest())]
        rows.append((_symbol(number, symbols), _n(count), *ratios, *(_some(tally.blind[number, c]) for c in causes)))
    heads = ("Center", "Environments", "Equilibrated: median", "least", "Raw: median", "least")
    return (
        "<p>σ<sub>min</sub>/σ<sub>max</sub> of the Jacobian says how much less the features move for the displacement "
        "that they see least than for the one that they see most. <em>Equilibrated</em>: with all neighbors weighted "
        "alike, so that an atom in the tail of the cutoff does not count as unseen; judge blindness by this one. What "
        "lies below the floor of the arithmetic is null as far as it can tell.</p>"
        f"<figure>{drawn}<figcaption>Equilibrated ratio by species of the center, colored by what the environments "
        "suffer from most; each row has a height of its own.</figcaption></figure>"
        + _table(
            (*heads, *causes), rows, numbers=range(1, len(heads) + len(causes)),
            caption="By species of the center; last, how many have null directions, by their worst cause",
        )
    )  # fmt: skip


def _blind(
    exhibits: Sequence[Exhibit], tally: StoreSummary, symbols: Sequence[str], lacking: str, shown: Viewer | None
) -> str:
    if not exhibits:
        return "<p>There is none: no environment has a direction that is not rigid.</p>"
    scenes = [exhibit.scene for exhibit in exhibits if exhibit.scene is not None]
    if lacking:
        words = f"{lacking} Hence no 3D view, no causes in words and no advice on the basis."
        picture = f'<p class="missing">{escape(words)}</p>'
    elif shown is None:
        picture = f'<p class="missing">{escape(MISSING)}</p>'
    else:
        picture = view(shown, scenes)
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
    heads += [] if lacking else ["Cause, and what would lift it"]
    rows, at = [], 0
    for one in exhibits:
        example = one.example
        counts = [
            f"{AMBIGUOUS if example.status == AMBIGUOUS else cause} {n}"
            for cause, n in zip(tally.causes, example.null, strict=True)
            if n and cause != "rigid"
        ]
        name = f"{_symbol(example.species, symbols)} {example.center}"
        cells = [_swatched(example.group)]
        if shown is not None and scenes:
            label = f"Show {name} of structure {example.structure}"
            pressed = f'data-scene="{at}" aria-pressed="false" aria-label="{escape(label)}"'
            cells.append(f'<button type="button" {pressed}>Show</button>' if one.scene is not None else "")
            at += one.scene is not None
        cells += [
            str(example.structure),
            name,
            escape(one.neighbors) or str(example.n_neighbors),
            _ratio(example.equilibrated),
            _ratio(example.raw),
            escape(", ".join(counts)) or "none",
        ]
        cells += [] if lacking else [escape(one.cause) or "-"]
        rows.append(tuple(cells))
    caption = (
        "The most blind of each kind, up to four and one of each species of a structure. Structures and atoms count "
        "from 0; ratios are σ<sub>min</sub>/σ<sub>max</sub>, with &lt; where they are below the floor."
    )
    first = heads.index("Structure")
    return picture + _table(heads, rows, caption=caption, numbers=(first, first + 3, first + 4))


def _basis(basis: Advice) -> str:
    if basis.missing:
        return f"<p>{escape(basis.missing)}</p>"
    rows, marked = [], []
    for row in basis_rows(basis.records):
        sizes = (row.sizes[0], row.sizes[1])
        mark = row.mark + ("°" if tuple(map(int, sizes)) == basis.own else "")
        rows.append((*row.sizes, mark, *map(_some, row.counts), *map(escape, row.ratios)))
        marked.append(bool(row.mark))
    heads = [head.replace("-\n", "").replace("\n", " ") for head in HEADERS]
    legend = f"{LEGEND} ° the basis of this sweep."
    return (
        f"<p><strong>{escape(advice(basis.records))}</strong></p><ul>"
        + "".join(f"<li>{escape(sentence)}</li>" for sentence in verdicts(basis.records))
        + "</ul>"
        + _table(
            heads, rows, caption=f"σ<sub>vis</sub>/σ<sub>max</sub> by basis: {escape(basis.whose)}",
            numbers=range(len(heads)), marked=marked,
        )
        + f'<p class="note">{escape(legend)}</p>'
    )  # fmt: skip


def _provenance(attributes: Mapping[str, Any], made: Mapping[str, str], complete: bool) -> str:
    rows = [(escape(str(name)), escape(str(value)) or "-") for name, value in attributes.items()]
    rows += [(escape(name), escape(value)) for name, value in made.items()]
    state = "complete" if complete else "not complete"
    return _table(("What", "Value"), rows, caption=f"All that the store says of itself; it is {state}.")


def _described(descriptor: Mapping[str, Any]) -> str:
    words = [str(descriptor.get("kind", "a featurizer of one's own"))]
    for name, value in descriptor.items():
        if name == "kind" or value is None or isinstance(value, Mapping):
            continue
        several = value if isinstance(value, (list, tuple)) else [value]
        words.append(f"{name} {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in several)}")
    return ", ".join(words)


def _table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str = "",
    numbers: Iterable[int] = (),
    head: bool = True,
    marked: Sequence[bool] = (),
) -> str:
    """Cells are HTML; the first of each row is its head."""
    right = set(numbers)
    lines = ['<div class="scroll"><table>']
    if caption:
        lines.append(f"<caption>{caption}</caption>")
    if head:
        cells = [f'<th scope="col"{_class("number", k in right)}>{name}</th>' for k, name in enumerate(heads)]
        lines.append(f"<thead><tr>{''.join(cells)}</tr></thead>")
    lines.append("<tbody>")
    for place, (first, *rest) in enumerate(rows):
        cells = [f'<th scope="row"{_class("number", 0 in right)}>{first}</th>']
        for k, cell in enumerate(rest, 1):
            kinds = [name for name, on in (("number", k in right), ("text", len(_TAG.sub("", cell)) > 40)) if on]
            cells.append(f"<td{_class(' '.join(kinds), bool(kinds))}>{cell}</td>")
        lines.append(f"<tr{_class('marked', bool(marked) and marked[place])}>{''.join(cells)}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def _class(name: str, on: bool) -> str:
    return f' class="{name}"' if on else ""


def _swatched(group: str) -> str:
    return f'<span class="swatch" style="background: {COLORS[group]}"></span>{TITLES[group]}'


def _some(n: int) -> str:
    return f'<b class="some">{_n(n)}</b>' if n else "0"


def _n(n: int) -> str:
    """With thin spaces, which break no line, between thousands."""
    return f"{n:,}".replace(",", "\u202f")


def _share(n: int, total: int) -> str:
    percent = 100 * n / max(total, 1)
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if 0.1 <= percent <= 99.9 else "&lt; 0.1 %" if percent < 1 else "&gt; 99.9 %"


def _with_share(n: int, total: int) -> str:
    return f"{_n(n)} ({_share(n, total)})"


def _ratio(ratio: Sensitivity | None) -> str:
    return "-" if ratio is None else escape(str(ratio))


def _symbol(number: int, symbols: Sequence[str]) -> str:
    return escape(named(number, symbols))
