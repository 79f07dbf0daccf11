"""The exact singular point next to an item of which one direction is hardly seen."""

from typing import Any

import jax
import numpy as np
import scipy.linalg

from jaxfeat.features.structure_map import FeatureMap
from jaxfeat.geometry.structure import Item
from jaxfeat.linalg.subspaces import orthogonal_complement
from jaxfeat.nulls.sites import rigid_space
from jaxfeat.spectrum.blocks import restrict_species
from jaxfeat.spectrum.jacobian import jacobians_on_host

MAX_STEPS = 12
STEP = 1e-4  # Å, of the differences that tell how J changes along the direction
LANDED_STEP = 1e-11  # Å. Newton's steps converge quadratically, so the next one is below rounding.
MAX_ENTRIES = 6_000_000  # of the equations of one step, d (6 n + 1). They are solved in about a second.
_CUTOFF = 1e-9  # relative singular values of the equations that count as zero


def land(f: FeatureMap, at: Item, direction: np.ndarray, scale: np.ndarray, largest: float) -> Item | None:
    """Move one item of NumPy arrays to the nearest point where J vanishes on a direction near `direction`, `(n, 3)`.

    The steps are those of Gauss and Newton for J(r) u = 0 with |u| = 1, both r and u unknown. The change of J along a
    displacement of r is a second derivative of features, so that of J u is the derivative of J along u, and two
    Jacobians beside the item give all of it. Of all solutions of one step the shortest is taken. Lengths of u are
    measured with the `scale`, `(n,)`, of the equilibrated spectrum, so that atoms in the cutoff's tail do not attract.

    **Returns:** the item at the singular point; `None` if the steps do not converge within the `largest` displacement
    (Å) of an atom, or are too large.
    """
    f = restrict_species(f, at).prepared()
    start, present = np.asarray(at.positions, np.float64), np.repeat(np.asarray(at.mask), 3)
    weights = np.repeat(scale, 3)[present]
    positions, scaled = start.copy(), direction.ravel()[present] * weights
    scaled /= np.linalg.norm(scaled)
    for _ in range(MAX_STEPS):
        along = _on_all(scaled / weights, present).reshape(start.shape)
        h = STEP / np.linalg.norm(along, axis=1).max()
        points = np.stack([positions, positions + h * along, positions - h * along])
        jacobians = _jacobians(f, at, points)[:, :, present]
        if jacobians.shape[1] * (2 * jacobians.shape[2] + 1) > MAX_ENTRIES:
            return None
        visible = jacobians[0] / weights
        moved = at.with_positions(positions)  # type: ignore[arg-type]
        kept = np.concatenate([rigid_space(moved)[:, present] * weights, scaled[None]])
        turns = orthogonal_complement(np.linalg.qr(kept.T)[0].T)
        change = (jacobians[1] - jacobians[2]) / (2 * h)
        equations = np.concatenate([change, visible @ turns.T, (visible @ scaled)[:, None]], 1)
        reduced: Any = np.linalg.qr(equations, mode="r") if len(equations) > equations.shape[1] else equations
        if not np.isfinite(reduced).all():
            return None
        step = scipy.linalg.lstsq(reduced[:, :-1], -reduced[:, -1], cond=_CUTOFF, check_finite=False)[0]
        displacement = _on_all(step[: len(scaled)], present).reshape(start.shape)
        positions = positions + displacement
        scaled = scaled + step[len(scaled) :] @ turns
        scaled /= np.linalg.norm(scaled)
        if np.linalg.norm(positions - start, axis=1).max() > largest:
            return None
        if np.abs(displacement).max() < LANDED_STEP:
            return at.with_positions(positions)
    return None


def _on_all(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    whole = np.zeros(len(present))
    whole[present] = values
    return whole


def _jacobians(f: FeatureMap, at: Item, points: np.ndarray) -> np.ndarray:
    batch: Any = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(points)), at)
    found = jacobians_on_host(f, batch.with_positions(points))
    return found.reshape(len(points), found.shape[1], -1)
