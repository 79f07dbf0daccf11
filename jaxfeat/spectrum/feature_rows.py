"""Features of environments, and their derivatives by atoms, one row for each pair of an environment and an atom within
its cutoff: arrays for files, of which most of a dense Jacobian would be zeros."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.host_work import is_small, room_for_neighbors
from jaxfeat.geometry.environment import Environment
from jaxfeat.spectrum.jacobian import jacobian

BLOCK_BYTES = 32_000_000  # bytes of the Jacobians that are computed together
ROWS_BYTES = 256_000_000  # bytes of the entries that are in memory at a time, if a file is written part by part
MOST_TOGETHER = 256  # environments that are computed together


class FeatureRows(NamedTuple):
    """Features of environments or of structures, and the entries of their Jacobian.

    Entry e is the derivative of the features of row `row[e]` by the position of atom `atom[e]`, seen in its periodic
    image `shift[e]`. The center moves with its atom: the first entry of an environment is that of its own center, and
    minus the sum of the others. An atom has one entry for each of its images; the derivative by the atom is their sum.

    **Attributes:**

    - `features`: `(b, d)`. `structure`, `(b,)`: the index of each structure.
    - `center`, `species`: `(b,)`, the index and the atomic number of each center; `None` for structures.
    - `jacobian`: `(e, d, 3)`, features per Å. `row`, `atom`: `(e,)`. `shift`: `(e, 3)`, in units of the cell vectors.
    """

    features: Float[np.ndarray, "b d"]
    structure: Int[np.ndarray, " b"]
    center: Any
    species: Any
    jacobian: Any = None
    row: Any = None
    atom: Any = None
    shift: Any = None


def compute_feature_rows(
    f: AbstractFeaturizer, batch: Environment, derivatives: bool, n_items: int, progress: Callable[[int], None]
) -> FeatureRows:
    """Compute features, and `derivatives` if they are wanted, of a batch `(b,)` of NumPy arrays, one of a job of
    `n_items` environments. `progress` is called with the number of finished ones."""
    f = f.prepared()
    counts = batch.mask.sum(-1)
    rooms = np.asarray([room_for_neighbors(n) for n in range(batch.max_neighbors + 1)])[counts]
    in_numpy = f.runs_on_host and is_small(int(np.ceil(counts.mean())) if len(batch) else 0, n_items, "job")
    starts = np.append(0, np.cumsum(counts + 1))
    found: dict[str, Any] = {}
    done = 0
    for room in np.unique(rooms).tolist():
        members = np.flatnonzero(rooms == room)
        length = _block_length(f, batch[int(members[0])].padded(room), len(members))
        for indices in np.split(members, range(length, len(members), length)):
            padding = 0 if in_numpy or f.only_on_host else length - len(indices)
            items = batch[np.pad(indices, (0, padding), mode="edge")].padded(room)
            values = f.compute_features_on_host(items) if in_numpy else np.asarray(f(items))
            _put(found, "features", (len(batch),), indices, values[: len(indices)])
            if derivatives:
                each = f.compute_jacobians_on_host(items) if in_numpy else np.asarray(jacobian(f, items))
                entries = _list_entries(batch[indices].padded(room), each[: len(indices)])
                for name, entry in entries.items():
                    # Entries follow the order of the environments in the batch.
                    where = np.concatenate([np.arange(starts[k], starts[k + 1]) for k in indices])
                    _put(found, name, (int(starts[-1]),), where, entry)
            done += len(indices)
            progress(done)
    if derivatives:
        found["row"] = np.repeat(np.arange(len(batch)), counts + 1)
    found["structure"] = batch.structure_index
    return FeatureRows(center=batch.center_index, species=batch.center_species, **found)


def split_batch(f: AbstractFeaturizer, batch: Environment, whole_structures: bool) -> Iterator[Environment]:
    """Cut a batch `(b,)` of NumPy arrays into parts whose Jacobians fit into `ROWS_BYTES`; into single structures,
    however large, if they are to be `whole_structures`."""
    one_bytes = 24 * count_features(f, batch[0]) * (batch.max_neighbors + 1)
    length = max(ROWS_BYTES // one_bytes, 1)
    ends = np.arange(length, len(batch), length)
    if whole_structures and len(ends):
        ends = np.flatnonzero(np.diff(batch.structure_index)) + 1
    for start, end in zip([0, *ends], [*ends, len(batch)], strict=True):
        yield batch[start:end].trimmed()


def count_features(f: AbstractFeaturizer, item: Environment) -> int:
    """Count the features, of one environment if only a call tells."""
    return f.n_features_if_known or len(f(item))


def _block_length(f: AbstractFeaturizer, item: Environment, n_members: int) -> int:
    """Choose how many environments of one size are computed together: a power of two, so that few programs serve."""
    fitting = BLOCK_BYTES // (24 * max(count_features(f, item), 1) * item.max_neighbors)
    return int(min(2 ** (max(fitting, 1).bit_length() - 1), MOST_TOGETHER, 2 ** (n_members - 1).bit_length()))


def _put(found: dict[str, Any], name: str, length: tuple[int], where: np.ndarray, values: np.ndarray) -> None:
    if name not in found:
        found[name] = np.zeros((*length, *values.shape[1:]), values.dtype)
    found[name][where] = values


def _list_entries(batch: Environment, each: Float[np.ndarray, "b d n 3"]) -> dict[str, np.ndarray]:
    """List the entries of each environment, the one of its center first."""
    by_neighbor = np.moveaxis(each, 2, 1)
    whole = np.concatenate([-by_neighbor.sum(1, keepdims=True), by_neighbor], 1)
    held = np.pad(batch.mask, ((0, 0), (1, 0)), constant_values=True)
    atom = np.concatenate([batch.center_index[:, None], batch.neighbor_index], 1)
    shift = np.pad(batch.neighbor_shift, ((0, 0), (1, 0), (0, 0)))
    return {"jacobian": whole[held], "atom": atom[held], "shift": shift[held]}


def sum_by_structure(rows: FeatureRows, species: Int[np.ndarray, " s"]) -> FeatureRows:
    """Add up the features of all centers of each of the `species` in each structure, and the entries of each atom."""
    structures, which = np.unique(rows.structure, return_inverse=True)
    n_features = rows.features.shape[1]
    place = np.argmax(np.asarray(species)[None] == np.asarray(rows.species)[:, None], 1)
    features = np.zeros((len(structures), len(species), n_features))
    np.add.at(features, (which, place), rows.features)
    found = FeatureRows(features.reshape(len(structures), -1), structures, None, None)
    if rows.jacobian is None:
        return found
    pairs, entry = np.unique(np.stack([which[rows.row], rows.atom], 1), axis=0, return_inverse=True)
    sums = np.zeros((len(pairs), len(species), n_features, 3))
    np.add.at(sums, (entry.ravel(), place[rows.row]), rows.jacobian)
    jacobian = sums.reshape(len(pairs), -1, 3)
    return found._replace(jacobian=jacobian, row=pairs[:, 0], atom=pairs[:, 1], shift=np.zeros((len(pairs), 3), int))


def fill_in_zeros(rows: FeatureRows, n_atoms: int) -> Float[np.ndarray, "b d n 3"]:
    """Make the dense Jacobian by the positions of `n_atoms` atoms, with zeros for those beyond the cutoff."""
    b, d = rows.features.shape
    dense = np.zeros((b, n_atoms, d, 3))
    np.add.at(dense, (rows.row, rows.atom), rows.jacobian)
    return np.moveaxis(dense, 1, 2)


def to_host(batch: Environment) -> Environment:
    """Return the same environments as NumPy arrays."""
    return jax.tree.map(np.asarray, batch)
