"""Results as labelled data sets, in memory and on disk: the only module that knows xarray and zarr."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from jaxfeat.errors import ReadError
from jaxfeat.geometry.write import check_folder
from jaxfeat.sweep.run import COUNTED, Collected
from jaxfeat.sweep.zeros import Zero

SUFFIXES = (".nc", ".zarr")


def dataset(found: Collected, dims: Sequence[str], coords: dict[str, Any], attributes: dict[str, Any]) -> Any:
    """Spectra and counts as an `xarray.Dataset`.

    **Arguments:** `dims` and `coords`: the axes that the environments of `found` run over, the last one fastest.
    """
    shape = tuple(len(coords[name][1]) for name in dims)
    k = int(found.n_values.max(initial=0))

    def over(values: np.ndarray, *rest: str, **attrs: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, str]]:
        return (*dims, *rest), values.reshape(*shape, *values.shape[1:]), attrs

    per_length = {"units": "features/Å"}
    return xarray.Dataset(
        {
            "sigma": over(found.sigma[:, :k], "value", long_name="singular values", **per_length),
            "sigma_equilibrated": over(found.sigma_equilibrated[:, :k], "value", long_name="equilibrated ones"),
            "floor": over(found.floor, **per_length),
            "floor_equilibrated": over(found.floor_equilibrated),
            "n_values": over(found.n_values),
            "null": over(found.null, "cause", long_name="null directions by cause"),
            "status": over(found.status.astype(str)),
        },
        coords={**coords, "cause": np.asarray(COUNTED)},
        attrs={**attributes, "jaxfeat": version("jaxfeat")},
    )


def with_zeros(
    ds: Any, names: Sequence[str], zeros: Sequence[Zero], nulls: Sequence[Sequence[int]], causes: Sequence[str]
) -> Any:
    """The data set with what was found where σ_min vanishes; `nulls` counts by cause at each zero."""
    points = np.concatenate([np.zeros((0, len(names))), *(zero.points for zero in zeros)])
    column = ("zero", "parameter")
    return ds.assign(
        zero_at=(column, _rows([zero.at for zero in zeros], len(names))),
        zero_low=(column, _rows([zero.low for zero in zeros], len(names))),
        zero_high=(column, _rows([zero.high for zero in zeros], len(names))),
        zero_error=("zero", np.asarray([zero.error for zero in zeros], float)),
        zero_dimension=("zero", np.asarray([zero.dimension for zero in zeros], int)),
        zero_ratio=("zero", np.asarray([zero.ratio for zero in zeros], float)),
        zero_null=(("zero", "cause"), _rows(nulls, len(COUNTED)).astype(int)),
        zero_cause=("zero", np.asarray(causes, dtype=str)),
        zero_point=(("point", "parameter"), points),
        zero_of_point=("point", np.repeat(np.arange(len(zeros)), [len(zero.points) for zero in zeros])),
    ).assign_coords(parameter=list(names))


def labelled(arrays: dict[str, tuple[tuple[str, ...], np.ndarray]], attributes: dict[str, Any]) -> Any:
    """Arrays with the names of their axes, as a data set."""
    return xarray.Dataset(arrays, attrs={**attributes, "jaxfeat": version("jaxfeat")})


def _rows(rows: Sequence[Any], width: int) -> np.ndarray:
    return np.asarray(rows, float).reshape(len(rows), width)


def check_target(path: Path) -> None:
    """Raise `ReadError` for a place that could not be written to once everything is computed."""
    if path.suffix not in SUFFIXES:
        raise ReadError(f"{path} names no data set; end it in {' or '.join(SUFFIXES)}.")
    if path.exists():
        raise ReadError(f"{path} exists; remove it, or name another.")
    check_folder(path)


def write(ds: Any, path: Path) -> None:
    """NetCDF 3 for a path that ends in .nc, otherwise a zarr store. It takes its place when it is complete."""
    partial = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".nc":
            ds.to_netcdf(partial, engine="scipy")
        else:
            # Strings of one length have no zarr specification; those of any length do.
            named = {name: ds[name].astype(object) for name in ds.variables if ds[name].dtype.kind == "U"}
            ds.assign(named).to_zarr(partial, mode="w", consolidated=False)
        os.replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise
