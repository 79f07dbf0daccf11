"""The null space of a Jacobian, split by cause (docs/theory, "One cause for each").

    rigid  ⊆  locality  ⊆  symmetry  ⊆  N_ν  ⊆  null(J)

All but the last subspace follow from the positions alone. The last one is read off the equilibrated spectrum of J, down
to rounding. If the two do not fit together, or if one of them has no clear gap, the status is "ambiguous".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from jaxfeat.errors import GeometryError, PrecisionError, SizeError
from jaxfeat.features.structure_map import AbstractStructureMap, FeatureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.subspaces import Gap, complement_within, leading_directions, robust_svd
from jaxfeat.nulls.ambiguity import CLEAR_RATIO, find_ambiguity, find_truncation_ambiguity, visibility_rows
from jaxfeat.nulls.causes import CAUSES, NullSpace
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.sites import Sites, list_sites, rotation_ratio
from jaxfeat.spectrum.blocks import restrict_species
from jaxfeat.spectrum.jacobian import assemble_jacobian, center_jacobians, jacobian_and_norms
from jaxfeat.spectrum.plan import check_null_space
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum, StatusName

POSITION_TOLERANCE = 1e-5
"""Å, for stabilizers and kernels. Coordinates with six digits keep their point groups: none of the 846 environments of
ASE's g2 gains another one up to 1e-3 Å. The complete kernel merges hardly any values by chance."""


def null_space(f: FeatureMap, at: Item, tolerance: float = POSITION_TOLERANCE) -> NullSpace | list[NullSpace]:
    """Find the null directions of the Jacobian dF/dr, each under one cause.

    **Arguments:**

    - `f`: A featurizer, or a structure map.
    - `at`: The environment (for a featurizer) or structure (for a structure map), in float64; one item, or a batch with
        one leading axis.
    - `tolerance`: Å. Positions are symmetric, and values of invariants equal, within this distance. The Jacobian knows
        no tolerance: near a symmetric or singular point, but not at it, it has fewer null directions, and the status is
        "ambiguous". `jaxfeat.symmetrized` takes rounded coordinates to the symmetric ones nearby.

    **Returns:** a `NullSpace` with a count and directions of shape `(k, n, 3)` for each cause. For a batch, a list with
    one for each item, because the numbers of directions differ.

    **Raises:** `SpeciesError` if `at` holds an element that `f` does not know. `PrecisionError` if the positions are
    not float64. `SizeError` if the order ν is too high for so many neighbors (as in `complete_kernel`, unless a lower
    order hides nothing but symmetry), or if the Jacobian does not fit into memory. `BasisError` likewise for orders
    above 4. `GeometryError` for like neighbors within two tolerances of each other, and if `f` and `at` do not go
    together.

    **Source:** docs/theory, "One cause for each".
    """
    check_compatible(f, at)
    if not at.batch_shape:
        return item_null_space(f, at, tolerance)
    found = []
    for index in range(at.batch_shape[0]):
        try:
            found.append(item_null_space(f, at[index], tolerance))
        except (GeometryError, SizeError) as error:
            raise type(error)(f"item {index}: {error}") from error
    return found


def item_null_space(f: FeatureMap, at: Item, tolerance: float = POSITION_TOLERANCE) -> NullSpace:
    """Find the null directions of one item that `f` can describe. Arguments and errors are those of `null_space`."""
    if np.asarray(at.positions).dtype != np.float64:
        raise PrecisionError(
            f"positions are {at.positions.dtype}, and null spaces are a matter of the last digits; "
            "enable jax_enable_x64 and give them in float64."
        )
    decomposed = decompose_jacobian(f, at)
    status = StatusName(str(decomposed.spectrum.status))
    out_of_reach = status == "empty" and isinstance(at, Structure) and bool(at.mask.any())
    if status not in ("ok", "no-signal") and not out_of_reach:
        nothing = {cause: np.zeros((0, at.positions.shape[-2], 3)) for cause in CAUSES}
        return NullSpace(nothing, 0, None, {}, {}, (np.nan, np.nan), status, status.message)
    return _classify(f, at, decomposed, list_sites(f, at, decomposed.reacting, tolerance), status)


def _classify(f: FeatureMap, at: Item, decomposed: DecomposedJacobian, sites: Sites, status: StatusName) -> NullSpace:
    nu, n_atoms = f.environment_featurizer.nu, at.positions.shape[-2]
    filtration = build_filtration(sites, nu)
    null = decomposed.null_space(filtration.rigid)

    # rigid ⊆ locality ⊆ symmetry ⊆ N_ν ⊆ null(J)
    subspaces = {"rigid": filtration.rigid, "locality": filtration.locality, "symmetry": filtration.symmetry}
    if filtration.kernel is not None:
        subspaces["incompleteness" if filtration.symmetry_known else "other"] = filtration.kernel
    subspaces["other" if filtration.kernel is None else "truncation"] = null
    directions, smaller = dict.fromkeys(CAUSES, np.zeros((0, 3 * n_atoms))), np.zeros((0, 3 * n_atoms))
    for cause, space in subspaces.items():
        directions[cause], smaller = complement_within(space, smaller), space

    jacobian_gap, jacobian_floor = decomposed.gap_and_floor()
    raw = decomposed.raw_values()
    atoms = np.asarray(at.mask) if isinstance(at, Structure) else decomposed.reacting
    found = NullSpace(
        directions={cause: rows.reshape(-1, n_atoms, 3) for cause, rows in directions.items()},
        nullity=len(null),
        stabilizer=filtration.stabilizer,
        gap={"jacobian": jacobian_gap, "weights": decomposed.weights_gap, **filtration.gap},
        floor={"jacobian": jacobian_floor, "weights": decomposed.rounding, **filtration.floor},
        sensitivity=decomposed.sensitivity(raw),
        status=status,
        reason=status.message,
        atoms=None if isinstance(filtration.stabilizer, tuple) else atoms,
    )
    # Next to a line the floor is raised, because a short rotation is known to few digits. N_ν is known to more.
    shortest = rotation_ratio(at)
    in_line = filtration.kernel is not None and shortest < 1 / CLEAR_RATIO
    rounding = jacobian_floor * (shortest if in_line else 1)
    unit = decomposed.matrix / max(raw.max(initial=0.0), 1e-300)
    reason = find_ambiguity(found, subspaces, filtration, unit, rounding, sites.tolerance)
    if not reason and nu is not None and found.truncation:
        reason = find_truncation_ambiguity(directions["truncation"], visibility_rows(sites, nu), jacobian_floor)
    if not reason:
        return found
    return replace(found, status=StatusName.AMBIGUOUS if status == "ok" else status, reason=reason)


@dataclass(frozen=True, eq=False)
class DecomposedJacobian:
    """The Jacobian of one environment or structure with its equilibrated spectrum, on the host.

    - `matrix`: `(d, n, 3)`, features per Å.
    - `spectrum`: equilibrated, with every direction.
    - `rounding`: the norm of a neighbor's columns, relative to the largest, below which it is rounding.
    - `reacting`: which neighbors the features of their center react to, `(n,)` for an environment and `(c, k)` for the
        centers of a structure.
    - `weights_gap`: the largest column norm of a neighbor that J does not react to, and the smallest other one.
    """

    matrix: np.ndarray
    spectrum: Spectrum
    rounding: float
    reacting: np.ndarray
    weights_gap: Gap

    @property
    def values(self) -> np.ndarray:
        """The equilibrated singular values, descending."""
        return np.asarray(self.spectrum.values)[: int(self.spectrum.n_values)]

    @property
    def null(self) -> np.ndarray:
        """The equilibrated singular values that are taken for zero, as a mask."""
        return self.values <= float(self.spectrum.floor)

    def gap_and_floor(self) -> tuple[Gap, float]:
        """Return the gap and the floor of the equilibrated singular values, relative to the largest."""
        values, null = self.values, self.null
        largest = values.max(initial=0.0) or 1.0
        gap = values[null].max(initial=0.0) / largest, values[~null].min(initial=np.inf) / largest
        return (float(gap[0]), float(gap[1])), float(self.spectrum.floor) / float(largest)

    def null_space(self, rigid: np.ndarray) -> np.ndarray:
        """Span the null space of J with the rigid motions, `(k, 3 n)`."""
        null = self.null
        scaled = self.spectrum.directions[: len(null)][null] / self.spectrum.scale[:, None]
        rows = np.asarray(scaled).reshape(int(null.sum()), rigid.shape[1])
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
        both = np.concatenate([rigid, rows])
        return leading_directions(both, len(both))

    def raw_values(self) -> np.ndarray:
        """Compute all singular values of J, descending. Those of rigid motions are zeros at the end."""
        matrix = self.matrix.reshape(len(self.matrix), -1)
        return robust_svd(np.asarray(np.linalg.qr(matrix, mode="r")) if len(matrix) > matrix.shape[1] else matrix)[1]

    def sensitivity(self, raw: np.ndarray) -> tuple[float, float]:
        """Divide the smallest non-null singular value by the largest: of `raw_values`, and equilibrated."""
        seen = self.values[~self.null]
        return (float(raw[len(seen) - 1] / raw[0]), float(seen[-1] / seen[0])) if len(seen) else (np.nan, np.nan)


def decompose_jacobian(f: FeatureMap, at: Item) -> DecomposedJacobian:
    """Decompose the Jacobian of one item, described in the species that the item holds."""
    narrow = restrict_species(f, at)
    check_null_space(narrow, at)
    jacobian, contributions, weights = (np.asarray(x) for x in _jacobian(narrow, at))
    rounding = float(max(jacobian.shape[0], jacobian.shape[1] * 3) * np.finfo(jacobian.dtype).eps)
    # Columns that move features by less than rounding are taken for zero.
    seen = ~(contributions <= rounding * contributions.max(initial=0))
    jacobian, contributions = np.where(seen[:, None], jacobian, 0), np.where(seen, contributions, 0)
    # Rows of zeros change no singular value. With few heights, featurizers share the program that decomposes them.
    missing = 2 ** int(np.ceil(np.log2(max(len(jacobian), 64)))) - len(jacobian)
    padded = np.pad(jacobian, ((0, missing), (0, 0), (0, 0)))
    spectrum: Any = _spectrum(padded, contributions, at)
    return DecomposedJacobian(jacobian, jax.tree.map(np.asarray, spectrum), rounding, *_reacting(weights, rounding, at))


@eqx.filter_jit
def _jacobian(f: FeatureMap, at: Item) -> tuple[Array, Array, Array]:
    """Compute the Jacobian, the joint norms of each atom's columns, and those of each center's neighbors."""
    if isinstance(f, AbstractStructureMap):
        assert isinstance(at, Structure)
        rows, weights = center_jacobians(f, at)
        return *assemble_jacobian(f, at, rows, weights), weights
    jacobian, contributions = jacobian_and_norms(f, at)
    return jacobian, contributions, contributions


@eqx.filter_jit
def _spectrum(jacobian: Any, contributions: Any, at: Item) -> Spectrum:
    return decompose(keep_all_rows(jacobian, contributions), at, equilibrated=True)


def _reacting(weights: np.ndarray, rounding: float, at: Item) -> tuple[np.ndarray, Gap]:
    mask = np.asarray(at.mask if isinstance(at, Environment) else at.environments().mask)
    largest = weights.max(-1, keepdims=True, initial=0)
    relative = np.where(largest > 0, weights / np.where(largest > 0, largest, 1), 0)
    reacting = mask & (relative > rounding)
    unseen = relative[mask & ~reacting].max(initial=0)
    return reacting, (float(unseen), float(relative[reacting].min(initial=np.inf)))
