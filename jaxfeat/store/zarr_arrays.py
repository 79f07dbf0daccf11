"""The zarr arrays of a store, which grow along `environment` chunk by chunk: the only module that knows zarr. Any
process may write a chunk, in any order and repeatedly, because a chunk has the same content each time. Only the process
that holds the journal's lock changes the lengths of the arrays."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from jaxfeat.store.journal import replace_file
from jaxfeat.store.schema import CAUSE_NAMES, ORIGINS, Variable

GROWING = ("value", "neighbor")  # axes that grow beside `environment`
CHUNK_BYTES = 4e6  # bytes of a chunk of `AppendedArrays`
FIXED = {"cause": len(CAUSE_NAMES), "xyz": 3}  # lengths of the other axes


class ZarrArrays:
    """Arrays of a store in chunks of `length` environments; `widths` are lengths of a chunk along axes of `GROWING`."""

    def __init__(self, path: Path, variables: Mapping[str, Variable], length: int, widths: Mapping[str, int]) -> None:
        self.path, self.variables, self.length = path, variables, length
        self.widths = {**FIXED, **{axis: max(widths[axis], 1) for axis in GROWING}}
        self.arrays: dict[str, Any] = {}

    def create(self, attributes: Mapping[str, Any]) -> None:
        """Write the metadata of empty arrays if it is absent or damaged. Existing chunks and attributes stay."""
        group = _open_group(self.path)
        # xarray reads here which variables are coordinates. Any update, even an empty one, also drops consolidated
        # metadata, which would soon be outdated.
        known = "coordinates" in group.attrs
        group.update_attributes({} if known else {**attributes, "coordinates": " ".join(ORIGINS)})
        for name, variable in self.variables.items():
            if _intact_array(group, self.path, name) is None:
                group.create_array(
                    name,
                    shape=(0, *(FIXED.get(axis, 0) for axis in variable.axes)),
                    chunks=(self.length, *(self.widths[axis] for axis in variable.axes)),
                    dtype=variable.dtype,
                    fill_value=variable.missing,
                    compressors=ZstdCodec(level=1, checksum=True),
                    dimension_names=("environment", *variable.axes),
                    attributes=variable.attributes,
                )
        if _intact_array(group, self.path, "cause") is None:
            cause = group.create_array("cause", shape=CAUSE_NAMES.shape, dtype=str, dimension_names=("cause",))
            cause[:] = CAUSE_NAMES.astype(object)

    def open(self) -> Self:
        """Open the arrays that `create` made, in this process or another."""
        group = zarr.open_group(self.path, mode="r+")
        self.arrays = {name: group[name] for name in self.variables}
        return self

    @property
    def has_all_causes(self) -> bool:
        """False if a version that knew fewer causes of null directions made the arrays."""
        return self.arrays["null"].shape[1] == FIXED["cause"]

    @property
    def lengths(self) -> dict[str, int]:
        """Lengths of the axes that grow; 0 for an axis that no array has."""
        found = dict.fromkeys(("environment", *GROWING), 0)
        for name, variable in self.variables.items():
            lengths = zip(("environment", *variable.axes), self.arrays[name].shape, strict=True)
            found |= {axis: length for axis, length in lengths if axis not in FIXED}
        return found

    def resize(self, lengths: Mapping[str, int]) -> None:
        """Set the lengths of axes. This rewrites metadata, and removes chunks beyond the new lengths."""
        for name, variable in self.variables.items():
            array = self.arrays[name]
            axes = ("environment", *variable.axes)
            shape = tuple(lengths.get(axis, old) for axis, old in zip(axes, array.shape, strict=True))
            if shape != array.shape:
                array.resize(shape)

    def write(self, k: int, values: Mapping[str, np.ndarray]) -> list[Path]:
        """Write whole chunks `k` of all arrays, whatever their present lengths, and return their files. Each replaces
        its predecessor at once, and zarr reads nothing of an earlier attempt, which may be damaged."""
        for name, variable in self.variables.items():
            metadata, own = self.arrays[name].metadata, values[name]
            padding = [(0, -held % whole) for held, whole in zip(own.shape, metadata.chunks, strict=True)]
            own = np.pad(own, padding, constant_values=variable.missing)
            start, shape = k * self.length, ((k + 1) * self.length, *own.shape[1:])
            grown = zarr.Array.from_dict(self.arrays[name].store_path, {**metadata.to_dict(), "shape": shape})
            grown[start:] = own
        return [file for name in self.variables for file in _chunk_files(self.path / name, k)]

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Update the attributes of the group and consolidate the metadata."""
        _open_group(self.path).update_attributes(dict(attributes))
        consolidate(self.path)


class AppendedArrays:
    """Arrays of a new group that grow along their first axis, in chunks of about `CHUNK_BYTES`."""

    def __init__(self, path: Path) -> None:
        self.path, self.group = path, zarr.open_group(path, mode="w")
        self.arrays: dict[str, Any] = {}

    def append(self, name: str, values: np.ndarray, axes: tuple[str, ...], **attributes: Any) -> None:
        """Append rows to the array of this name, which the first rows create."""
        if name in self.arrays:
            self.arrays[name].append(values)
            return
        text = values.dtype.kind == "U"
        row_bytes = max(values[:1].nbytes, 1)
        self.arrays[name] = self.group.create_array(
            name,
            shape=values.shape,
            chunks=(max(int(CHUNK_BYTES // row_bytes), 1), *(max(n, 1) for n in values.shape[1:])),
            dtype=str if text else values.dtype,
            compressors=ZstdCodec(level=1, checksum=True),
            dimension_names=axes,
            attributes=attributes,
        )
        self.arrays[name][:] = values.astype(object) if text else values

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Write the attributes of the group and consolidate the metadata."""
        self.group.update_attributes(dict(attributes))
        consolidate(self.path)


def consolidate(path: Path) -> None:
    """Copy the arrays' metadata to the group, where xarray looks. zarr's own function lists every folder."""
    arrays = {file.parent.name: json.loads(file.read_bytes()) for file in sorted(path.glob("*/zarr.json"))}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
    group = path / "zarr.json"
    replace_file(group, json.dumps(json.loads(group.read_bytes()) | {"consolidated_metadata": consolidated}).encode())


def open_for_reading(path: Path) -> Any:
    """Open a group of arrays for reading."""
    # Only zarr's format 3: codecs of format 2 unpickle, which can run code that a store holds.
    return zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)


def is_group(path: Path) -> bool:
    """Tell whether a folder is a zarr group."""
    return (path / "zarr.json").is_file()


def _open_group(path: Path) -> Any:
    found = _read_intact(path, lambda: zarr.open_group(path, mode="r+", use_consolidated=False))
    return zarr.open_group(path, mode="a") if found is None else found


def _intact_array(group: Any, path: Path, name: str) -> Any:
    return _read_intact(path / name, lambda: group[name])


def _read_intact(folder: Path, read: Callable[[], Any]) -> Any:
    """Call `read`; remove metadata in `folder` that is damaged and return `None`, as if absent. `OSError` is raised."""
    try:
        return read()
    except Exception as error:
        # zarr raises subclasses of FileNotFoundError for absent arrays and groups, and errors of many classes for
        # metadata that it cannot parse.
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise
        (folder / "zarr.json").unlink(missing_ok=True)
        return None


def _chunk_files(array: Path, k: int) -> list[Path]:
    found = array / "c" / str(k)
    # Files with a suffix are unfinished writes of other processes.
    return [found] if found.is_file() else sorted(at for at in found.rglob("*") if at.is_file() and at.suffix == "")
