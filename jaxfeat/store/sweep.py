"""Sweeps: the singular spectra of many environments as one labelled data set."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, ReadError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.frames import Frames
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.classify import item_null_space
from jaxfeat.nulls.cure import cure, describe_cures
from jaxfeat.nulls.near import ALWAYS_EXPLAINS
from jaxfeat.nulls.scan import ScanArrays, scan_arrays
from jaxfeat.nulls.scan_records import CLASSIFIED
from jaxfeat.progress import Progress, show_progress
from jaxfeat.singular.manifold_zeros import ManifoldZero, find_manifold_zeros
from jaxfeat.singular.zero_search import ManifoldSlice
from jaxfeat.spectrum.blocks import restrict_species
from jaxfeat.store.dataset import Dataset, add_zeros, build_dataset, check_target, open_store, write_dataset
from jaxfeat.store.into_store import draw_sample, sweep_into_store
from jaxfeat.store.schema import provenance
from jaxfeat.store.stream import check_sweepable

NEAR_NAME = "directions that an exact point within 1e-3 Å hides, by cause"
GRID_POINTS = 41  # values of each parameter on the default grid


def sweep(
    f: AbstractFeaturizer,
    at: AbstractManifold | Environment | Frames | Iterable[Environment],
    grid: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
    *,
    screened: bool = False,
    classify: int | None = CLASSIFIED,
    sample: int | None = None,
    seed: int = 0,
    positions: bool | None = None,
    chunk: int | None = None,
    overwrite: bool = False,
    command: str = "",
    cluster: Any = None,
) -> Dataset:
    """Compute the singular spectra of a manifold, a batch or a stream of environments.

    Environments are swept into a zarr store chunk by chunk, so memory does not grow with their number. If a sweep into
    a store is stopped, the same call resumes it: finished chunks are kept, damaged ones are computed again, and a
    complete store is opened at once.

    **Arguments:**

    - `f`: The featurizer. A store can be resumed only if the featurizer has a spec, or is a `jaxfeat.function` with a
        key.
    - `at`: A manifold; a batch of environments `(b,)`; `jaxfeat.frames`; or any iterable of batches, whose sizes may
        differ. An iterable is read from its beginning in each call.
    - `grid`: For a manifold only. Ascending values (Å or rad) by the names of one or two parameters. A single value
        holds a parameter there; the others keep their defaults. By default 41 values between the bounds of each.
    - `out`: The path of a zarr store (.zarr) or, unless `at` is a stream, of a NetCDF file (.nc). If it exists, it must
        be a store of environments, to be resumed. Frames and iterables need a store.
    - `progress`: True to show progress on stderr or in the notebook; or a function, called with the number of
        environments done and their total, `None` if the total is unknown.
    - `screened`: If True, take values well above their floor from JᵀJ, which is faster.
    - `classify`: As in `jaxfeat.scan`; into a store, for each chunk.
    - `sample`, `seed`: The sample of `jaxfeat.scan`, for frames and batches. Frames are counted first, and then read.

    The following apply to environments that are swept into a store, and are refused otherwise:

    - `positions`: If False, leave the positions and species of the neighbors out of the store. True by default.
    - `chunk`: Environments of a chunk. By default as many as take about 10 s of one core, a power of two from 8 to
        16,384; a store that is resumed keeps its own.
    - `overwrite`: If True, replace an existing store.
    - `command`: A text on what made the store, for its readers.
    - `cluster`: The workers that compute the chunks: a number of processes on this machine, the address of a dask
        scheduler, or a `distributed.Client`. The featurizer needs a spec, and the workers need to see the store. Needs
        `jaxfeat[cluster]`.

    **Returns:** An `xarray.Dataset` over the parameters of the grid, or over `environment`. A store is read when its
    variables are used. Environments that cannot be described have a `status` other than "ok" and NaN for numbers.

    - `sigma` (features per Å), `sigma_equilibrated`: Descending along `value`, NaN past `n_values`.
    - `floor`, `floor_equilibrated`, `n_values`, `certified`, `status`: As of `jaxfeat.singular_spectrum`.
    - `null`: Null directions along `cause`. All but `rigid` add up to the number of equilibrated values at or below
        their floor.
    - Of environments: `structure_index`, `center_index`, `center_species`, `n_neighbors`, and along `neighbor`
        `positions` (Å, relative to the center) and `species`. In a store, atoms that the featurizer does not know give
        the status "unknown-species", and environments cut at another radius than it needs give "wrong-radius".
    - Of a manifold: `near`, the directions along `cause` that are null at an exact point within 1e-3 Å, beyond `null`;
        `zero_at`, `zero_error` and further variables with the points and curves where σ_min vanishes,
        refined in the parameters, with the null directions there by cause and a sentence on what lifts them. An
        interval of a single parameter counts as a curve. Directions that are null or near at all points are not counted
        as zeros. For models from outside of JAX zeros are not sought.

    **Raises:**

    - `GeometryError` for a grid that is out of bounds, not ascending, or not of a manifold, and for frames of another
        radius than the featurizer needs; `SpeciesError` as the featurizer does.
    - `ReadError` if `at` is not environments, or none to draw a sample from; for an argument of stores without a store;
        if `out` cannot be written, has too little room, is in use, or holds a sweep of another featurizer, input,
        setting or version; if a frame cannot be read, after all frames before it are in the store; and if no cluster
        answers.
    - `BasisError` if a cluster is to make a featurizer without a spec; `ClusterError` if its workers or scheduler are
        lost, after the finished chunks are in the store.
    """
    check_sweepable(at)
    path = None if out is None else Path(out)
    if isinstance(at, Frames):
        f.check_radius(at.r_cut)
    if grid is not None and not isinstance(at, AbstractManifold):
        raise GeometryError("grid goes over the parameters of a manifold, and this sweep goes over environments.")
    if path is not None and path.suffix == ".zarr" and not isinstance(at, AbstractManifold):
        sweep_into_store(
            f, at, path, progress, screened=screened, classify=classify, sample=sample, seed=seed,
            positions=positions is not False, chunk=chunk, overwrite=overwrite, command=command, cluster=cluster,
        )  # fmt: skip
        return open_store(path)
    if sample is not None:
        at = draw_sample(at, sample, seed)
    given = {
        "positions": positions is not None,
        "chunk": chunk is not None,
        "overwrite": overwrite,
        "command": command,
        "cluster": cluster is not None,
    }
    if unused := [name for name, used in given.items() if used]:
        fault = f"{', '.join(unused)}: only for environments that are swept into a store"
        raise ReadError(f"{fault}; leave out, or give environments and an `out` that ends in .zarr.")
    if path is not None:
        check_target(path)
    if isinstance(at, AbstractManifold):
        ds = _sweep_manifold(f, at, grid, progress, screened, classify)
    elif isinstance(at, Environment):
        with show_progress(progress, "environments", len(at)) as report:
            found = scan_arrays(f, at, report, screened, classify)
        attributes = provenance(f) | {"input": "environments in memory", "screened": int(screened)}
        ds = build_dataset(found, ["environment"], {}, attributes, at)
    else:
        raise ReadError("a stream of environments is never held whole; name a zarr store to sweep it into.")
    if path is not None:
        write_dataset(ds, path)
    return ds


def _sweep_manifold(
    f: AbstractFeaturizer,
    manifold: AbstractManifold,
    grid: Mapping[str, Any] | None,
    progress: Progress | bool | None,
    screened: bool,
    classify: int | None,
) -> Dataset:
    """Compute spectra on a grid of one or two parameters, and find where σ_min vanishes between its points."""
    axes, section = _free_parameters(manifold, grid)
    points = np.stack(np.meshgrid(*axes.values(), indexing="ij"), -1).reshape(-1, len(axes))
    environments = _environments(section, points)
    with show_progress(progress, "environments", len(environments)) as report:
        found = scan_arrays(f, environments, report, screened, classify)
    coords = {name: (name, axis, {"units": manifold.parameter(name).unit}) for name, axis in axes.items()}
    fixed = {p.name: float(v) for p, v in zip(manifold.parameters, section.fixed, strict=True) if p.name not in axes}
    ds = build_dataset(found, list(axes), coords, provenance(f) | fixed)
    known = np.isfinite(found.floor)
    # Coordinates of a file are rounded, so directions of a symmetry that the whole path has are null but for that.
    near = np.asarray([_count_rounded(groups) for groups in found.near]).reshape(-1, len(CAUSES))
    ds["near"] = (*axes, "cause"), near.reshape(*ds["status"].shape, len(CAUSES)), {"long_name": NEAR_NAME}
    n_null = ((found.sigma_equilibrated <= found.floor_equilibrated[:, None]).sum(-1) + near.sum(-1))[known]
    n_generic = ds.attrs["n_generic"] = int(n_null.min()) if known.any() else 0
    zeros: list[ManifoldZero] = []
    # Zeros between the points of the grid take derivatives, which a model from outside of JAX does not have.
    if known.any() and not f.only_on_host:
        restricted = restrict_species(f, environments)
        sigma = ds["sigma_equilibrated"].values
        zeros = find_manifold_zeros(restricted, section, list(axes.values()), sigma, n_generic, _rounding(found))
    return add_zeros(ds, list(axes), zeros, [_explain(f, section, zero) for zero in zeros])


def _count_rounded(groups: Sequence[Mapping[str, Any]]) -> list[int]:
    """Count nearly null directions by cause, `(7,)`, that an exact point within the rounding of a file hides."""
    close = [one for one in groups if one["distance"] < ALWAYS_EXPLAINS and one["cause"] != "locality"]
    return [sum(one["directions"] for one in close if one["cause"] == cause) for cause in CAUSES]


def _rounding(found: ScanArrays) -> float:
    """Estimate the σ/σ_max that rounded coordinates leave of a null direction: ten times the largest that they leave of
    the directions that are near at every point, 0 if there are none."""
    left = []
    for groups, sigma in zip(found.near, found.sigma, strict=True):
        close = [one["sigma"][1] / sigma[0] for one in groups if one["distance"] < ALWAYS_EXPLAINS]
        left.append(max(close, default=0.0))
    return 10 * min(left, default=0.0)


@eqx.filter_jit
def _environments(section: ManifoldSlice, points: Any) -> Environment:
    return jax.vmap(section)(points)


def _free_parameters(
    manifold: AbstractManifold, grid: Mapping[str, Any] | None
) -> tuple[dict[str, np.ndarray], ManifoldSlice]:
    """Check a grid. Return the values of its free parameters, and the manifold with the others held fixed."""
    if grid is None:
        grid = {p.name: np.linspace(p.low, p.high, GRID_POINTS) for p in manifold.parameters}
    axes: dict[str, np.ndarray] = {}
    held: dict[str, np.ndarray] = {}
    for name, values in grid.items():
        parameter = manifold.parameter(name)
        axis = np.atleast_1d(np.asarray(values, float))
        if axis.ndim != 1 or not len(axis) or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
            raise GeometryError(f"the grid of {name} is {values!r}; give finite, ascending values.")
        if axis[0] < parameter.low - 1e-9 or axis[-1] > parameter.high + 1e-9:
            scale, unit = parameter.display_unit
            runs, bounds = (f"{a / scale:g} to {b / scale:g}" for a, b in ((axis[0], axis[-1]), parameter[1:3]))
            raise GeometryError(f"{name} runs from {runs}{unit}; stay within its bounds, {bounds}{unit}.")
        (axes if len(axis) > 1 else held)[name] = axis
    if not 1 <= len(axes) <= 2:
        names = ", ".join(manifold.names)
        raise GeometryError(f"a grid has one or two parameters, not {len(axes)}; choose among {names}.")
    fixed = manifold.values(**{name: float(axis[0]) for name, axis in held.items()})
    free = tuple(manifold.names.index(name) for name in axes)
    return axes, ManifoldSlice(manifold, np.asarray(fixed, float), free)


def _explain(f: AbstractFeaturizer, section: ManifoldSlice, zero: ManifoldZero) -> tuple[list[int], str]:
    """Count the null directions at a zero by cause, and write a sentence on what lifts them."""
    try:
        env = _environments(section, zero.at[None])[0]
        null = item_null_space(f, env)
        return [getattr(null, cause) for cause in CAUSES], describe_cures(cure(f, env, null))
    except (BasisError, GeometryError, SizeError) as error:
        return [0] * len(CAUSES), f"unclassified: {error}"
