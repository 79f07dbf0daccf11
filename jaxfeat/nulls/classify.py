"""The null space of a Jacobian, split by cause (docs/theory, "One cause for each").

    rigid  ⊆  locality  ⊆  symmetry  ⊆  N_ν  ⊆  null(J)

All but the last subspace follow from the positions alone. The last one is read off the equilibrated spectrum of J, down
to rounding. If the two do not fit together, or if one of them has no clear gap, the status is "ambiguous".
"""

from dataclasses import replace

import jax
import numpy as np

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.features.structure_map import FeatureMap, check_compatible
from jaxfeat.geometry.positions import check_float64
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import complement_within
from jaxfeat.nulls.ambiguity import CLEAR_RATIO, find_ambiguity, find_truncation_ambiguity, visibility_rows
from jaxfeat.nulls.causes import CAUSES, NullSpace
from jaxfeat.nulls.filtration import build_filtration
from jaxfeat.nulls.jacobian_nulls import DecomposedJacobian, decompose_jacobian, decompose_jacobians
from jaxfeat.nulls.sites import Sites, list_sites, rotation_ratio
from jaxfeat.spectrum.spectrum import StatusName

POSITION_TOLERANCE = 1e-5
"""Å, for stabilizers and kernels. Coordinates with six digits keep their point groups: none of the 846 environments of
ASE's g2 gains another one up to 1e-3 Å. The complete kernel merges hardly any values by chance."""

VISIBLE_PER_TOLERANCE = 100.0  # 1/Å. Times the tolerance, this bounds equilibrated values that vanish within it.


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
    check_float64(at.positions, "positions", "a null space")
    host = jax.tree.map(np.asarray, at)
    found = []
    for index, decomposed in enumerate(decompose_jacobians(f, host) if len(host) else ()):
        try:
            found.append(classify_item(f, host[index], decomposed, tolerance))
        except (GeometryError, SizeError) as error:
            raise type(error)(f"item {index}: {error}") from error
    return found


def item_null_space(f: FeatureMap, at: Item, tolerance: float = POSITION_TOLERANCE) -> NullSpace:
    """Find the null directions of one item that `f` can describe. Arguments and errors are those of `null_space`."""
    check_float64(at.positions, "positions", "a null space")
    return classify_item(f, jax.tree.map(np.asarray, at), decompose_jacobian(f, at), tolerance)


def classify_item(
    f: FeatureMap, at: Item, decomposed: DecomposedJacobian, tolerance: float = POSITION_TOLERANCE
) -> NullSpace:
    """Split the null space of one item, of NumPy arrays, by cause. Errors are those of `null_space`."""
    status = StatusName(str(decomposed.spectrum.status))
    out_of_reach = status == "empty" and isinstance(at, Structure) and bool(at.mask.any())
    if status not in ("ok", "no-signal") and not out_of_reach:
        nothing = {cause: np.zeros((0, at.positions.shape[-2], 3)) for cause in CAUSES}
        return NullSpace(nothing, 0, None, {}, {}, (np.nan, np.nan), status, status.message)
    with one_blas_thread():
        return _classify(f, at, decomposed, list_sites(f, at, decomposed.reacting, tolerance), status)


def _classify(f: FeatureMap, at: Item, decomposed: DecomposedJacobian, sites: Sites, status: StatusName) -> NullSpace:
    nu, n_atoms = f.environment_featurizer.nu, at.positions.shape[-2]
    (_, smallest), _ = decomposed.gap_and_floor()
    # Directions of N_ν within the tolerance of null ones would be among the hardly visible ones. If there are none, N_ν
    # lies between the symmetry's directions and the null space, and needs no computation if these are equally many.
    clear = smallest > VISIBLE_PER_TOLERANCE * sites.tolerance
    nullity = int(decomposed.spectrum.n_rigid) + int(decomposed.null.sum()) if clear else None
    filtration = build_filtration(sites, nu, nullity)
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
    atoms = np.asarray(at.mask) if isinstance(at, Structure) else decomposed.reacting
    found = NullSpace(
        directions={cause: rows.reshape(-1, n_atoms, 3) for cause, rows in directions.items()},
        nullity=len(null),
        stabilizer=filtration.stabilizer,
        gap={"jacobian": jacobian_gap, "weights": decomposed.weights_gap, **filtration.gap},
        floor={"jacobian": jacobian_floor, "weights": decomposed.rounding, **filtration.floor},
        sensitivity=decomposed.sensitivity(),
        status=status,
        reason=status.message,
        atoms=None if isinstance(filtration.stabilizer, tuple) else atoms,
    )
    # Next to a line the floor is raised, because a short rotation is known to few digits. N_ν is known to more.
    shortest = rotation_ratio(at)
    in_line = filtration.kernel is not None and shortest < 1 / CLEAR_RATIO
    rounding = jacobian_floor * (shortest if in_line else 1)
    unit = decomposed.matrix / max(decomposed.raw_values.max(initial=0.0), 1e-300)
    reason = find_ambiguity(found, subspaces, filtration, unit, rounding, sites.tolerance)
    if not reason and nu is not None and found.truncation:
        reason = find_truncation_ambiguity(directions["truncation"], visibility_rows(sites, nu), jacobian_floor)
    if not reason:
        return found
    return replace(found, status=StatusName.AMBIGUOUS if status == "ok" else status, reason=reason)
