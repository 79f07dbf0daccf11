"""The result of a decomposition: singular values, their floor, their directions and a status."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxfeat.geometry.environment import on_host
from jaxfeat.linalg.arrays import array_namespace, concrete_values


class StatusName(StrEnum):
    """Names of statuses, each with a sentence: its `message`. Spectra have all statuses but "ambiguous". Null spaces
    have all of them. A member equals its name, and comparing it with any other text raises a `ValueError`."""

    message: str

    def __new__(cls, name: str, message: str = "") -> StatusName:
        member = str.__new__(cls, name)
        member._value_, member.message = name, message
        return member

    OK = "ok", "the spectrum is known down to its floor."
    EMPTY = "empty", "there are no neighbors within the cutoff, so there is nothing to displace."
    NON_FINITE = "non-finite", "positions or derivatives are not finite; mend the coordinates."
    COINCIDENT = "coincident", "two atoms are at the same point; remove one of them."
    UNKNOWN_SPECIES = (
        "unknown-species",
        "an atom was not seen, because the featurizer does not know its species; add it to `species`.",
    )
    NO_SIGNAL = (
        "no-signal",
        "no displacement changes any feature: neighbors are outside the cutoff, or symmetry cancels everything.",
    )
    WRONG_RADIUS = (
        "wrong-radius",
        "the environment was cut at another radius than the featurizer needs; make it with the featurizer's r_cut.",
    )
    UNSEARCHABLE = (
        "unsearchable",
        "no neighbors could be searched for: an atom is too far away, or the cell is too small or too flat for r_cut; "
        "mend the structure, or choose a smaller r_cut.",
    )
    FLOAT32_FLOOR = (
        "float32-floor",
        "values below the floor of float32 are not known; enable float64 (jax_enable_x64).",
    )
    AMBIGUOUS = (
        "ambiguous",
        "the causes of null directions cannot be told apart; the reason of the null space says why.",
    )
    NOT_SMOOTH = (
        "not-smooth",
        "the features have no derivative here, because eigenvalues cross, as they do at many symmetric geometries; "
        "take smooth features (OverlapMatrix with invariants='traces'), or displace the atoms.",
    )

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"{value!r} is no status; choose one of {', '.join(repr(name.value) for name in cls)}.")

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, StatusName(other) if isinstance(other, str) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


STATUS_NAMES = tuple(StatusName)  # names in the order of their codes


class Status(eqx.Module):
    """A code for each item. `status == "ok"` compares with a name; `str(status)` and `names` give names outside jit.

    Comparing with a text that names no status raises a `ValueError`, inside jit too.

    **Attributes:**

    - `code`: Shape `batch`, indices into `STATUS_NAMES`.
    """

    code: Int[Any, "*batch"]

    def __eq__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        if isinstance(other, Status):
            return self.code == other.code
        if isinstance(other, str):
            return self.code == STATUS_NAMES.index(StatusName(other))
        return NotImplemented

    def __ne__(self, other: object) -> Bool[Array, "*batch"]:  # type: ignore[override]
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else ~equal

    __hash__ = None  # type: ignore[assignment]

    @property
    def names(self) -> np.ndarray:
        """Names, an array of strings of shape `batch`."""
        return np.asarray([name.value for name in STATUS_NAMES])[np.asarray(self.code)]

    @property
    def summary(self) -> str:
        """The name of a single item's status, or how many items of a batch have each status: "8 ok, 1 empty"."""
        if not self.code.shape:
            return str(self.names)
        counts = np.bincount(np.asarray(self.code).ravel(), minlength=len(STATUS_NAMES))
        return ", ".join(f"{n} {name.value}" for name, n in zip(STATUS_NAMES, counts, strict=True) if n) or "none"

    @property
    def message(self) -> str | np.ndarray:
        """A sentence that explains a single item's status, or an array of sentences of shape `batch`."""
        found = np.asarray([name.message for name in STATUS_NAMES])[np.asarray(self.code)]
        return found if found.shape else str(found)

    def __str__(self) -> str:
        known = concrete_values(self.code)
        return "traced" if known is None else str(self.names)

    def __repr__(self) -> str:
        return f"Status({self.summary})" if _are_known(self) else super().__repr__()


def _are_known(tree: Any) -> bool:
    """Tell whether all leaves are arrays with values, rather than traced or anything else."""
    arrays = (np.ndarray, np.generic, jax.Array)
    return all(isinstance(leaf, arrays) and concrete_values(leaf) is not None for leaf in jax.tree.leaves(tree))


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

    values: Float[Any, "*batch k"]
    directions: Float[Any, "*batch k n 3"]
    scale: Float[Any, "*batch n"]
    n_values: Int[Any, "*batch"]
    n_rigid: Int[Any, "*batch"]
    floor: Float[Any, "*batch"]
    certified: Bool[Any, "*batch"]
    status: Status

    @property
    def ratio(self) -> Float[Array, "*batch"]:
        """The sensitivity ratio σ_min/σ_max, of shape `batch`; NaN for an item that has no values."""
        return _on_host_if_known(_ratio, self.values, self.n_values)

    @property
    def n_null(self) -> Int[Array, "*batch"]:
        """The number of non-rigid null directions, of shape `batch`: values at or below the floor."""
        return _on_host_if_known(lambda values, floor: (values <= floor[..., None]).sum(-1), self.values, self.floor)

    def __repr__(self) -> str:
        return _described(jax.tree.map(np.asarray, self)) if _are_known(self) else super().__repr__()

    def _repr_html_(self) -> str | None:
        if not _are_known(self):
            return None
        from jaxfeat.report.notebook import show_spectra

        host = jax.tree.map(np.asarray, self)
        floors, names = host.floor.reshape(-1), host.status.names.reshape(-1)
        shape, kind = host.n_values.shape, "" if (host.scale == 1).all() else ", equilibrated"
        size = f"batch {shape}, up to " if shape else ""
        title = f"Spectrum: {size}{int(host.n_values.max(initial=0))} values{kind}; status: {host.status.summary}"
        return show_spectra(title, host.values.reshape(len(floors), host.values.shape[-1]), floors, names.tolist())


def _on_host_if_known(function: Callable[..., Any], *arrays: Any) -> Any:
    """Evaluate a function of arrays in NumPy, where no shape needs a program of its own; inside jit, in JAX."""
    known = [concrete_values(array) for array in arrays]
    if on_host(arrays) or any(array is None for array in known):
        return function(*arrays)
    return jax.device_put(function(*known))


def _ratio(values: Any, n_values: Any) -> Any:
    if values.shape[-1] == 0:
        return np.full(n_values.shape, np.nan, values.dtype)
    xp = array_namespace(values)
    last = xp.maximum(n_values - 1, 0)[..., None]
    # An item without signal has 0/0, which is the NaN that is promised.
    with np.errstate(invalid="ignore"):
        return xp.take_along_axis(values, last, -1)[..., 0] / values[..., 0]


def _described(spectrum: Spectrum) -> str:
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
