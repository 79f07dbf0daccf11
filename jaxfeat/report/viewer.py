"""Environments in three dimensions on a page, with moving displacements, drawn by the viewer of chemiscope."""

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from jaxfeat.report.html_elements import fill_template, read_resource

BUNDLE = "chemiscope/sphinx/static/chemiscope.min.js"

LICENCES = ("LICENSE", "chemiscope-widget.mjs.LICENSE.txt")
"""Files of chemiscope with its licence, and with the notices of the software that it bundles."""

MISSING = "The report has no 3D view: install chemiscope (pip install 'jaxfeat[report]') and make the report again."
ARROW_LENGTH = 0.8  # Length of the longest arrow in Å. Atoms move by half of their arrows in either direction.


class Viewer(NamedTuple):
    """The viewer of chemiscope: its `script`, and the `licence` that every copy must carry."""

    script: str
    licence: str


def find_viewer() -> Viewer | None:
    """Find the viewer in the installed chemiscope, without importing it; `None` if it is not installed."""
    try:
        package = distribution("chemiscope")
        script = Path(str(package.locate_file(BUNDLE))).read_text(encoding="utf-8")
    except (PackageNotFoundError, FileNotFoundError):
        return None
    licences = [file.read_text(encoding="utf-8") for file in package.files or () if file.name in LICENCES]
    return Viewer(script, "\n\n".join([f"chemiscope {package.version}", *licences]))


def embed_viewer(shown: Viewer, scenes: Sequence[dict[str, Any]]) -> str:
    """Write the viewer, its controls and the scenes as HTML."""
    # An end tag in a script ends the script, and the beginning of a comment hides the lines after it.
    script = re.sub(r"</(?=script)", r"<\\/", shown.script, flags=re.IGNORECASE).replace("<!--", r"\x3c!--")
    data = json.dumps(list(scenes), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    length, own = f"{ARROW_LENGTH:g}", read_resource("viewer.js")
    return fill_template("viewer.html", arrow_length=length, scenes=data, script=script, own=own)


def embed_licence(shown: Viewer) -> str:
    """Write the licence that the viewer must carry, as HTML."""
    words = f"<summary>Licence of the 3D viewer in this page</summary><pre>{escape(shown.licence)}</pre>"
    return f"<details>{words}</details>"


def make_scene(
    title: str, positions: np.ndarray, symbols: Sequence[str], center: str, moves: Sequence[tuple[str, np.ndarray]]
) -> dict[str, Any]:
    """Make the scene of an environment for the viewer, turned to its broad side. Positions and `moves`, which have
    names, are `(n, 3)`, in Å relative to the center, whose symbol is empty if no atom sits there."""
    turn = _broadside(positions)
    first = [np.zeros(3)] if center else []
    places = np.stack([*first, *(positions @ turn)])
    places = places - (places.min(0) + places.max(0)) / 2
    found = []
    for name, displacement in moves:
        arrows = np.stack([*first, *(displacement @ turn)])
        longest = np.linalg.norm(arrows, axis=1).max()
        found.append({"name": name, "arrows": np.round(ARROW_LENGTH * arrows / max(longest, 1e-30), 4).tolist()})
    return {
        "title": title,
        "symbols": [center, *symbols] if center else list(symbols),
        "positions": np.round(places, 4).tolist(),
        "has_center": bool(center),
        "radius": round(float(np.linalg.norm(places, axis=1).max()), 4),
        "moves": found,
    }


def _broadside(positions: np.ndarray) -> np.ndarray:
    """Find a rotation `(3, 3)` after which z looks at the broad side, from a little above."""
    axes = np.linalg.svd(np.concatenate([positions, np.zeros((3, 3))]))[2]
    axes = axes * np.sign(np.linalg.det(axes))
    return (Rotation.from_euler("XY", (25, 20), degrees=True).as_matrix() @ axes).T
