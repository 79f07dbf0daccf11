"""Arrays of a zarr store that grow along `environment`, chunk by chunk.

Chunks may be written by any process, in any order and again, and have the same content each time. The arrays' lengths
are for one process to set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from jaxfeat.store.journal import place
from jaxfeat.store.schema import CAUSE_NAMES, ORIGINS, Variable

AXES = ("value", "neighbor")
"""Axes that grow beside `environment`."""

FIXED = {"cause": len(CAUSE_NAMES), "xyz": 3}


class Chunked:
    """The arrays at `path`: `variables` in chunks of `length` environments.

    `widths`: of a chunk along `AXES`. Whatever the arrays grow to, chunks stay as large.
    """

    def __init__(self, path: Path, variables: Mapping[str, Variable], length: int, widths: Mapping[str, int]) -> None:
        self.path, self.variables, self.length = path, variables, length
        self.chunks = {**FIXED, **{axis: max(widths[axis], 1) for axis in AXES}}
        self.arrays: dict[str, Any] = {}

    def create(self, attributes: Mapping[str, Any]) -> None:
        """Metadata of empty arrays, where there is none or it is damaged; chunks that are there stay.

        `attributes`: of a group that is new, or whose own are lost. **Raises:** `OSError` where the file system fails:
        what cannot be read now is neither lost nor damaged.
        """
        group = _group(self.path)
        # As xarray has it: which of the variables are coordinates. Even an empty update drops what has been
        # consolidated, which may soon be wrong.
        known = "coordinates" in group.attrs
        group.update_attributes({} if known else {**attributes, "coordinates": " ".join(ORIGINS)})
        for name, variable in self.variables.items():
            if _readable(group, self.path, name) is None:
                group.create_array(
                    name,
                    shape=(0, *(FIXED.get(axis, 0) for axis in variable.axes)),
                    chunks=(self.length, *(self.chunks[axis] for axis in variable.axes)),
                    dtype=variable.dtype,
                    fill_value=variable.missing,
                    compressors=ZstdCodec(level=1, checksum=True),
                    dimension_names=("environment", *variable.axes),
                    attributes=variable.attributes,
                )
        if _readable(group, self.path, "cause") is None:
            cause = group.create_array("cause", shape=CAUSE_NAMES.shape, dtype=str, dimension_names=("cause",))
            cause[:] = CAUSE_NAMES.astype(object)

    def open(self) -> None:
        """Take up what `create` made, perhaps in another process."""
        group = zarr.open_group(self.path, mode="r+")
        self.arrays = {name: group[name] for name in self.variables}

    @property
    def size(self) -> dict[str, int]:
        """Lengths of the axes that grow; 0 where no array has one."""
        found = dict.fromkeys(("environment", *AXES), 0)
        for name, variable in self.variables.items():
            found |= zip(("environment", *variable.axes), self.arrays[name].shape, strict=True)
        return {axis: length for axis, length in found.items() if axis not in FIXED}

    def resize(self, sizes: Mapping[str, int]) -> None:
        """Metadata only, but that chunks outside the new lengths go."""
        for name, variable in self.variables.items():
            array = self.arrays[name]
            shape = tuple(
                sizes.get(axis, old) for axis, old in zip(("environment", *variable.axes), array.shape, strict=True)
            )
            if shape != array.shape:
                array.resize(shape)

    def write(self, k: int, arrays: Mapping[str, np.ndarray]) -> list[Path]:
        """Fill chunk `k` of all arrays, whatever their lengths are at the moment. Returns its files.

        Whole chunks: of another attempt, which may be damaged or may be at it now, nothing is read, and each file is
        replaced at once.
        """
        for name, variable in self.variables.items():
            metadata, values = self.arrays[name].metadata, arrays[name]
            missing = [(0, -held % whole) for held, whole in zip(values.shape, metadata.chunks, strict=True)]
            values = np.pad(values, missing, constant_values=variable.missing)
            start, shape = k * self.length, ((k + 1) * self.length, *values.shape[1:])
            grown = zarr.Array.from_dict(self.arrays[name].store_path, {**metadata.to_dict(), "shape": shape})
            grown[start:] = values
        return [file for name in self.variables for file in _files(self.path / name, k)]

    def finish(self, attributes: Mapping[str, Any]) -> None:
        _group(self.path).update_attributes(dict(attributes))
        consolidate(self.path)


def consolidate(path: Path) -> None:
    """Metadata of all arrays of a store in one place as well, where xarray looks first."""
    arrays = {file.parent.name: json.loads(file.read_bytes()) for file in sorted(path.glob("*/zarr.json"))}
    consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
    # As zarr writes it; that would look for arrays in all folders, and there may be many files in some.
    group = path / "zarr.json"
    place(group, json.dumps(json.loads(group.read_bytes()) | {"consolidated_metadata": consolidated}).encode())


def is_group(path: Path) -> bool:
    """Whether zarr knows what lies here."""
    return (path / "zarr.json").is_file()


def _group(path: Path) -> Any:
    found = _sound(path, lambda: zarr.open_group(path, mode="r+", use_consolidated=False))
    return zarr.open_group(path, mode="a") if found is None else found


def _readable(group: Any, path: Path, name: str) -> Any:
    return _sound(path / name, lambda: group[name])


def _sound(at: Path, read: Callable[[], Any]) -> Any:
    """What is read, or `None` where metadata is absent or damaged; damaged metadata is removed.

    An error of the file system proves neither, and is raised.
    """
    try:
        return read()
    except FileNotFoundError:
        pass  # zarr's own errors for what is absent, or is no group, are of this kind
    except OSError:
        raise
    except Exception:
        pass  # zarr raises many kinds of errors for text that it cannot make sense of
    (at / "zarr.json").unlink(missing_ok=True)
    return None


def _files(array: Path, k: int) -> list[Path]:
    at = array / "c" / str(k)
    # Beside them may lie what somebody has begun to write.
    return [at] if at.is_file() else sorted(file for file in at.rglob("*") if file.is_file() and file.suffix == "")
