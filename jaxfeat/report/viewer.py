"""Environments in three dimensions on a page, with displacements as arrows. The page needs nothing to draw them."""

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from jaxfeat.report.displacement import ELEMENT_COLORS, OTHER_COLOR, draw_radius, find_bonds
from jaxfeat.report.html_elements import read_resource
from jaxfeat.report.palette import color_cause
from jaxfeat.report.view_direction import choose_view

ARROW_LENGTH, ARROW_SHARE = 1.0, 0.17  # length of the longest arrow: in Å, or over the extent of the atoms if longer
LISTED_SHARE = 0.25  # length of an arrow over the longest from which words mention its atom
LISTED = 5  # atoms that words mention


class Move(NamedTuple):
    """A displacement `(n, 3)` of the neighbors in a scene, with a name and the name of its cause."""

    name: str
    cause: str
    displacement: np.ndarray


def make_scene(
    title: str, positions: np.ndarray, symbols: Sequence[str], center: str, moves: Sequence[Move]
) -> dict[str, Any]:
    """Make the scene of an environment for the viewer. `positions` are `(n, 3)`, in Å relative to the center, whose
    symbol is empty if no atom sits there. Every move has its own side to look from."""
    names = [center, *symbols]
    places = np.concatenate([np.zeros((1, 3)), positions])
    radii = np.asarray([draw_radius(name) for name in names])
    extent = float(np.ptp(places, axis=0).max())
    shown = []
    for move in moves:
        arrows = np.concatenate([np.zeros((1, 3)), move.displacement])
        arrows = arrows * (max(ARROW_LENGTH, ARROW_SHARE * extent) / max(np.linalg.norm(arrows, axis=1).max(), 1e-30))
        shown.append(
            {
                "name": move.name,
                "color": color_cause(move.cause),
                "moved": _describe_moved(places, names, arrows),
                "view": _rounded(choose_view(places, arrows, radii)),
                "arrows": _rounded(arrows),
            }
        )
    return {
        "title": title,
        "symbols": names,
        "positions": _rounded(places),
        "radii": radii.tolist(),
        "colors": [ELEMENT_COLORS.get(name, OTHER_COLOR) for name in names],
        "bonds": find_bonds(places, names),
        "view": _rounded(choose_view(places, np.zeros_like(places), radii)),
        "moves": shown,
    }


def _describe_moved(places: np.ndarray, symbols: Sequence[str], arrows: np.ndarray) -> str:
    """Tell which neighbors an arrow moves most, by their elements and distances from the center."""
    lengths = np.linalg.norm(arrows, axis=1)
    long = np.flatnonzero(lengths >= LISTED_SHARE * lengths.max(initial=0.0) + 1e-12)
    moved = long[np.argsort(-lengths[long], kind="stable")].tolist()
    if len(moved) > LISTED:
        counts = Counter(symbols[i] for i in moved).most_common()
        return f"Moves {', '.join(f'{n} {symbol}' for symbol, n in counts)}."
    far = np.linalg.norm(places, axis=1)
    return f"Moves {', '.join(f'{symbols[i]} at {far[i]:.2f} Å' for i in moved)}."


def embed_scenes(scenes: Sequence[dict[str, Any]]) -> str:
    """Write the scenes and the script that draws them as HTML. The script fills each element of `place_scene`."""
    # An end tag in a script ends the script.
    data = json.dumps(list(scenes), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        "<noscript><p>The pictures of the environments need JavaScript.</p></noscript>\n"
        f'<script type="application/json" id="scenes">{data}</script>\n<script>{read_resource("viewer.js")}</script>'
    )


def place_scene(number: int, scene: dict[str, Any]) -> str:
    """Write the element in which the scene with a number is drawn, and its controls, as HTML."""
    title, moves = escape(scene["title"]), scene["moves"]
    options = "".join(f'<option value="{k}">{escape(move["name"])}</option>' for k, move in enumerate(moves))
    controls = ""
    if moves:
        controls = (
            f'<div class="controls"><select class="move" aria-label="Displacement">{options}</select>'
            '<label>Along <input class="along" type="range" min="-1" max="1" step="0.05" value="0"></label>'
            '<button type="button" class="play" aria-pressed="false">Animate</button>'
            '<button type="button" class="reset">Reset</button></div>'
        )
    # Without the script, and for readers who do not see it, the words tell what the picture shows.
    moved = f'<p class="moved" aria-live="polite">{escape(moves[0]["moved"])}</p>' if moves else ""
    return (
        f'<figure class="scene" data-scene="{number}" aria-label="{title}, in three dimensions">'
        f'<div class="view" tabindex="0" role="group" aria-label="{title}" aria-describedby="view-keys"></div>'
        f"<figcaption>{moved}{controls}</figcaption></figure>"
    )


def _rounded(values: np.ndarray) -> list[Any]:
    return (np.round(values, 4) + 0.0).tolist()
