"""The environments of one atom along a path of structures, in which neighbors enter and leave the radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.ase_input import check_structures
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.species import Atoms

MAX_STRAIN = 0.5  # strain of the cell between two structures above which neighbors are not followed


class FollowedCenter(NamedTuple):
    """Environments of one center along a path, all with the same neighbors in the same order.

    **Attributes:** `environments`: `(f,)`, one for each structure. A neighbor may lie outside the radius in some of
    them. `neighbors`: `(n,)`, the index of the atom of which each neighbor is an image.
    """

    environments: Environment
    neighbors: np.ndarray


def follow_center(frames: Sequence[Atoms], r_cut: float, center: int) -> FollowedCenter:
    """Cut out the environment of one atom from each structure of a path: of a molecule, a layer or a crystal.

    Between two structures the path is straight. Neighbors are all atoms and images that come nearer to the center than
    the radius on the path, ordered by atom and image. An atom that a file puts back into the cell is followed to the
    image that is nearest to its last position, relative to the center and in units of the cell.

    **Arguments:**

    - `frames`: `ase.Atoms` of the same atoms in the same order. Cells may change.
    - `r_cut`: The radius in Å; for molecules it may be infinite.
    - `center`: The index of the center.

    **Returns:** A `FollowedCenter` of as many environments as there are frames, with positions in Å.

    **Raises:** `ReadError` and `GeometryError` as `jaxfeat.environments`; `GeometryError` if frames hold other atoms or
    repeat in other directions than the first, if a cell changes by half between two frames, for a center that is not
    there, and if no atom comes within the radius.
    """
    return _cut(_unwrap(frames, center), r_cut)


def follow_displacement(
    atoms: Atoms, moves: np.ndarray, r_cut: float, center: int, reach: float = 1.0
) -> FollowedCenter:
    """Cut out the environment of one atom, with the neighbors that enter it as all atoms move along a mode.

    **Arguments:**

    - `atoms`: The structure at rest, a molecule, a layer or a crystal.
    - `moves`: `(n, 3)`, the mode, of any length. Images of an atom move as the atom does.
    - `r_cut`: The radius in Å.
    - `center`: The index of the center.
    - `reach`: Å. The path goes so far to both sides, in the norm of the moves of all neighbors within `r_cut` at rest,
        relative to the center. `displacement` has the same argument.

    **Returns:** A `FollowedCenter` of one environment, at rest.

    **Raises:** as `follow_center`.
    """
    start = _unwrap([atoms], center)
    relative = moves - moves[start.center]
    norm = np.linalg.norm(relative[_cut(start, r_cut).neighbors])
    step = reach * relative / norm if norm > 0 else np.zeros_like(relative)
    vectors = start.vectors + np.stack([-step, np.zeros_like(step), step])
    whole = start._replace(vectors=vectors, cells=start.cells.repeat(3, 0), shifts=start.shifts.repeat(3, 0))
    found = _cut(whole, r_cut)
    return found._replace(environments=found.environments[1:2])


class _Path(NamedTuple):
    """Vectors `(f, n, 3)` in Å from the center to all atoms, continuous along the path; the cells `(f, 3, 3)`; the
    cells `(f, n, 3)` by which the vectors differ from those in the structures; the atoms, and the directions that
    repeat."""

    vectors: np.ndarray
    cells: np.ndarray
    shifts: np.ndarray
    numbers: np.ndarray
    center: int
    periodic: np.ndarray


def _unwrap(frames: Sequence[Atoms], center: int) -> _Path:
    structures, _ = check_structures(frames, [f"structure {k}" for k in range(len(frames))])
    numbers, periodic = structures[0].numbers.astype(np.int32), structures[0].pbc
    if not -len(numbers) <= center < len(numbers):
        raise GeometryError(f"there is no atom {center}, only 0 to {len(numbers) - 1}.")
    cells = np.tile(np.eye(3), (len(structures), 1, 1))
    for k, structure in enumerate(structures):
        if not np.array_equal(structure.numbers, numbers):
            raise GeometryError(f"structure {k} has other atoms, or another order of them, than structure 0.")
        if (structure.pbc != periodic).any():
            raise GeometryError(f"structure {k} repeats in other directions than structure 0; make their pbc agree.")
        if periodic.any():
            cell = structure.cell.copy()
            cell[~periodic] = 0.0
            cells[k] = cell.complete().array
    positions = np.stack([np.asarray(structure.positions, float) for structure in structures])
    vectors = positions - positions[:, center, None]
    # Relative to the center, so that a shift of all atoms at once does not count.
    jumps = np.rint(np.diff(vectors @ np.linalg.inv(cells), axis=0, prepend=0)) * periodic
    jumps[0] = 0
    shifts = -np.cumsum(jumps, axis=0)
    return _Path(vectors + shifts @ cells, cells, shifts, numbers, center % len(numbers), periodic)


def _cut(path: _Path, r_cut: float) -> FollowedCenter:
    """Cut out environments with the neighbors that come within the radius on the path."""
    images = _list_images(path, r_cut)
    if not len(images):
        raise GeometryError(f"no atom comes within {r_cut:g} Å of atom {path.center}; choose another center or r_cut.")
    neighbors, shift = images[:, 0], images[:, 1:]
    n, shape = len(path.vectors), (len(path.vectors), len(images))
    arrays: dict[str, Any] = {
        "positions": path.vectors[:, neighbors] + shift @ path.cells,
        "species": np.broadcast_to(path.numbers[neighbors], shape),
        "mask": np.ones(shape, bool),
        "center_species": np.full(n, path.numbers[path.center]),
        "structure_index": np.arange(n, dtype=np.int32),
        "center_index": np.full(n, path.center, np.int32),
        "r_cut": np.full(n, r_cut, float),
        "neighbor_index": np.broadcast_to(neighbors.astype(np.int32), shape),
        "neighbor_shift": (shift + path.shifts[:, neighbors]).astype(np.int32),
    }
    return FollowedCenter(jax.device_put(Environment(**arrays)), neighbors)


def _list_images(path: _Path, r_cut: float) -> np.ndarray:
    """List the atoms and their images, in cells `(m, 4)`, that come nearer to the center than `r_cut` on the path."""
    found = []
    for k in range(max(1, len(path.vectors) - 1)):
        ends = [k, min(k + 1, len(path.vectors) - 1)]
        (first, last), (old, new) = path.vectors[ends], path.cells[ends]
        change = np.linalg.solve(old, new)
        strain = np.linalg.norm(change - np.eye(3), 2)
        if strain > MAX_STRAIN:
            raise GeometryError(f"the cell changes by {strain:.0%} from structure {k} to {k + 1}; add some in between.")
        # An image at distance r moves by at most `strain` r, and as far as its atom moves in the strained cell.
        reach = (r_cut + np.linalg.norm(last - first @ change, axis=-1).max()) / (1 - strain)
        inverse = np.linalg.inv(old)
        room = np.where(path.periodic, np.ceil(reach * np.linalg.norm(inverse, axis=0) + 0.5), 0).astype(int)
        around = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in room), indexing="ij"), -1).reshape(-1, 3)
        shifts = around - (np.rint(first @ inverse) * path.periodic)[:, None]
        start = first[:, None] + shifts @ old
        atom, image = np.nonzero(np.linalg.norm(start, axis=-1) < reach)
        start, shift = start[atom, image], shifts[atom, image]
        step = last[atom] + shift @ new - start
        along = np.clip(-(start * step).sum(-1) / np.maximum((step**2).sum(-1), 1e-300), 0, 1)
        near = np.linalg.norm(start + along[:, None] * step, axis=-1) < r_cut
        near &= (atom != path.center) | shift.any(1)
        found.append(np.column_stack([atom, shift])[near].astype(int))
    return np.unique(np.concatenate(found), axis=0)
