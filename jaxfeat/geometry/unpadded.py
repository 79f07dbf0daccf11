"""The atoms of one item without padding, and batches as notebooks show them."""

from typing import Any, NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.species import SYMBOLS

MOST_DRAWN = 80  # atoms below which one item is drawn


class Atoms(NamedTuple):
    """The neighbors of an environment, or the atoms of a structure.

    - `positions`: `(n, 3)`, Å, relative to the center of an environment.
    - `symbols`: Their symbols.
    - `center`: The symbol of the center. Empty if no atom sits there, and `None` for a structure.
    - `displacement`: `(n, 3)`, or `None`.
    """

    positions: np.ndarray
    symbols: list[str]
    center: str | None
    displacement: np.ndarray | None


def unpadded_atoms(at: Any, displacement: Any = None) -> Atoms:
    """Take the atoms of one environment or structure, without padding. **Raises:** `GeometryError` for a batch."""
    mask = np.asarray(at.mask)
    if mask.ndim != 1:
        raise GeometryError(f"this is a batch of shape {mask.shape[:-1]}; draw one item of it, as in at[0].")
    symbols = [SYMBOLS[z] for z in np.asarray(at.species)[mask].tolist()]
    number = getattr(at, "center_species", None)
    center = None if number is None else SYMBOLS[int(number)] if int(number) else ""
    moved = None if displacement is None else np.asarray(displacement)[mask]
    return Atoms(np.asarray(at.positions)[mask], symbols, center, moved)


def show_atoms_in_notebook(at: Any) -> str:
    """Write environments or structures as HTML: one by its atoms, a batch by its centers or compositions."""
    from jaxfeat.report.displacement import make_scene
    from jaxfeat.report.notebook import show_atoms

    mask = np.asarray(at.mask)
    title, _, described = repr(at).removesuffix(")").partition("(")
    if mask.ndim == 1:
        drawn = not getattr(at, "periodic", False) and mask.sum() < MOST_DRAWN
        return show_atoms(f"{title}: {described}", [], make_scene(*unpadded_atoms(at)) if drawn else None)
    n = mask.sum(-1).reshape(-1)
    centers = np.asarray(getattr(at, "center_species", np.zeros(mask.shape[:-1], int))).reshape(-1)
    rows = []
    for number in np.unique(centers).tolist() if hasattr(at, "center_species") else []:
        own = n[centers == number]
        extent = f"{own.min()}" if own.min() == own.max() else f"{own.min()} to {own.max()}, median {np.median(own):g}"
        rows.append([SYMBOLS[number] if number else "no atom", len(own), extent])
    return show_atoms(f"{title}: {described}", rows, None)
