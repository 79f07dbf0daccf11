"""Stabilizers: rotations and permutations of like atoms that leave an environment, or a molecule, unchanged. A smooth
invariant map cannot see a displacement without a totally symmetric part (theory, section 2). The stabilizer therefore
tells which null directions are physics. It is found on the host and in float64."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment, count_of
from jaxfeat.geometry.point_group import find_groups, find_permutations, label_shells, schoenflies_symbol
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.structure import Item, Structure

Group = Literal["O3", "SO3"]
EnvironmentOrStructure = TypeVar("EnvironmentOrStructure", Environment, Structure)

SYMMETRY_TOLERANCE = 1e-3
"""Å. Files round coordinates to 1e-6 ... 1e-4 Å, and mismatches are up to twice as large. Zero-point motion is 0.03 ...
0.1 Å. So molecules from files keep their point group, and snapshots of molecular dynamics get none."""

LINE_ROUNDING = 1e-8  # atoms closer to a line, relative to the farthest atom, have only two rotations, as in `rigid`


@dataclass(frozen=True, eq=False, repr=False)
class Stabilizer:
    """The subgroup of `group` x permutations of like atoms that fixes n atoms about the origin.

    Element g sends atom j onto atom `permutations[g, j]`: `rotations[g] @ r[j] = r[permutations[g, j]]`, within
    `residual`. The matrices belong to the nearest symmetric positions. They multiply exactly as the permutations do, to
    rounding, even if the positions are noisy.

    Atoms on one line through the origin have a continuous group. `rotations` then holds one element for each of its
    connected components. A lone center has the group Kh and no axis.

    **Attributes:**

    - `rotations`: `(m, 3, 3)`, orthogonal; the identity first.
    - `permutations`: `(m, n)`.
    - `group`: `"O3"`, or `"SO3"` for proper rotations only.
    - `tolerance`: Å, the largest mismatch that was allowed.
    - `residual`: Å, the largest mismatch of an atom under an element; for atoms in line, along or across the line.
    - `symbol`: Schoenflies symbol, with `*` for infinity: C1, Cs, Ci, C3v, D6h, S4, Td, Ih, C*v, D*h, Kh; in SO3 also
        C*, D*, K.
    - `axis`: `(3,)`, unit vector along the line of atoms; `None` if the atoms are not in line.
    """

    rotations: np.ndarray
    permutations: np.ndarray
    group: Group
    tolerance: float
    residual: float
    symbol: str
    axis: np.ndarray | None

    @property
    def order(self) -> float:
        """The number of elements: an integer, or `math.inf` for a continuous group."""
        return math.inf if self.symbol[0] == "K" or "*" in self.symbol else len(self.rotations)

    def __repr__(self) -> str:
        order = "∞" if math.isinf(self.order) else self.order
        atoms = count_of(self.permutations.shape[1], "atom")
        return f"Stabilizer({self.symbol}, order {order}, {atoms}, residual {self.residual:.1g} Å, group {self.group})"

    def fixed_projector(self) -> np.ndarray:
        """Compute the orthogonal projector on the displacements that every element fixes, `(3 n, 3 n)`.

        The projector is the group average of D(g), where `(D(g) u)[permutations[g, j]] = rotations[g] @ u[j]`. No
        smooth invariant map sees, to first order, a displacement that the projector sends to zero.
        """
        m, n = self.permutations.shape
        average = np.zeros((n, n, 3, 3))
        if self.symbol[0] == "K":
            return np.zeros((3 * n, 3 * n))
        np.add.at(average, (self.permutations, np.arange(n)), self.rotations[:, None] / m)
        if self.axis is not None:
            # The average over turns about the axis keeps the axial part, and commutes with the components' average.
            average = np.outer(self.axis, self.axis) @ average
        projector = average.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
        return (projector + projector.T) / 2


def symmetric_positions(found: Stabilizer, positions: np.ndarray) -> np.ndarray:
    """Compute the nearest positions `(n, 3)` about the origin that a stabilizer fixes, to rounding. The projector fixes
    the symmetric positions themselves, as it fixes totally symmetric displacements."""
    return (found.fixed_projector() @ positions.ravel()).reshape(-1, 3)


def stabilizer(at: Item, tolerance: float = SYMMETRY_TOLERANCE, group: Group = "O3") -> Stabilizer:
    """Find the symmetry of one environment or one molecule.

    Rotations are about the center of an environment, whose neighbors are permuted. For a molecule they are about the
    centroid of its atoms, and all atoms are permuted: the symmetry of features that are summed over the atoms.

    If like atoms are several tolerances apart, every operation that maps the atoms onto each other within the tolerance
    is a candidate. The result is the largest group of candidates that all fit within the tolerance.

    **Arguments:**

    - `at`: One environment, or one molecular structure. Padding is left out.
    - `tolerance`: The largest mismatch of an atom, in Å.
    - `group`: `"O3"`, or `"SO3"` for proper rotations only.

    **Returns:** A `Stabilizer` of the atoms under `at.mask`.

    **Raises:** `GeometryError` for a batch or a crystal, for positions that are not finite or coincide, for a tolerance
    that is not positive, and for like atoms that the tolerance cannot tell apart.
    """
    _check_single(at, "stabilizer")
    mask = np.asarray(at.mask)
    positions, species = np.asarray(at.positions, np.float64)[mask], np.asarray(at.species)[mask]
    check_positions(positions, at.part_name, center=isinstance(at, Environment))
    return point_stabilizer(positions - rotation_center(at, positions), species, group, tolerance)


def rotation_center(at: Item, positions: np.ndarray) -> np.ndarray:
    """Return the point (Å) that rotations fix: the center of an environment, or the centroid of a structure's atoms."""
    return positions.mean(0) if isinstance(at, Structure) and len(positions) else np.zeros(3)


def _check_single(at: Item, name: str, crystals: bool = False) -> None:
    if at.batch_shape:
        given = f"a batch of shape {at.batch_shape}"
        raise GeometryError(f"{name} takes one environment or molecule, got {given}; index it first.")
    if isinstance(at, Structure) and at.periodic and not crystals:
        cure = "give a tolerance in Å" if name == "symmetrized" else "cut environments out"
        raise GeometryError(f"{name} takes a stabilizer of one environment or molecule, and this is a crystal; {cure}.")


class HasStabilizer(Protocol):
    """The attributes of a `NullSpace` that `symmetrized` needs."""

    @property
    def stabilizer(self) -> Stabilizer | tuple[Stabilizer, ...] | None: ...
    @property
    def atoms(self) -> np.ndarray | None: ...
    @property
    def reason(self) -> str: ...


def symmetrized(
    at: EnvironmentOrStructure, found: float | Stabilizer | HasStabilizer = SYMMETRY_TOLERANCE
) -> EnvironmentOrStructure:
    """Move atoms to the nearest positions that have the symmetry `found` exactly, to rounding.

    This repairs coordinates that a file rounded: null directions of symmetry become exact. Atoms of environments and
    molecules move by at most the stabilizer's `residual`.

    A crystal gets the space group that spglib finds within a tolerance. Its cell is strained as far as the group asks.
    Its orientation, its choice of cell vectors, the order of its atoms and their mean position stay. Centers keep their
    neighbors. They gain symmetric images that lay just outside the radius, and atoms that come within it.

    **Arguments:**

    - `at`: One environment, molecule, or crystal. A crystal may be a layer, which repeats in two directions.
    - `found`: The symmetry: a tolerance in Å, within which it is looked for. For environments and molecules also the
        `NullSpace` of `at`, or its stabilizer, from `stabilizer`. Neighbors to which the features of the null space do
        not react stay at their positions.

    **Returns:** The same atoms at symmetric positions (Å), as an object of the same type.

    **Raises:** `GeometryError` for a batch; for a stabilizer of other atoms; for a null space without one stabilizer of
    all its atoms; for a crystal without a tolerance, or that repeats in one direction only; if spglib finds no space
    group; and for a tolerance that is not positive or cannot tell atoms apart.
    """
    if isinstance(found, (int, float, np.number)):
        _check_single(at, "symmetrized", crystals=True)
        if isinstance(at, Structure) and at.periodic:
            from jaxfeat.geometry.crystal_symmetry import symmetrize_crystal

            return symmetrize_crystal(at, float(found)).structure
        found = stabilizer(at, float(found))
    _check_single(at, "symmetrized")
    mask = np.asarray(at.mask)
    if not isinstance(found, Stabilizer):
        if isinstance(found.stabilizer, tuple):
            fault = "this null space has a stabilizer for each center, which no one set of positions need share"
            raise GeometryError(f"{fault}; give that of one environment, or of features summed over a molecule.")
        if found.stabilizer is None or found.atoms is None:
            raise GeometryError(f"this null space has no stabilizer to go by: {found.reason}")
        if found.atoms.shape != mask.shape:
            raise GeometryError(f"this null space is of {found.atoms.shape[0]} atoms, and here are {len(mask)}.")
        mask, found = mask & found.atoms, found.stabilizer
    if found.permutations.shape[1] != mask.sum():
        raise GeometryError(f"this stabilizer is of {found.permutations.shape[1]} atoms, and here are {mask.sum()}.")
    positions = np.array(at.positions, np.float64)
    origin = rotation_center(at, positions[mask])
    positions[mask] = origin + symmetric_positions(found, positions[mask] - origin)
    return at.with_positions(jnp.asarray(positions))


def point_stabilizer(positions: np.ndarray, species: np.ndarray, group: Group, tolerance: float) -> Stabilizer:
    """Find the stabilizer of positions `(n, 3)` about the origin."""
    if group not in ("O3", "SO3"):
        raise GeometryError(f'group is {group!r}; give "O3" or "SO3".')
    if not tolerance > 0:
        raise GeometryError(f"the symmetry tolerance is {tolerance}; give a positive length in Å.")
    distances = _like_distances(positions, species)
    if distances.size and distances.min() <= 2 * tolerance:
        i, j = sorted(np.unravel_index(distances.argmin(), distances.shape))
        fault = f"like atoms {i} and {j} are {distances.min():.2g} Å apart, which a symmetry tolerance of"
        raise GeometryError(f"{fault} {tolerance:g} Å cannot tell apart; choose it below half of that.")
    return next(_find_stabilizers(positions, species, group, tolerance))


def nearby_stabilizers(positions: np.ndarray, species: np.ndarray, group: Group, largest: float) -> list[Stabilizer]:
    """Find the stabilizers of positions `(n, 3)` about the origin within all tolerances up to the `largest` (Å) that
    tells like atoms apart, from the identity alone to the largest group. Each has its residual for a tolerance."""
    tolerance = min(largest, 0.45 * float(_like_distances(positions, species).min(initial=np.inf)))
    return list(_find_stabilizers(positions, species, group, tolerance))[::-1]


def write_symbol(stabilizer: Stabilizer) -> str:
    """Write the Schoenflies symbol with an index: "T_d", or "D_∞h"."""
    symbol = stabilizer.symbol
    return f"{symbol[0]}_{symbol[1:]}".rstrip("_").replace("*", "∞")


def trivial_stabilizer(n: int, group: Group) -> Stabilizer:
    """Return the stabilizer of n atoms without symmetry."""
    return Stabilizer(np.eye(3)[None], np.arange(n)[None], group, 0.0, 0.0, "C1", None)


def _like_distances(positions: np.ndarray, species: np.ndarray) -> np.ndarray:
    """Compute the distances of like atoms, `(n, n)` Å; infinity for other pairs."""
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    distances[(species[:, None] != species) | np.eye(len(species), dtype=bool)] = np.inf
    return distances


def _find_stabilizers(
    positions: np.ndarray, species: np.ndarray, group: Group, tolerance: float
) -> Iterator[Stabilizer]:
    """Find the stabilizers within the tolerance, from the largest group to the smallest."""
    radii = np.linalg.norm(positions, axis=1)
    if not (2 * radii > tolerance).any():
        yield _stabilizer_of_point(radii, group, tolerance)
        return
    axis = np.linalg.svd(positions, full_matrices=False)[2][0]
    off_axis = np.linalg.norm(positions - np.outer(positions @ axis, axis), axis=1).max()
    # A half turn moves atoms by twice their distance from the axis.
    if 2 * off_axis <= tolerance:
        yield from _stabilizers_of_line(positions, species, axis, 2 * float(off_axis), group, tolerance)
        if off_axis <= LINE_ROUNDING * radii.max():
            return
    permutations, signs = find_permutations(positions, label_shells(species, radii, tolerance), tolerance)
    if group == "SO3":
        permutations, signs = permutations[signs > 0], signs[signs > 0]
    for rotations, chosen, residual in find_groups(positions, permutations, signs, tolerance):
        yield Stabilizer(rotations, chosen, group, tolerance, residual, schoenflies_symbol(rotations), None)


def _stabilizer_of_point(radii: np.ndarray, group: Group, tolerance: float) -> Stabilizer:
    signs = np.array([1.0, -1.0] if group == "O3" else [1.0])
    permutations = np.tile(np.arange(len(radii)), (len(signs), 1))
    residual, symbol = 2 * float(radii.max(initial=0.0)), "Kh" if group == "O3" else "K"
    return Stabilizer(signs[:, None, None] * np.eye(3), permutations, group, tolerance, residual, symbol, None)


def _stabilizers_of_line(
    positions: np.ndarray, species: np.ndarray, axis: np.ndarray, across_axis: float, group: Group, tolerance: float
) -> Iterator[Stabilizer]:
    n, along = len(positions), positions @ axis
    normal = np.linalg.svd(axis[None])[2][1]
    mirror = np.eye(3) - 2 * np.outer(normal, normal)
    keep_ends = [np.eye(3), mirror] if group == "O3" else [np.eye(3)]
    swap_ends = [-np.eye(3), -mirror] if group == "O3" else [-mirror]
    distances = np.where(species[:, None] == species, np.abs(along[:, None] + along), np.inf)
    image, mismatch = distances.argmin(1), float(distances.min(1).max())
    ends_alike = mismatch <= tolerance and len(np.unique(image)) == n
    for swap in [True, False][not ends_alike :]:
        rotations = keep_ends + swap_ends * swap
        permutations = [np.arange(n)] * len(keep_ends) + [image] * (len(rotations) - len(keep_ends))
        symbol = ("D*" if swap else "C*") + ("" if group == "SO3" else "h" if swap else "v")
        residual = max(across_axis, mismatch if swap else 0.0)
        yield Stabilizer(np.stack(rotations), np.stack(permutations), group, tolerance, residual, symbol, axis)
