"""The result of a decomposition: singular values, their floor, their directions and a status."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.geometry.batch import on_host
from jaxfeat.linalg.arrays import concrete_values
from jaxfeat.spectrum.status import Status


class Spectrum(eqx.Module):
    """Singular values of the Jacobian dF/dr on the non-rigid displacements.

    An item with fewer neighbors than the batch has room for has fewer than k values. Past its last value, `values` is
    NaN and `directions` is zero.

    **Attributes:**

    - `values`: Shape `(*batch, k)`, descending, in feature units per Å (dimensionless if equilibrated).
    - `directions`: Shape `(*batch, k, n, 3)`, the orthonormal right singular vectors, zero on padded atoms. The axis k
      has length 0 if directions were not asked for. Directions of an equilibrated spectrum are in scaled coordinates;
      divide them by `scale[..., None, :, None]` for displacements.
    - `scale`: Shape `(*batch, n)`, the joint norm of each atom's three columns if equilibrated, and one otherwise.
    - `n_values`: Shape `batch`, the number of values: 3 times the number of atoms minus `n_rigid`.
    - `n_rigid`: Shape `batch`, the number of rigid motions projected out.
    - `floor`: Shape `batch`, the rounding error of a value: at least max(features, coordinates, 256) eps σ_max. It is
      higher if contributions cancel by symmetry, and for nearly collinear atoms. Values at or below it are null as far
      as the floating-point type can tell.
    - `certified`: Shape `batch`. True if every value is as exact as a QR decomposition of J makes it. False if all
      values come from JᵀJ; `floor` is then that of JᵀJ, about √eps σ_max.
    - `status`: A `Status`.
    """

    values: Float[Array, "*batch k"]
    directions: Float[Array, "*batch k n 3"]
    scale: Float[Array, "*batch n"]
    n_values: Int[Array, "*batch"]
    n_rigid: Int[Array, "*batch"]
    floor: Float[Array, "*batch"]
    certified: Bool[Array, "*batch"]
    status: Status

    @property
    def ratio(self) -> Float[Array, "*batch"]:
        """The sensitivity ratio σ_min/σ_max, of shape `batch`; NaN for an item that has no values."""
        return _ratio(self) if on_host(self.values) else _ratio_on_device(self)

    @property
    def n_null(self) -> Int[Array, "*batch"]:
        """The number of non-rigid null directions, of shape `batch`: values at or below the floor."""
        return _n_null(self) if on_host(self.values) else _n_null_on_device(self)

    def __repr__(self) -> str:
        leaves = jax.tree.leaves(self)
        if not all(isinstance(leaf, (np.ndarray, np.generic, jax.Array)) for leaf in leaves):
            return super().__repr__()
        if any(concrete_values(leaf) is None for leaf in leaves):
            return super().__repr__()
        return _described(jax.tree.map(np.asarray, self))


def _ratio(spectrum: Spectrum) -> Any:
    if spectrum.values.shape[-1] == 0:
        return np.full(spectrum.n_values.shape, np.nan, spectrum.values.dtype)
    at = np if on_host(spectrum.values) else jnp
    last = at.maximum(spectrum.n_values - 1, 0)[..., None]
    # An item without signal has 0/0, which is the NaN that is promised.
    with np.errstate(invalid="ignore"):
        return at.take_along_axis(spectrum.values, last, -1)[..., 0] / spectrum.values[..., 0]


def _n_null(spectrum: Spectrum) -> Any:
    return (spectrum.values <= spectrum.floor[..., None]).sum(-1)


# One program for each, rather than one for each of their operations.
_ratio_on_device, _n_null_on_device = eqx.filter_jit(_ratio), eqx.filter_jit(_n_null)


def _described(spectrum: Spectrum) -> str:
    """Describe a spectrum of NumPy arrays by its sizes, ranges and counts."""
    shape, most = spectrum.n_values.shape, int(spectrum.n_values.max(initial=0))
    parts = [f"batch {shape}, up to {most} values" if shape else f"{most} values"]
    if most:
        unit = " per Å" if (spectrum.scale == 1).all() else ""
        parts.append(f"σ_max = {_range(spectrum.values[..., 0])}{unit}{'' if unit else ' (equilibrated)'}")
        parts.append(f"σ_min/σ_max = {_range(spectrum.ratio)}")
        parts.append(f"floor = {_range(spectrum.floor)}{unit}")
    n_null = spectrum.n_null
    where = f" in {np.count_nonzero(n_null)} items" if shape and n_null.any() else ""
    parts.append(f"{int(n_null.sum())} null{where}")
    return f"Spectrum({', '.join(parts)}, status: {spectrum.status.summary})"


def _range(numbers: Any) -> str:
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return "unknown"
    least, most = (f"{number:.3g}" for number in (known.min(), known.max()))
    return least if least == most else f"{least} to {most}"
