"""Results as labelled data sets, in memory and on disk: the only module that knows xarray."""

import os
import shutil
from collections.abc import Mapping, Sequence
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
from jaxfeat.store.schema import CAUSE_NAMES, ORIGINS, atom_arrays, spectrum_arrays, variables

Dataset = xarray.Dataset

SUFFIXES = (".nc", ".zarr")


def build_dataset(
    found: ScanArrays,
    dims: Sequence[str],
    coords: Mapping[str, Any],
    attributes: Mapping[str, Any],
    environments: Environment | None = None,
) -> Dataset:
    """Label spectra and null counts, and the atoms of `environments` if given. The environments of `found` run over the
    axes `dims` with the coordinates `coords`, the last axis fastest."""
    shape = tuple(len(coords[name][1]) for name in dims) if coords else (len(found.status),)
    arrays = spectrum_arrays(found) | ({} if environments is None else atom_arrays(environments, positions=True))
    known = variables(positions=True)
    labelled = {}
    for name, values in arrays.items():
        v = known[name]
        labelled[name] = (*dims, *v.axes), values.astype(v.dtype).reshape(*shape, *values.shape[1:]), v.attributes
    ds = xarray.Dataset(labelled, coords={**coords, "cause": CAUSE_NAMES}, attrs=dict(attributes))
    return ds.set_coords([name for name in ORIGINS if name in labelled])


def label_arrays(arrays: Mapping[str, tuple[tuple[str, ...], np.ndarray]], attributes: Mapping[str, Any]) -> Dataset:
    """Make a data set of arrays with the names of their axes."""
    return xarray.Dataset(dict(arrays), attrs=dict(attributes))


def open_store(path: Path) -> Dataset:
    """Open a store. Its variables are read when they are used."""
    # Only zarr's format 3: codecs of format 2 unpickle, which can run code that a store holds.
    return xarray.open_zarr(path, consolidated=False, chunks=None, zarr_format=3)


def add_zeros(
    ds: Dataset,
    names: Sequence[str],
    zeros: Sequence[ManifoldZero],
    explained: Sequence[tuple[Sequence[int], str]],
) -> Dataset:
    """Add the zeros of σ_min over the parameters `names`, each explained by its null directions and a sentence."""
    n, d = len(zeros), len(names)
    added: dict[str, Any] = {}
    for name in ("at", "low", "high"):
        vectors = np.asarray([getattr(zero, name) for zero in zeros], float)
        added[f"zero_{name}"] = ("zero", "parameter"), vectors.reshape(n, d)
    for name, dtype in (("error", float), ("dimension", int), ("ratio", float)):
        added[f"zero_{name}"] = "zero", np.asarray([getattr(zero, name) for zero in zeros], dtype)
    added["zero_null"] = ("zero", "cause"), np.asarray([counts for counts, _ in explained], int).reshape(n, len(CAUSES))
    added["zero_cause"] = "zero", np.asarray([sentence for _, sentence in explained], dtype=str)
    added["zero_point"] = ("point", "parameter"), np.concatenate([np.zeros((0, d)), *(zero.points for zero in zeros)])
    added["zero_of_point"] = "point", np.repeat(np.arange(n), [len(zero.points) for zero in zeros])
    return ds.assign(added).assign_coords(parameter=list(names))


def check_target(path: Path) -> None:
    """Raise `ReadError` if no data set could be written at `path` after the computation."""
    if path.suffix not in SUFFIXES:
        raise ReadError(f"{path} names no data set; end it in {' or '.join(SUFFIXES)}.")
    if path.exists():
        raise ReadError(f"{path} exists; remove it, or name another.")
    check_folder(path)


def write_dataset(ds: Dataset, path: Path) -> None:
    """Write NetCDF 3 to a path that ends in .nc, and a zarr store otherwise. The path appears when it is complete."""
    partial = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".nc":
            ds.to_netcdf(partial, engine="scipy")
        else:
            from jaxfeat.store.zarr_arrays import consolidate

            # zarr specifies strings of any length, but not strings of one length.
            named = {name: ds[name].astype(object) for name in ds.variables if ds[name].dtype.kind == "U"}
            ds.assign(named).to_zarr(partial, mode="w", consolidated=False)
            consolidate(partial)
        os.replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
        raise
