"""The second order behind symmetry: which quadratic responses features can have on the displacements that symmetry
hides from them to first order (docs/theory, "Behind symmetry")."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxfeat.errors import BasisError, GeometryError, SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.features.structure_map import AbstractStructureMap, check_compatible
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.positions import check_float64, check_positions
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.geometry.symmetry import Group, Stabilizer, point_stabilizer, symmetric_positions
from jaxfeat.linalg.lapack import one_blas_thread
from jaxfeat.linalg.subspaces import complement_within, sum_of_subspaces
from jaxfeat.nulls.filtration import broken_displacements
from jaxfeat.nulls.invariant_forms import MAX_FORMS, finite_operations, invariant_forms
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.kernel import COINCIDENCE_TOLERANCE, MAX_NU, site_edges
from jaxfeat.nulls.quadratic_responses import (
    MAX_OPERATIONS,
    Probes,
    Responses,
    check_smooth,
    feature_responses,
    make_probes,
    span_responses,
    tuple_responses,
)
from jaxfeat.nulls.second_order_crystal import crystal_second_order
from jaxfeat.nulls.second_order_result import FEATURES, SecondOrder, collect_responses, name_order
from jaxfeat.nulls.sites import rotation_space
from jaxfeat.spectrum.blocks import restrict_species
from jaxfeat.spectrum.host import without_padding


def second_order(
    f: AbstractFeaturizer | int, at: Item, tolerance: float = COINCIDENCE_TOLERANCE, *, pseudoscalars: bool = False
) -> SecondOrder:
    """Count the quadratic responses that functions of features can have where symmetry hides all linear ones.

    A function E of the features has no slope along a displacement u that breaks a symmetry of an environment. Its
    second derivative is Σ_k ∂E/∂F_k d²F_k(u, u), so its responses are combinations of the forms d²F_k. There may be
    fewer of these than symmetry allows.

    In a crystal, E is the sum of a function of the features of each site. The responses are then the crystal's force
    constants, for displacements that repeat with the given cell. In a supercell shorter than four radii, force
    constants of images of an atom are added up.

    **Arguments:**

    - `f`: A featurizer that JAX can differentiate twice; or an order ν, 1 to 4, which stands for a complete basis.
    - `at`: One environment, or one crystal, in float64.
    - `tolerance`: Å. The symmetry is that of the positions within this distance. They are first moved to have it
        exactly. There, values of invariants are equal within this distance, and within 1e-5 Å at most.
    - `pseudoscalars`: True if a complete basis tells mirror images apart. A featurizer knows by itself.

    **Returns:** a `SecondOrder` with the numbers `allowed`, `seen_by_order` and `seen`, and with the `missing`
    responses as displacements `(k, n, 3)`. Without symmetry, all numbers of an environment are 0.

    **Raises:** `GeometryError` for a batch or a molecule, for positions that are not finite or too close for the
    tolerance, and where features are not smooth. `SizeError` for more than 1500 invariant forms of the displacements of
    one site, and for a crystal of too many atoms. `PrecisionError` if the positions are not float64.
    `BasisError` for features without second derivatives or without invariance, and for an order that is not 1 to 4.

    **Source:** docs/theory, "Behind symmetry".
    """
    if getattr(at, "batch_shape", ()):
        raise GeometryError(f"second_order takes one item, and got a batch of {at.batch_shape}; index it first.")
    if isinstance(at, Structure) and not at.periodic:
        raise GeometryError(
            "second_order takes an environment or a crystal, and this is a molecule; take its environments."
        )
    featurizer, nu, group = _resolve(f, at, pseudoscalars)
    check_float64(at.positions, "positions", "the second order")
    host = jax.tree.map(np.asarray, at)
    with one_blas_thread():
        if isinstance(host, Structure):
            return crystal_second_order(featurizer, nu, without_padding(host), group, tolerance)
        if featurizer is None:
            return order_second_order(nu, host, host.mask, group, tolerance)
        reacting = decompose_jacobian(featurizer, host).reacting
        site = hide_behind_symmetry(host, reacting, group, tolerance)
        check_smooth(featurizer, site.env)
        responses = site.responses_of_orders(nu)
        narrow = restrict_species(featurizer, site.env)
        responses[FEATURES] = feature_responses(narrow, site.env, reacting, site.probes)
        return site.collect(nu, responses)


def _resolve(f: Any, at: Item, pseudoscalars: bool) -> tuple[AbstractFeaturizer | None, int | None, Group]:
    """Return the featurizer, unless an order stands for a complete basis; the order, and the group."""
    if isinstance(f, (int, np.integer)) and not isinstance(f, bool):
        if not 1 <= f <= MAX_NU:
            raise BasisError(f"a complete basis has body orders 1 to {MAX_NU}, got {f}.")
        if not isinstance(at, (Environment, Structure)):
            raise GeometryError(f"second_order takes an environment or a crystal, and this is a {type(at).__name__}.")
        check_positions(np.asarray(at.positions)[np.asarray(at.mask)], at.part_name, center=isinstance(at, Environment))
        return None, int(f), "SO3" if pseudoscalars else "O3"
    if isinstance(f, AbstractStructureMap):
        raise BasisError("second_order adds up functions of each site; give the featurizer of the sites.")
    if isinstance(at, Structure) and isinstance(f, AbstractFeaturizer):
        f.check_atoms(at)
    else:
        check_compatible(f, at)
    if f.only_on_host or f.describes_structures:
        raise BasisError("second_order needs second derivatives, and this featurizer of a model has none.")
    if f.defect:
        raise BasisError(f"second_order needs invariant features, and these are not: {f.defect}.")
    return f, f.nu, "SO3" if f.group == "SO3" else "O3"


@dataclass(frozen=True, eq=False)
class HiddenSite:
    """One environment of NumPy arrays at exactly symmetric positions, with the `space` of the displacements of its
    `neighbors` that symmetry hides, `(z, 3 n)`, without rigid motions, and the invariant `forms` on it, `(a, z, z)`."""

    env: Any
    neighbors: np.ndarray
    stabilizer: Stabilizer
    tolerance: float
    space: np.ndarray
    forms: np.ndarray
    probes: Probes

    def responses_of_orders(self, nu: int | None, most: float = MAX_OPERATIONS) -> dict[str, Responses]:
        """Span the responses of order ν and, unless it has all, of the next, as far as there are few enough tuples and
        no order takes more than `most` operations."""
        found: dict[str, Responses] = {}
        edges = site_edges(self.env.positions[self.neighbors], self.env.species[self.neighbors])
        for order in () if nu is None else range(nu, min(nu + 1, MAX_NU) + 1):
            if not len(self.forms):
                found[name_order(order)] = span_responses(np.zeros((0, 0)), 0.0)
                break
            try:
                chiral = self.stabilizer.group == "SO3"
                responses = tuple_responses(edges, order, chiral, self.tolerance, self.probes, most)
            except SizeError:
                break
            found[name_order(order)] = responses
            if not len(responses.missing):
                break
        return found

    def collect(self, nu: int | None, responses: dict[str, Responses], with_missing: bool = True) -> SecondOrder:
        """Make the result. Displacements get the room of the environment's padding."""
        present = np.repeat(self.neighbors, 3)
        space = np.zeros((len(self.space), len(present)))
        space[:, present] = self.space
        return collect_responses(nu, self.forms, space, responses, self.stabilizer, self.env, with_missing)


def hide_behind_symmetry(
    env: Any, neighbors: np.ndarray, group: Group, tolerance: float, most_forms: int = MAX_FORMS
) -> HiddenSite:
    """Move the `neighbors` of an environment, `(n,)`, to exactly symmetric positions, and span what symmetry hides."""
    vectors = env.positions[neighbors]
    found = point_stabilizer(vectors, env.species[neighbors], group, tolerance)
    exact = symmetric_positions(found, vectors) if found.order > 1 and len(vectors) else vectors
    positions = np.array(env.positions)
    positions[neighbors] = exact
    rotations = rotation_space(exact)
    space = complement_within(sum_of_subspaces(broken_displacements(found), rotations), rotations)
    forms = invariant_forms(finite_operations(found), space, most_forms) if len(space) else np.zeros((0, 0, 0))
    probes = make_probes(forms, space)
    moved, tolerance = env.with_positions(positions), min(tolerance, COINCIDENCE_TOLERANCE)
    return HiddenSite(moved, neighbors, found, tolerance, space, forms, probes)


def order_second_order(nu: int | None, env: Any, neighbors: np.ndarray, group: Group, tolerance: float) -> SecondOrder:
    """Count the responses of a complete basis of order ν at one environment of NumPy arrays."""
    site = hide_behind_symmetry(env, neighbors, group, tolerance)
    return site.collect(nu, site.responses_of_orders(nu))
