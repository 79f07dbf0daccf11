"""Singular spectra over a manifold, a batch or a stream of environments, as a labelled data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from jaxfeat.nulls.classify import null_space, restrict_species
from jaxfeat.nulls.cure import cure
from jaxfeat.nulls.scan import scan_arrays
from jaxfeat.singular.manifold_zeros import ManifoldSlice, ManifoldZero, find_manifold_zeros
from jaxfeat.spectrum.blocks import Progress
from jaxfeat.store.schema import provenance
from jaxfeat.store.stream import CHUNK_LENGTH, check_input, stream_of

POINTS = 41
"""Values of a parameter where no grid is given."""


def sweep(
    f: AbstractFeaturizer,
    at: AbstractManifold | Environment | Frames | Iterable[Environment],
    grid: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    *,
    screened: bool = False,
    positions: bool = True,
    chunk: int = CHUNK_LENGTH,
    overwrite: bool = False,
    command: str = "",
    cluster: Any = None,
) -> Any:
    """Singular spectra of everything that a manifold, a batch or a stream holds.

    Environments into a zarr store are worked on in chunks, and nothing grows with their number. A sweep that was
    stopped, whatever stopped it, goes on where it was when the same call is made again; chunks that were damaged since
    are worked out anew, and a store that is complete is opened at once.

    **Arguments:**

    - `f`: a featurizer. A store is gone on with only by one that has a spec, or by a `jaxfeat.function` with a key.
    - `at`: a manifold; a batch of environments; `jaxfeat.frames`; or any iterable of batches, of sizes and shapes as
      they come. An iterable is gone through from its beginning each time.
    - `grid`: of a manifold, ascending values by the names of one or two of its parameters (Å or rad); the others keep
      their defaults, or the single value that is given. By default 41 values between the bounds of each parameter.
    - `out`: a zarr store (.zarr) or, unless `at` is a stream, a NetCDF file (.nc). Only stores of environments are gone
      on with; anything else must not exist.
    - `progress`: called with the number of environments done and their total, or `None` where that is not known.
    - `screened`: as in `scan`.
    - `positions`: of a store, whether it holds where the atoms are.
    - `chunk`: of a store, environments of a chunk.
    - `overwrite`: replace a store, rather than go on with it.
    - `command`: of a store, what made it, for those who read it.
    - `cluster`: of a store, who works on its chunks: a number of processes on this machine, the address of a dask
      scheduler, or a `distributed.Client`. The featurizer needs a spec, and the workers need to see the store. Needs
      `jaxfeat[cluster]`.

    **Returns:** an `xarray.Dataset`, of a store one that reads as it is asked. Over the parameters of the grid, or over
    `environment`: `sigma` and `sigma_equilibrated` (descending along `value`, NaN where there is none), `floor`,
    `floor_equilibrated`, `n_values`, `certified`, `null` (null directions along `cause`: `rigid` apart, they add up to
    the number of equilibrated values at or below their floor), `status`; of environments also `center_species`,
    `n_neighbors`, and `positions` (Å, relative to the center) and `species` along `neighbor`. In a stream, atoms that
    the featurizer does not know give the status "unknown-species", and environments that were cut at another radius
    than it needs give "wrong-radius". Of a manifold also `zero_...`: where σ_min vanishes, points and curves, refined
    in the parameters (`zero_at`, `zero_error`), with the null directions there by cause and a sentence on what lifts
    them. Null directions that all points have do not count as zeros.

    **Raises:** `GeometryError` for a grid that makes no sense, and for frames of another radius than the featurizer
    needs; `SpeciesError` as the featurizer does; `ReadError` for what is no environments; for a place that cannot be
    written to, has too little room, is being written to, or holds a sweep that differs in the featurizer, the input or
    a setting, or one that is not complete and was begun by other versions; for a frame that cannot be read, once all
    before it are in the store; and for a cluster that there is not. `BasisError` for a featurizer without a spec there,
    `ClusterError` where workers or their scheduler are gone; all that was finished is kept.
    """
    from jaxfeat.store import dataset as store

    check_input(at)
    if isinstance(at, Frames):
        f.check_radius(at.r_cut)
    target = None if out is None else Path(out)
    if target is not None and target.suffix == ".zarr" and not isinstance(at, AbstractManifold):
        from jaxfeat.store.resume import sweep_into

        sweep_into(
            target, f, stream_of(at), screened=screened, positions=positions, chunk=chunk, overwrite=overwrite,
            command=command, progress=progress, cluster=cluster,
        )  # fmt: skip
        return store.opened(target)
    if cluster is not None:
        raise ReadError("a cluster works on environments, into a store; name one that ends in .zarr.")
    if target is not None:
        store.check_target(target)
    if isinstance(at, Environment):
        attributes = provenance(f) | {"input": "environments in memory", "screened": int(screened)}
        found = scan_arrays(f, at, progress, screened)
        ds = store.dataset(found, ["environment"], {}, attributes, at)
    elif isinstance(at, AbstractManifold):
        ds = _over_manifold(f, at, grid, progress, screened)
    else:
        raise ReadError("a stream of environments is never held whole; name a zarr store to sweep it into.")
    if target is not None:
        store.write(ds, target)
    return ds


def _over_manifold(
    f: AbstractFeaturizer,
    at: AbstractManifold,
    grid: Mapping[str, Any] | None,
    progress: Progress | None,
    screened: bool,
) -> Any:
    from jaxfeat.store import dataset as store

    axes, place = _placed(at, grid)
    points = np.stack(np.meshgrid(*axes.values(), indexing="ij"), -1).reshape(-1, len(axes))
    environments = _environments(place, points)
    found = scan_arrays(f, environments, progress, screened)
    coords = {name: (name, axis, {"units": at.parameter(name).unit}) for name, axis in axes.items()}
    fixed = {p.name: float(v) for p, v in zip(at.parameters, place.fixed, strict=True) if p.name not in axes}
    ds = store.dataset(found, list(axes), coords, provenance(f) | fixed)
    known = np.isfinite(found.floor)
    null = (found.sigma_equilibrated <= found.floor_equilibrated[:, None]).sum(-1)[known]
    ds.attrs["n_generic"] = int(null.min()) if known.any() else 0
    vanishing: list[ManifoldZero] = []
    if known.any():
        vanishing = find_manifold_zeros(
            restrict_species(f, environments[0]),
            place,
            list(axes.values()),
            ds["sigma_equilibrated"].values,
            int(null.min()),
        )
    explained = [_explained(f, place, zero) for zero in vanishing]
    counts, causes = [count for count, _ in explained], [cause for _, cause in explained]
    return store.with_zeros(ds, list(axes), vanishing, counts, causes)


@eqx.filter_jit
def _environments(place: ManifoldSlice, points: Any) -> Environment:
    return jax.vmap(place)(points)


def _placed(manifold: AbstractManifold, grid: Mapping[str, Any] | None) -> tuple[dict[str, np.ndarray], ManifoldSlice]:
    """The values of the free parameters, and the manifold with the others held."""
    if grid is None:
        grid = {p.name: np.linspace(p.low, p.high, POINTS) for p in manifold.parameters}
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


def _explained(f: AbstractFeaturizer, place: ManifoldSlice, zero: ManifoldZero) -> tuple[list[int], str]:
    """Null directions by cause at a zero, and what would lift them."""
    try:
        env = _environments(place, zero.at[None])[0]
        null = null_space(f, env)
        return [getattr(null, cause) for cause in CAUSES], "; ".join(cure(f, env, null).values())
    except (BasisError, GeometryError, SizeError) as error:
        return [0] * len(CAUSES), f"unclassified: {error}"
