"""Checks of positions: in float64, finite, and no atom given twice."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from jaxfeat.errors import GeometryError, PrecisionError
from jaxfeat.linalg.arrays import array_namespace

COINCIDENCE_DISTANCE = 1e-6  # Å; two atoms nearer to each other than this are one atom that was given twice


def check_positions(positions: np.ndarray, what: str, *, center: bool = False) -> None:
    """Check that positions `(n, 3)` are finite and differ from each other, and from the origin if `center` is True."""
    finite, radii = np.isfinite(positions).all(-1), np.linalg.norm(positions, axis=-1)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise GeometryError(f"{what} {bad} is at {positions[bad].tolist()}, which is not finite; mend its coordinates.")
    if center and radii.min(initial=np.inf) < COINCIDENCE_DISTANCE:
        raise GeometryError(f"{what} {radii.argmin()} sits on the center; the center is not among its own neighbors.")
    pair = find_coincident_atoms(positions)
    if pair is not None:
        raise GeometryError(f"{what}s {pair[0]} and {pair[1]} are at the same point; remove one of them.")


def find_coincident_atoms(positions: np.ndarray) -> tuple[int, int] | None:
    """Find the indices of two of the positions `(n, 3)` that are one point; `None` if all differ."""
    # Sorted by x, coincident positions lie within a short run: linear memory where a distance matrix is not.
    order = np.argsort(positions[:, 0], kind="stable")
    ordered = positions[order]
    for gap in range(1, len(order)):
        step = ordered[gap:] - ordered[:-gap]
        if not (step[:, 0] < COINCIDENCE_DISTANCE).any():
            return None
        hit = (np.abs(step) < COINCIDENCE_DISTANCE).all(-1)
        if hit.any():
            low, high = sorted((int(order[np.argmax(hit)]), int(order[np.argmax(hit) + gap])))
            return low, high
    return None


def any_coincide(positions: Float[Any, "*b n 3"], mask: Bool[Any, "*b n"]) -> Bool[Any, "*b"]:
    """Tell in which environments two atoms are one point, or an atom is on the center; in NumPy or JAX."""
    xp, (*b, _, _) = array_namespace(positions), positions.shape
    points = xp.concatenate([xp.zeros_like(positions, shape=(*b, 1, 3)), positions], -2)
    present = xp.concatenate([xp.ones_like(mask, shape=(*b, 1)), mask], -1)
    near = xp.abs(points[..., None, :] - points[..., None, :, :]).max(-1) < COINCIDENCE_DISTANCE
    return (near & present[..., None] & present[..., None, :]).sum((-2, -1)) > present.sum(-1)


def check_float64(array: Any, name: str, purpose: str) -> None:
    """Raise `PrecisionError` unless an array is float64; `purpose` names the result that needs the digits."""
    if array.dtype != np.float64:
        fault = f"{name} are {array.dtype}, but {purpose} needs the digits of float64"
        raise PrecisionError(f"{fault}; enable jax_enable_x64 and give them in float64.")
