"""A small sweep into a store, for the tests that resume, damage and read it."""

import json
import shutil

import numpy as np
import xarray

from jaxfeat import PowerSpectrum, frames, sweep

F = PowerSpectrum(("H", "C", "O"), n_max=2, l_max=3)
METHANES = "random-methane:50:1"
"""50 environments: 7 chunks of 8, the last one short."""


def sweep_methanes(path, **options):
    """Sweep the methanes into the store at `path`, or resume that."""
    return sweep(F, frames(METHANES, 4.0), out=path, chunk=8, **options)


def copy_without(store, tmp_path, *chunks):
    """Copy a store, but for the journal's entries of some chunks, which are to be computed again."""
    path = shutil.copytree(store, tmp_path / "s.zarr")
    for k in chunks:
        (path / "journal" / f"{k:08d}.json").unlink()
    return path


def load(path):
    """Load a store as any reader of zarr does."""
    return xarray.open_zarr(path, chunks=None).load()


def attributes(path):
    """Read the attributes of the group."""
    return json.loads((path / "zarr.json").read_text())["attributes"]


def contents(path):
    """Read all files of a store, but for metadata that is repeated in that of the group, and for `complete`."""
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return files | {path / "zarr.json": attributes(path) | {"complete": 1}}


def assert_same(a, b):
    """Assert that two data sets hold the same numbers, bit for bit."""
    assert set(a.variables) == set(b.variables) and dict(a.sizes) == dict(b.sizes)
    for name in a.variables:
        assert a[name].dtype == b[name].dtype or name in ("status", "cause"), name
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=name)
