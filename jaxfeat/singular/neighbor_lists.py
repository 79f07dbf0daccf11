"""Lists of neighbors of structures whose atoms a search moves. Within a search lists are fixed, so that every step has
one compiled program. They begin with room for atoms that come within reach, and the end is checked with new lists."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.neighbors import search_again
from jaxfeat.geometry.structure import Item, Structure

LISTS = ("neighbor", "shift", "neighbor_mask", "r_cut")  # fields of a structure that hold its lists of neighbors


def with_room(f: FeatureMap, starts: Item, sound: np.ndarray, farthest: float) -> Item:
    """Give lists of structures `(b,)` room for all neighbors that may come within reach while atoms move by up to
    `farthest` (Å). In molecules every atom becomes a neighbor of every center. Lists stay as they are if further
    neighbors would change features: without a window at the radius, or if the featurizer has no radius."""
    if not isinstance(starts, Structure):
        return starts
    least, most = (float(radius) for radius in f.environment_featurizer.accepted_radii)
    if not (least > 0 and np.isinf(most)):
        return starts
    if not starts.periodic:
        return _with_all_atoms(starts)
    if not np.isfinite(starts.r_cut).all():
        return starts
    return search_again(starts, np.where(sound, least + 2 * farthest, 0.0))


def with_new_lists(given: Item, positions: np.ndarray, sound: np.ndarray | None = None) -> Item:
    """Move items `(b,)`, and search for the neighbors of the `sound` structures again, within the radius that they were
    made with. A structure whose radius is infinite lists all neighbors there are."""
    moved: Any = given.with_positions(positions)  # type: ignore[arg-type]
    if not isinstance(given, Structure):
        return moved
    wanted = np.isfinite(given.r_cut) & (True if sound is None else sound)
    if not wanted.any():
        return moved
    found = search_again(moved, np.where(wanted, given.r_cut, 0))
    return _choose_lists(wanted, found, moved)


def with_lists_of(items: Item, others: Structure) -> Structure:
    """Give structures `(b,)` the lists of other structures of the same atoms, in room for both."""
    assert isinstance(items, Structure)
    return replace(_choose_lists(np.ones(len(items), bool), others, items), positions=items.positions)


def _choose_lists(first: np.ndarray, one: Structure, other: Structure) -> Structure:
    """Take the lists of structures `(b,)` of the same atoms from one batch where `first` holds, else from another."""
    k = max(one.neighbor.shape[-1], other.neighbor.shape[-1])

    def choose(a: Any, b: Any) -> np.ndarray:
        where = first.reshape(-1, *([1] * (a.ndim - 1)))
        if a.ndim > 1:
            a, b = (np.pad(x, [(0, 0), (0, 0), (0, k - x.shape[2]), *[(0, 0)] * (x.ndim - 3)]) for x in (a, b))
        return np.where(where, a, b)

    lists: Any = {name: choose(getattr(one, name), getattr(other, name)) for name in LISTS}
    return replace(one, **lists)


def n_points_listed(given: Item, listed: Item, positions: np.ndarray) -> int:
    """Count the points of a path, positions `(s, n, 3)`, before the first at which new lists hold other neighbors than
    features were computed with. `given` is the start as it was made, and `listed` the start with the lists of the path.
    Further neighbors in `listed` do no harm if these are lists with room."""
    if not isinstance(given, Structure) or not isinstance(listed, Structure) or not np.isfinite(given.r_cut):
        return len(positions)
    has_room = listed.r_cut > given.r_cut
    known = _pairs(listed)
    repeated = jax.tree.map(lambda leaf: np.stack([leaf] * len(positions)), given)
    for k, there in enumerate(with_new_lists(repeated, positions)):
        found = _pairs(there)
        if found - known if has_room else found != known:
            return k
    return len(positions)


def _pairs(structure: Any) -> set[tuple[int, ...]]:
    """List the center, the neighbor and the image of each pair of one structure."""
    rows, columns = np.nonzero(structure.neighbor_mask & structure.center_mask[:, None])
    ends = np.stack([structure.center[rows], structure.neighbor[rows, columns]], 1)
    return set(map(tuple, np.concatenate([ends, structure.shift[rows, columns]], 1).astype(int).tolist()))


def _with_all_atoms(batch: Any) -> Structure:
    n = batch.positions.shape[-2]
    others = np.arange(max(n - 1, 1))
    neighbor = np.minimum(others + (others >= batch.center[..., None]), n - 1)
    mask = np.take_along_axis(batch.mask[:, None], neighbor, -1) & batch.center_mask[..., None]
    lists: dict[str, Any] = {
        "neighbor": neighbor.astype(batch.neighbor.dtype),
        "shift": np.zeros((*neighbor.shape, 3), batch.shift.dtype),
        "neighbor_mask": mask & (neighbor != batch.center[..., None]),
        "r_cut": np.full_like(batch.r_cut, np.inf),
    }
    return replace(batch, **lists)
