"""Which null is it? Every null direction of a Jacobian, with its one cause (theory, section 2).

    rigid  ⊆  locality  ⊆  symmetry  ⊆  N_ν  ⊆  null(J)

Rigid motions are known in closed form; symmetry is what stabilizers hide; N_ν is what order ν cannot see in any basis;
all of these follow from the positions alone. Only the last one is read off J, from its equilibrated spectrum, down to
rounding. Nothing is guessed where the two do not fit together, or where one of them has no clear gap: the status is
then "ambiguous".
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from jaxfeat.errors import GeometryError, PrecisionError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.check import check_compatible
from jaxfeat.features.structure_map import AbstractStructureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.geometry.symmetry import Group
from jaxfeat.linalg.subspaces import Gap, complement_within, leading_directions, robust_svd
from jaxfeat.nulls.ambiguity import CLEAR_RATIO, find_ambiguity, find_truncation_ambiguity
from jaxfeat.nulls.causes import CAUSES, NullSpace
from jaxfeat.nulls.sites import (
    Filtration,
    build_filtration,
    clearance,
    list_sites,
    rigid_space,
    wave_gradients_at_sites,
)
from jaxfeat.spectrum.assemble import assemble_jacobian, center_jacobians
from jaxfeat.spectrum.jacobian import jacobian_and_norms
from jaxfeat.spectrum.reduce import keep_all_rows
from jaxfeat.spectrum.sizes import check_null_space
from jaxfeat.spectrum.solve import decompose
from jaxfeat.spectrum.spectrum import Spectrum
from jaxfeat.spectrum.status import STATUS_MESSAGES, StatusName

POSITION_TOLERANCE = 1e-5
"""Å, for stabilizer and kernel alike. Coordinates with six digits, as ASE's g2 has them, keep their point groups (none
of its 846 environments gains another up to 1e-3 Å), and the complete kernel merges next to nothing by chance."""

Map = TypeVar("Map", bound=AbstractFeaturizer | AbstractStructureMap)


def null_space(f: Any, at: Any, tolerance: float = POSITION_TOLERANCE) -> Any:
    """Null directions of dF/dr, by cause.

    **Arguments:**

    - `f`, `at`: a featurizer with an `Environment`, or a structure map with a `Structure`. Of a batch, a list: every
      item has its own numbers of directions.
    - `tolerance`: Å. Positions are symmetric, and values of invariants equal, within it. J knows no tolerance: near a
      symmetric or singular point, but not at it, its null space is smaller than those, and the status is "ambiguous".
      `jaxfeat.symmetrized` takes coordinates that were rounded to the symmetric ones nearby.

    **Raises:** `SpeciesError`, as the featurizer does; `PrecisionError` for positions that are not float64; `SizeError`
    where the order is too high for so many neighbors (`complete_kernel`), unless a lower one sees all that can be seen,
    and where the Jacobian does not fit into memory; `BasisError` likewise for orders above 4; `GeometryError` for like
    neighbors within two tolerances, where `f` and `at` do not go together, and as the featurizer does.
    """
    check_compatible(f, at)
    if np.asarray(at.positions).dtype != np.float64:
        raise PrecisionError(
            f"positions are {at.positions.dtype}, and null spaces are a matter of the last digits; "
            "enable jax_enable_x64 and give them in float64."
        )
    if not at.batch_shape:
        return _single(f, at, tolerance)
    found = []
    for index in range(at.batch_shape[0]):
        try:
            found.append(null_space(f, at[index], tolerance))
        except (GeometryError, SizeError) as error:
            raise type(error)(f"item {index}: {error}") from error
    return found


class DecomposedJacobian(NamedTuple):
    """One item's Jacobian, its equilibrated spectrum, and the norm of its columns for each center's neighbors."""

    jacobian: np.ndarray
    spectrum: Spectrum
    weights: np.ndarray


def decompose_jacobian(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> DecomposedJacobian:
    """Jacobian and spectrum of one item, described in the species that it holds; on the host."""
    narrow = restrict_species(f, at)
    check_null_space(narrow, at)
    jacobian, added, weights = (np.asarray(x) for x in _weighed(narrow, at))
    # What moves features by less than rounding moves them is not seen.
    seen = ~(added <= _rounding(jacobian) * added.max(initial=0))
    jacobian, added = np.where(seen[:, None], jacobian, 0), np.where(seen, added, 0)
    # Rows of zeros change no singular value. With few heights, featurizers share the program that decomposes them.
    missing = 2 ** int(np.ceil(np.log2(max(len(jacobian), 64)))) - len(jacobian)
    spectrum = _spectrum(np.pad(jacobian, ((0, missing), (0, 0), (0, 0))), added, at)
    return DecomposedJacobian(jacobian, jax.tree.map(np.asarray, spectrum), weights)


@eqx.filter_jit
def _weighed(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure) -> tuple[Array, Array, Array]:
    if isinstance(f, AbstractStructureMap):
        assert isinstance(at, Structure)
        rows, weights = center_jacobians(f, at)
        return *assemble_jacobian(f, at, rows, weights), weights
    jacobian, added = jacobian_and_norms(f, at)
    return jacobian, added, added


@eqx.filter_jit
def _spectrum(jacobian: Any, added: Any, at: Environment | Structure) -> Spectrum:
    return decompose(keep_all_rows(jacobian, added), at, equilibrated=True)


def kernel_dimension(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    found: DecomposedJacobian,
    nu: int,
    tolerance: float,
) -> int:
    """The dimension of N_ν at another order than f's own."""
    kernel = _spaces(f, at, found, nu, tolerance).kernel
    assert kernel is not None
    return len(kernel)


def _rounding(jacobian: Any) -> float:
    return float(max(jacobian.shape[0], jacobian.shape[1] * 3) * np.finfo(jacobian.dtype).eps)


def restrict_species(f: Map, at: Environment | Structure) -> Map:
    """The prepared map for the species that an item or a batch holds: the same singular values, fewer features."""
    prepared: Any = f.prepared()
    featurizer = prepared.environment_featurizer
    if featurizer.species is None:
        return prepared
    held = np.asarray(at.species)[np.asarray(at.mask)]
    if isinstance(at, Environment):
        held = np.append(held, np.asarray(at.center_species))
    present = np.asarray(featurizer.species)[np.isin(featurizer.species, held)].astype(np.int32)
    narrow = featurizer.restricted_to_species(present if len(present) else np.asarray([-1], np.int32))
    widened: Any = (
        narrow if isinstance(f, AbstractFeaturizer) else eqx.tree_at(lambda f: f.featurizer, prepared, narrow)
    )
    return widened


def _single(f: AbstractFeaturizer | AbstractStructureMap, at: Environment | Structure, tolerance: float) -> NullSpace:
    size = 3 * at.positions.shape[-2]
    found = decompose_jacobian(f, at)
    status = StatusName(str(found.spectrum.status))
    if status not in ("ok", "no-signal") and not (status == "empty" and isinstance(at, Structure) and at.mask.any()):
        nothing = {name: np.zeros((0, size // 3, 3)) for name in CAUSES}
        return NullSpace(nothing, 0, None, {}, {}, (np.nan, np.nan), status, STATUS_MESSAGES[status])

    featurizer = f.environment_featurizer
    spaces = _spaces(f, at, found, featurizer.nu, tolerance)
    rigid = rigid_space(at)
    null, jacobian_gap, jacobian_floor = _null_of(found.spectrum, rigid)

    chain = {"rigid": rigid, "locality": spaces.locality, "symmetry": spaces.symmetry}
    if spaces.kernel is not None:
        chain["incompleteness" if spaces.whole else "other"] = spaces.kernel
    chain["other" if spaces.kernel is None else "truncation"] = null
    directions, previous = {}, np.zeros((0, size))
    for name, space in chain.items():
        directions[name], previous = complement_within(space, previous), space
    seen, weights_gap = _seen(found, at)
    gap = {"jacobian": jacobian_gap, "weights": weights_gap, **spaces.gap}
    floor = {"jacobian": jacobian_floor, "weights": _rounding(found.jacobian), **spaces.floor}
    raw = _raw(found.jacobian)
    # Next to a line the floor is raised, because a short rotation is known to few digits. N_ν is known to more.
    in_line = spaces.kernel is not None and clearance(at) < 1 / CLEAR_RATIO
    rounding = jacobian_floor * (clearance(at) if in_line else 1)
    reason = find_ambiguity(
        chain, spaces.aligned, found.jacobian / max(raw.max(initial=0.0), 1e-300), rounding, gap, floor
    )
    if not reason and featurizer.nu is not None and len(directions["truncation"]):
        rows = wave_gradients_seen_by(f, at, found, featurizer.nu, tolerance)
        reason = find_truncation_ambiguity(directions["truncation"], rows, jacobian_floor)
    if status == "ok" and reason:
        status = StatusName.AMBIGUOUS
    return NullSpace(
        directions={name: directions.get(name, np.zeros((0, size))).reshape(-1, size // 3, 3) for name in CAUSES},
        nullity=len(null),
        stabilizer=spaces.stabilizer,
        gap=gap,
        floor=floor,
        sensitivity=_sensitivity(found.spectrum, raw),
        status=status,
        reason=reason or STATUS_MESSAGES[status],
        atoms=None if isinstance(spaces.stabilizer, tuple) else seen if seen.ndim == 1 else np.asarray(at.mask),
    )


def _spaces(f: Any, at: Any, found: Any, nu: int | None, tolerance: float) -> Filtration:
    sums = isinstance(f, AbstractStructureMap) and f.adds_centers
    return build_filtration(at, list_sites(at, _seen(found, at)[0]), _group(f), nu, tolerance, sums=sums)


def wave_gradients_seen_by(
    f: AbstractFeaturizer | AbstractStructureMap,
    at: Environment | Structure,
    found: DecomposedJacobian,
    nu: int,
    tolerance: float,
) -> np.ndarray:
    """What complete features of order ν see of displacements of what f reacts to, as `sight` has it."""
    group, sums = _group(f), isinstance(f, AbstractStructureMap) and f.adds_centers
    return wave_gradients_at_sites(at, list_sites(at, _seen(found, at)[0]), group, nu, tolerance, sums=sums)


def _group(f: AbstractFeaturizer | AbstractStructureMap) -> Group:
    return "SO3" if f.environment_featurizer.group == "SO3" else "O3"


def _seen(found: Any, at: Environment | Structure) -> tuple[np.ndarray, Gap]:
    """Neighbors that their center's features react to, and what parts them from the others."""
    weights, rounding = found.weights, _rounding(found.jacobian)
    mask = np.asarray(at.mask if isinstance(at, Environment) else at.environments().mask)
    largest = weights.max(-1, keepdims=True, initial=0)
    relative = np.where(largest > 0, weights / np.where(largest > 0, largest, 1), 0)
    seen = mask & (relative > rounding)
    unseen = relative[mask & ~seen].max(initial=0)
    return seen, (float(unseen), float(relative[seen].min(initial=np.inf)))


def _null_of(spectrum: Any, rigid: np.ndarray) -> tuple[np.ndarray, Gap, float]:
    """The null space of J, rigid motions included; its gap and floor, relative to the largest value."""
    count = int(spectrum.n_values)
    values, floor = spectrum.values[:count], float(spectrum.floor)
    largest = values.max(initial=0.0)
    null = values <= floor
    rows = (spectrum.directions[:count][null] / spectrum.scale[:, None]).reshape(int(null.sum()), rigid.shape[1])
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)
    both = np.concatenate([rigid, rows])
    unit = largest if largest > 0 else 1.0
    gap = (float(values[null].max(initial=0.0) / unit), float(values[~null].min(initial=np.inf) / unit))
    return leading_directions(both, len(both)), gap, float(floor / unit)


def _raw(jacobian: np.ndarray) -> np.ndarray:
    """All singular values of J, descending; those of rigid motions are zeros at the end."""
    matrix = jacobian.reshape(len(jacobian), -1)
    return robust_svd(np.asarray(np.linalg.qr(matrix, mode="r")) if len(matrix) > matrix.shape[1] else matrix)[1]


def _sensitivity(spectrum: Any, raw: np.ndarray) -> tuple[float, float]:
    n_seen = int(spectrum.n_values - spectrum.n_null)
    if n_seen == 0:
        return np.nan, np.nan
    return float(raw[n_seen - 1] / raw[0]), float(spectrum.values[n_seen - 1] / spectrum.values[0])
