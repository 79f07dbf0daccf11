"""Atoms with arrows as SVG elements for notebooks, which turn when they are dragged."""

import json
from html import escape

import numpy as np

from jaxfeat.report.displacement import ELEMENT_COLORS, OTHER_COLOR, Scene, draw_radius
from jaxfeat.report.html_elements import read_resource

WIDTH = 210  # pixels
LEAST_RATIO, MOST_RATIO = 0.5, 1.0  # of height to width
HEAD = 0.24  # Å, the length of the head of an arrow
SHORTEST_ARROW = 0.03  # over the longest; shorter ones are not drawn
MOST_ATOMS = 80  # atoms up to which a scene is drawn


def draw_svg(scene: Scene, name: str, color: str) -> str:
    """Draw a scene as a figure with a caption. The numbers of the scene go with it, for the script that turns it."""
    x, y = scene.reach
    ratio = float(np.clip(y / x, LEAST_RATIO, MOST_RATIO))
    x, y = max(x, y / ratio), max(y, x * ratio)
    longest = np.linalg.norm(scene.arrows, axis=1).max(initial=0.0)
    shown = np.linalg.norm(scene.arrows, axis=1) > SHORTEST_ARROW * longest
    numbers = {
        "places": np.round(scene.places, 3).tolist(),
        "arrows": [list(np.round(arrow, 3)) if keep else None for arrow, keep in zip(scene.arrows, shown, strict=True)],
        "symbols": scene.symbols,
        "radii": [draw_radius(symbol) for symbol in scene.symbols],
        "fills": [ELEMENT_COLORS.get(symbol, OTHER_COLOR) for symbol in scene.symbols],
        "bonds": scene.bonds,
        "threads": scene.threads,
        "color": color,
        "head": HEAD,
    }
    data = escape(json.dumps(numbers, separators=(",", ":")))
    box = f"{-x:.3f} {-y:.3f} {2 * x:.3f} {2 * y:.3f}"
    label = escape(f"{name or 'atoms'}: {' '.join(scene.symbols)}")
    return (
        f'<figure><svg class="jaxfeat-scene" role="img" aria-label="{label}" viewBox="{box}" width="{WIDTH}" '
        f'height="{WIDTH * y / x:.0f}" data-scene="{data}">{_draw_elements(numbers)}</svg>'
        f"<figcaption>{escape(name)}</figcaption></figure>"
    )


def turning_script() -> str:
    """Return the script that lets readers turn all scenes of an output. Without it, scenes stand still."""
    return f"<script>{read_resource('notebook.js')}</script>"


def _draw_elements(scene: dict) -> str:
    """Write what the script writes when a scene is turned: the farthest first."""
    places = scene["places"]
    depths = [place[2] for place in places]
    low, high = min(depths, default=0.0), max(depths, default=0.0)
    found = []
    for pairs, look in (
        (scene["bonds"], 'stroke="#bbb" stroke-width="0.09"'),
        (scene["threads"], 'stroke="#999" stroke-width="0.025" stroke-dasharray="0.06 0.06"'),
    ):
        for i, j in pairs:
            (x, y, z), (u, v, w) = places[i], places[j]
            found.append((min(z, w) - 0.01, f'<line x1="{x}" y1="{-y}" x2="{u}" y2="{-v}" {look}/>'))
    for k, (x, y, z) in enumerate(places):
        near, radius = (z - low) / max(high - low, 1e-9), scene["radii"][k]
        text = f'<circle cx="{x}" cy="{-y}" r="{radius}" fill="{scene["fills"][k]}" stroke="#333" '
        text += f'stroke-width="0.03" stroke-opacity="{0.35 + 0.65 * near:.2f}"/>'
        if radius > 0.1:
            text += f'<text x="{x}" y="{-y + 0.36 * radius:.3f}" font-size="{1.05 * radius:.3f}" text-anchor="middle" '
            text += f'fill="#222">{escape(scene["symbols"][k])}</text>'
        arrow = scene["arrows"][k]
        if arrow is not None and (length := float(np.hypot(arrow[0], arrow[1]))) > 1e-3:
            dx, dy = arrow[0] / length, arrow[1] / length
            x, y = x + radius * dx, y + radius * dy
            tip, head = (x + arrow[0], y + arrow[1]), min(scene["head"], 0.7 * length)
            base = tip[0] - head * dx, tip[1] - head * dy
            corners = [tip, (base[0] - 0.4 * head * dy, base[1] + 0.4 * head * dx)]
            corners.append((base[0] + 0.4 * head * dy, base[1] - 0.4 * head * dx))
            points = " ".join(f"{one:.3f},{-other:.3f}" for one, other in corners)
            text += f'<line x1="{x:.3f}" y1="{-y:.3f}" x2="{base[0]:.3f}" y2="{-base[1]:.3f}" '
            text += (
                f'stroke="{scene["color"]}" stroke-width="0.06"/><polygon points="{points}" fill="{scene["color"]}"/>'
            )
        found.append((z, text))
    return "".join(text for _, text in sorted(found, key=lambda one: one[0]))
