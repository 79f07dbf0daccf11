"""Centers and what their features react to: the subspaces of the filtration, center by center and of all together.

An environment is one site. Of the centers of a structure, stacked features see what any of them sees, so that each
class of null directions is the intersection of the sites' (theory, section 2, "Structures"). A neighbor whose columns
of J vanish is not part of the site: its motion is null for want of reach, which is the class `locality`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Structure
from jaxfeat.geometry.symmetry import Group, Stabilizer, point_stabilizer
from jaxfeat.linalg.subspaces import (
    Gap,
    common_kernel,
    joint_gap,
    leading_directions,
    orthogonal_complement,
    sum_of_subspaces,
)
from jaxfeat.nulls.coincidences import Edges
from jaxfeat.nulls.kernel import Kernel, kernel_of_edges, site_edges, summed_edges, too_many
from jaxfeat.nulls.visibility import wave_gradients

_ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class Site:
    """One center with the neighbors that its features react to.

    - `vectors`: `(k, 3)` Å, from the center. `species`: `(k,)`.
    - `atom`: the center, -1 where it is fixed. `neighbors`: `(k,)`, the displaced atoms.
    - `n`: how many atoms are displaced.
    """

    vectors: np.ndarray
    species: np.ndarray
    atom: int
    neighbors: np.ndarray
    n: int

    @property
    def scale(self) -> float:
        """Root mean square distance, Å."""
        return float(np.sqrt((self.vectors**2).sum(1).mean())) if len(self.vectors) else 1.0

    @property
    def edges(self) -> Edges:
        return site_edges(self.vectors, self.species)

    def relative(self, rows: np.ndarray) -> np.ndarray:
        """Rows on displacements of the neighbors relative to the center, `(r, 3 k)`, as rows on those of all atoms."""
        rows = rows.reshape(len(rows), -1, 3)
        moved = np.zeros((len(rows), self.n, 3))
        for neighbor, part in zip(self.neighbors, np.moveaxis(rows, 1, 0), strict=True):
            moved[:, neighbor] += part
        if self.atom >= 0:
            moved[:, self.atom] -= rows.sum(1)
        return moved.reshape(len(rows), -1)


def list_sites(at: Environment | Structure, seen: np.ndarray) -> list[Site]:
    """The sites of one environment or structure; `seen`, `(n,)` or `(c, k)`, are neighbors that features react to."""
    n = at.positions.shape[-2]
    if isinstance(at, Environment):
        members = np.flatnonzero(np.asarray(at.mask) & seen)
        return [Site(np.asarray(at.positions)[members], np.asarray(at.species)[members], -1, members, n)]
    environments = at.environments()
    positions, species = np.asarray(environments.positions), np.asarray(environments.species)
    mask, neighbors = np.asarray(environments.mask) & seen, np.asarray(at.neighbor)
    present = np.flatnonzero(np.asarray(at.center_mask))
    atoms = np.asarray(at.center)
    return [Site(positions[c, mask[c]], species[c, mask[c]], int(atoms[c]), neighbors[c, mask[c]], n) for c in present]


def rotations(points: np.ndarray) -> np.ndarray:
    """Infinitesimal rotations about the origin, `(3, 2 or 0; 3 n)`; as many as `jaxfeat.geometry.rigid` counts."""
    tangents, lengths = _turned(points)
    return leading_directions(tangents, len(lengths))


def _turned(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tangents of rotations about the three axes, and the lengths of those that are not rounding, longest first."""
    tangents = np.stack([np.cross(axis, points).ravel() for axis in np.eye(3)])
    lengths = np.linalg.svd(tangents, compute_uv=False)
    return tangents, lengths[lengths > np.sqrt(np.finfo(float).eps) * lengths.max(initial=0.0)]


def rigid_space(at: Environment | Structure) -> np.ndarray:
    """The rigid motions of everything, `(k, 3 n)`."""
    mask = np.asarray(at.mask)
    if isinstance(at, Environment):
        return rotations(_centered(at))
    translations = np.stack([np.outer(mask, axis).ravel() for axis in np.eye(3)]) / np.sqrt(max(mask.sum(), 1))
    return translations if at.periodic else np.concatenate([translations, rotations(_centered(at))])


def clearance(at: Environment | Structure) -> float:
    """The shortest rotation over the longest, by which the floor of a spectrum is raised; 1 where there is none."""
    lengths = _turned(_centered(at))[1] if isinstance(at, Environment) or not at.periodic else np.zeros(0)
    return float(lengths[-1] / lengths[0]) if len(lengths) else 1.0


def _centered(at: Environment | Structure) -> np.ndarray:
    """Positions from the point that rotations leave where it is; zero on padding."""
    positions, mask = np.asarray(at.positions), np.asarray(at.mask)
    center = np.zeros(3) if isinstance(at, Environment) or not mask.any() else positions[mask].mean(0)
    return np.where(mask[:, None], positions - center, 0)


@dataclass(frozen=True, eq=False)
class Filtration:
    """The nested subspaces below the null space of an actual J, `(k, 3 n)` each; `None` where not known.

    - `locality`: rigid motions of every site. `symmetry`: those and what the stabilizers hide. `kernel`: N_ν.
    - `whole`: whether `symmetry` is all there is of it.
    - `aligned`: whether stabilizers and rigid motions agree on which sites lie on a line.
    - `gap`, `floor`: by name.
    """

    locality: np.ndarray
    symmetry: np.ndarray
    kernel: np.ndarray | None
    stabilizer: Stabilizer | tuple[Stabilizer, ...]
    whole: bool
    aligned: bool
    gap: dict[str, Gap]
    floor: dict[str, float]


def build_filtration(
    at: Environment | Structure,
    sites: list[Site],
    group: Group,
    nu: int | None,
    tolerance: float,
    *,
    sums: bool,
) -> Filtration:
    """Locality, symmetry and N_ν of one environment or structure, whose `sites` are given. `sums`: whether features
    of the sites are added up, per species of the center."""
    present = np.repeat(np.asarray(at.mask), 3)
    turns = [rotations(site.vectors) for site in sites]
    found = [point_stabilizer(site.vectors, site.species, group, tolerance) for site in sites]
    blind = [_blind(s, t) for s, t in zip(found, turns, strict=True)]
    aligned = all((s.axis is None) == (len(t) != 2) for s, t in zip(found, turns, strict=True))
    # Positions within the tolerance of symmetric ones turn the sites' subspaces by about this much.
    noise = max(_ROUNDING, 10 * tolerance / min((site.scale for site in sites), default=1.0))

    locality, local_gap = _shared(sites, turns, present, _ROUNDING)
    symmetry, symmetry_gap = _shared(sites, blind, present, noise)
    stabilizers: Stabilizer | tuple[Stabilizer, ...] = tuple(found)
    gap, floor = {"locality": local_gap, "symmetry": symmetry_gap}, {"locality": _ROUNDING, "symmetry": noise}
    if isinstance(at, Environment):
        # One site: nothing was intersected.
        stabilizers, gap, floor = found[0], {}, {}
    whole = True
    if sums:
        assert isinstance(at, Structure)
        whole = not at.periodic and _connected(at, sites)
        if whole:
            stabilizers = _molecule_stabilizer(at, sites, group, tolerance)
            symmetry = sum_of_subspaces(_embedded(_hidden(stabilizers), present), symmetry)
    kernel = None
    if nu is not None and sums:
        one = _order_nu(sites, _summed(at, sites), nu, len(symmetry), group, tolerance)
        kernels, kernel = [one], _embedded(_flat(one), present)
    elif nu is not None:
        kernels = [
            _order_nu([site], site.edges, nu, len(space), group, tolerance)
            for site, space in zip(sites, blind, strict=True)
        ]
        unseen = [_flat(one) for one in kernels]
        kernel, shared_gap = _shared(sites, unseen, present, noise)
        if isinstance(at, Structure):
            gap["intersection"], floor["intersection"] = shared_gap, noise
    if kernel is not None:
        gap["kernel"] = joint_gap([one.gap for one in kernels])
        floor["kernel"] = max((one.floor for one in kernels), default=0.0)
    return Filtration(locality, symmetry, kernel, stabilizers, whole, aligned, gap, floor)


def _flat(kernel: Kernel) -> np.ndarray:
    return kernel.directions.reshape(kernel.nullity, 3 * kernel.directions.shape[1])


def _order_nu(sites: list[Site], edges: Edges, nu: int, n_symmetry: int, group: Group, tolerance: float) -> Kernel:
    """The kernel of order ν; where that has too many tuples, of a lower order, if nothing but symmetry is in it.

    Symmetry ⊆ N_ν ⊆ N_ν' for ν' < ν: then they are all equal.
    """
    highest = _highest(sites, nu)
    if 0 < highest < nu:
        kernel = kernel_of_edges(edges, highest, group == "SO3", tolerance)
        if kernel.nullity == n_symmetry:
            return kernel
    return kernel_of_edges(edges, nu, group == "SO3", tolerance)


def _highest(sites: list[Site], nu: int) -> int:
    """The highest order up to ν that does not have too many tuples; 0 where all have."""
    counts = np.asarray([len(site.vectors) for site in sites])
    return max((order for order in range(1, nu + 1) if not too_many(counts, order)), default=0)


def wave_gradients_at_sites(
    at: Environment | Structure, sites: list[Site], group: Group, nu: int, tolerance: float, *, sums: bool
) -> np.ndarray:
    """Rows `(w, 3 n)` whose singular values say how well complete features of order ν see displacements.

    Where order ν has too many tuples, they are of a lower order, which sees less.
    """
    chiral = group == "SO3"
    if sums:
        return _embedded(
            wave_gradients(_summed(at, sites), _highest(sites, nu), chiral, tolerance),
            np.repeat(np.asarray(at.mask), 3),
        )
    rows = [s.relative(wave_gradients(s.edges, _highest([s], nu), chiral, tolerance)) for s in sites if len(s.vectors)]
    return np.concatenate(rows) if rows else np.zeros((0, at.positions.size))


def _blind(found: Stabilizer, turns: np.ndarray) -> np.ndarray:
    """What complete invariants of one site do not see: rigid motions and the complement of Fix(S)."""
    return sum_of_subspaces(_hidden(found), turns)


def _hidden(found: Stabilizer) -> np.ndarray:
    """The complement of Fix(S), `(k, 3 n)`."""
    values, vectors = np.linalg.eigh(found.fixed_projector())
    return vectors[:, values < 0.5].T


def _shared(
    sites: list[Site], spaces: list[np.ndarray], present: np.ndarray, threshold: float
) -> tuple[np.ndarray, Gap]:
    """∩ B_i⁻¹ W_i, on the displacements of atoms that are `present`."""
    rows = [
        site.relative(orthogonal_complement(space))
        for site, space in zip(sites, spaces, strict=True)
        if len(site.vectors)
    ]
    stacked = np.concatenate(rows) if rows else np.zeros((0, len(present)))
    space, gap = common_kernel(stacked[:, present], threshold)
    return _embedded(space, present), gap


def _embedded(space: np.ndarray, present: np.ndarray) -> np.ndarray:
    whole = np.zeros((len(space), len(present)))
    whole[:, present] = space
    return whole


def _connected(at: Structure, sites: list[Site]) -> bool:
    """Whether features tie all atoms together. If not, parts have symmetries of their own."""
    n = len(np.asarray(at.mask))
    tails = np.concatenate([np.full(len(site.vectors), site.atom) for site in sites] or [np.zeros(0, int)])
    heads = np.concatenate([site.neighbors for site in sites] or [np.zeros(0, int)])
    graph = coo_array((np.ones(len(tails)), (tails, heads)), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    return len(np.unique(labels[np.asarray(at.mask)])) <= 1


def _molecule_stabilizer(at: Structure, sites: list[Site], group: Group, tolerance: float) -> Stabilizer:
    mask = np.asarray(at.mask)
    points = np.asarray(at.positions)[mask]
    # An atom that is a center is no image of one that is not.
    kinds = 2 * np.asarray(at.species).astype(np.int64)
    kinds[[site.atom for site in sites]] += 1
    return point_stabilizer(points - points.mean(0), kinds[mask], group, tolerance)


def _summed(at: Environment | Structure, sites: list[Site]) -> Edges:
    mask = np.asarray(at.mask)
    present = np.cumsum(mask) - 1
    vectors = np.concatenate([site.vectors for site in sites])
    tails = np.concatenate([np.full(len(site.vectors), present[site.atom]) for site in sites])
    heads = present[np.concatenate([site.neighbors for site in sites])]
    return summed_edges(vectors, tails, heads, np.asarray(at.species)[mask])
