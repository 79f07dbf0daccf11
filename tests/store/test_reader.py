"""Reading stores."""

import numpy as np
import pytest
import xarray
import zarr
from stores import load

from jaxfeat.errors import ReadError
from jaxfeat.store import reader
from jaxfeat.store.reader import StoreReader


def test_a_store_of_format_2_is_not_unpickled(tmp_path):
    zarr.create_group(tmp_path / "s.zarr", zarr_format=2).create_array("sigma", shape=(1,), dtype=float)
    with pytest.raises(ReadError, match="is no store; give the folder"):
        StoreReader(tmp_path / "s.zarr")


def test_slices_and_environments_are_those_of_the_store(whole, monkeypatch):
    monkeypatch.setattr(reader, "SLICE_BYTES", 2 * 8 * 8 * 9)
    store, ds = StoreReader(whole), load(whole)
    assert store.n_rows == 50 and store.complete and store.has_positions
    slices = list(store.row_slices())
    assert [len(columns["status"]) for columns in slices] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([columns["sigma"] for columns in slices]), ds["sigma"])
    rows = [7, 0, 31]
    batch = store.environments(rows)
    np.testing.assert_array_equal(batch.positions, ds["positions"][rows])
    assert batch.structure_index.tolist() == rows


def test_folders_that_are_no_store(tmp_path):
    with pytest.raises(ReadError, match="there is no such store"):
        StoreReader(tmp_path / "s.zarr")
    xarray.Dataset({"x": 1}).to_zarr(tmp_path / "s.zarr", consolidated=False)
    with pytest.raises(ReadError, match="is no store of a sweep: it holds no sigma"):
        StoreReader(tmp_path / "s.zarr")
