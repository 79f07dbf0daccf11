"""Quadratic forms of displacements that a group of rotations and permutations leaves unchanged (docs/theory, "Behind
symmetry"). A form is written as a symmetric matrix. Forms are orthonormal in the Frobenius inner product."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxfeat.errors import GeometryError, SizeError
from jaxfeat.geometry.symmetry import Stabilizer

MAX_FORMS = 1500  # invariant forms of all displacements, from which a basis is made in a few seconds
TURNS = 5  # Turns about a line that stand for all of them: averages of products of two vectors need at least three.


class Operations(NamedTuple):
    """A finite group: `rotations`, `(m, 3, 3)`, and `permutations`, `(m, n)`. Operation g sends the displacement of
    atom j to atom `permutations[g, j]`, and turns it."""

    rotations: np.ndarray
    permutations: np.ndarray

    def apply(self, g: int, rows: np.ndarray) -> np.ndarray:
        """Apply operation g to displacements `(k, 3 n)`."""
        turned = np.empty((len(rows), self.permutations.shape[1], 3))
        turned[:, self.permutations[g]] = rows.reshape(turned.shape) @ self.rotations[g].T
        return turned.reshape(rows.shape)

    def undo(self, g: int, rows: np.ndarray) -> np.ndarray:
        """Apply the inverse of operation g to displacements `(k, 3 n)`."""
        turned = rows.reshape(len(rows), -1, 3)[:, self.permutations[g]] @ self.rotations[g]
        return turned.reshape(rows.shape)


def finite_operations(found: Stabilizer) -> Operations:
    """List operations whose average of a quadratic form is that over the whole stabilizer, which may be continuous."""
    if found.permutations.shape[1] and found.symbol[0] == "K":
        raise GeometryError("the symmetry tolerance is larger than the environment; choose a smaller one.")
    if found.axis is None:
        return Operations(found.rotations, found.permutations)
    x, y, z = found.axis
    generator = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angles = 2 * np.pi * np.arange(TURNS)[:, None, None] / TURNS
    turns = np.eye(3) + np.sin(angles) * generator + (1 - np.cos(angles)) * generator @ generator
    rotations = (turns[:, None] @ found.rotations).reshape(-1, 3, 3)
    return Operations(rotations, np.tile(found.permutations, (TURNS, 1)))


def count_invariant_forms(operations: Operations, space: np.ndarray) -> int:
    """Count the independent invariant forms on an invariant subspace of displacements, `(z, 3 n)` orthonormal rows: the
    average of (tr D² + (tr D)²) / 2, where D is the action of an operation on the subspace."""
    total = 0.0
    for g in range(len(operations.rotations)):
        once = operations.apply(g, space)
        twice = operations.apply(g, once)
        total += ((space * twice).sum() + (space * once).sum() ** 2) / 2
    return round(total / len(operations.rotations))


def pair_forms(
    operations: Operations, pairs: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the invariant forms of all displacements, one orbit of pairs of atoms after the other: the atoms `(i,)` and
    `(i,)` of the ordered pairs, and the blocks `(s, i, 3, 3)` of s orthonormal forms. `pairs`, `(n, n)`: those wanted.

    An invariant form is fixed by its block at one pair of each orbit. This block may be any that the operations which
    keep or exchange the two atoms leave unchanged.
    """
    rotations, permutations = operations
    n = permutations.shape[1]
    kept = np.einsum("gac,gbd->gabcd", rotations, rotations).reshape(-1, 9, 9)
    exchanged = kept.reshape(-1, 3, 3, 9).swapaxes(1, 2).reshape(-1, 9, 9)
    actions = np.concatenate([kept, exchanged])
    done = np.zeros((n, n), bool) if pairs is None else ~pairs
    for i, j in zip(*np.triu_indices(n), strict=True):
        if done[i, j]:
            continue
        first = np.concatenate([permutations[:, i], permutations[:, j]])
        second = np.concatenate([permutations[:, j], permutations[:, i]])
        values, vectors = np.linalg.eigh(actions[(first == i) & (second == j)].mean(0))
        _, images = np.unique(first * n + second, return_index=True)
        first, second = first[images], second[images]
        done[first, second] = True
        blocks = actions[images] @ vectors[:, values > 0.5] / np.sqrt(len(images))
        if blocks.shape[2]:
            yield first, second, np.moveaxis(blocks, 2, 0).reshape(-1, len(images), 3, 3)


def invariant_forms(operations: Operations, space: np.ndarray, most: int = MAX_FORMS) -> np.ndarray:
    """Make an orthonormal basis of the invariant forms on an invariant subspace of displacements, `(z, 3 n)`, as
    symmetric matrices `(a, z, z)` in the coordinates of its rows. There may be `most` forms of all displacements."""
    n, size = operations.permutations.shape[1], len(space)
    total = count_invariant_forms(operations, np.eye(3 * n))
    if total > most:
        raise SizeError(
            f"{n} neighbors with {len(operations.rotations)} symmetry operations have {total} invariant quadratic "
            f"forms, and at most {most} are possible; take a smaller cutoff."
        )
    rows = space.reshape(size, n, 3)
    found = [np.zeros((0, size, size))]
    for first, second, blocks in pair_forms(operations):
        left = np.einsum("zia,siab->szib", rows[:, first], blocks, optimize=True)
        found.append(left.reshape(len(blocks), size, -1) @ rows[:, second].reshape(size, -1).T)
    forms = np.concatenate(found)
    # Restriction to an invariant subspace is an orthogonal projection of invariant forms, so the eigenvalues of this
    # Gram matrix are 0 and 1.
    flat = forms.reshape(len(forms), size**2)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    return (vectors[:, values > 0.5].T @ flat).reshape(-1, size, size)
