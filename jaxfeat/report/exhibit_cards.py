"""Cards of a page, one environment each: its picture, its numbers, and the cause and cure of its null directions."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from jaxfeat.report.distribution_plot import name_species
from jaxfeat.report.html_elements import write_formulas
from jaxfeat.report.store_summary import AMBIGUOUS, Example
from jaxfeat.report.tables import format_causes
from jaxfeat.report.verdict import CURABLE, ROUNDED
from jaxfeat.report.viewer import place_scene


class Exhibit(NamedTuple):
    """An environment with its numbers of neighbors, its cause and cure in words if known, and a scene of `make_scene`.
    `near` has the causes that exact geometries nearby have, with the distances to them in Å."""

    example: Example
    neighbors: str = ""
    cause: str = ""
    scene: dict[str, Any] | None = None
    near: Mapping[str, float] = {}

    @property
    def rounded(self) -> str:
        """The worst curable cause of an exact geometry so near that the coordinates may be rounded from it."""
        near = [cause for cause in CURABLE if cause != "locality" and self.near.get(cause, ROUNDED) < ROUNDED]
        return near[0] if near else ""

    @property
    def behind_symmetry(self) -> bool:
        """True if the words say that second-order responses, which symmetry does not hide, are not seen either."""
        return "second-order" in self.cause

    @property
    def section(self) -> str:
        """The group of the section that shows the environment: its worst cause, here or at the rounded geometry."""
        group = self.example.group
        return group if group in (*CURABLE, AMBIGUOUS) else self.rounded or group


def write_cards(
    exhibits: Sequence[Exhibit], causes: Sequence[str], symbols: Sequence[str], level: int, first_scene: int
) -> str:
    """Write cards as HTML, with headings of a level. Scenes count from `first_scene`."""
    cards, number = [], first_scene
    for one in exhibits:
        cards.append(_write_card(one, causes, symbols, level, number))
        number += one.scene is not None
    return f'<div class="cards">{"".join(cards)}</div>'


def _write_card(one: Exhibit, causes: Sequence[str], symbols: Sequence[str], level: int, number: int) -> str:
    example = one.example
    name = f"{escape(name_species(example.species, symbols))} {example.center} of structure {example.structure}"
    where = f"e{example.row}"
    facts = {
        "Neighbors": escape(one.neighbors) or str(example.n_neighbors),
        "Null directions": escape(_list_null(example, causes)) or "none",
        "σ<sub>min</sub>/σ<sub>max</sub>": f"{escape(str(example.equilibrated))} (raw {escape(str(example.raw))})",
    }
    listed = "".join(f"<dt>{head}</dt><dd>{value}</dd>" for head, value in facts.items())
    cause = f'<p class="cause">{write_formulas(one.cause)}</p>' if one.cause else ""
    picture = place_scene(number, one.scene) if one.scene is not None else ""
    style = f'style="--cause: var(--cause-{one.section})"'
    return (
        f'<article class="card" aria-labelledby="{where}" {style}><h{level} id="{where}">{name}</h{level}>'
        f"{picture}<div>{cause}<dl>{listed}</dl></div></article>"
    )


def _list_null(example: Example, causes: Sequence[str]) -> str:
    counts = dict(zip(causes, example.null, strict=True))
    if example.status == AMBIGUOUS:
        counts = {AMBIGUOUS: sum(n for cause, n in counts.items() if cause != "rigid")}
    return format_causes(counts)
