"""Methanes: those of PRL 125, 166001, and random ones."""

import functools
from math import cos, pi, sin

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment
from jaxfeat.manifolds.coordinates import check_sign, rows
from jaxfeat.manifolds.manifold import AbstractManifold, Parameter, Scalar

BOND = 1.09
SMALLEST_DISTANCE = 0.5
SPHERE = 3.0
"""Å."""


class MethaneFamily(AbstractManifold):
    """CH4 environments with all C-H distances 1.09 Å, of which the fourth H moves on the sphere.

    The members of either sign with the same angles have equal power spectra if and only if `L = 0`. `F = π`, `L = 0`
    is where the two coalesce, and there the power spectrum is singular.
    """

    parameters: tuple[Parameter, ...] = eqx.field(static=True)
    sign: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        check_sign(self.sign)

    def __call__(self, F: Scalar, L: Scalar) -> Environment:  # type: ignore[override]
        """The environment of the carbon, 4 hydrogens; `F` and `L` are azimuth and elevation of the last, in radians."""
        f, l = rows((F, L))[0]
        a, b, c = 5 * pi / 8, pi / 6, pi / 5
        directions = rows(
            (cos(a), 0.0, sin(a)),
            (cos(b) * cos(c), -cos(b) * sin(c), -0.5),
            (cos(b) * cos(c), cos(b) * sin(c), 0.5),
            (jnp.cos(l) * jnp.cos(f), self.sign * jnp.cos(l) * jnp.sin(f), jnp.sin(l)),
        )
        return Environment.from_neighbors(BOND * directions, ["H"] * 4, "C")

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The published values of `F` and of `L`, 9 each, in radians. Their product is the grid, `F` slow."""
        steps = 0.025 * np.arange(9)
        return np.pi * (0.7 + steps), np.pi * (0.1 - steps)


def prl_methane(sign: int) -> MethaneFamily:
    """One of the two sheets of methanes of PRL 125, 166001: X+ for `sign=1`, X- for `sign=-1`.

    **Raises:** `GeometryError` for another sign.
    """
    angles = (
        Parameter("F", 0.0, 2 * pi, 0.8 * pi, "rad"),
        Parameter("L", -pi / 2, pi / 2, 0.0, "rad"),
    )
    return MethaneFamily(angles, sign)


def random_methane(key: PRNGKeyArray, n: int) -> Environment:
    """A batch of `n` random methanes: C at the origin, 4 H uniform in a sphere of 3 Å, no two atoms nearer than 0.5 Å.

    **Returns:** an `Environment` with positions `(n, 4, 3)`, in JAX's default float. `n` is static under jit.

    **Raises:** `GeometryError` unless `n` is at least 1.
    """
    if n < 1:
        raise GeometryError(f"n is {n}; ask for at least one methane.")

    return jax.vmap(lambda hydrogens: Environment.from_neighbors(hydrogens, ["H"] * 4, "C"))(_hydrogens(key, n))


@functools.partial(jax.jit, static_argnums=1)
def _hydrogens(key: PRNGKeyArray, n: int) -> Float[Array, "n 4 3"]:
    State = tuple[PRNGKeyArray, Float[Array, "n 4 3"]]

    def draw(key: PRNGKeyArray) -> Float[Array, "n 4 3"]:
        direction, radius = jax.random.split(key)
        x = jax.random.normal(direction, (n, 4, 3))
        return SPHERE * jnp.cbrt(jax.random.uniform(radius, (n, 4, 1))) * x / jnp.linalg.norm(x, axis=-1, keepdims=True)

    def pending(state: State) -> Bool[Array, ""]:
        return ~jnp.all(_apart(state[1]))

    def redraw(state: State) -> State:
        key, positions = state
        key, now = jax.random.split(key)
        return key, jnp.where(_apart(positions)[:, None, None], positions, draw(now))

    key, now = jax.random.split(key)
    return jax.lax.while_loop(pending, redraw, (key, draw(now)))[1]


def _apart(hydrogens: Float[Array, "n 4 3"]) -> Bool[Array, " n"]:
    atoms = jnp.pad(hydrogens, ((0, 0), (1, 0), (0, 0)))
    first, second = np.triu_indices(5, 1)
    distance = jnp.linalg.norm(atoms[:, first] - atoms[:, second], axis=-1)
    return jnp.min(distance, -1) >= SMALLEST_DISTANCE
