"""The sites of an environment or structure: centers, each with the neighbors that its features react to. An environment
is one site, whose center does not move. A structure has one site for each center, and the center moves with its
atom."""

from dataclasses import dataclass

import numpy as np

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.structure import Item, Structure
from jaxfeat.geometry.symmetry import Group
from jaxfeat.linalg.subspaces import leading_directions
from jaxfeat.nulls.coincidences import Edges, connected_parts
from jaxfeat.nulls.kernel import site_edges, summed_edges

LEAST_TRANSLATION = 0.1  # Å. No lattice vector is shorter.


@dataclass(frozen=True, eq=False)
class Site:
    """One center with k neighbors that its features react to: vectors to them (Å), their species, and the indices of
    center and neighbors among `n` atoms that are displaced. The index of a fixed center is -1."""

    vectors: np.ndarray
    species: np.ndarray
    atom: int
    neighbors: np.ndarray
    n: int

    @property
    def edges(self) -> Edges:
        return site_edges(self.vectors, self.species)

    def rows_on_atoms(self, rows: np.ndarray) -> np.ndarray:
        """Rewrite rows `(r, 3 k)` on displacements relative to the center as rows `(r, 3 n)` on those of all atoms."""
        rows = rows.reshape(len(rows), len(self.neighbors), 3)
        moved = np.zeros((len(rows), self.n, 3))
        np.add.at(moved.swapaxes(0, 1), self.neighbors, rows.swapaxes(0, 1))
        if self.atom >= 0:
            moved[:, self.atom] -= rows.sum(1)
        return moved.reshape(len(rows), 3 * self.n)


@dataclass(frozen=True, eq=False)
class Sites:
    """The sites of one environment or structure, the `group` of rotations that leaves features unchanged, and whether
    the features of all centers of one species are `summed`. Positions and values are equal within `tolerance` (Å)."""

    at: Item
    sites: list[Site]
    group: Group
    summed: bool
    tolerance: float

    @property
    def present(self) -> np.ndarray:
        """Which of the `3 n` coordinates belong to atoms, not to padding."""
        return np.repeat(np.asarray(self.at.mask), 3)

    def embed(self, rows: np.ndarray) -> np.ndarray:
        """Rewrite rows on the coordinates of atoms as rows on all `3 n` coordinates, zero for padding."""
        whole = np.zeros((len(rows), len(self.present)))
        whole[:, self.present] = rows
        return whole

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """List the center and the neighbor, `(e,)` each, of the edges of all centers."""
        none = np.zeros(0, int)
        tails = [np.full(len(site.neighbors), site.atom) for site in self.sites]
        return np.concatenate([none, *tails]), np.concatenate([none, *(site.neighbors for site in self.sites)])

    def summed_edges(self) -> Edges:
        """Make the edges of all centers of a structure, whose features are added up."""
        mask = np.asarray(self.at.mask)
        index = np.cumsum(mask) - 1
        tails, heads = (index[ends] for ends in self.ends())
        vectors = np.concatenate([site.vectors for site in self.sites])
        return summed_edges(vectors, tails, heads, np.asarray(self.at.species)[mask])

    def connected(self) -> bool:
        """Tell whether features tie all atoms and their periodic images together. Otherwise each part has symmetries of
        its own."""
        mask = np.asarray(self.at.mask)
        tails, heads = self.ends()
        parts = connected_parts(tails, heads, len(mask))
        if len(np.unique(parts[mask])) > 1:
            return False
        cell = np.asarray(self.at.cell) if isinstance(self.at, Structure) else np.zeros((3, 3))
        n_directions = int(cell.any(1).sum())
        return not n_directions or _count_directions(tails, heads, self._vectors(), len(mask)) == n_directions

    def _vectors(self) -> np.ndarray:
        return np.concatenate([np.zeros((0, 3)), *(site.vectors for site in self.sites)])


def list_sites(f: FeatureMap, at: Item, reacting: np.ndarray, tolerance: float) -> Sites:
    """List the sites of one item. `reacting`, `(n,)` or `(c, k)`: the neighbors that features react to."""
    group: Group = "SO3" if f.environment_featurizer.group == "SO3" else "O3"
    return Sites(at, split_into_sites(at, reacting), group, f.adds_centers, tolerance)


def _count_directions(tails: np.ndarray, heads: np.ndarray, vectors: np.ndarray, n: int) -> int:
    """Count the independent directions in which edges lead from an atom of a connected crystal to its images."""
    place = np.zeros((n, 3))
    reached = {int(tails[0])} if len(tails) else set()
    while True:
        new = [e for e in range(len(tails)) if tails[e] in reached and heads[e] not in reached]
        back = [e for e in range(len(tails)) if heads[e] in reached and tails[e] not in reached]
        if not new and not back:
            break
        for e in new:
            place[heads[e]] = place[tails[e]] + vectors[e]
        for e in back:
            place[tails[e]] = place[heads[e]] - vectors[e]
        reached |= {int(heads[e]) for e in new} | {int(tails[e]) for e in back}
    return int(np.linalg.matrix_rank(place[tails] + vectors - place[heads], tol=LEAST_TRANSLATION))


def split_into_sites(at: Item, reacting: np.ndarray) -> list[Site]:
    """Split one item into its sites. `reacting` is as in `list_sites`."""
    n = at.positions.shape[-2]
    if isinstance(at, Environment):
        members = np.flatnonzero(np.asarray(at.mask) & reacting)
        return [Site(np.asarray(at.positions)[members], np.asarray(at.species)[members], -1, members, n)]
    environments = at.environments()
    positions, species = np.asarray(environments.positions), np.asarray(environments.species)
    mask, neighbors, atoms = np.asarray(environments.mask) & reacting, np.asarray(at.neighbor), np.asarray(at.center)
    present = np.flatnonzero(np.asarray(at.center_mask))
    return [Site(positions[c, mask[c]], species[c, mask[c]], int(atoms[c]), neighbors[c, mask[c]], n) for c in present]


def rotation_space(points: np.ndarray) -> np.ndarray:
    """Span the infinitesimal rotations of points about the origin, `(k, 3 n)`, as many as `rigid` counts."""
    tangents, lengths = _rotations(points)
    return leading_directions(tangents, len(lengths))


def rigid_space(at: Item) -> np.ndarray:
    """Span the rigid motions of an environment, a molecule or a crystal, `(k, 3 n)`."""
    mask = np.asarray(at.mask)
    if isinstance(at, Environment):
        return rotation_space(_centered(at))
    translations = np.stack([np.outer(mask, axis).ravel() for axis in np.eye(3)]) / np.sqrt(max(mask.sum(), 1))
    return translations if at.periodic else np.concatenate([translations, rotation_space(_centered(at))])


def rotation_ratio(at: Item) -> float:
    """Divide the length of the shortest rotation, small next to a line, by the longest; 1 without rotations."""
    lengths = _rotations(_centered(at))[1] if isinstance(at, Environment) or not at.periodic else np.zeros(0)
    return float(lengths[-1] / lengths[0]) if len(lengths) else 1.0


def _rotations(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the tangents of rotations about the three axes, and their singular values above rounding, descending."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    # The products of the three axes with the points; `np.cross` takes ten times as long.
    tangents = np.stack([(zero, -z, y), (z, zero, -x), (-y, x, zero)]).swapaxes(1, 2).reshape(3, -1)
    lengths = np.linalg.svd(tangents, compute_uv=False)
    return tangents, lengths[lengths > np.sqrt(np.finfo(float).eps) * lengths.max(initial=0.0)]


def _centered(at: Item) -> np.ndarray:
    """Return the positions relative to the point that rotations fix; zero on padding."""
    positions, mask = np.asarray(at.positions), np.asarray(at.mask)
    center = np.zeros(3) if isinstance(at, Environment) or not mask.any() else positions[mask].mean(0)
    return np.where(mask[:, None], positions - center, 0)
