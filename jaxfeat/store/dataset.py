"""Results as labelled data sets, in memory and on disk: the only module that knows xarray."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from jaxfeat.errors import ReadError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.write import check_folder
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.scan import ScanArrays
from jaxfeat.singular.manifold_zeros import ManifoldZero
from jaxfeat.store.schema import CAUSE_NAMES, ORIGINS, atoms, spectra, variables

SUFFIXES = (".nc", ".zarr")


def dataset(
    found: ScanArrays,
    dims: Sequence[str],
    coords: dict[str, Any],
    attributes: dict[str, Any],
    environments: Environment | None = None,
) -> Any:
    """Spectra and counts as an `xarray.Dataset`, and where the atoms are, if they are given.

    **Arguments:** `dims` and `coords`: the axes that the environments of `found` run over, the last one fastest.
    """
    shape = tuple(len(coords[name][1]) for name in dims) if coords else (len(found.status),)
    arrays = spectra(found) | ({} if environments is None else atoms(environments, positions=True))
    known = variables(positions=True)
    held = {}
    for name, values in arrays.items():
        v = known[name]
        held[name] = (*dims, *v.axes), values.astype(v.dtype).reshape(*shape, *values.shape[1:]), v.attributes
    return xarray.Dataset(held, coords={**coords, "cause": CAUSE_NAMES}, attrs=attributes).set_coords(
        [name for name in ORIGINS if name in held]
    )


def opened(path: Path) -> Any:
    """The data set of a store, read as it is asked for."""
    # No other format: the older one knows codecs that unpickle, which runs whatever code a store holds.
    return xarray.open_zarr(path, consolidated=False, chunks=None, zarr_format=3)


def with_zeros(
    ds: Any, names: Sequence[str], zeros: Sequence[ManifoldZero], nulls: Sequence[Sequence[int]], causes: Sequence[str]
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
        zero_null=(("zero", "cause"), _rows(nulls, len(CAUSES)).astype(int)),
        zero_cause=("zero", np.asarray(causes, dtype=str)),
        zero_point=(("point", "parameter"), points),
        zero_of_point=("point", np.repeat(np.arange(len(zeros)), [len(zero.points) for zero in zeros])),
    ).assign_coords(parameter=list(names))


def labelled(arrays: dict[str, tuple[tuple[str, ...], np.ndarray]], attributes: dict[str, Any]) -> Any:
    """Arrays with the names of their axes, as a data set."""
    return xarray.Dataset(arrays, attrs=attributes)


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
            from jaxfeat.store.arrays import consolidate

            # Strings of one length have no zarr specification; those of any length do.
            named = {name: ds[name].astype(object) for name in ds.variables if ds[name].dtype.kind == "U"}
            ds.assign(named).to_zarr(partial, mode="w", consolidated=False)
            consolidate(partial)
        os.replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise
