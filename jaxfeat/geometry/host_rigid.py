"""Rigid motions of items side by side, in NumPy (see `rigid`)."""

from math import sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

EPS = float(np.finfo(float).eps)


class HostRigidMotions(NamedTuple):
    """The rigid motions of b items of n atoms as k Householder reflectors each, with the fields of `RigidMotions`."""

    reflectors: Float[np.ndarray, "k b m"]
    n_rigid: Int[np.ndarray, " b"]
    clearance: Float[np.ndarray, " b"]
    n_dropped: int

    def project(self, matrix: Float[np.ndarray, "b r m"]) -> Float[np.ndarray, "b r c"]:
        """Reflect the columns, and drop those that are rigid for any atoms."""
        for v in self.reflectors:
            matrix = matrix - 2 * (matrix @ v[..., None]) * v[:, None]
        return matrix[:, :, self.n_dropped :]

    def lift(self, rows: Float[np.ndarray, "c r m"], items: Int[np.ndarray, " c"]) -> Float[np.ndarray, "c r m"]:
        """Reflect rows back to displacements of the atoms."""
        for v in self.reflectors[::-1, items]:
            rows = rows - 2 * (rows @ v[..., None]) * v[:, None]
        return rows


def rigid_motions_on_host(
    positions: Float[np.ndarray, "b n 3"],
    weights: Float[np.ndarray, "b n"] | None = None,
    *,
    translations: bool = False,
    rotations: bool = True,
) -> HostRigidMotions:
    """Compute the rigid motions of items of n atoms without padding, as `rigid_motions` does for one."""
    b, n = positions.shape[:2]
    columns, n_rigid, clearance, n_dropped = np.zeros((b, 0, n, 3)), np.zeros(b, int), np.ones(b), 0
    if translations:
        columns = np.broadcast_to(np.eye(3)[:, None], (b, 3, n, 3))
        n_rigid, n_dropped = n_rigid + min(3, 3 * n), min(3, 3 * n)
        positions = positions - positions.mean(1, keepdims=True)
    if rotations:
        lengths, frame = _principal_rotations(positions, np.ones((b, n)))
        real = lengths > sqrt(EPS) * np.maximum(lengths[:, :1], np.finfo(float).tiny)
        if weights is not None:
            _, frame = _principal_rotations(positions, weights, np.where(real[:, 2:], 0, 1) * frame[:, :, 2])
        turns = np.where(real[..., None, None], np.cross(frame.swapaxes(1, 2)[:, :, None], positions[:, None]), 0)
        columns, n_rigid = np.concatenate([columns, turns], 1), n_rigid + real.sum(1)
        longest = lengths[:, 0]
        clearance = np.where(real, lengths, longest[:, None]).min(1) / np.where(longest > 0, longest, 1)
        clearance = np.where(longest > 0, clearance, 1)
        n_dropped += 2 if n > translations else 0
    if weights is not None:
        columns = columns * weights[:, None, :, None]
    return HostRigidMotions(_reflectors(columns.reshape(b, columns.shape[1], 3 * n)), n_rigid, clearance, n_dropped)


def _principal_rotations(
    r: Float[np.ndarray, "b n 3"], weights: Float[np.ndarray, "b n"], axis: Float[np.ndarray, "b 3"] | None = None
) -> tuple[Float[np.ndarray, "b 3"], Float[np.ndarray, "b 3 3"]]:
    weighted = r * weights[..., None]
    scale = np.abs(weighted).max((1, 2), initial=0)[:, None, None]
    weighted = weighted / np.where(scale > 0, scale, 1)
    gram = (weighted**2).sum((1, 2))[:, None, None] * np.eye(3) - weighted.swapaxes(1, 2) @ weighted
    if axis is not None:
        across = np.eye(3) * (axis**2).sum(1)[:, None, None] - axis[:, :, None] * axis[:, None]
        gram = gram + np.trace(gram, axis1=1, axis2=2)[:, None, None] * across
    frame = np.linalg.eigh(gram)[1][:, :, ::-1]
    turns = np.cross(frame.swapaxes(1, 2)[:, :, None], r[:, None])
    return np.sqrt((turns**2).sum((2, 3))), frame


def _reflectors(columns: Float[np.ndarray, "b k m"]) -> Float[np.ndarray, "k b m"]:
    """Build the Householder reflector of each column, after the reflectors of the columns before have turned it."""
    columns = columns / _nonzero(np.linalg.norm(columns, axis=2, keepdims=True))
    m = columns.shape[2]
    found = np.zeros((min(columns.shape[1], m), len(columns), m))
    for k in range(len(found)):
        v = np.where(np.arange(m) < k, 0, columns[:, k])
        v[:, k] += np.where(v[:, k] < 0, -1, 1) * np.linalg.norm(v, axis=1)
        v /= _nonzero(np.linalg.norm(v, axis=1, keepdims=True))
        columns = columns - 2 * (columns @ v[..., None]) * v[:, None]
        found[k] = v
    return found


def _nonzero(length: np.ndarray) -> np.ndarray:
    return np.where(length > 0, length, 1)
