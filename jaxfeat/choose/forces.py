"""Reference forces on the singular directions of a structure's Jacobian: the part that no model of its features fits,
and the slopes that the other parts ask of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxfeat.errors import GeometryError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import FeatureMap, check_compatible, stacked
from jaxfeat.geometry.positions import check_float64
from jaxfeat.geometry.structure import Structure
from jaxfeat.spectrum.driver import singular_spectrum
from jaxfeat.spectrum.spectrum import Status

ROUNDING = 64 * float(np.finfo(float).eps)  # a part of a force is zero up to this share of the whole force


@dataclass(frozen=True, eq=False)
class VisibleForce:
    """Reference forces of a structure on the right singular vectors v_k of its Jacobian.

    Arrays are NumPy's, and numbers of one structure are arrays without axes. In a batch, structures have different
    numbers of directions that are not null; past the last one, `sigma` and `slopes` are NaN, and `directions` is zero.

    **Attributes:**

    - `invisible_share`: Shape `batch`, from 0 to 1: the norm of the force's part in the null space of J, over
      `force_norm`. NaN if `force_norm` is 0.
    - `sigma`: Shape `(*batch, k)`, the singular values above the floor, descending, in feature units per Å.
    - `slopes`: Shape `(*batch, k)`, |v_k·f|/σ_k, the slope of the energy that each direction asks of a model: eV per
      feature unit for forces in eV/Å.
    - `scale_free`: Shape `batch`, without unit: the norm of the slopes times the root mean square of `sigma`, over the
      norm of the force's visible part. NaN if there is no visible part.
    - `force_norm`: Shape `batch`, the norm of the forces on all atoms without their rigid part.
    - `rigid_share`: Shape `batch`, the norm of the rigid part (net force, and net torque of a molecule), over the norm
      of the forces. The forces of an energy without external fields have none but rounding errors.
    - `n_null`: Shape `batch`, the number of values at or below the floor: null directions that are not rigid.
    - `directions`: Shape `(*batch, k, n, 3)`, the vectors v_k.
    - `status`: A `Status`. Numbers mean something if it is "ok", or if it is "no-signal" or "empty": then all of the
      force is invisible.
    """

    invisible_share: Float[np.ndarray, "*batch"]
    sigma: Float[np.ndarray, "*batch k"]
    slopes: Float[np.ndarray, "*batch k"]
    scale_free: Float[np.ndarray, "*batch"]
    force_norm: Float[np.ndarray, "*batch"]
    rigid_share: Float[np.ndarray, "*batch"]
    n_null: Int[np.ndarray, "*batch"]
    directions: Float[np.ndarray, "*batch k n 3"]
    status: Status

    @property
    def components(self) -> Float[np.ndarray, "*batch k"]:
        """The components |v_k·f| of the forces, of shape `(*batch, k)`, in the unit of the forces."""
        return self.slopes * self.sigma

    def __repr__(self) -> str:
        shape = self.n_null.shape
        parts = [
            f"batch {shape}, up to {self.sigma.shape[-1]} directions" if shape else f"{len(self.sigma)} directions"
        ]
        parts += [f"{name} = {_range(getattr(self, name))}" for name in ("invisible_share", "scale_free")]
        parts.append(f"steepest slope = {_range(np.nan_to_num(self.slopes).max(-1, initial=0))}")
        if (rigid := self.rigid_share[self.rigid_share > ROUNDING]).size:
            parts.append(f"rigid_share = {_range(rigid)}")
        return f"VisibleForce({', '.join(parts)}, status: {self.status.summary})"


def _range(numbers: np.ndarray) -> str:
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return "unknown"
    least, most = (f"{number:.3g}" for number in (known.min(), known.max()))
    return least if least == most else f"{least} to {most}"


def visible_force(f: FeatureMap, structure: Structure, forces: Any) -> VisibleForce:
    """Compare reference forces with the displacements that features of a structure see.

    The forces of any energy that depends on the features alone are combinations of the rows of the Jacobian J. The part
    of the reference forces in the null space of J is therefore lost for every such model. Along a singular direction
    v_k, a model has to change by |v_k·f|/σ_k per feature unit.

    `scale_free` is 1 if the map is equally sensitive to all displacements. It is larger if the forces lie along
    insensitive ones, and smaller if they lie along sensitive ones. It compares the norm of the smallest linear model
    that has these forces with the norm that would suffice if all σ_k were equal to their root mean square. It does not
    change if the features are multiplied by a factor or rotated, and thus compares descriptors with different σ or
    normalization. It tells how hard it is to give the forces of one structure, and not how a model fares on others.

    **Arguments:**

    - `f`: A structure map, or a featurizer, which stands for `jaxfeat.stacked(f)`. An energy that adds up a function of
        each atom's features sees the rows of the stacked map. If this function is linear, and the same for all atoms of
        a species, the energy sees the rows of `jaxfeat.summed(f)`, which are fewer.
    - `structure`: The structure, or a batch of any shape, from `jaxfeat.structures`, in float64.
    - `forces`: The forces on all atoms, of the shape of `structure.positions`, usually in eV/Å. Forces on padded atoms
        are ignored. For a batch with one axis, a list of arrays `(n_i, 3)` does as well.

    **Returns:** A `VisibleForce`.

    **Raises:** `GeometryError` if `structure` is no structure, or was cut at a radius that does not suit `f`, or if the
    forces do not fit it or are not finite; `SpeciesError` if it holds an element that `f` does not know;
    `PrecisionError` if its positions are not float64; `SizeError` if its Jacobian does not fit into memory.

    **Source:** docs/theory, "Forces that features can give".
    """
    f = stacked(f) if isinstance(f, AbstractFeaturizer) else f
    check_compatible(f, structure)
    check_float64(structure.positions, "positions", "a visible force")
    mask = np.asarray(structure.mask)
    flat = _fitted(forces, mask).reshape(*mask.shape[:-1], -1)
    found: Any = jax.tree.map(np.asarray, singular_spectrum(f, structure, directions=True))
    values, vectors = found.values, found.directions.reshape(*found.values.shape, flat.shape[-1])
    components = (vectors @ flat[..., None])[..., 0]
    # Directions that are not rigid, null ones among them, are an orthonormal basis of all that rigid motions leave.
    rigid = flat - (components[..., None, :] @ vectors)[..., 0, :]
    seen, null = values > found.floor[..., None], values <= found.floor[..., None]
    whole, inner = _norm(flat), _norm(components)
    visible, invisible = _norm(np.where(seen, components, 0)), _norm(np.where(null, components, 0))
    inner = np.where(inner > ROUNDING * whole, inner, 0)
    most = int(seen.sum(-1).max(initial=0))
    sigma = np.where(seen, values, np.nan)[..., :most]
    slopes = np.abs(components[..., :most]) / sigma
    with np.errstate(invalid="ignore", divide="ignore"):
        effort = np.sqrt(np.nansum(slopes**2, -1) * np.nansum(sigma**2, -1) / seen.sum(-1))
        return VisibleForce(
            invisible_share=np.where(inner > 0, invisible / inner, np.nan),
            sigma=sigma,
            slopes=slopes,
            scale_free=np.where((inner > 0) & (visible > ROUNDING * whole), effort / visible, np.nan),
            force_norm=inner,
            rigid_share=np.where(np.isfinite(found.floor), _norm(rigid) / whole, np.nan),
            n_null=null.sum(-1),
            directions=np.where(seen[..., None, None], found.directions, 0)[..., :most, :, :],
            status=found.status,
        )


def _norm(vectors: Float[np.ndarray, "*batch m"]) -> Float[np.ndarray, "*batch"]:
    return np.sqrt((vectors**2).sum(-1))


def _fitted(forces: Any, mask: np.ndarray) -> Float[np.ndarray, "*batch n 3"]:
    """Check forces, pad those of a list, and set those on padded atoms to zero."""
    shape = (*mask.shape, 3)
    if isinstance(forces, Sequence) and mask.ndim == 2 and len(forces) == len(mask):
        # Padding is at the end, so that the forces of fewer atoms come first.
        many, forces = forces, np.zeros(shape)
        for k, (one, n) in enumerate(zip(many, mask.sum(-1).tolist(), strict=True)):
            if np.shape(one) not in ((n, 3), shape[1:]):
                raise GeometryError(f"structure {k}: forces have shape {np.shape(one)}; give shape {(n, 3)}.")
            forces[k, : len(one)] = one
    given = np.asarray(forces, float)
    if given.shape != shape:
        raise GeometryError(f"forces have shape {given.shape}; give a vector for each atom, shape {shape}.")
    given = np.where(mask[..., None], given, 0)
    if (bad := ~np.isfinite(given)).any():
        *batch, atom, _ = np.argwhere(bad)[0].tolist()
        where = f"structure {batch[0] if len(batch) == 1 else tuple(batch)}, " if batch else ""
        raise GeometryError(f"{where}atom {atom}: the force is not finite; leave out structures without forces.")
    return given
