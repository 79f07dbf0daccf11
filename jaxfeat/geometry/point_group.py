"""The largest group among candidate operations, its exact rotations, and its Schoenflies symbol. On the host."""

from __future__ import annotations

import numpy as np

from jaxfeat.geometry.rotations import kabsch

TURN_ROUNDING = 1e-3
"""rad; smaller turns are the identity's. Traces may differ by as much from those of mirrors and the inversion."""


def find_largest_group(
    positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Find the rotations, permutations and residual (Å) of the largest group within the tolerance.

    Within the tolerance, the product of two operations that pass may fail, so that the operations that pass may be no
    group. So operations are taken in the order of their mismatch, as many as form a group.
    """
    _, mismatch = _fit_rotations(positions, permutations, signs)
    rank = np.argsort(mismatch, kind="stable")
    rank = rank[: np.searchsorted(mismatch[rank], tolerance, side="right")]
    table = _multiplication_table(permutations[rank], signs[rank])
    for size in range(len(rank), 0, -1):
        products = table[:size, :size]
        if products.min() < 0 or products.max() >= size:
            continue
        elements = np.sort(rank[:size])
        rotations, residual = _exact_rotations(positions, permutations[elements], signs[elements])
        if residual <= tolerance or size == 1:
            return rotations, permutations[elements], residual
    raise AssertionError("the identity is always among the candidates and is a group.")


def _fit_rotations(positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit matrices `(k, 3, 3)` of given determinants that map atoms onto their images; mismatches `(k,)` in Å."""
    targets = positions[permutations]
    rotations = kabsch(positions, targets, signs)
    # Rounding leaves the turn about a line of atoms undetermined. The identity's matrix is known.
    rotations[(permutations == np.arange(len(positions))).all(1) & (signs > 0)] = np.eye(3)
    mismatch = np.linalg.norm(positions @ rotations.transpose(0, 2, 1) - targets, axis=-1).max(-1)
    return rotations, mismatch


def _multiplication_table(permutations: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Tabulate `(k, k)` the index of g h, or -1 if g h is not among the elements."""
    elements = np.column_stack([signs, permutations])
    names = {row.tobytes(): index for index, row in enumerate(elements)}
    table = np.empty((len(signs), len(signs)), int)
    for g, (sign, permutation) in enumerate(zip(signs, permutations, strict=True)):
        products = np.column_stack([sign * signs, permutation[permutations]])
        table[g] = [names.get(row.tobytes(), -1) for row in products]
    return table


def _exact_rotations(positions: np.ndarray, permutations: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, float]:
    """Find rotations that multiply as their permutations do, and their largest mismatch (Å) at the given positions.

    Rotations that are fitted to noisy positions multiply only up to the noise. Averaging the positions over the group
    and fitting again squares the error of the representation each time: from 1e-3, three rounds reach rounding.
    """
    symmetric = positions
    for _ in range(4):
        rotations, _ = _fit_rotations(symmetric, permutations, signs)
        images = np.empty((len(permutations), *positions.shape))
        np.put_along_axis(images, permutations[..., None], symmetric @ rotations.transpose(0, 2, 1), axis=1)
        symmetric = images.mean(0)
    mismatch = positions @ rotations.transpose(0, 2, 1) - positions[permutations]
    return rotations, float(np.linalg.norm(mismatch, axis=-1).max())


def schoenflies_symbol(rotations: np.ndarray) -> str:
    """Name the point group of a finite group of orthogonal matrices `(m, 3, 3)`."""
    proper = np.linalg.det(rotations) > 0
    traces = np.trace(rotations, axis1=1, axis2=2)
    n_proper = int(proper.sum())
    turns = np.arccos(np.clip((traces[proper] - 1) / 2, -1, 1))
    # The smallest turn belongs to the axis of highest order.
    n = round(2 * np.pi / turns[turns > TURN_ROUNDING].min()) if n_proper > 1 else 1
    cyclic = n_proper == n
    dihedral = n_proper == 2 * n
    family = f"C{n}" if cyclic else f"D{n}" if dihedral else {12: "T", 24: "O", 60: "I"}[n_proper]
    if proper.all():
        return family
    n_mirrors = int((np.abs(traces[~proper] - 1) < TURN_ROUNDING).sum())
    inversion = bool((traces < -3 + TURN_ROUNDING).any())
    if not (cyclic or dihedral):
        return family + ("h" if inversion else "d")
    if dihedral:
        # n mirrors contain the axis; Dnh has the horizontal mirror as well.
        return family + ("h" if n_mirrors == n + 1 else "d")
    if n == 1:
        return "Ci" if inversion else "Cs"
    if n_mirrors == n:
        return family + "v"
    return family + "h" if n_mirrors == 1 else f"S{2 * n}"
