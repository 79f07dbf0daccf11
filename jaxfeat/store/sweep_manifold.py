"""A sweep over the parameters of a manifold: spectra on a grid, and the zeros of σ_min between its points."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.manifold import AbstractManifold
from jaxfeat.nulls.causes import CAUSES
from jaxfeat.nulls.classify import item_null_space
from jaxfeat.nulls.cure import cure, describe_cures
from jaxfeat.nulls.jacobian_nulls import restrict_species
from jaxfeat.nulls.scan import scan_arrays
from jaxfeat.singular.manifold_zeros import ManifoldZero, find_manifold_zeros
from jaxfeat.singular.zero_search import ManifoldSlice
from jaxfeat.spectrum.blocks import Progress
from jaxfeat.store.dataset import Dataset, add_zeros, build_dataset
from jaxfeat.store.schema import provenance

GRID_POINTS = 41
"""Values of each parameter on the default grid."""


def sweep_manifold(
    f: AbstractFeaturizer,
    manifold: AbstractManifold,
    grid: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    *,
    screened: bool = False,
) -> Dataset:
    """Compute spectra on a grid of one or two parameters, and find where σ_min vanishes. Arguments as of `sweep`."""
    axes, section = _free_parameters(manifold, grid)
    points = np.stack(np.meshgrid(*axes.values(), indexing="ij"), -1).reshape(-1, len(axes))
    environments = _environments(section, points)
    found = scan_arrays(f, environments, progress, screened)
    coords = {name: (name, axis, {"units": manifold.parameter(name).unit}) for name, axis in axes.items()}
    fixed = {p.name: float(v) for p, v in zip(manifold.parameters, section.fixed, strict=True) if p.name not in axes}
    ds = build_dataset(found, list(axes), coords, provenance(f) | fixed)
    known = np.isfinite(found.floor)
    n_null = (found.sigma_equilibrated <= found.floor_equilibrated[:, None]).sum(-1)[known]
    n_generic = int(n_null.min()) if known.any() else 0
    ds.attrs["n_generic"] = n_generic
    vanishing: list[ManifoldZero] = []
    if known.any():
        sigma = ds["sigma_equilibrated"].values
        vanishing = find_manifold_zeros(
            restrict_species(f, environments[0]), section, list(axes.values()), sigma, n_generic
        )
    explained = [_explain(f, section, zero) for zero in vanishing]
    counts, causes = [count for count, _ in explained], [cause for _, cause in explained]
    return add_zeros(ds, list(axes), vanishing, counts, causes)


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
    """Count the null directions at a zero by cause, and say in a sentence what lifts them."""
    try:
        env = _environments(section, zero.at[None])[0]
        null = item_null_space(f, env)
        return [getattr(null, cause) for cause in CAUSES], describe_cures(cure(f, env, null))
    except (BasisError, GeometryError, SizeError) as error:
        return [0] * len(CAUSES), f"unclassified: {error}"
