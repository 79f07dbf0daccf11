"""Force constants of a crystal that functions of its sites' features can have (docs/theory, "Behind symmetry").

The energy is E = Σ_i g(F(X_i)) over the sites i, with one function g for equivalent sites. Its second derivative is the
sum over sites of Σ_k ∂g/∂F_k d²F_k + Σ_kl ∂²g/∂F_k∂F_l dF_k dF_l, on displacements relative to the center. At a
symmetric site dF_k vanishes on all displacements but the totally symmetric ones.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxfeat.errors import SizeError
from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.crystal_symmetry import NearbyCrystal, symmetrize_crystal
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.space_group import crystal_stabilizer
from jaxfeat.geometry.structure import Structure
from jaxfeat.geometry.symmetry import Group, Stabilizer, point_stabilizer
from jaxfeat.linalg.subspaces import common_kernel, orthogonal_complement
from jaxfeat.nulls.invariant_forms import Operations, finite_operations, invariant_forms, pair_forms
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.kernel import COINCIDENCE_TOLERANCE, MAX_NU, kernel_of_edges, site_edges
from jaxfeat.nulls.quadratic_responses import (
    Probes,
    Responses,
    check_smooth,
    feature_responses,
    make_probes,
    span_responses,
    tuple_responses,
)
from jaxfeat.nulls.second_order_result import COMPLETE, FEATURES, SecondOrder, collect_responses, name_order
from jaxfeat.nulls.sites import rotation_space
from jaxfeat.spectrum.blocks import restrict_species

MAX_ENTRIES = 60_000_000  # of all allowed force constants: 0.5 GB
ROUNDING = 1e-11  # relative singular value of force constants up to which it is rounding


class SiteClass(NamedTuple):
    """Equivalent sites, described by one of them: its environment of NumPy arrays, the invariant forms of displacements
    relative to the center, `(a, 3 k, 3 k)`, probes for them, and the matrix `(c, a)` that takes their coordinates to
    those of the sum over all equivalent sites, in the force constants that the space group allows."""

    env: Any
    stabilizer: Stabilizer
    forms: np.ndarray
    probes: Probes
    to_crystal: np.ndarray


def crystal_second_order(
    f: AbstractFeaturizer | None, nu: int | None, structure: Structure, group: Group, tolerance: float
) -> SecondOrder:
    """Count the force constants of one crystal of NumPy arrays without padding, for features or for order ν alone."""
    exact = symmetrize_crystal(structure, tolerance)
    crystal = jax.tree.map(np.asarray, exact.structure)
    found = _find_operations(exact, crystal, group)
    operations = Operations(found.rotations, found.permutations)
    forms = _allowed_force_constants(operations, crystal)
    n = len(crystal.positions)
    moving = orthogonal_complement(np.tile(np.eye(3), n) / np.sqrt(n))
    forms = moving @ forms @ moving.T
    tolerance = min(tolerance, COINCIDENCE_TOLERANCE)
    sites = _site_classes(f, operations, crystal, group, tolerance, make_probes(forms, moving))

    def together(rows_of: Callable[[SiteClass], np.ndarray]) -> Responses:
        rows = [np.zeros((0, len(forms))), *(rows_of(site) @ site.to_crystal.T for site in sites)]
        return span_responses(np.concatenate(rows), ROUNDING)

    responses = {COMPLETE: together(_complete_rows)}
    for order in () if nu is None else range(nu, min(nu + 1, MAX_NU) + 1):
        try:
            found_of_order = together(partial(_order_rows, nu=order, tolerance=tolerance))
        except SizeError:
            break
        responses[name_order(order)] = found_of_order
        if len(found_of_order.seen) == len(responses[COMPLETE].seen):
            break
    if f is not None:
        responses[FEATURES] = together(partial(_feature_rows, f))
    return collect_responses(nu, forms, moving, responses, found, crystal)


def _find_operations(exact: NearbyCrystal, crystal: Any, group: Group) -> Stabilizer:
    # No operation takes an atom with an environment to one without.
    kinds = 2 * crystal.species.astype(np.int64)
    kinds[crystal.center] += 1
    found = crystal_stabilizer(exact, kinds, group)
    if found is None:
        raise SizeError(
            f"{len(kinds)} atoms are too many for the operations of their space group; give a smaller cell."
        )
    return found


def _allowed_force_constants(operations: Operations, crystal: Any) -> np.ndarray:
    """Make an orthonormal basis, `(c, 3 n, 3 n)`, of the force constants that are invariant, couple atoms of one site
    only, and vanish on translations."""
    n = len(crystal.positions)
    within = np.zeros((n, n), bool)
    for atom, neighbors, mask in zip(crystal.center, crystal.neighbor, crystal.neighbor_mask, strict=True):
        members = np.append(neighbors[mask], atom)
        within[np.ix_(members, members)] = True
    orbits = list(pair_forms(operations, within))
    n_forms = sum(len(blocks) for _, _, blocks in orbits)
    if n_forms * (3 * n) ** 2 > MAX_ENTRIES:
        raise SizeError(
            f"{n_forms} force constants of {n} atoms have {n_forms * (3 * n) ** 2:,} entries, and at most "
            f"{MAX_ENTRIES:,} are possible; give a smaller cell or a smaller cutoff."
        )
    forms, k = np.zeros((n_forms, n, 3, n, 3)), 0
    for first, second, blocks in orbits:
        forms[k : k + len(blocks), first, :, second] = blocks.swapaxes(0, 1)
        k += len(blocks)
    sums = forms.sum(3).reshape(n_forms, 9 * n)
    kept, _ = common_kernel(sums.T, ROUNDING)
    return np.tensordot(kept, forms.reshape(n_forms, 3 * n, 3 * n), 1)


def _site_classes(
    f: AbstractFeaturizer | None,
    operations: Operations,
    crystal: Any,
    group: Group,
    tolerance: float,
    probes: Probes,
) -> list[SiteClass]:
    """Make one class of each orbit of centers."""
    environments = jax.tree.map(np.asarray, crystal.environments())
    found, done = [], set()
    for row, atom in enumerate(crystal.center.tolist()):
        if atom in done:
            continue
        images, chosen = np.unique(operations.permutations[:, atom], return_index=True)
        done |= set(images.tolist())
        env: Any = jax.tree.map(np.asarray, environments[row])
        reacting = env.mask if f is None else env.mask & decompose_jacobian(f, env).reacting
        if not reacting.any():
            continue
        if f is not None:
            check_smooth(f, env)
        neighbors = crystal.neighbor[row][reacting]
        parts = (env.positions, env.species, env.mask)
        at_center = env.center_species, env.structure_index, env.center_index, env.r_cut
        env = Environment(*(part[reacting] for part in parts), *at_center)  # type: ignore[call-arg]
        stabilizer = point_stabilizer(env.positions, env.species, group, tolerance)
        size = 3 * len(neighbors)
        forms = invariant_forms(finite_operations(stabilizer), np.eye(size))
        # Every equivalent site is turned onto this one, with the displacements of the crystal.
        moments = np.zeros((len(probes.displacements), size, size))
        for g in chosen:
            turned = operations.undo(g, probes.displacements).reshape(len(moments), -1, 3)
            local = (turned[:, neighbors] - turned[:, atom][:, None]).reshape(len(moments), size)
            moments += local[:, :, None] * local[:, None]
        values = moments.reshape(len(moments), -1) @ forms.reshape(len(forms), -1).T
        found.append(SiteClass(env, stabilizer, forms, make_probes(forms, np.eye(size)), probes.inverse @ values))
    return found


def _order_rows(site: SiteClass, nu: int, tolerance: float) -> np.ndarray:
    edges, chiral = site_edges(site.env.positions, site.env.species), site.stabilizer.group == "SO3"
    bends = tuple_responses(edges, nu, chiral, tolerance, site.probes)
    slopes = orthogonal_complement(kernel_of_edges(edges, nu, chiral, tolerance).rows)
    # Each row keeps the weight with which it is seen, because those of small weight hold more rounding.
    return np.concatenate([bends.values[:, None] * bends.seen, _products(site, slopes)])


def _feature_rows(f: AbstractFeaturizer, site: SiteClass) -> np.ndarray:
    narrow = restrict_species(f, site.env)
    bends = feature_responses(narrow, site.env, site.env.mask, site.probes)
    decomposed = decompose_jacobian(f, site.env)
    hidden = decomposed.null_space(rotation_space(site.env.positions))
    # Each row keeps the weight with which it is seen, because those of small weight hold more rounding.
    return np.concatenate([bends.values[:, None] * bends.seen, _products(site, orthogonal_complement(hidden))])


def _complete_rows(site: SiteClass) -> np.ndarray:
    """Span the responses of any invariant function of a site: all invariant forms without rotations, and the second
    derivatives of dot products, added up over symmetric pairs of neighbors."""
    operations, size = finite_operations(site.stabilizer), 3 * len(site.env.positions)
    space = orthogonal_complement(rotation_space(site.env.positions))
    still = space.T @ invariant_forms(operations, space) @ space
    sums: dict[int, np.ndarray] = {}
    permutations, n = operations.permutations, len(site.env.positions)
    for i, j in zip(*np.triu_indices(n), strict=True):
        pairs = np.sort(np.stack([permutations[:, i], permutations[:, j]], 1), axis=1)
        sums.setdefault(int((pairs @ [n, 1]).min()), np.unique(pairs, axis=0))
    products = np.zeros((len(sums), n, 3, n, 3))
    for k, pairs in enumerate(sums.values()):
        for axis in range(3):
            products[k, pairs[:, 0], axis, pairs[:, 1], axis] += 0.5
            products[k, pairs[:, 1], axis, pairs[:, 0], axis] += 0.5
    turning = products.reshape(len(sums), size**2)
    turning /= np.linalg.norm(turning, axis=1, keepdims=True)
    return np.concatenate([still.reshape(len(still), size**2), turning]) @ site.forms.reshape(-1, size**2).T


def _products(site: SiteClass, slopes: np.ndarray) -> np.ndarray:
    """Write products of slopes, `(r, 3 k)`, in coordinates of the invariant forms."""
    first, second = np.triu_indices(len(slopes))
    return np.einsum("aij,pi,pj->pa", site.forms, slopes[first], slopes[second], optimize=True)
