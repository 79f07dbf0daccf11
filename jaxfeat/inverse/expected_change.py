"""The change of features that a displacement of given size is expected to make.

The neighbors of an environment are displaced by given lengths, each in a random direction. The root mean square of
|F(x + u) - F(x)| over these displacements is the expected change. It needs features alone. Small displacements have

    E² = Σ_j l_j² |J_j|² / 3,

with |J_j| the joint norm of the three columns of neighbor j, by which the equilibrated Jacobian is divided. A large
displacement saturates as features do, and a neighbor close to the cutoff changes little. So

    ratio = |F(x) - F(y)| / E

is about 1 for a displacement without special direction, in every descriptor. For a small one u it is at least √3 times
the smallest equilibrated singular value.
"""

import equinox as eqx
import numpy as np

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.cutting import cut_at_radius
from jaxfeat.geometry.environment import Environment
from jaxfeat.inverse.nearest_features import compute_features, features_in_chunks

ROUNDING = 4096 * float(np.finfo(float).eps)  # relative distance of features up to which they are equal


def displace(
    batch: Environment, moves: np.ndarray, n_draws: int, rng: np.random.Generator, radius: float
) -> Environment:
    """Displace the neighbors of environments `(b,)` by lengths `(b, n)` (Å) in random directions, `n_draws` times each.
    Neighbors beyond the radius (Å) are left out. Returns environments `(b * n_draws,)`."""
    directions = rng.normal(size=(len(batch), n_draws, *batch.positions.shape[1:]))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    moved: np.ndarray = np.asarray(batch.positions)[:, None] + moves[:, None, :, None] * directions
    moved = np.where(batch.mask[:, None, :, None], moved, 0).reshape(-1, *batch.positions.shape[1:])
    many = batch[np.repeat(np.arange(len(batch)), n_draws)]
    many = eqx.tree_at(lambda e: e.positions, many, moved)
    if not np.isfinite(radius):
        return many
    # Cut with room to spare: the surface itself may have moved by rounding.
    widened = eqx.tree_at(lambda e: e.r_cut, many, np.full(len(many), np.inf))
    return cut_at_radius(widened, radius)


def expected_changes(f: AbstractFeaturizer, features: np.ndarray, displaced: Environment, room: int) -> np.ndarray:
    """Compute E² `(b,)` for environments with features `(b, d)`, from displaced ones `(b * n_draws,)`."""
    n_draws = len(displaced) // max(len(features), 1)
    squares = np.zeros(len(displaced))
    for indices, rows in features_in_chunks(f, displaced, room):
        squares[indices] = ((rows - features[indices // n_draws]) ** 2).sum(1)
    return squares.reshape(len(features), max(n_draws, 1)).mean(1) if n_draws else np.zeros(len(features))


def measure_ratios(
    f: AbstractFeaturizer, ends: Environment, displaced: Environment
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute feature distances, ratios and mean feature norms `(p,)` of pairs: environment p of `ends`, `(2 p,)`,
    against environment p + its half. `displaced` are those of `displace` for all ends, with the lengths by which the
    two of each pair differ. A ratio is NaN if these are rounding errors."""
    if not len(ends):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    room = ends.max_neighbors
    features = compute_features(f, ends, room)
    squares = expected_changes(f, features, displaced, room)
    half = len(features) // 2
    apart = np.linalg.norm(features[:half] - features[half:], axis=1)
    expected = np.sqrt((squares[:half] + squares[half:]) / 2)
    norms = np.sqrt(((features**2).sum(1)[:half] + (features**2).sum(1)[half:]) / 2)
    # Nothing can be said about two environments that differ by rounding errors.
    known = expected > ROUNDING * norms
    return apart, np.where(known, apart / np.where(known, expected, 1), np.nan), norms
