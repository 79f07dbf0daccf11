"""The null space of a Jacobian, split by cause (docs/theory, "One cause for each").

    rigid  ⊆  locality  ⊆  symmetry  ⊆  N_ν  ⊆  null(J)

J decides how many directions are null, down to rounding. The other subspaces give the causes. They follow from the
positions, here or at the exact symmetric point nearby: at 1e-5 Å from an octahedron, J sees one direction by 1e-15 of
the most visible. Only directions that a complete basis clearly sees are called truncated. If neither J nor the geometry
decides, the status is "ambiguous".
"""

from collections.abc import Sequence

import jax
import numpy as np

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.features.host_work import is_smooth
from jaxfeat.features.structure_map import FeatureMap, resolve_map
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.geometry.symmetry import Stabilizer, nearby_stabilizers, trivial_stabilizer
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import Gap, complement_within
from jaxfeat.nulls.causes import CAUSES, NullSpace
from jaxfeat.nulls.exact_point import EXACT_TOLERANCE, count_width, examine_point, split_contained
from jaxfeat.nulls.jacobian_nulls import DecomposedJacobian, decompose_jacobian, decompose_jacobians
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.near import NEAR_DISTANCE, NearPoints, distances_to_edge, split_by_points
from jaxfeat.nulls.sites import Sites, list_sites, rigid_space
from jaxfeat.nulls.symmetric_points import SAME_POINT, SymmetricPoint, find_symmetric_points
from jaxfeat.nulls.visibility import CLEAR_RATIO
from jaxfeat.spectrum.spectrum import StatusName

POSITION_TOLERANCE = 1e-5
"""Å, for the stabilizer that is reported. Coordinates with six digits keep their point groups: none of the 846
environments of ASE's g2 gains another one up to 1e-3 Å. Null directions of J that a symmetric point within this
distance hides are due to it, because features see some of them by the square of the distance or less."""


def null_space(
    f: FeatureMap, at: Item, tolerance: float = NEAR_DISTANCE, *, center: int | None = None
) -> NullSpace | list[NullSpace]:
    """Find the null directions of the Jacobian dF/dr, each under one cause.

    **Arguments:**

    - `f`: A featurizer, or a structure map.
    - `at`: The environment (for a featurizer) or structure (for a structure map), in float64; one item, or a batch with
        one leading axis.
    - `tolerance`: Å. Exact symmetric and singular points within this distance are near. They never change the counts:
        `NullSpace.near` lists the directions that they hide, and J still sees.
    - `center`: The index of an atom of a structure: the null space is that of this atom's features alone, and a
        featurizer does as well as a map. `None` for all centers.

    **Returns:** a `NullSpace` with a count and directions of shape `(k, n, 3)` for each cause. For a batch, a list with
    one for each item, because the numbers of directions differ.

    **Raises:** `SpeciesError` if `at` holds an element that `f` does not know. `PrecisionError` if the positions are
    not float64. `SizeError` if the order ν is too high for so many neighbors (as in `complete_kernel`, unless a lower
    order hides nothing but symmetry), or if the Jacobian does not fit into memory. `BasisError` likewise for orders
    above 4. `GeometryError` for like neighbors within 2e-9 Å of each other, and if `f` and `at` do not go together.

    **Source:** docs/theory, "One cause for each".
    """
    f, at = resolve_map(f, at, center)
    if not at.batch_shape:
        return item_null_space(f, at, tolerance)
    check_float64(at.positions, "positions", "a null space")
    host = jax.tree.map(np.asarray, at)
    found = []
    for index, decomposed in enumerate(decompose_jacobians(f, host) if len(host) else ()):
        try:
            found.append(classify_item(f, host[index], decomposed, tolerance))
        except (GeometryError, SizeError) as error:
            raise type(error)(f"item {index}: {error}") from error
    return found


def item_null_space(f: FeatureMap, at: Item, tolerance: float = NEAR_DISTANCE) -> NullSpace:
    """Find the null directions of one item that `f` can describe. Arguments and errors are those of `null_space`."""
    check_float64(at.positions, "positions", "a null space")
    return classify_item(f, jax.tree.map(np.asarray, at), decompose_jacobian(f, at), tolerance)


def classify_item(
    f: FeatureMap, at: Item, decomposed: DecomposedJacobian, tolerance: float = NEAR_DISTANCE
) -> NullSpace:
    """Split the null space of one item, of NumPy arrays, by cause. Errors are those of `null_space`."""
    status = StatusName(str(decomposed.spectrum.status))
    out_of_reach = status == "empty" and isinstance(at, Structure) and bool(at.mask.any())
    if status in ("ok", "no-signal") and not is_smooth(f.environment_featurizer, at):
        status = StatusName.NOT_SMOOTH
    if status not in ("ok", "no-signal") and not out_of_reach:
        nothing = {cause: np.zeros((0, at.positions.shape[-2], 3)) for cause in CAUSES}
        return NullSpace(nothing, 0, None, {}, {}, (np.nan, np.nan), status, status.message)
    with one_blas_thread():
        return _classify(f, at, decomposed, tolerance, status)


def _classify(
    f: FeatureMap, at: Item, decomposed: DecomposedJacobian, tolerance: float, status: StatusName
) -> NullSpace:
    sites = list_sites(f, at, decomposed.reacting, EXACT_TOLERANCE)
    atoms = np.asarray(at.mask) if isinstance(at, Structure) else decomposed.reacting
    symmetric = find_symmetric_points(at, atoms, sites.group, max(tolerance, POSITION_TOLERANCE), sites.summed)
    points = NearPoints(f, at, decomposed, symmetric, tolerance)
    rigid = rigid_space(at)
    null = decomposed.null_space(rigid)
    beyond = complement_within(null, rigid)
    directions = {cause: rigid if cause == "rigid" else rigid[:0] for cause in CAUSES}
    jacobian_gap, jacobian_floor = decomposed.gap_and_floor()
    gap = {"jacobian": jacobian_gap, "weights": decomposed.weights_gap}
    floor = {"jacobian": jacobian_floor, "weights": decomposed.rounding}
    # A neighbor of hardly any weight at the cutoff's edge is hardly within reach, whichever way it is counted.
    at_edge = distances_to_edge(f, at).min(initial=np.inf) < tolerance
    reason = "" if at_edge else _doubt_weights(gap["weights"], decomposed.rounding)
    rest, defect = beyond, f.environment_featurizer.defect
    if defect:
        # Without invariance no subspace of the positions is null.
        directions["other"], rest, reason = beyond, beyond[:0], f"the features are not invariant: {defect}."
    if len(rest):
        itself = [one.stabilizer for one in symmetric if one.distance <= SAME_POINT]
        here = examine_point(f, at, decomposed, known=itself[0] if itself else None)
        gap, floor = gap | here.filtration.gap, floor | here.filtration.floor
        reason = reason or _doubt_subspaces(gap, ("locality", "symmetry"))
        rest = _assign(rest, here.symmetric(), directions)
    for point in points.symmetric if len(rest) else ():
        if point.distance <= POSITION_TOLERANCE:
            rest = _assign(rest, point.symmetric(), directions)
    if len(rest) and here.filtration.kernel is not None:
        # Beside a symmetric point N_ν seems to hold what features see by a high power of the distance. Higher orders
        # see that no better, but they see what is incomplete.
        powers, rest = split_by_points(rest, points.symmetric)
        seen, powers = here.split_seen(powers, MAX_NU)
        reason = reason or _doubt_subspaces(gap, ("kernel", "intersection"))
        rest = _assign(np.concatenate([rest, seen]), {here.kernel_cause: here.filtration.kernel}, directions)
        rest = np.concatenate([rest, powers])
    if len(rest):
        seen, rest = here.split_seen(rest, here.nu)
        cause, n = "other" if here.filtration.kernel is None else "truncation", count_width(f, decomposed, len(seen))
        directions["width"] = seen[:n]
        directions[cause] = np.concatenate([directions[cause], seen[n:]])
    for point in points.symmetric if len(rest) else ():
        rest = _assign(rest, point.nested(), directions)
    if len(rest):
        rest = _assign(rest, {here.kernel_cause: here.merged_kernel()}, directions)
    if len(rest):
        reason = reason or (
            f"of {len(beyond)} directions that J does not see, a complete basis sees {len(rest)} by rounding only, so "
            f"more singular positions are nearby, and none was found within {tolerance:g} Å."
        )
        directions["other"] = np.concatenate([directions["other"], rest])
    if not reason and not _explained(decomposed, beyond, points):
        reason = (
            f"the smallest non-null singular value of J is {jacobian_gap[1]:.1e}, too close to the floor "
            f"{jacobian_floor:.1e}, and no exact point was found within {tolerance:g} Å."
        )
    summed = sites.summed and not at.periodic  # type: ignore[union-attr]
    return NullSpace(
        directions={cause: rows.reshape(len(rows), at.positions.shape[-2], 3) for cause, rows in directions.items()},
        nullity=len(null),
        stabilizer=_reported_stabilizer(sites, symmetric),
        gap=gap,
        floor=floor,
        sensitivity=decomposed.sensitivity(),
        status=StatusName.AMBIGUOUS if reason and status == "ok" else status,
        reason=reason or status.message,
        atoms=atoms if isinstance(at, Environment) or summed else None,
        nearby=None if defect else points,
    )


def _assign(rest: np.ndarray, spaces: dict[str, np.ndarray], directions: dict[str, np.ndarray]) -> np.ndarray:
    """Add the parts of null directions, `(k, 3 n)`, that lie in subspaces to those of their causes; return the rest."""
    for cause, space in spaces.items():
        inside, rest = split_contained(rest, space)
        directions[cause] = np.concatenate([directions[cause], inside])
    return rest


def _explained(decomposed: DecomposedJacobian, null: np.ndarray, points: NearPoints) -> bool:
    """Tell whether exact points nearby hide the directions whose singular values may or may not be null."""
    doubtful = decomposed.doubtful(CLEAR_RATIO)
    for point in [*points.symmetric, *points.edge()] if len(doubtful) else ():
        doubtful = split_contained(doubtful, decomposed.scaled(point.hidden()))[1]
    for group in points.groups(null) if len(doubtful) else ():
        hidden = decomposed.scaled(group.directions.reshape(len(group.directions), -1))
        doubtful = split_contained(doubtful, hidden)[1]
    return not len(doubtful)


def _doubt_weights(gap: Gap, rounding: float) -> str:
    """Say in a sentence why it is not certain which neighbors J reacts to; empty if it is."""
    if gap[1] > CLEAR_RATIO * max(rounding, gap[0]):
        return ""
    return f"the smallest non-null weight of a neighbor is {gap[1]:.1e}, too close to the floor {rounding:.1e}."


def _doubt_subspaces(gap: dict[str, Gap], names: Sequence[str]) -> str:
    """Say in a sentence which of the subspaces that follow from the positions is not certain; empty if all are."""
    for name in names:
        low, high = gap.get(name, (0.0, np.inf))
        if high < CLEAR_RATIO * low:
            return (
                f"the values of the {name} that are taken for zero reach {low:.1e}, and the others begin at "
                f"{high:.1e}, too narrow a gap."
            )
    return ""


def _reported_stabilizer(sites: Sites, symmetric: Sequence[SymmetricPoint]) -> Stabilizer | tuple[Stabilizer, ...]:
    at = sites.at
    if isinstance(at, Structure) and (at.periodic or not sites.summed):
        each = (nearby_stabilizers(s.vectors, s.species, sites.group, POSITION_TOLERANCE) for s in sites.sites)
        return tuple(found[-1] for found in each)
    close = [one.stabilizer for one in symmetric if one.distance <= POSITION_TOLERANCE and one.stabilizer is not None]
    n = int(at.mask.sum()) if isinstance(at, Structure) else len(sites.sites[0].neighbors)
    return close[-1] if close else trivial_stabilizer(n, sites.group)
