"""Files of features: NumPy arrays (.npz), a zarr store that is written chunk by chunk, and extended xyz."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from jaxfeat.errors import SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.memory import check_memory
from jaxfeat.spectrum.feature_rows import FeatureRows
from jaxfeat.store.schema import provenance

SUFFIXES = (".npz", ".zarr", ".extxyz")
COPIES = 1.25  # copies of the numbers in memory; the blocks that are computed together take a part
TEXT_BYTES = 25  # bytes of one number as text
ENTRY_BYTES = 40  # bytes of the indices of one entry of a Jacobian
SMALLER = "lower n_max or l_max, choose fewer --centers or frames (--index), or add --dtype float32"


class Array(NamedTuple):
    """An array of a file: its axes, its meaning and its unit."""

    axes: tuple[str, ...]
    meaning: str
    units: str = ""


ENTRY = "jacobian_entry"
ARRAYS = {
    "features": Array(("environment", "feature"), "features of each environment"),
    "structure": Array(("environment",), "index of its structure"),
    "center": Array(("environment",), "index of its center among the atoms"),
    "species": Array(("environment",), "atomic number of its center"),
    "jacobian": Array((ENTRY, "feature", "xyz"), "derivatives by atoms; centers move too", "features/Å"),
    "jacobian_row": Array((ENTRY,), "index of the environment"),
    "jacobian_atom": Array((ENTRY,), "index of the atom that moves"),
    "jacobian_shift": Array((ENTRY, "xyz"), "its periodic image", "cell vectors"),
    "labels": Array(("feature",), "label of each feature, as JSON"),
    "names": Array(("frame",), "name of each structure, by index"),
}
DENSE = Array(("environment", "feature", "atom", "xyz"), "derivatives by all atoms; centers move too", "features/Å")


def describe_arrays(summed: bool, dense: bool) -> dict[str, Array]:
    """Describe the arrays of a file; those of `summed` features have one row for each structure."""
    found = ARRAYS | ({"jacobian": DENSE} if dense else {})
    if not summed:
        return found
    return {
        name: Array(tuple("structure" if axis == "environment" else axis for axis in array.axes),
                    array.meaning.replace("environment", "structure"), array.units)
        for name, array in found.items()
    }  # fmt: skip


def collect_arrays(rows: FeatureRows, dtype: str, dense: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Collect the arrays of some rows by their names in a file."""
    found = {"features": rows.features.astype(dtype, copy=False), "structure": rows.structure}
    if rows.center is not None:
        found |= {"center": rows.center, "species": rows.species}
    if dense is not None:
        return found | {"jacobian": dense.astype(dtype, copy=False)}
    if rows.jacobian is not None:
        found |= {
            "jacobian": rows.jacobian.astype(dtype, copy=False),
            "jacobian_row": rows.row,
            "jacobian_atom": rows.atom,
        }
        found["jacobian_shift"] = rows.shift
    integers = {name for name, array in found.items() if array.dtype.kind == "i"}
    # Rows are counted over all environments of a file.
    return {
        name: array.astype(np.int64 if name == "jacobian_row" else np.int32) if name in integers else array
        for name, array in found.items()
    }


def list_labels(f: AbstractFeaturizer, n_features: int, symbols: Sequence[str] | None) -> np.ndarray:
    """List the labels of the features as JSON texts; numbers if they have none. Those of features that are summed over
    the centers of each species begin with its symbol."""
    known = f.n_features_if_known is not None
    labels = [tuple(map(_plain, label)) for label in f.labels] if known else [(k,) for k in range(n_features)]
    if symbols is not None:
        labels = [(symbol, *label) for symbol in symbols for label in labels]
    return np.asarray([json.dumps(label) for label in labels])


def _plain(part: Any) -> Any:
    return part.item() if isinstance(part, np.generic) else part if isinstance(part, (int, float, str)) else str(part)


def describe_origin(f: AbstractFeaturizer, **words: str) -> dict[str, str]:
    """Collect what made the features: the spec of the featurizer, versions, the input, the command, units."""
    return {**provenance(f), **words, "units": "positions in Å, Jacobians in features per Å"}


def check_size(
    path: Path, n_rows: int, n_features: int, n_entries: int, itemsize: int, rearranged: bool = False
) -> None:
    """Raise `SizeError` if the features of `n_rows` environments, and `n_entries` of their Jacobians, do not fit into
    memory or on the disk. If they are `rearranged`, there is a copy in memory. A zarr store needs little memory."""
    n_numbers = n_features * (n_rows + 3 * n_entries)
    n_bytes = n_numbers * (TEXT_BYTES if path.suffix == ".extxyz" else itemsize) + n_entries * ENTRY_BYTES
    what = f"{n_features:,} features of {n_rows:,} environments" + (" and their Jacobians" if n_entries else "")
    if path.suffix != ".zarr":
        copies = COPIES + rearranged + 0.5 * (itemsize < 8)
        check_memory(8 * copies * n_numbers, what, f"write a .zarr, or {SMALLER}")
    free = shutil.disk_usage(path.parent).free
    if n_bytes > free:
        sizes = f"take up to {n_bytes / 1e9:.3g} GB on the disk of {path}, where {free / 1e9:.3g} GB are free"
        raise SizeError(f"{what} {sizes}; {SMALLER}.")


def write_npz(
    file: IO[bytes],
    arrays: Mapping[str, np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    origin: Mapping[str, str],
) -> None:
    """Write arrays as NumPy does. `about` is a JSON text that says what made them."""
    np.savez(file, **arrays, labels=labels, names=np.asarray(names), about=np.asarray(json.dumps(origin)))  # type: ignore[arg-type]
