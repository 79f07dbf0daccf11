"""Land many environments on singular points of a complete map of order ν, in one compiled program for each size.

The map needs no basis: each feature is a sum over all tuples of neighbors of a product of random waves in dot products.
Order 2 sums sin(w·(r_i², r_j², r_i·r_j)) over pairs, and order 3 the product of three such waves around each triple,
which is the trace of three matrices. Pseudoscalars have the triple product as a further factor. The equations are
J(x) v = 0, |v| = 1, and v at right angles with rotations. They are solved by Gauss-Newton steps with a damping in
proportion to the residual. Steps need J and the derivative of J v alone, and both come from one reverse pass.
"""

from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LENGTH = {1: 0.5, 2: 0.5, 3: 1.0}
"""Length of the waves of products of that many factors, Å: dot products are measured in units of its square."""
LONGEST_STEP = 0.15  # of a coordinate, Å
ROUNDS, STEPS = 3, 14  # Points that have landed take no part in the next round.
BATCH = 128  # environments in one call
LANDED = 1e-9  # norm of the residual at a landed point


class Waves(NamedTuple):
    """Frequencies `(k, factors, 3)`, phases `(k, factors)`, and phases by species `(k, factors, 2)`."""

    frequencies: jax.Array
    phases: jax.Array
    species: jax.Array


def draw_waves(k: int, factors: int, seed: int) -> Waves:
    rng = np.random.default_rng(seed)
    shapes = (k, factors, 3), (k, factors), (k, factors, 2)
    normal, *phases = rng.normal(size=shapes[0]), *(rng.uniform(0, 2 * np.pi, shape) for shape in shapes[1:])
    return Waves(jnp.asarray(normal / LENGTH[factors] ** 2), *map(jnp.asarray, phases))


def matrices(waves: Waves, x: jax.Array, species: jax.Array) -> jax.Array:
    """Compute one feature's waves for each pair of neighbors: `(factors, n, n)`."""
    gram = x @ x.T
    squares = jnp.diagonal(gram)
    w, by_species = waves.frequencies[..., None, None], waves.species[..., None] * species
    angles = w[:, 0] * squares[:, None] + w[:, 1] * squares + w[:, 2] * gram + waves.phases[:, None, None]
    return jnp.sin(angles + by_species[:, 0, :, None] + by_species[:, 1, None, :])


def even_feature(waves: Waves, x: jax.Array, species: jax.Array) -> jax.Array:
    """Sum one wave over pairs, or a product of three over triples."""
    a, *rest = matrices(waves, x, species)
    return a.sum() / len(x) if not rest else (a @ rest[0] * rest[1].T).sum() / len(x) ** 1.5


def odd_feature(waves: Waves, x: jax.Array, species: jax.Array) -> jax.Array:
    """Sum a product of three waves and the triple product over triples."""
    a, b, c = matrices(waves, x, species)
    total = jnp.zeros(())
    for p, q, r in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        first, last = a * x[:, p, None], c * x[:, r, None]
        total += (first @ (b * x[:, q, None]) * last.T).sum()
        total -= (a * x[:, q, None] @ (b * x[:, p, None]) * last.T).sum()
    return total / len(x) ** 1.5


@cache
def landing_program(n: int, nu: int, pseudoscalars: bool):
    """Make the functions that begin and continue the landing of a batch of environments of n neighbors."""
    k = 6 * n + 6
    parts = [(draw_waves(k, 1, 0), even_feature)]
    if nu == 3:
        parts = [(draw_waves(k // 2, 1, 0), even_feature), (draw_waves(k, 3, 1), even_feature)]
    if pseudoscalars:
        parts.append((draw_waves(k, 3, 2), odd_feature))
    scale, axes = 3 / np.sqrt(k), jnp.eye(3)

    def rows(x, v, species):
        """Compute J and the derivative of J v by x, `(k, 3 n)` each."""

        def gradients(x):
            return [jax.vmap(jax.grad(f, 1), (0, None, None))(waves, x, species) for waves, f in parts]

        both = jax.jvp(gradients, (x,), (v,))
        return [scale * jnp.concatenate(one).reshape(-1, 3 * n) for one in both]

    def equations(y, species):
        x, v = y.reshape(2, n, 3)
        jacobian, slope = rows(x, v, species)
        by_v = jnp.stack([jnp.cross(x, axis) for axis in axes], -1).transpose(1, 0, 2).reshape(3, -1)
        by_x = jnp.stack([jnp.cross(axis, v) for axis in axes], -1).transpose(1, 0, 2).reshape(3, -1)
        value = jnp.concatenate([jacobian @ v.ravel(), jnp.cross(x, v).sum(0), (v * v).sum()[None] - 1])
        last = jnp.concatenate([jnp.zeros(3 * n), 2 * v.ravel()])[None]
        return value, jnp.block([[slope, jacobian], [by_x, by_v], [last]])

    def begin(x, species):
        jacobian = rows(x, x, species)[0]
        turns = jnp.stack([jnp.cross(axis, x).ravel() for axis in axes])
        v = jnp.linalg.eigh(jacobian.T @ jacobian + 1e3 * turns.T @ turns)[1][:, 0]
        return jnp.concatenate([x.ravel(), v]), jnp.ones(())

    def proceed(y, damping, species):
        def step(state, _):
            y, damping, value, slopes = state
            size = jnp.linalg.norm(value)
            normal = slopes.T @ slopes + (0.03 * jnp.minimum(size, 1) * damping + 1e-13) * jnp.eye(6 * n)
            move = -jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(normal), True), slopes.T @ value)
            new = y + move * jnp.minimum(1, LONGEST_STEP / jnp.abs(move[: 3 * n]).max())
            there = equations(new, species)
            better = jnp.linalg.norm(there[0]) < size
            damping = jnp.clip(jnp.where(better, damping / 3, damping * 10), 1e-3, 1e6)
            kept = jax.tree.map(lambda a, b: jnp.where(better, a, b), (new, *there), (y, value, slopes))
            return (kept[0], damping, *kept[1:]), None

        (y, damping, value, _), _ = jax.lax.scan(step, (y, damping, *equations(y, species)), None, length=STEPS)
        return y, damping, jnp.linalg.norm(value)

    return jax.jit(jax.vmap(begin, (0, None))), jax.jit(jax.vmap(proceed, (0, 0, None)))


def land(positions: np.ndarray, species: np.ndarray, nu: int, pseudoscalars: bool) -> tuple[np.ndarray, np.ndarray]:
    """Land environments `(b, n, 3)`, Å, and return their positions and the norms of the residuals `(b,)`."""
    b, n = positions.shape[:2]
    begin, proceed = landing_program(n, nu, pseudoscalars)
    kinds = jnp.asarray(np.unique(species, return_inverse=True)[1], float)
    states, damping, residual = np.zeros((b, 6 * n)), np.ones(b), np.full(b, np.inf)

    def in_batches(rows, one):
        for some in np.split(rows, range(BATCH, len(rows), BATCH)):
            filled = np.resize(some, min(BATCH, b))
            for target, found in zip((states, damping, residual), one(filled), strict=False):
                target[some] = np.asarray(found)[: len(some)]

    in_batches(np.arange(b), lambda rows: begin(positions[rows], kinds))
    for _ in range(ROUNDS):
        todo = np.flatnonzero(~(residual < LANDED))
        if len(todo):
            in_batches(todo, lambda rows: proceed(states[rows], damping[rows], kinds))
    return states[:, : 3 * n].reshape(b, n, 3), residual
