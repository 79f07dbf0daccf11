"""Subspaces of null directions that follow from the positions alone (docs/theory, "One cause for each").

    rigid  ⊆  locality  ⊆  symmetry  ⊆  N_ν  ⊆  null(J)

Features of all centers, listed, see a displacement if any center sees it. So each subspace of a structure is the
intersection of those of its sites.
"""

from dataclasses import dataclass

import equinox as eqx
import numpy as np

from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.geometry.symmetry import Stabilizer, point_stabilizer, stabilizer
from jaxfeat.linalg.subspaces import Gap, common_kernel, joint_gap, orthogonal_complement, sum_of_subspaces
from jaxfeat.nulls.coincidences import Edges
from jaxfeat.nulls.kernel import Kernel, highest_order, kernel_of_edges
from jaxfeat.nulls.sites import Site, Sites, rigid_space, rotation_space

_ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class Filtration:
    """Nested subspaces of displacements, each spanned by orthonormal rows `(k, 3 n)`.

    `rigid` moves all atoms together, and `locality` is rigid for every site. `symmetry` adds the displacements that
    break a stabilizer, of the environment or molecule, or one for each site: `symmetry_known` is False if symmetry may
    hide more, as in sums over crystals of unknown operations, and over parts out of each other's reach. `kernel` is
    N_ν, or `None` if ν is not declared. `lines_agree` tells whether stabilizers and rigid motions find the same sites
    to lie on a line.
    """

    rigid: np.ndarray
    locality: np.ndarray
    symmetry: np.ndarray
    kernel: np.ndarray | None
    stabilizer: Stabilizer | tuple[Stabilizer, ...]
    symmetry_known: bool
    lines_agree: bool
    gap: dict[str, Gap]
    floor: dict[str, float]


def build_filtration(
    sites: Sites, nu: int | None, nullity: int | None = None, known: Stabilizer | None = None
) -> Filtration:
    """Span the subspaces of one item for features of order ν. `nullity`: the dimension of a space that holds N_ν;
    `known`: the stabilizer of the environment, molecule or crystal. By default they are found, but for crystals."""
    at, each = sites.at, sites.sites
    rotations = [rotation_space(site.vectors) for site in each]
    if known is not None and isinstance(at, Environment):
        found = [known]
    else:
        found = [point_stabilizer(site.vectors, site.species, sites.group, sites.tolerance) for site in each]
    unseen = [sum_of_subspaces(broken_displacements(s), r) for s, r in zip(found, rotations, strict=True)]
    # Positions within the tolerance of symmetric ones turn the sites' subspaces by about this much.
    noise = max(_ROUNDING, 10 * sites.tolerance / min((site.edges.scale for site in each), default=1.0))
    locality, local_gap = _intersection(sites, rotations, _ROUNDING)
    symmetry, symmetry_gap = _intersection(sites, unseen, noise)
    symmetries: Stabilizer | tuple[Stabilizer, ...] = tuple(found)
    gap, floor = {"locality": local_gap, "symmetry": symmetry_gap}, {"locality": _ROUNDING, "symmetry": noise}
    if isinstance(at, Environment):  # one site: nothing was intersected
        symmetries, gap, floor = found[0], {}, {}
    symmetry_known = not sites.summed or (
        isinstance(at, Structure) and (known is not None or not at.periodic) and sites.connected()
    )
    if sites.summed and symmetry_known:
        symmetries = molecule = known or _molecule_stabilizer(sites)
        symmetry = sum_of_subspaces(sites.embed(broken_displacements(molecule)), symmetry)
    kernel = None
    if nu is not None and len(symmetry) == nullity and symmetry_known:
        kernel, gap["kernel"], floor["kernel"] = symmetry, (0.0, np.inf), 0.0
    elif nu is not None:
        if sites.summed:
            kernels = [_kernel(each, sites.summed_edges(), nu, len(symmetry), sites)]
            kernel = sites.embed(kernels[0].rows)
        else:
            kernels = [_kernel([s], s.edges, nu, len(space), sites) for s, space in zip(each, unseen, strict=True)]
            kernel, shared_gap = _intersection(sites, [one.rows for one in kernels], noise)
            if isinstance(at, Structure):
                gap["intersection"], floor["intersection"] = shared_gap, noise
        gap["kernel"] = joint_gap([one.gap for one in kernels])
        floor["kernel"] = max((one.floor for one in kernels), default=0.0)
    lines_agree = all((s.axis is None) == (len(r) != 2) for s, r in zip(found, rotations, strict=True))
    return Filtration(rigid_space(at), locality, symmetry, kernel, symmetries, symmetry_known, lines_agree, gap, floor)


def broken_displacements(stabilizer: Stabilizer) -> np.ndarray:
    """Span the displacements that break the symmetry: the complement of Fix(S), `(k, 3 n)`."""
    values, vectors = np.linalg.eigh(stabilizer.fixed_projector())
    return vectors[:, values < 0.5].T


def _kernel(members: list[Site], edges: Edges, nu: int, n_symmetry: int, sites: Sites) -> Kernel:
    """Compute N_ν of some sites. If order ν has too many tuples, a lower one answers if it hides nothing but symmetry.

    The subspaces are nested, symmetry ⊆ N_ν ⊆ N_ν' for ν' < ν, so equal dimensions make all of them equal.
    """
    chiral = sites.group == "SO3"
    highest = highest_order([len(site.vectors) for site in members], nu)
    if 0 < highest < nu:
        kernel = kernel_of_edges(edges, highest, chiral, sites.tolerance)
        if kernel.nullity == n_symmetry:
            return kernel
    return kernel_of_edges(edges, nu, chiral, sites.tolerance)


def _intersection(sites: Sites, spaces: list[np.ndarray], threshold: float) -> tuple[np.ndarray, Gap]:
    """Span the displacements of all atoms that lie, relative to each center, in the subspace of that site."""
    present = sites.present
    if isinstance(sites.at, Environment):
        # Nothing is intersected. Neighbors without a reaction are free.
        (site,), (space,) = sites.sites, spaces
        free = np.flatnonzero(present & ~np.isin(np.arange(len(present)) // 3, site.neighbors))
        return np.concatenate([site.rows_on_atoms(space), np.eye(len(present))[free]]), (0.0, np.inf)
    pairs = zip(sites.sites, spaces, strict=True)
    rows = [site.rows_on_atoms(orthogonal_complement(space)) for site, space in pairs if len(site.vectors)]
    stacked = np.concatenate(rows) if rows else np.zeros((0, len(present)))
    space, gap = common_kernel(stacked[:, present], threshold)
    return sites.embed(space), gap


def _molecule_stabilizer(sites: Sites) -> Stabilizer:
    # No symmetry maps an atom with a center onto one without.
    kinds = 2 * np.asarray(sites.at.species).astype(np.int64)
    kinds[[site.atom for site in sites.sites]] += 1
    marked = eqx.tree_at(lambda at: at.species, sites.at, kinds)
    return stabilizer(marked, sites.tolerance, sites.group)
