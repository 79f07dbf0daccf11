"""Atoms with arrows, ready to be drawn in two dimensions: bonds, colors, and the side from which to look."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxfeat.report.view_direction import choose_view

RADII = {"H": 0.31, "C": 0.76, "N": 0.71, "O": 0.66, "F": 0.57, "Si": 1.11, "P": 1.07, "S": 1.05, "Cl": 1.02}
"""Covalent radii in Å. All other elements have `OTHER_RADIUS`."""

OTHER_RADIUS = 1.3
BOND_STRETCH = 1.25  # bonds are up to this much longer than the sum of the radii

ELEMENT_COLORS = {
    "": "#FFFFFF", "H": "#F2F2F2", "C": "#9C9C9C", "N": "#B9CBE3", "O": "#EBC1B4", "S": "#EBE3A3", "F": "#C9E2C0",
}  # fmt: skip
OTHER_COLOR = "#D9C7E3"
"""Pale colors of elements, because strong colors are those of causes."""

MOST_THREADS = 13  # atoms up to which lines lead from the center to unbound neighbors
LONGEST = 0.33  # length of the longest arrow, over the extent of the atoms
SHORTEST_LONGEST = 0.7  # Å, the least length of the longest arrow
MARGIN = 0.35  # Å around the middles of atoms


class Scene(NamedTuple):
    """Atoms in the frame of a picture: x to the right, y upwards, z towards the reader.

    - `places`: `(n, 3)`, Å, with the center first, if there is one.
    - `arrows`: `(n, 3)`, Å, scaled so that the longest one can be seen.
    - `symbols`: Symbols of the elements. That of a center without an atom is empty.
    - `bonds`: Pairs of indices. `threads`: pairs of the center and neighbors without a bond to it.
    - `has_center`: True if the first atom is a center.
    """

    places: np.ndarray
    arrows: np.ndarray
    symbols: list[str]
    bonds: list[tuple[int, int]]
    threads: list[tuple[int, int]]
    has_center: bool

    @property
    def tips(self) -> np.ndarray:
        """The tips of the arrows, which begin at the rims of their atoms in the picture, `(n, 3)`."""
        radii = np.asarray([draw_radius(symbol) for symbol in self.symbols])[:, None]
        lengths = np.linalg.norm(self.arrows[:, :2], axis=1, keepdims=True)
        return self.places + self.arrows * (1 + radii / np.maximum(lengths, 1e-9) * (lengths > 0))

    @property
    def reach(self) -> tuple[float, float]:
        """Half the extents of atoms and arrows in the picture to the right and upwards, in Å."""
        ends = np.abs(np.concatenate([self.places, self.tips])[:, :2])
        x, y = ends.max(0, initial=0.0) + MARGIN
        return float(x), float(y)


def make_scene(
    positions: np.ndarray, symbols: Sequence[str], center: str | None, displacement: np.ndarray | None = None
) -> Scene:
    """Make the scene of an environment, or of a structure if `center` is `None`.

    - `positions`, `displacement`: `(n, 3)`, Å; positions of an environment are relative to the center.
    - `symbols`: Symbols of the atoms. That of the center is empty if no atom sits there.
    """
    places, names = np.asarray(positions, float).reshape(-1, 3), list(symbols)
    arrows = np.zeros_like(places) if displacement is None else np.asarray(displacement, float).reshape(-1, 3)
    if center is not None:
        places, arrows = (np.concatenate([np.zeros((1, 3)), one]) for one in (places, arrows))
        names = [center, *names]
    places = places - (places.min(0) + places.max(0)) / 2
    longest = np.linalg.norm(arrows, axis=1).max(initial=0.0)
    extent = 2 * np.linalg.norm(places, axis=1).max(initial=0.0)
    arrows = arrows * max(LONGEST * extent, SHORTEST_LONGEST) / longest if longest else arrows
    turn = choose_view(places, arrows, np.asarray([draw_radius(name) for name in names]))
    bonds = find_bonds(places, names)
    bound = {i for bond in bonds for i in bond}
    threads: list[tuple[int, int]] = []
    if center is not None and len(names) <= MOST_THREADS:
        threads = [(0, i) for i in range(1, len(names)) if i not in bound]
    places, arrows = places @ turn.T, arrows @ turn.T
    scene = Scene(places, arrows, names, bonds, threads, center is not None)
    ends = np.concatenate([places, scene.tips])[:, :2]
    middle = np.append((ends.min(0) + ends.max(0)) / 2, 0.0)
    return scene._replace(places=places - middle)


def find_bonds(places: np.ndarray, symbols: Sequence[str]) -> list[tuple[int, int]]:
    """List the pairs of atoms that are as near as bonded ones. Hydrogens have no bond with each other, and
    a center without an atom has none."""
    radii = np.asarray([RADII.get(symbol, OTHER_RADIUS) for symbol in symbols])
    near = np.linalg.norm(places[:, None] - places, axis=-1) < BOND_STRETCH * (radii[:, None] + radii)
    empty, hydrogen = (np.asarray([symbol == one for symbol in symbols], bool) for one in ("", "H"))
    near &= ~(hydrogen[:, None] & hydrogen) & ~empty & ~empty[:, None]
    return [(int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True)]


def draw_radius(symbol: str) -> float:
    """Return the radius (Å) of an atom in a picture."""
    return 0.08 if not symbol else 0.19 if symbol == "H" else 0.26
