"""The second order behind symmetry, as far as scans and sentences about causes can afford it: complete bases only, for
a few kinds of environments, within limits of size."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.symmetry import SYMMETRY_TOLERANCE
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.nulls.causes import NullSpace
from jaxfeat.nulls.kernel import MAX_NU
from jaxfeat.nulls.near import NearGroup
from jaxfeat.nulls.second_order import hide_behind_symmetry
from jaxfeat.nulls.second_order_result import SecondOrder

MOST_KINDS = 12  # kinds of environments that a scan looks behind; those with most hidden directions come first
MOST_NEIGHBORS = 50
MOST_CUBED_NEIGHBORS = 200_000  # of all kinds together, to whose cubes the work is about proportional: some seconds
MOST_FORMS = 400  # invariant forms of all displacements of one environment
LEAST_COMPARED = 1e-3  # of the largest singular value: smaller ones differ between orientations by rounding
MOST_OPERATIONS = 1_000_000_000  # for the responses of one order, which take half a second


class Hidden(NamedTuple):
    """Facts about one environment of a scan from which symmetry hides directions: their number, the `distance` (Å) of
    the symmetric positions, the `tolerance` (Å) within which these are found, and the neighbors that features react to,
    `(n,)`."""

    n_directions: int
    distance: float
    tolerance: float
    neighbors: np.ndarray


def find_hidden(null: NullSpace, near: Iterable[NearGroup], tolerance: float) -> Hidden | None:
    """Find what symmetry hides from one environment, exactly or before its coordinates were rounded; `None` if it hides
    nothing. `tolerance` (Å) is that of exact symmetry."""
    if null.atoms is None:
        return None
    groups = [one for one in near if one.cause == "symmetry" and one.distance < SYMMETRY_TOLERANCE]
    n_directions = null.symmetry + sum(len(one.directions) for one in groups)
    if not n_directions:
        return None
    distance = max((one.distance for one in groups), default=0.0)
    return Hidden(n_directions, distance, SYMMETRY_TOLERANCE if groups else tolerance, null.atoms)


def look_behind_symmetry(
    f: AbstractFeaturizer, env: Environment, neighbors: np.ndarray, tolerance: float
) -> SecondOrder | None:
    """Count the second-order responses that the order of features has at one environment; `None` if the features
    declare no order, or if the environment is too large or its symmetry is not clear."""
    if f.nu is None or not 1 <= f.nu <= MAX_NU or f.defect or not 0 < np.count_nonzero(neighbors) <= MOST_NEIGHBORS:
        return None
    host = jax.tree.map(np.asarray, env)
    try:
        with one_blas_thread():
            site = hide_behind_symmetry(host, neighbors, "SO3" if f.group == "SO3" else "O3", tolerance, MOST_FORMS)
            found = site.collect(f.nu, site.responses_of_orders(f.nu, MOST_OPERATIONS), with_missing=False)
    except (GeometryError, SizeError):
        return None
    return None if found.seen_by_order is None or found.status != "ok" else found


def find_second_orders(
    f: AbstractFeaturizer, batch: Environment, hidden: dict[int, Hidden], sigma: np.ndarray
) -> dict[int, dict[str, Any]]:
    """Look behind the symmetry of some environments of a batch, by index, and make the entries of their records. The
    singular values `(b, k)` tell kinds apart: of equal environments, one is looked at."""
    kinds: dict[Any, list[int]] = {}
    for i, one in hidden.items():
        values = tuple(f"{value:.4g}" for value in sigma[i] if value > LEAST_COMPARED * sigma[i, 0])
        species = tuple(np.sort(batch.species[i, one.neighbors]).tolist())
        kinds.setdefault((int(batch.center_species[i]), species, one.n_directions, values), []).append(i)
    found: dict[int, dict[str, Any]] = {}
    work = 0
    chosen = sorted(kinds.values(), key=lambda members: -hidden[members[0]].n_directions)[:MOST_KINDS]
    for members in chosen:
        one = hidden[members[0]]
        work += int(np.count_nonzero(one.neighbors)) ** 3
        if work > MOST_CUBED_NEIGHBORS:
            break
        behind = look_behind_symmetry(f, batch[members[0]], one.neighbors, one.tolerance)
        if behind is not None:
            found |= {i: record_second_order(behind, hidden[i].distance) for i in members}
    return found


def record_second_order(found: SecondOrder, distance: float) -> dict[str, Any]:
    """Make the entry of a record."""
    assert found.nu is not None
    return {
        "symbol": found.symbol,
        "distance": distance,
        "order": found.nu,
        "allowed": found.allowed,
        "seen_by_order": found.seen_by_order,
        "seen_by_next_order": found.orders.get(found.nu + 1),
    }


def explain_symmetry(f: Any, at: Any, neighbors: np.ndarray | None, tolerance: float) -> str:
    """Say which second-order responses are invisible to features where symmetry hides all linear ones. Empty if none
    are, and for structures."""
    if not isinstance(at, Environment) or neighbors is None:
        return ""
    found = look_behind_symmetry(f, at, neighbors, tolerance)
    return "" if found is None else found.sentence
