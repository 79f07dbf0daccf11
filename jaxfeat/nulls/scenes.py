"""Null directions as atoms with arrows, for pictures and notebooks."""

from typing import Any

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.unpadded import unpadded_atoms
from jaxfeat.report.displacement import Scene, make_scene
from jaxfeat.report.palette import CAUSE_COLORS


def list_scenes(null: Any, at: Any = None, most: int | None = None) -> list[tuple[str, str, Scene]]:
    """Make the scenes of null directions, each with a name and a cause: curable causes first, rigid motions left out.

    - `null`: A `NullSpace`, whose class this module cannot import, because that module imports this one.
    - `at`: The environment or structure. By default that of `null`. **Raises:** `GeometryError` if there is none.
    """
    at = at if at is not None else getattr(null.nearby, "at", None)
    if at is None:
        raise GeometryError(f"the atoms of this null space are not known (status {null.status}); pass them as `at`.")
    named = [
        (f"{cause} {k}" if len(null.directions[cause]) > 1 else cause, cause, direction)
        for cause in CAUSE_COLORS
        if cause != "rigid"
        for k, direction in enumerate(null.directions.get(cause, ()), 1)
    ]
    return [(name, cause, make_scene(*unpadded_atoms(at, direction))) for name, cause, direction in named[:most]]
