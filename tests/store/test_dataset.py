"""Data sets: labels, zeros, and files that hold what was written."""

import numpy as np
import pytest
import xarray

from jaxfeat.errors import ReadError
from jaxfeat.nulls.scan import ScanArrays
from jaxfeat.singular.manifold_zeros import ManifoldZero
from jaxfeat.store.dataset import add_zeros, build_dataset, check_target, write_dataset


def spectra(b):
    """Make up the spectra of `b` environments of two neighbors. The last one has none."""
    values = np.arange(6.0 * b).reshape(b, 6)
    counts = np.full(b, 3)
    counts[-1] = 0
    known = counts > 0
    floor = np.where(known, 1e-14, np.nan)
    status = np.where(known, "ok", "empty").astype(object)
    return ScanArrays(values, values, floor, floor, counts, counts, known, np.ones((b, 7), int), status, [[]] * b, {})


RAD = {"units": "rad"}
COORDS = {"F": ("F", np.asarray([1.0, 2.0]), RAD), "L": ("L", np.asarray([0.0, 0.1, 0.2]), RAD)}
CURVE, POINT = (np.asarray([[1.5, 0.0], [1.5, 0.2], [1.5, 0.1]]), np.full((3, 2), [1.2, 0.0]))
ZEROS = [ManifoldZero(*CURVE, 1e-12, 1, 1e-16, np.ones((3, 2))), ManifoldZero(*POINT, 1e-11, 0, 1e-15, POINT[:1])]
"""Their lower ends, upper ends and middles come first."""


@pytest.fixture
def mapped():
    """A data set over two parameters, with two zeros."""
    ds = build_dataset(spectra(6), list(COORDS), COORDS, {"n_generic": 0})
    return add_zeros(ds, list(COORDS), ZEROS, [([3, 0, 0, 1, 0, 0, 0], "physics"), ([3, 0, 2, 0, 0, 0, 0], "ν = 3")])


def test_spectra_are_labelled_and_cut_at_the_longest(mapped):
    assert mapped["sigma"].dims == ("F", "L", "value") and mapped.sizes["value"] == 3
    assert mapped["sigma"].sel(F=2.0, L=0.1).values.tolist() == [24.0, 25.0, 26.0]
    assert mapped["null"].dims == ("F", "L", "cause") and mapped["F"].attrs["units"] == "rad"
    assert mapped["status"].values.ravel().tolist() == ["ok"] * 5 + ["empty"]


def test_zeros_have_a_row_each_and_points_know_their_zero(mapped):
    assert mapped["zero_at"].sel(parameter="F").values.tolist() == [1.5, 1.2]
    assert mapped["zero_null"].sel(cause="incompleteness").values.tolist() == [0, 2]
    assert mapped["zero_dimension"].dtype.kind == "i" and mapped["zero_dimension"].values.tolist() == [1, 0]
    assert mapped["zero_of_point"].values.tolist() == [0, 0, 0, 1] and mapped["zero_point"].shape == (4, 2)
    none = add_zeros(build_dataset(spectra(6), list(COORDS), COORDS, {}), list(COORDS), [], [])
    assert none["zero_at"].shape == (0, 2) and none["zero_null"].shape == (0, 7) and none["zero_point"].shape == (0, 2)
    assert {name: v.dtype.kind for name, v in none.data_vars.items() if name.startswith("zero")} == {
        name: v.dtype.kind for name, v in mapped.data_vars.items() if name.startswith("zero")
    }


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_data_sets_survive_the_disk(tmp_path, suffix, mapped):
    path = tmp_path / f"s{suffix}"
    write_dataset(mapped, path)
    opened = xarray.open_dataset(path) if suffix == ".nc" else xarray.open_zarr(path)
    assert set(opened.variables) == set(mapped.variables)
    for name, kept in mapped.variables.items():
        np.testing.assert_array_equal(kept.values, opened[name].values.astype(kept.dtype))
    assert opened.attrs["n_generic"] == 0
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with pytest.raises(ReadError, match="exists; remove it"):
        check_target(path)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_data_set_that_cannot_be_written_leaves_nothing(tmp_path, suffix, mapped):
    with pytest.raises((TypeError, ValueError)):
        write_dataset(mapped.assign(x=("zero", np.asarray([object(), object()]))), tmp_path / f"s{suffix}")
    assert not list(tmp_path.iterdir())
