"""Rotations that map given vectors onto others, on the host."""

import numpy as np

COLLINEAR_AREA = 1e-8  # Å²; two vectors that span a smaller area are in line


def kabsch(positions: np.ndarray, targets: np.ndarray, signs: np.ndarray | float = 1.0) -> np.ndarray:
    """Fit orthogonal matrices `(..., 3, 3)` that map positions `(..., n, 3)` onto targets of the same shape.

    `signs` are the determinants of the matrices. With the determinant given, planar atoms have one solution as well.

    **Source:** Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    u, _, vt = np.linalg.svd(targets.swapaxes(-1, -2) @ positions)
    u[..., 2] *= np.asarray(signs * np.sign(np.linalg.det(u @ vt)))[..., None]
    return u @ vt


def orthonormal_axes(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Build right-handed axes `(..., 3, 3)`, in columns: along `first`, in the plane of both vectors, normal to it."""
    x = first / np.linalg.norm(first, axis=-1, keepdims=True)
    z = np.cross(x, second)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Find a rotation that takes the direction of `a` to the direction of `b`."""
    other = np.eye(3)[int(np.abs(np.cross(np.eye(3), a)).sum(-1).argmax())]
    across = np.cross(a, b) if np.linalg.norm(np.cross(a, b)) > COLLINEAR_AREA else np.cross(a, other)
    return orthonormal_axes(b, np.cross(across, b)) @ orthonormal_axes(a, np.cross(across, a)).T
