"""The table of a sweep lists zeros, and the directions that are null everywhere."""

import io

import numpy as np
import pytest
import xarray
from records import sweep_data_set
from rich.console import Console

from jaxfeat.report.sweep_table import print_sweep


def printed(ds):
    text = io.StringIO()
    print_sweep(ds, Console(file=text, width=100))
    return text.getvalue()


@pytest.mark.parametrize("names", [("F",), ("F", "z")])
def test_zeros_are_listed_with_their_cures(names):
    text = printed(sweep_data_set(names, 3))
    assert f"{0.6 / np.pi:.10f}" in text and "F (π)" in text
    assert "incompleteness: ν = 3 lifts it (row 2)" in text
    assert len(names) == 1 or "0.9000 … 1.0000" in text


@pytest.mark.parametrize("names", [("F",), ("F", "z")])
def test_a_sweep_without_zeros_says_so(names):
    assert "σ_min vanishes nowhere on the grid." in printed(sweep_data_set(names, 0))


def test_directions_that_are_null_everywhere_are_counted_once():
    ds = sweep_data_set(("F",), 0)
    ds["null"] = ds["null"] + xarray.DataArray([0, 0, 0, 1, 0], dims="cause")
    ds.attrs["n_generic"] = 1
    assert "null at every point: 1; causes in the median: truncation 1" in printed(ds)
