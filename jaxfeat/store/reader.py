"""A store of a sweep, read a portion at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.store.dataset import opened

COLUMNS = (
    "sigma",
    "sigma_equilibrated",
    "floor",
    "floor_equilibrated",
    "n_values",
    "certified",
    "null",
    "status",
    "center_species",
    "n_neighbors",
    "structure_index",
    "center_index",
)
"""What a store has of every environment. Positions and species of the neighbors come on top."""

PORTION = 4e6
"""Bytes of the widest column of a portion, about."""


class Stored:
    """An opened store.

    **Attributes:** `path`; `n`, the environments that it is to hold in the end; `attributes`, by name; `causes`, that
    null directions are counted by; `complete`; `has_positions`.

    **Raises:** `ReadError` for what is no store, and for one without environments.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ReadError(f"{path}: there is no such store.")
        try:
            self._data = opened(path)
        except (OSError, ValueError, KeyError) as error:
            raise ReadError(f"{path} is no store; give the folder that a sweep was written to.") from error
        missing = [name for name in (*COLUMNS, "cause") if name not in self._data.variables]
        if missing:
            raise ReadError(f"{path} is no store of a sweep: it holds no {missing[0]}; give one that jaxfeat wrote.")
        self.path = path
        self.n = int(self._data.sizes["environment"])
        if not self.n:
            raise ReadError(f"{path} holds no environments; there is nothing to report.")
        self.attributes: Mapping[str, Any] = dict(self._data.attrs)
        self.causes = [str(cause) for cause in self._data["cause"].values]
        self.complete = bool(self.attributes.get("complete", 0))
        self.has_positions = "positions" in self._data.variables and "species" in self._data.variables

    def featurizer_spec(self) -> dict[str, Any]:
        """What the featurizer was made with; empty for one that no spec stands for."""
        try:
            return dict(json.loads(self.attributes["featurizer"]))
        except (KeyError, TypeError, ValueError):
            return {}

    def portions(self) -> Iterator[dict[str, np.ndarray]]:
        """The columns of some environments in a row, until there are no more."""
        own = self._data["sigma"].encoding.get("chunks") or (1,)
        fit = PORTION // (8 * max(int(self._data.sizes["value"]), 1))
        step = max(int(fit // own[0]), 1) * own[0]
        for start in range(0, self.n, step):
            yield {name: self._column(name, slice(start, start + step)) for name in COLUMNS}

    def column(self, name: str) -> np.ndarray:
        """One column of `COLUMNS`, whole."""
        return self._column(name, slice(None))

    def _column(self, name: str, rows: slice) -> np.ndarray:
        values = np.asarray(self._data[name][rows].values)
        # Whatever kind of strings zarr reads, NumPy's own sort and compare.
        return values.astype(object).astype(str) if name == "status" else values

    def environments(self, rows: Sequence[int] | np.ndarray) -> Environment:
        """Some of the environments, `(b,)`, on the host, in the order of their `rows`."""
        chosen = np.asarray(rows, int)
        order = np.argsort(chosen)
        # In ascending order each chunk is read once.
        found = self._data.isel(environment=chosen[order])
        back = np.argsort(order)
        species = np.asarray(found["species"].values).astype(np.int32)[back]
        mask = species > 0
        positions = np.asarray(found["positions"].values)[back]
        leaves: dict[str, Any] = {
            name: np.asarray(found[name].values).astype(np.int32)[back]
            for name in ("center_species", "structure_index", "center_index")
        }
        leaves |= {"positions": np.where(mask[..., None], positions, 0.0), "species": species, "mask": mask}
        return Environment(**leaves).trimmed()
