"""Reading the store of a sweep, some rows at a time."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.store.schema import variables
from jaxfeat.store.zarr_arrays import open_for_reading

COLUMNS = tuple(variables(positions=False))  # Every store holds them. Most stores hold positions and species, too.
SLICE_BYTES = 4e6  # bytes of the widest column of a slice of rows, approximately


class StoreReader:
    """A store that is open for reading. A row is an environment; a sweep in progress has not filled all of them."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ReadError(f"{path}: there is no such store.")
        try:
            self._data = open_for_reading(path)
        except (OSError, ValueError, KeyError) as error:
            raise ReadError(f"{path} is no store; give the folder that a sweep was written to.") from error
        missing = [name for name in (*COLUMNS, "cause") if name not in self._data]
        if missing:
            raise ReadError(f"{path} is no store of a sweep: it holds no {missing[0]}; give one that jaxfeat wrote.")
        self.path = path
        self.n_rows = self._data["sigma"].shape[0]
        if not self.n_rows:
            raise ReadError(f"{path} holds no environments; there is nothing to report.")
        self.attributes: Mapping[str, Any] = dict(self._data.attrs)
        self.causes = [str(cause) for cause in self._data["cause"][:]]
        self.complete = bool(self.attributes.get("complete", 0))
        self.has_positions = "positions" in self._data and "species" in self._data

    def featurizer_spec(self) -> dict[str, Any]:
        """Read the spec of the featurizer. It is empty if the featurizer has none."""
        try:
            return dict(json.loads(self.attributes["featurizer"]))
        except (KeyError, TypeError, ValueError):
            return {}

    def row_slices(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the variables of `COLUMNS`, for consecutive rows of about `SLICE_BYTES` at a time."""
        chunk, width = self._data["sigma"].chunks[0], self._data["sigma"].shape[1]
        fit = SLICE_BYTES // (8 * max(width, 1))
        step = max(int(fit // chunk), 1) * chunk
        for start in range(0, self.n_rows, step):
            yield {name: self.column(name, slice(start, start + step)) for name in COLUMNS}

    def column(self, name: str, rows: slice = slice(None)) -> np.ndarray:
        """Read one variable of `COLUMNS`, by default all rows."""
        values = np.asarray(self._data[name][rows])
        # Versions of zarr read strings as several types; NumPy's own sorts and compares.
        return values.astype(object).astype(str) if name == "status" else values

    def environments(self, rows: Sequence[int] | np.ndarray) -> Environment:
        """Read the environments of some rows as a batch on the host, in the order of `rows`."""
        # In ascending order, each chunk is read once.
        ascending, back = np.unique(np.asarray(rows, int), return_inverse=True)
        names = ("species", "center_species", "structure_index", "center_index")
        leaves: dict[str, Any] = {name: self._data[name].oindex[ascending].astype(np.int32)[back] for name in names}
        positions = self._data["positions"].oindex[ascending]
        leaves["mask"] = leaves["species"] > 0
        leaves["positions"] = np.where(leaves["mask"][..., None], positions[back], 0.0)
        return Environment(**leaves).trimmed()
