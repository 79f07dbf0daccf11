"""Environments and displacements to turn and to move on a page, drawn by chemiscope's viewer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BUNDLE = "chemiscope/sphinx/static/chemiscope.min.js"
LICENCES = ("LICENSE", "chemiscope-widget.mjs.LICENSE.txt")
"""Files of the package: its own licence, and the notices of what is bundled with it."""
MISSING = "There is no 3D view: install chemiscope for it (pip install 'jaxfeat[report]') and make the report again."
LENGTH = 0.8
"""Å, of the longest arrow. Atoms move by half of it either way."""


class Viewer(NamedTuple):
    """chemiscope's viewer: its `script`, and the `licence` that goes with every copy."""

    script: str
    licence: str


def viewer() -> Viewer | None:
    """The viewer of the chemiscope that is installed, which is not imported; `None` without one."""
    try:
        package = distribution("chemiscope")
        script = _read(package, BUNDLE)
    except (PackageNotFoundError, FileNotFoundError):
        return None
    texts = [_read(package, str(file)) for file in package.files or () if file.name in LICENCES]
    return Viewer(script, f"chemiscope {package.version}\n\n" + "\n\n".join(texts))


def _read(package: Any, name: str) -> str:
    return Path(str(package.locate_file(name))).read_text(encoding="utf-8")


def view(shown: Viewer, scenes: Sequence[dict[str, Any]]) -> str:
    """The viewer with its controls, and what it has to show, as HTML."""
    # In a script, a tag's end would end it, and the beginning of a comment would hide what follows.
    script = re.sub(r"</(?=script)", r"<\\/", shown.script, flags=re.IGNORECASE).replace("<!--", r"\x3c!--")
    data = json.dumps(list(scenes), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    own = files("jaxfeat.report").joinpath("viewer.js").read_text(encoding="utf-8")
    return f"""
<figure id="view">
<div id="scene" role="img" aria-label="The chosen environment in three dimensions, arrows for the displacement"></div>
<p id="scene-failed" role="alert" hidden></p>
<figcaption>
<p id="scene-title" aria-live="polite"></p>
<p class="controls">
<label>displacement <select id="direction"></select></label>
<label>along it <input id="along" type="range" min="-1" max="1" step="0.05" value="0"></label>
<button type="button" id="play" aria-pressed="false">Move</button>
</p>
<p>Drag to turn, scroll to zoom. The center is in the green sphere and stays where it is. The longest arrow is
{LENGTH:g} Å; atoms move by up to half of theirs.</p>
</figcaption>
</figure>
<noscript><p>The 3D view needs JavaScript.</p></noscript>
<script type="application/json" id="scenes">{data}</script>
<script>{script}</script>
<script>{own}</script>
"""


def licence(shown: Viewer) -> str:
    """What has to go with the viewer, as HTML."""
    words = f"<summary>Licence of the 3D viewer in this page</summary><pre>{escape(shown.licence)}</pre>"
    return f"<details>{words}</details>"


def scene(
    title: str, positions: np.ndarray, symbols: Sequence[str], center: str, moves: Sequence[tuple[str, np.ndarray]]
) -> dict[str, Any]:
    """One environment for the viewer, turned so that one looks at its broad side.

    **Arguments:** `positions`, `(n, 3)`, Å relative to the center; `symbols`, of those; `center`, the center's, empty
    where no atom sits there; `moves`: displacements by name, `(n, 3)`.
    """
    turn = _broadside(positions)
    first = [np.zeros(3)] if center else []
    places = np.stack([*first, *(positions @ turn)])
    places = places - (places.min(0) + places.max(0)) / 2
    found = []
    for name, displacement in moves:
        arrows = np.stack([*first, *(displacement @ turn)])
        longest = np.linalg.norm(arrows, axis=1).max()
        found.append({"name": name, "arrows": np.round(LENGTH * arrows / max(longest, 1e-30), 4).tolist()})
    return {
        "title": title,
        "symbols": [*([center] if center else []), *symbols],
        "positions": np.round(places, 4).tolist(),
        "has_center": bool(center),
        "radius": round(float(np.linalg.norm(places, axis=1).max()), 4),
        "moves": found,
    }


def _broadside(positions: np.ndarray) -> np.ndarray:
    """A rotation, `(3, 3)`, after which one looks at the broad side along z, from a little above."""
    axes = np.linalg.svd(np.concatenate([positions, np.zeros((3, 3))]))[2]
    axes = axes * np.sign(np.linalg.det(axes))
    tilt, side = np.deg2rad(25), np.deg2rad(20)
    about_x = np.asarray([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    about_y = np.asarray([[np.cos(side), 0, np.sin(side)], [0, 1, 0], [-np.sin(side), 0, np.cos(side)]])
    return (about_x @ about_y @ axes).T
