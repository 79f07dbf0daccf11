"""Sweeps: the singular spectra of many environments as one labelled data set."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.files.frames import Frames
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.nulls.scan import scan_arrays
from jaxfeat.spectrum.blocks import Progress
from jaxfeat.store.dataset import Dataset, build_dataset, check_target, open_store, write_dataset
from jaxfeat.store.schema import provenance
from jaxfeat.store.stream import check_sweepable, open_stream
from jaxfeat.store.sweep_manifold import sweep_manifold

CHUNK_LENGTH = 16384
"""Environments of a chunk, by default. They take a second at best, which is long beside writing them, and a minute at a
few hundred environments a second. A killed sweep loses that much."""


def sweep(
    f: AbstractFeaturizer,
    at: AbstractManifold | Environment | Frames | Iterable[Environment],
    grid: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
    *,
    screened: bool = False,
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
    - `progress`: Called with the number of environments done and their total, `None` if the total is unknown.
    - `screened`: If True, take values well above their floor from JᵀJ, which is faster.

    The following apply to environments that are swept into a store, and are refused otherwise:

    - `positions`: If False, leave the positions and species of the neighbors out of the store. True by default.
    - `chunk`: Environments of a chunk. 16384 by default.
    - `overwrite`: If True, replace an existing store.
    - `command`: A text on what made the store, for its readers.
    - `cluster`: The workers that compute the chunks: a number of processes on this machine, the address of a dask
        scheduler, or a `distributed.Client`. The featurizer needs a spec, and the workers need to see the store. Needs
        `jaxfeat[cluster]`.

    **Returns:**

    An `xarray.Dataset` over the parameters of the grid, or over `environment`. A store is read when its variables are
    used. Environments that cannot be described have a `status` other than "ok" and NaN for numbers.

    - `sigma` (features per Å), `sigma_equilibrated`: Descending along `value`, NaN past `n_values`.
    - `floor`, `floor_equilibrated`, `n_values`, `certified`, `status`: As of `jaxfeat.singular_spectrum`.
    - `null`: Null directions along `cause`. All but `rigid` add up to the number of equilibrated values at or below
        their floor.
    - Of environments: `structure_index`, `center_index`, `center_species`, `n_neighbors`, and along `neighbor`
        `positions` (Å, relative to the center) and `species`. In a store, atoms that the featurizer does not know give
        the status "unknown-species", and environments cut at another radius than it needs give "wrong-radius".
    - Of a manifold: `zero_at`, `zero_error` and further variables with the points and curves where σ_min vanishes,
        refined in the parameters, with the null directions there by cause and a sentence on what lifts them. Null
        directions that all points have are not counted as zeros.

    **Raises:**

    - `GeometryError` for a grid that is out of bounds, not ascending, or not of a manifold, and for frames of another
        radius than the featurizer needs; `SpeciesError` as the featurizer does.
    - `ReadError` if `at` is not environments; for an argument of stores without a store; if `out` cannot be written,
        has too little room, is in use, or holds a sweep of another featurizer, input, setting or version; if a frame
        cannot be read, after all frames before it are in the store; and if no cluster answers.
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
        # Imported here because zarr takes time, and the other sweeps do without.
        from jaxfeat.store.sweep_stream import sweep_stream

        sweep_stream(
            f, open_stream(at), path, progress, screened=screened, positions=positions is not False,
            chunk=CHUNK_LENGTH if chunk is None else chunk, overwrite=overwrite, command=command, cluster=cluster,
        )  # fmt: skip
        return open_store(path)
    given = {
        "positions": positions is not None,
        "chunk": chunk is not None,
        "overwrite": overwrite,
        "command": command,
        "cluster": cluster is not None,
    }
    if unused := [name for name, used in given.items() if used]:
        raise ReadError(
            f"{', '.join(unused)}: only for environments that are swept into a store; leave out, or give environments "
            "and an `out` that ends in .zarr."
        )
    if path is not None:
        check_target(path)
    if isinstance(at, AbstractManifold):
        ds = sweep_manifold(f, at, grid, progress, screened=screened)
    elif isinstance(at, Environment):
        found = scan_arrays(f, at, progress, screened)
        attributes = provenance(f) | {"input": "environments in memory", "screened": int(screened)}
        ds = build_dataset(found, ["environment"], {}, attributes, at)
    else:
        raise ReadError("a stream of environments is never held whole; name a zarr store to sweep it into.")
    if path is not None:
        write_dataset(ds, path)
    return ds
