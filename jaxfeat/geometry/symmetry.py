"""Stabilizers: the rotations and relabelings that leave an environment, or a molecule, as it is.

A smooth invariant map cannot see a displacement without a totally symmetric part (theory, section 2), so the stabilizer
says which null directions are physics. Everything here runs on the host, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import jax.numpy as jnp
import numpy as np

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.geometry.point_group import candidates, label_shells, largest_group, schoenflies
from jaxfeat.geometry.positions import check_positions
from jaxfeat.geometry.species import atomic_numbers
from jaxfeat.geometry.structure import Structure

Group = Literal["O3", "SO3"]
EnvironmentOrMolecule = TypeVar("EnvironmentOrMolecule", Environment, Structure)

SYMMETRY_TOLERANCE = 1e-3
"""Å. Files round coordinates to 1e-6 ... 1e-4 Å, which makes mismatches up to twice that, and zero-point motion is
0.03 ... 0.1 Å. In between, molecules from files keep their point group and snapshots of molecular dynamics get none."""


@dataclass(frozen=True, eq=False)
class Stabilizer:
    """The subgroup of `group` x permutations of like atoms that fixes n atoms about the origin.

    Element g sends atom j onto atom `permutations[g, j]`: `rotations[g] @ r[j] = r[permutations[g, j]]`, within
    `residual`. The matrices multiply exactly as the permutations do (to rounding) even where the positions are noisy:
    they are those of the nearest symmetric positions.

    Atoms on one line through the origin have a continuous group. `rotations` then holds one element for each of its
    connected components, and `axis` the line; about a lone center (Kh) there is no line either.

    **Attributes:**

    - `rotations`: `(m, 3, 3)`, orthogonal; the identity first.
    - `permutations`: `(m, n)`.
    - `group`: `"O3"`, or `"SO3"` for proper rotations only.
    - `tolerance`: Å, what mismatch was allowed for.
    - `residual`: Å, the largest mismatch of an atom under an element; for atoms in line, along the line or across it.
    - `symbol`: Schoenflies, `*` for infinity: C1, Cs, Ci, C3v, D6h, S4, Td, Ih, C*v, D*h, Kh; in SO3 also C*, D*, K.
    - `axis`: `(3,)`, unit vector, or `None` where the atoms are not in line.
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

    def fixed_projector(self) -> np.ndarray:
        """Orthogonal projector on the displacements that every element fixes, `(3 n, 3 n)`.

        The group average of D(g), where `(D(g) u)[permutations[g, j]] = rotations[g] @ u[j]`. What it kills, no smooth
        invariant map sees to first order.
        """
        m, n = self.permutations.shape
        average = np.zeros((n, n, 3, 3))
        if self.symbol[0] == "K":
            return np.zeros((3 * n, 3 * n))
        atoms = np.broadcast_to(np.arange(n), (m, n))
        np.add.at(average, (self.permutations, atoms), self.rotations[:, None] / m)
        if self.axis is not None:
            # The average over turns about the axis keeps the axial part, and commutes with the components' average.
            average = np.outer(self.axis, self.axis) @ average
        projector = average.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
        return (projector + projector.T) / 2


def stabilizer(env: Environment, group: Group = "O3", tolerance: float = SYMMETRY_TOLERANCE) -> Stabilizer:
    """Stabilizer of one environment, in O(3) or SO(3) about its center x permutations of like neighbors.

    Every operation that maps the n neighbors onto each other within `tolerance` is found, as long as they lie several
    tolerances apart; what is returned is a group, the largest that holds together at or below the tolerance. Padding is
    left out: atoms are those of `env.positions[:n]`.

    **Raises:** `GeometryError` for a batch, positions that are not finite, a tolerance that is not positive, or
    neighbors that the tolerance cannot tell apart.
    """
    if env.batch_shape:
        raise GeometryError(
            f"stabilizer takes one environment, got a batch of shape {env.batch_shape}; index it first."
        )
    n = int(np.count_nonzero(env.mask))
    positions = np.asarray(env.positions, np.float64)[:n]
    check_positions(positions, "neighbor", center=True)
    return point_stabilizer(positions, np.asarray(env.species)[:n], group, tolerance)


def molecule_stabilizer(
    positions: Any, species: Sequence[str | int] | Any, group: Group = "O3", tolerance: float = SYMMETRY_TOLERANCE
) -> Stabilizer:
    """Stabilizer of a whole molecule in E(3) x permutations of like atoms: that of features summed over its atoms.

    **Arguments:**

    - `positions`: `(n, 3)`, Å. Its symmetry elements meet in the centroid of the atoms, which permutations leave alone.
    - `species`: `n` symbols or atomic numbers.

    **Raises:** as `stabilizer`.
    """
    points = np.asarray(positions, np.float64)
    numbers = atomic_numbers(species)
    if points.shape != (len(numbers), 3):
        raise GeometryError(
            f"positions has shape {points.shape} for {len(numbers)} species; give x, y, z for each atom."
        )
    check_positions(points, "atom")
    return point_stabilizer(points - points.mean(0) if len(points) else points, numbers, group, tolerance)


class WithStabilizer(Protocol):
    """What `null_space` returns: a stabilizer, the atoms that it is of, and why there may be none."""

    @property
    def stabilizer(self) -> Stabilizer | tuple[Stabilizer, ...] | None: ...
    @property
    def atoms(self) -> np.ndarray | None: ...
    @property
    def reason(self) -> str: ...


def symmetrized(at: EnvironmentOrMolecule, found: Stabilizer | WithStabilizer) -> EnvironmentOrMolecule:
    """Move atoms to where the environment, or molecule, has the stabilizer `found` exactly, to rounding.

    Atoms move by at most the stabilizer's `residual`. For coordinates that a file rounded: what symmetry cancels,
    cancels again.

    **Arguments:**

    - `at`: One environment, or one molecule.
    - `found`: What `null_space` returned for it, or its stabilizer: by `stabilizer` of an `Environment`, by
      `molecule_stabilizer` of a molecular `Structure`. Neighbors that the features of `null_space` did not react to
      stay where they are.

    **Returns:** The same atoms at the symmetric positions.

    **Raises:** `GeometryError` for a batch, a crystal, the stabilizer of something else, and for a null space that
    comes with no stabilizer or, of stacked features, with one for each center.
    """
    if at.batch_shape or (isinstance(at, Structure) and at.periodic):
        raise GeometryError("symmetrized takes one environment or one molecule, no batch and no crystal.")
    mask = np.asarray(at.mask)
    if not isinstance(found, Stabilizer):
        if isinstance(found.stabilizer, tuple):
            raise GeometryError(
                "this null space has a stabilizer for each center, which no one set of positions need share; give that "
                "of one environment, or of features summed over a molecule."
            )
        if found.stabilizer is None or found.atoms is None:
            raise GeometryError(f"this null space has no stabilizer to go by: {found.reason}")
        if found.atoms.shape != mask.shape:
            raise GeometryError(f"this null space is of {found.atoms.shape[0]} atoms, and here are {len(mask)}.")
        mask, found = mask & found.atoms, found.stabilizer
    if found.permutations.shape[1] != mask.sum():
        raise GeometryError(f"this stabilizer is of {found.permutations.shape[1]} atoms, and here are {mask.sum()}.")
    positions = np.array(at.positions, np.float64)
    origin = positions[mask].mean(0) if isinstance(at, Structure) and mask.any() else np.zeros(3)
    # The stabilizer fixes the positions themselves, as it fixes totally symmetric displacements.
    positions[mask] = origin + (found.fixed_projector() @ (positions[mask] - origin).ravel()).reshape(-1, 3)
    return at.with_positions(jnp.asarray(positions))


def tolerance_scan(
    env: Environment,
    tolerances: Sequence[float] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    group: Group = "O3",
) -> tuple[Stabilizer, ...]:
    """Stabilizers at rising tolerances (Å). Where `order` and `symbol` change is how far from symmetric a group is."""
    return tuple(stabilizer(env, group, tolerance) for tolerance in tolerances)


def point_stabilizer(positions: np.ndarray, species: np.ndarray, group: Group, tolerance: float) -> Stabilizer:
    """The stabilizer of `(n, 3)` positions about the origin."""
    if group not in ("O3", "SO3"):
        raise GeometryError(f'group is {group!r}; give "O3" or "SO3".')
    if not tolerance > 0:
        raise GeometryError(f"the symmetry tolerance is {tolerance}; give a positive length in Å.")
    _check_separations(positions, species, tolerance)
    radii = np.linalg.norm(positions, axis=1)
    if not (2 * radii > tolerance).any():
        return _about_a_point(positions, group, tolerance)
    axis = np.linalg.svd(positions, full_matrices=False)[2][0]
    off_axis = np.linalg.norm(positions - np.outer(positions @ axis, axis), axis=1).max()
    # A half turn moves atoms by twice their distance from the axis.
    if 2 * off_axis <= tolerance:
        return _about_a_line(positions, species, axis, 2 * float(off_axis), group, tolerance)

    permutations, signs = candidates(positions, label_shells(species, radii, tolerance), tolerance)
    if group == "SO3":
        permutations, signs = permutations[signs > 0], signs[signs > 0]
    rotations, permutations, residual = largest_group(positions, permutations, signs, tolerance)
    return Stabilizer(rotations, permutations, group, tolerance, residual, schoenflies(rotations), None)


def _check_separations(positions: np.ndarray, species: np.ndarray, tolerance: float) -> None:
    distances = np.linalg.norm(positions[:, None] - positions, axis=-1)
    distances[(species[:, None] != species) | np.eye(len(species), dtype=bool)] = np.inf
    if distances.size and distances.min() <= 2 * tolerance:
        i, j = sorted(np.unravel_index(distances.argmin(), distances.shape))
        raise GeometryError(
            f"like atoms {i} and {j} are {distances.min():.2g} Å apart, which a symmetry tolerance of {tolerance:g} Å "
            "cannot tell apart; choose it below half of that."
        )


def _about_a_point(positions: np.ndarray, group: Group, tolerance: float) -> Stabilizer:
    signs = np.array([1.0, -1.0] if group == "O3" else [1.0])
    permutations = np.tile(np.arange(len(positions)), (len(signs), 1))
    residual = 2 * float(np.linalg.norm(positions, axis=1).max(initial=0.0))
    symbol = "Kh" if group == "O3" else "K"
    return Stabilizer(signs[:, None, None] * np.eye(3), permutations, group, tolerance, residual, symbol, None)


def _about_a_line(
    positions: np.ndarray, species: np.ndarray, axis: np.ndarray, across_axis: float, group: Group, tolerance: float
) -> Stabilizer:
    n = len(positions)
    normal = np.linalg.svd(axis[None])[2][1]
    mirror = np.eye(3) - 2 * np.outer(normal, normal)
    keep_ends = [np.eye(3), mirror] if group == "O3" else [np.eye(3)]
    swap_ends = [-np.eye(3), -mirror] if group == "O3" else [-mirror]

    along = positions @ axis
    distances = np.where(species[:, None] == species, np.abs(along[:, None] + along), np.inf)
    image = distances.argmin(1)
    mismatch = float(distances.min(1).max())
    ends_alike = mismatch <= tolerance and len(np.unique(image)) == n
    rotations = keep_ends + swap_ends * ends_alike
    permutations = [np.arange(n)] * len(keep_ends) + [image] * (len(rotations) - len(keep_ends))
    symbol = ("D*" if ends_alike else "C*") + ("" if group == "SO3" else "h" if ends_alike else "v")
    residual = max(across_axis, mismatch if ends_alike else 0.0)
    return Stabilizer(np.stack(rotations), np.stack(permutations), group, tolerance, residual, symbol, axis)
