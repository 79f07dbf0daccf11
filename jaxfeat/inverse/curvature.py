"""How much Jacobians change near an environment, in the bases of its singular vectors (docs/theory, "How far to
trouble")."""

from collections.abc import Callable
from itertools import combinations
from math import factorial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.features.base import AbstractFeaturizer
from jaxfeat.geometry.environment import Environment
from jaxfeat.linalg.compilations import tuned_jit
from jaxfeat.spectrum.jacobian import jacobian
from jaxfeat.spectrum.spectrum import Spectrum

EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of singular values, in the weights of displacements
MAX_DIRECTIONS = 24  # for which third derivatives are computed, because their number grows as the fourth power
N_SAMPLES, SAMPLE_FACTOR = 12, 2.0  # points at which second derivatives are sampled; factor for those in between


class SliceTensor(eqx.Module):
    """Second derivatives of the features in the bases of the singular vectors of J, across rotations.

    **Attributes:**

    - `values`: The k singular values.
    - `directions`: The right singular vectors, `(k, n, 3)`.
    - `left`: The left singular vectors, `(d, k)`.
    - `second`: Left vector i times the second derivative along right vectors a and b, `(k, k, k)`.
    """

    values: np.ndarray
    directions: np.ndarray
    left: np.ndarray
    second: np.ndarray

    @classmethod
    def at(cls, f: AbstractFeaturizer, env: Environment, spectrum: Spectrum) -> "SliceTensor":
        values, directions = np.asarray(spectrum.values), np.asarray(spectrum.directions)
        left = np.einsum("dnx,knx->dk", jacobian(f, env), directions) / values
        return cls(values, directions, left, np.asarray(_second_in_bases(f, env, directions, left)))

    def second_at(self, f: AbstractFeaturizer, env: Environment) -> np.ndarray:
        """Compute the same components of the second derivative at another environment."""
        return np.asarray(_second_in_bases(f, env, self.directions, self.left))

    def third_at(self, f: AbstractFeaturizer, env: Environment) -> np.ndarray:
        """Compute the components of the third derivative, `(k, k, k, k)`; the first axis is that of left vectors."""
        k = len(self.values)
        i, j = np.triu_indices(k)
        upper = np.asarray(_third_in_bases(f, env, self.directions, self.left, i, j))
        found = np.empty((k, k, k, k))
        found[i, j] = found[j, i] = upper
        return np.moveaxis(found, 2, 0)

    def norms(self, derivative: np.ndarray) -> np.ndarray:
        """Bound for each exponent p the norm of u, ... -> W Σ⁻¹ (Uᵀ DᵐF[u, ...] V) W⁻¹ with W = Σᵖ, by the least of the
        spectral norms of the matrices into which the tensor unfolds."""
        values, rest = self.values, (1,) * (derivative.ndim - 1)
        found = []
        for exponent in EXPONENTS:
            weights = (values / values[0]) ** exponent
            found.append(_form_norm(derivative * (weights / values).reshape(-1, *rest) / weights))
        return np.asarray(found)

    def folds(self, reach: float) -> np.ndarray:
        """Return displacements along each direction, at which its curvature undoes its slope."""
        curvature = np.einsum("iii->i", self.second)
        lengths = -2 * self.values / np.where(curvature == 0, np.inf, curvature)
        return (np.clip(lengths, -reach, reach)[:, None, None] * self.directions)[np.abs(lengths) > 0]


def _form_norm(tensor: np.ndarray) -> float:
    """Bound the largest value of a multilinear form on unit vectors by the spectral norms of all its unfoldings."""
    least, axes = np.inf, range(1, tensor.ndim)
    for n in range(tensor.ndim - 1):
        for others in combinations(axes, n):
            rows = (0, *others)
            columns = tuple(axis for axis in axes if axis not in others)
            matrix = tensor.transpose(*rows, *columns).reshape(len(tensor) ** len(rows), -1)
            small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
            least = min(least, float(np.linalg.norm(np.linalg.eigvalsh(small @ small.T)[-1:]) ** 0.5))
    return least


def _projected(f: AbstractFeaturizer, env: Environment, directions: Any, left: Any) -> Callable[[Array], Array]:
    """Return Uᵀ J V as a function of the positions."""

    def projected(positions: Array) -> Array:
        rows = jnp.einsum("di,dnx->inx", left, f.jacobian(env.with_positions(positions)), precision="highest")
        return jnp.einsum("inx,bnx->ib", rows, directions, precision="highest")

    return projected


@tuned_jit
def _second_in_bases(f: AbstractFeaturizer, env: Environment, directions: Any, left: Any) -> Float[Array, "k k k"]:
    projected = _projected(f, env, directions, left)

    def along(direction: Array) -> Array:
        return jax.jvp(projected, (env.positions,), (direction,))[1]

    return jnp.swapaxes(jax.lax.map(along, jnp.asarray(directions)), 0, 1)


@tuned_jit
def _third_in_bases(
    f: AbstractFeaturizer, env: Environment, directions: Any, left: Any, i: Any, j: Any
) -> Float[Array, "pairs k k"]:
    projected, axes = _projected(f, env, directions, left), jnp.asarray(directions)

    def along(pair: tuple[Array, Array]) -> Array:
        first, second = axes[pair[0]], axes[pair[1]]
        return jax.jvp(lambda x: jax.jvp(projected, (x,), (first,))[1], (env.positions,), (second,))[1]

    return jax.lax.map(along, (jnp.asarray(i), jnp.asarray(j)))


def largest_radius(
    f: AbstractFeaturizer, env: Environment, tensor: SliceTensor, room: float, rng: np.random.Generator
) -> tuple[float, str]:
    """Find the largest radius R within which the weighed Jacobian changes by at most `room`, and tell whether it is
    proved. The derivatives at the environment are exact, and the next one is bounded or sampled on the ball."""
    exact = [tensor.norms(tensor.second)]
    # The inequality never reaches farther, and a neighbor may come to the center.
    farthest = min(room / max(exact[0].min(), 1e-300), 0.49 * float(np.linalg.norm(env.positions, axis=1).min()))
    if f.derivative_bound(env, 3, 0.0) is None:
        slopes = _sampled_slopes(f, env, tensor, farthest, rng)
        return _solve_radius([*exact, slopes], lambda radius: 0.0, room, farthest), "estimate"

    def remainder(radius: float) -> float:
        bound = f.derivative_bound(env, len(exact) + 2, radius)
        return np.inf if bound is None else bound / tensor.values[-1]

    radius = _solve_radius(exact, remainder, room, farthest)
    # Close to a fold third derivatives do not matter.
    if radius < 0.95 * farthest and len(tensor.values) <= MAX_DIRECTIONS and f.derivative_bound(env, 4, radius):
        exact.append(tensor.norms(tensor.third_at(f, env)))
        radius = max(radius, _solve_radius(exact, remainder, room, farthest))
    return radius, "bound"


def _solve_radius(exact: list[np.ndarray], remainder: Callable[[float], float], room: float, farthest: float) -> float:
    """Find the largest R up to `farthest` with Σ_m K_m R^(m-1) / (m-1)! <= room for one of the exponents. The K_m of
    the second and higher derivatives are `exact`, and the last one is the `remainder` within R."""

    def holds(radius: float) -> bool:
        changes = np.full(len(EXPONENTS), remainder(radius) * radius ** (len(exact) + 1) / factorial(len(exact) + 1))
        for m, norms in enumerate(exact, 1):
            changes += norms * radius**m / factorial(m)
        return bool(changes.min() <= room)

    low, high = 0.0, farthest
    if holds(high):
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _sampled_slopes(
    f: AbstractFeaturizer, env: Environment, tensor: SliceTensor, distance: float, rng: np.random.Generator
) -> np.ndarray:
    """Estimate for each exponent how fast the second derivatives change, per Å, up to a distance (Å)."""
    steps = rng.normal(size=(N_SAMPLES, len(tensor.values)))
    steps *= (distance * rng.uniform(0.2, 1, N_SAMPLES) / np.linalg.norm(steps, axis=1))[:, None]
    found = np.zeros(len(EXPONENTS))
    for step in steps:
        moved = env.with_positions(env.positions + np.einsum("k,knx->nx", step, tensor.directions))
        change = (tensor.second_at(f, moved) - tensor.second) / np.linalg.norm(step)
        found = np.maximum(found, tensor.norms(change))
    return SAMPLE_FACTOR * found
