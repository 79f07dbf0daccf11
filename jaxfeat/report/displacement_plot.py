"""Pictures of environments and structures with arrows for displacements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from jaxfeat.report.displacement import ELEMENT_COLORS, OTHER_COLOR, Scene, draw_radius, make_scene
from jaxfeat.report.families import Family
from jaxfeat.report.figures import Maker, format_symbol, open_axes, say_nothing_to_draw, style
from jaxfeat.report.palette import CAUSE_COLORS, color_cause
from jaxfeat.report.tables import format_causes

PANELS = 6  # kinds, or directions, that a picture shows
PANEL_SIZE, TITLE_HEIGHT = 2.3, 0.4  # inches
FADING = 0.5  # share of white in the color of the farthest atom
LEAST_LABEL = 8.0  # points, the least diameter of an atom with its symbol
SHORTEST_ARROW = 0.03  # over the longest; shorter ones are not drawn


@style()
def plot_families(
    families: Sequence[Family], title: str | None = None, ax: Any = None, make: Maker = Figure
) -> list[Axes]:
    """Draw one example of each of the most frequent kinds of singular points, with its null displacement as arrows, in
    the color of the cause. Axes that are given decide how many kinds are drawn."""
    examples = [family["example"] for family in families]
    scenes = [make_scene(one["positions"], one["symbols"], one["center"], one["displacement"]) for one in examples]
    panels = _open_panels(scenes, title, ax, make)
    if not families:
        say_nothing_to_draw(panels, "no start landed on a singular point")
    for number, (axes, family, scene) in enumerate(zip(panels, families, scenes, strict=False), 1):
        draw_scene(axes, scene, color_cause(worst_cause(family["cause"])))
        symbol = format_symbol(family["symmetry"])
        n, where = family["points"], "no symmetry" if family["symmetry"] in ("C1", "C_1", "") else symbol
        words = f"{n} point{'s' if n != 1 else ''}, {where}"
        axes.set_title(f"{number}: {format_causes(family['cause'])}\n{words}", fontsize=8)
    return panels


@style()
def plot_displacements(
    scenes: Sequence[tuple[str, str, Scene]], title: str | None = None, ax: Any = None, make: Maker = Figure
) -> list[Axes]:
    """Draw scenes, each with a name and the name of a cause. Axes that are given decide how many are drawn."""
    panels = _open_panels([scene for *_, scene in scenes], title, ax, make)
    if not scenes:
        say_nothing_to_draw(panels, "there is no null direction but rigid motions")
    for axes, (name, cause, scene) in zip(panels, scenes, strict=False):
        draw_scene(axes, scene, color_cause(cause))
        axes.set_title(name, fontsize=8)
    return panels


def worst_cause(counts: Any) -> str:
    """Return the worst cause of a null space: blind spots are worse than physics."""
    return next((cause for cause in CAUSE_COLORS if cause != "rigid" and counts.get(cause)), "other")


def _open_panels(scenes: Sequence[Scene], title: str | None, ax: Any, make: Maker) -> list[Axes]:
    """Open axes for some scenes. In a new figure, panels are as high as the highest scene needs."""
    if ax is not None:
        return open_axes(ax, (0, 0), title, shape=(1, len(np.ravel(np.asarray(ax, object)))))
    n = min(max(len(scenes), 1), PANELS)
    columns = min(n, 3)
    rows = -(-n // columns)
    high = max((scene.reach[1] / scene.reach[0] for scene in scenes[:n]), default=0.5)
    height = PANEL_SIZE * float(np.clip(high, 0.4, 1)) + TITLE_HEIGHT
    panels = open_axes(None, (PANEL_SIZE * columns + 0.1, height * rows + 0.3), title, make, (rows, columns))
    for empty in panels[n:]:
        empty.set_axis_off()
    return panels


def draw_scene(axes: Axes, scene: Scene, color: str) -> None:
    """Draw atoms, bonds and arrows, the farthest first. Far atoms are paler."""
    depth = scene.places[:, 2]
    near = (depth - depth.min()) / max(np.ptp(depth), 1e-9) if len(depth) else depth
    for (i, j), dotted in [(b, False) for b in scene.bonds] + [(t, True) for t in scene.threads]:
        ends, place = scene.places[[i, j]], 2 + min(near[i], near[j]) - 0.01
        line: dict[str, Any] = {"lw": 0.7, "ls": ":", "color": "#999999"} if dotted else {"lw": 2.4, "color": "#BBBBBB"}
        axes.plot(ends[:, 0], ends[:, 1], zorder=place, solid_capstyle="round", **line)
    # Constrained layout leaves a little less room for the panel than it has now.
    width, height = 0.9 * np.asarray(axes.get_window_extent().size) / axes.figure.dpi
    x, y = scene.reach
    x, y = max(x, y * width / height), max(y, x * height / width)
    points_per_length = 72 * width / (2 * x)
    longest = np.linalg.norm(scene.arrows, axis=1).max(initial=0.0)
    for place, arrow, symbol, shade in zip(scene.places, scene.arrows, scene.symbols, near, strict=True):
        radius, fill = draw_radius(symbol), ELEMENT_COLORS.get(symbol, OTHER_COLOR)
        white = FADING * (1 - shade)
        face = tuple((1 - white) * one + white for one in to_rgb(fill))
        edge = tuple((1 - white) * one + white for one in to_rgb("#333333"))
        axes.add_patch(Circle(tuple(place[:2]), radius, facecolor=face, edgecolor=edge, lw=0.8, zorder=2 + shade))
        if symbol and 2 * radius * points_per_length > LEAST_LABEL:
            axes.text(
                place[0], place[1], symbol, fontsize=min(8, 1.1 * radius * points_per_length), ha="center",
                va="center_baseline", zorder=2.001 + shade, color=edge, clip_on=True,
            )  # fmt: skip
        if np.linalg.norm(arrow) > SHORTEST_ARROW * longest and longest:
            # Arrows begin at the rim, so that no arrow hides a symbol.
            length = float(np.linalg.norm(arrow[:2]))
            start = place[:2] + radius * arrow[:2] / max(length, 1e-9)
            head = min(9.0, 1.2 * length * points_per_length)
            shape: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": head, "joinstyle": "miter"}
            shape |= {"lw": 1.8, "color": color, "shrinkA": 0, "shrinkB": 0, "zorder": 4 + shade, "clip_on": False}
            axes.add_patch(FancyArrowPatch(tuple(start), tuple(start + arrow[:2]), **shape))
    axes.set(xlim=(-x, x), ylim=(-y, y))
    axes.set_aspect("equal")
    axes.set_axis_off()
