"""The exact singular point next to an item of which some directions are hardly seen."""

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

MAX_STEPS = 10
STEP = 1e-4  # Å, of the differences that tell how J changes along a direction
LANDED_STEP = 1e-12  # Å. The steps converge quadratically, so the next one is below rounding.
STALLED_STEP = 1e-9  # Å. Where steps shorter than this shrink no more, they are rounding errors.
# Each step but the first halves |J u|, until it is rounding, relative to the largest value.
LEAST_PROGRESS, UNSEEN = 2.0, 1e-11
MAX_ENTRIES = 20_000_000  # of the Jacobians of one step: 160 MB
CUTOFFS = (1e-2, 3e-2, 1e-4)
"""Relative singular values of the equations of the displacement that count as zero. Off the singular point rounding
and higher orders leave small ones, which would lead far away: with 1e-4, landings 1e-3 Å beside rings end at 0.01 Å.
Beside the end of the published methane sheet, whose distances are equal, an equation has 1e-2 itself, and 3e-2 leaves
it out. Next to the quasi-constant manifold of a small basis one has 1e-3, and with 1e-2 the steps end too early."""


def land(
    f: FeatureMap, at: Item, directions: np.ndarray, scale: np.ndarray, largest: float, cutoff: float = CUTOFFS[0]
) -> Item | None:
    """Move one item of NumPy arrays to the nearest point where J vanishes on directions near some, `(k, 3 n)`. These
    are in the coordinates of the equilibrated spectrum with `scale`, `(n,)`: displacements times the scale.

    The steps are those of Gauss and Newton for J(r) u = 0 with all u orthonormal, r and u unknown. The change of J u
    along a displacement of r is a second derivative of features. So it is the change of J along u times the
    displacement, and two Jacobians beside the item give all of it. Of the solutions of a step that with the shortest
    displacement of r is taken. Lengths of u are measured in scaled coordinates, so that atoms in the cutoff's tail do
    not attract.

    **Returns:** the item at the singular point, or short of it if the `cutoff`, one of `CUTOFFS`, is too large; `None`
    if the steps do not converge within the `largest` displacement (Å) of an atom, or need too much memory.
    """
    f = restrict_species(f, at).prepared()
    n_features = f.environment_featurizer.n_features_if_known or jax.eval_shape(f, at).shape[0]
    if n_features * (2 * len(directions) + 1) * at.positions.size > MAX_ENTRIES:
        return None
    start, present = np.asarray(at.positions, np.float64), np.repeat(np.asarray(at.mask), 3)
    weights: Any = np.repeat(scale, 3)[present]
    positions, unseen, before = start, directions[:, present], np.inf
    seen_before: Any = np.inf
    for step in range(MAX_STEPS):
        along = np.stack([_on_all(one / weights, present).reshape(start.shape) for one in unseen])
        steps = STEP / np.linalg.norm(along, axis=2).max(1)
        moves = steps[:, None, None] * along
        jacobians = _jacobians(f, at, np.concatenate([positions[None], positions + moves, positions - moves]))
        if not np.isfinite(jacobians).all():
            return None
        forward, backward = np.split(jacobians[1:, :, present], 2)
        visible = jacobians[0][:, present] / weights
        moved = at.with_positions(positions)  # type: ignore[arg-type]
        others = orthogonal_complement(_orthonormal(np.concatenate([rigid_space(moved)[:, present] * weights, unseen])))
        # Turning the directions cancels all in the range of J on the other ones. The displacement must cancel the rest.
        seen, triangle = np.linalg.qr(visible @ others.T)
        changes = (forward - backward) / (2 * steps[:, None, None])
        values = (visible @ unseen.T).T
        # The steps end elsewhere, or at a point where the directions are seen least, if they do not make them unseen.
        # Only the first step may make them more visible, because they are those that are seen least before it.
        if step > 1 and np.linalg.norm(values) > seen_before / LEAST_PROGRESS:
            return moved if before < STALLED_STEP else None
        seen_before = max(np.linalg.norm(values), UNSEEN * np.linalg.norm(visible, 2))
        equations = changes - seen @ (seen.T @ changes)
        right = values - (values @ seen) @ seen.T
        size = len(weights)
        displacement = scipy.linalg.lstsq(equations.reshape(-1, size), -right.ravel(), cond=cutoff)[0]
        turn = scipy.linalg.lstsq(triangle, -seen.T @ (values + changes @ displacement).T)[0]
        positions = positions + _on_all(displacement, present).reshape(start.shape)
        unseen = _orthonormal(unseen + turn.T @ others)
        length = np.abs(displacement).max()
        if np.linalg.norm(positions - start, axis=1).max() > largest:
            return None
        if length < LANDED_STEP or (before < STALLED_STEP and length > before / 2):
            return at.with_positions(positions)
        before = length
    return None


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    return np.linalg.qr(rows.T)[0].T


def _on_all(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    whole = np.zeros(len(present))
    whole[present] = values
    return whole


def _jacobians(f: FeatureMap, at: Item, points: np.ndarray) -> np.ndarray:
    batch: Any = jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * len(points)), at)
    found = jacobians_on_host(f, batch.with_positions(points))
    return found.reshape(len(points), found.shape[1], -1)
