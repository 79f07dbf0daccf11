"""The page about a sweep, which needs neither network nor other files."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from jaxfeat.report.distribution_plot import plot_distributions, to_svg
from jaxfeat.report.exhibit_cards import Exhibit, write_cards
from jaxfeat.report.html_elements import fill_template, format_number, make_table, read_resource, write_formulas
from jaxfeat.report.palette import write_css_variables
from jaxfeat.report.sensitivity import Record
from jaxfeat.report.store_summary import AMBIGUOUS, StoreSummary
from jaxfeat.report.store_tables import (
    count_blind,
    title_group,
    write_bases,
    write_causes,
    write_floors,
    write_species,
)
from jaxfeat.report.verdict import CURABLE, ROUNDED, judge_summary
from jaxfeat.report.viewer import embed_scenes

MEANINGS = {  # meanings of the kinds of null directions, without rigid motions
    "symmetry": "A symmetry of the environment hides these directions, to first order, from every smooth invariant. "
    "This is physics.",
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

ABSENT = {"other": "an unknown cause", "ambiguous": "an ambiguous one"}  # words for causes that were not found
OF_AN_ORDER = ("incompleteness", "truncation")  # kinds that only features with a declared order ν have
VARIABLES = "--ink: #1a1a1a; --soft: #555555; --line: #d8d8d8; --tint: #f4f6f8; --quiet: #8c8c8c; --link: #005a8c;"
"""Colors of the page beside those of causes."""

KEYS = (
    '<p class="note arrows">Arrows show a displacement that the features do not see, or see least, in the color of its '
    'cause. The ring marks the center, which does not move. <span class="keys" id="view-keys">Drag a picture to turn '
    "it; or choose it with the Tab key, turn it with the arrow keys, zoom with + and -, and go back with 0.</span></p>"
)
SENSITIVITY = (
    "<p>σ<sub>min</sub>/σ<sub>max</sub> of the Jacobian compares the displacement that the features see least with the "
    "one that they see most. <em>Equilibrated</em> ratios give all neighbors the same weight, so that an atom in the "
    "tail of the cutoff does not count as unseen; judge blindness by these. A ratio below the floor of the arithmetic "
    "cannot be told from zero.</p>"
)
LACKING = "Therefore the page has no pictures of environments, no causes in words and no advice on the basis."
ROUNDED_AWAY = f"Exact positions within {ROUNDED:g} Å of the coordinates as they are written have these directions."
NOTHING = "<p>No environment has a direction that is not rigid.</p>"
FLOORS = (
    "<p>A singular value below its floor cannot be told from zero in the arithmetic of the sweep. A certified value "
    "agrees with a second factorization.</p>"
)


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
        '<p class="warning" role="status"><strong>This sweep is not complete.</strong> '
        f"{format_number(summary.done)} of {format_number(summary.total)} environments in the store are done, and this "
        "page describes only these.</p>"
    )
    facts = [(escape(str(name)), escape(str(value)) or "-") for name, value in {**attributes, **made}.items()]
    state = "complete" if complete else "not complete"
    provenance = make_table(("Attribute", "Value"), facts, caption=f"Attributes of the store, which is {state}.")
    cards = _Cards(exhibits, summary, symbols)
    sections = {
        "What can be cured": _write_curable(cards, summary, meanings)
        + (f'<p class="warning">{escape(lacking)} {LACKING}</p>' if lacking else ""),
        "What symmetry hides": _write_symmetry(cards, summary, meanings),
        "The least sensitive environments": _write_least(cards, summary, symbols),
        "Which basis these environments need": f"<p>{escape(basis.missing)}</p>"
        if basis.missing
        else write_bases(basis.records, basis.whose, basis.own),
        "Floors and certification": FLOORS + write_floors(summary, symbols),
        "Provenance": provenance,
    }
    sections = {head: text for head, text in sections.items() if text}
    return fill_template(
        "page.html",
        title=escape(title),
        css=f":root {{ color-scheme: light; {VARIABLES} {write_css_variables()} }}\n{read_resource('page.css')}",
        verdict=_write_verdict(summary, exhibits, symbols, ordered),
        descriptor=escape(_describe(descriptor)),
        incomplete="" if complete else incomplete,
        contents="\n".join(f'<li><a href="#{_anchor(head)}">{head}</a></li>' for head in sections),
        sections="\n".join(
            f'<section aria-labelledby="{_anchor(head)}"><h2 id="{_anchor(head)}">{head}</h2>\n{text}\n</section>'
            for head, text in sections.items()
        ),
        scenes=embed_scenes(cards.scenes) if cards.scenes else "",
    )


class _Cards:
    """Cards of exhibits by group. Scenes are numbered in the order in which cards are written."""

    def __init__(self, exhibits: Sequence[Exhibit], summary: StoreSummary, symbols: Sequence[str]) -> None:
        self.groups: dict[str, list[Exhibit]] = {}
        for one in exhibits:
            self.groups.setdefault(one.section, []).append(one)
        self.exhibits, self.causes, self.symbols = exhibits, summary.causes, symbols
        self.scenes: list[dict[str, Any]] = []

    def write(self, group: str, level: int) -> str:
        found = self.groups.get(group, [])
        if not found:
            return ""
        keys = "" if self.scenes else KEYS
        text = write_cards(found, self.causes, self.symbols, level, len(self.scenes))
        shown = [one.scene for one in found if one.scene is not None]
        self.scenes += shown
        return (keys if shown else "") + text


def _write_verdict(summary: StoreSummary, exhibits: Sequence[Exhibit], symbols: Sequence[str], ordered: bool) -> str:
    """Write the headline, and the verdict in one sentence. Red is for blind spots that are no symmetry."""
    blind = count_blind(summary)
    curable = sum(n for kind, n in blind.items() if kind in CURABLE and kind != "other")
    unclear = blind.get("other", 0) + blind.get(AMBIGUOUS, 0)
    rounded = sum(bool(one.rounded) and one.example.group in ("symmetry", "none") for one in exhibits)
    all_of_them = f"of {summary.done:,} environment{'s' if summary.done != 1 else ''}"
    if curable:
        kind, text = "fault", f"{curable:,} {all_of_them} {_have(curable)} blind spots that can be cured."
    elif rounded:
        kind = "fault"
        spot = "a curable blind spot" if rounded == 1 else "curable blind spots"
        text = f"At least {rounded:,} {all_of_them} {_have(rounded)} {spot}, which only rounded coordinates hide."
    elif unclear:
        kind, text = "fault", f"{unclear:,} {all_of_them} {_have(unclear)} null directions of unclear cause."
    elif blind:
        kind = "physics"
        text = f"Nothing to cure. Symmetry alone hides directions, in {blind['symmetry']:,} {all_of_them}."
    else:
        kind, text = "clear", f"Nothing to cure. The features see every displacement in all {all_of_them[3:]}."
    if not sum(part.total for part in summary.equilibrated.values()) and not blind:
        kind, text = "clear", "No environment has a direction that is not rigid."
    behind = sum(one.behind_symmetry for one in exhibits)
    verdict = judge_summary(summary, symbols, ordered=ordered)._replace(behind=behind)
    sentence = write_formulas(str(verdict))
    sentence = f"As the coordinates are written: {sentence}" if rounded else sentence
    text = text.replace("Nothing to cure.", "Nothing to cure to first order.") if behind else text
    return f'<div class="verdict {kind}"><p class="headline">{text}</p><p>{sentence}</p></div>{write_causes(summary)}'


def _write_curable(cards: _Cards, summary: StoreSummary, meanings: Mapping[str, str]) -> str:
    """Write what the features miss beside symmetries: cards by cause, the worst first."""
    blind, parts = count_blind(summary), []
    kinds = [kind for kind in (*CURABLE, AMBIGUOUS) if kind in meanings]
    for kind in kinds:
        text = cards.write(kind, level=4)
        if not text and kind not in blind:
            continue
        n = blind.get(kind, 0)
        count = f": {format_number(n)} environment{'s' if n != 1 else ''}" if n else ", but for rounded coordinates"
        near = "" if n else f" {ROUNDED_AWAY}"
        parts.append(f"<h3>{title_group(kind)}{count}</h3><p>{meanings[kind]}{near}</p>{text}")
    absent = [ABSENT.get(kind, kind) for kind in kinds if kind not in blind and kind in (*summary.kinds, AMBIGUOUS)]
    clear = f'<p class="note">No environment has null directions from {_join(absent)}.</p>' if absent else ""
    if any(one.rounded for one in cards.exhibits):
        clear = clear.replace("No environment", "With the coordinates as they are written, no environment")
    note = ""
    if ambiguous := summary.statuses[AMBIGUOUS]:
        with_null = format_number(blind.get(AMBIGUOUS, 0))
        note = (
            f'<p class="note">{format_number(ambiguous)} environments are ambiguous: neither the Jacobian nor an exact '
            f"geometry nearby tells the cause. {with_null} of them have null directions.</p>"
        )
    return clear + note + "".join(parts)


def _write_symmetry(cards: _Cards, summary: StoreSummary, meanings: Mapping[str, str]) -> str:
    text = cards.write("symmetry", level=3)
    return f"<p>{meanings['symmetry']}</p>{text}" if text or "symmetry" in count_blind(summary) else ""


def _write_least(cards: _Cards, summary: StoreSummary, symbols: Sequence[str]) -> str:
    text = cards.write("none", level=3)
    pictures = [plot_distributions(summary, symbols, narrow=narrow) for narrow in (False, True)]
    described = "Histograms of the sensitivity ratio by species of the center; the table below has the medians"
    drawn = "".join(
        f'<div class="{name}-picture">{to_svg(figure, described, name)}</div>'
        for figure, name in zip(pictures, ("wide", "narrow"), strict=True)
        if figure is not None
    )
    if not drawn:
        return NOTHING
    note = (
        "Equilibrated ratios by species of the center. Colors show the worst cause of each environment. Each row has "
        "its own scale of height."
    )
    figure = f'<figure aria-label="Sensitivity by species">{drawn}<figcaption>{note}</figcaption></figure>'
    return f"{SENSITIVITY}{text}<h3>By species of the center</h3>{figure}{write_species(summary, symbols)}"


def _join(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _have(n: int) -> str:
    return "has" if n == 1 else "have"


def _anchor(head: str) -> str:
    return head.lower().replace(" ", "-")


def _describe(descriptor: Mapping[str, Any]) -> str:
    words = [str(descriptor.get("kind", "a featurizer of the user"))]
    for name, value in descriptor.items():
        if name == "kind" or value is None or isinstance(value, Mapping) or (name == "weights" and set(value) == {1.0}):
            continue
        unit = " Å" if name in ("r_cut", "sigma") else ""
        several = value if isinstance(value, (list, tuple)) else [value]
        words.append(f"{name} {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in several)}{unit}")
    return ", ".join(words)
