"""Random environments. Results rest on the numbers of both generators of random methanes: `random_methane` draws with a
key of JAX, under jit too, and `draw_methanes` with NumPy, in float64, and any block without the blocks before."""

import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from jaxfeat.errors import GeometryError
from jaxfeat.geometry.environment import Environment

MAX_DRAWS = 30  # draws of a whole batch after which `random_environments` gives up
METHANE_RADIUS = 3.0  # Å; the hydrogens of a random methane are uniform in a sphere of this radius
METHANE_MIN_DISTANCE = 0.5  # Å between any two atoms of a random methane
METHANES_PER_STREAM = 4096  # Methanes that share a stream of random numbers. Another number gives other methanes.


def random_environments(
    key: PRNGKeyArray,
    n: int,
    species: Sequence[str | int],
    radii: tuple[float, float] = (0.8, 1.6),
    min_distance: float = 0.6,
    center_species: str | int | None = "C",
) -> Environment:
    """Draw environments whose neighbors have uniform directions and uniform distances from the center.

    **Arguments:**

    - `key`: A random key of JAX.
    - `n`: The number of environments.
    - `species`: Symbols or atomic numbers of the neighbors, the same in each environment.
    - `radii`: The smallest and the largest distance from the center, in Å.
    - `min_distance`: The smallest distance between two neighbors, in Å.
    - `center_species`: Symbol or atomic number of the center; `None` if no atom sits there.

    **Returns:** An `Environment` with positions of shape `(n, len(species), 3)`, in JAX's default float.

    **Raises:** `GeometryError` if `n` is less than 1, if `radii` does not ascend, or if the neighbors hardly fit.
    """
    if n < 1:
        raise GeometryError(f"n is {n}; ask for at least one environment.")
    if not 0 < radii[0] < radii[1]:
        raise GeometryError(f"radii is {tuple(radii)}; give a smallest and a larger distance from the center (Å).")
    size, (first, second) = len(species), np.triu_indices(len(species), 1)
    kept: list[np.ndarray] = []
    for _ in range(MAX_DRAWS):
        key, direction, radius = jax.random.split(key, 3)
        x = jax.random.normal(direction, (n, size, 3))
        r = jax.random.uniform(radius, (n, size, 1), minval=radii[0], maxval=radii[1])
        positions = np.asarray(r * x / jnp.linalg.norm(x, axis=-1, keepdims=True))
        apart = np.linalg.norm(positions[:, first] - positions[:, second], axis=-1) >= min_distance
        kept.append(positions[apart.all(-1)])
        if sum(map(len, kept)) >= n:
            found = jnp.asarray(np.concatenate(kept)[:n])
            return jax.vmap(Environment.from_neighbors(found[0], species, center_species).with_positions)(found)
    fault = f"{size} neighbors {min_distance:g} Å apart hardly fit between {radii[0]:g} and {radii[1]:g} Å"
    raise GeometryError(f"{fault}; give them room.")


def random_methane(key: PRNGKeyArray, n: int) -> Environment:
    """Draw random methanes: C at the origin, 4 H uniform in a sphere of 3 Å, no two atoms nearer than 0.5 Å.

    **Arguments:** `key`: A random key of JAX; may be traced. `n`: The number of methanes; static under jit.

    **Returns:** An `Environment` with positions of shape `(n, 4, 3)`, in JAX's default float.

    **Raises:** `GeometryError` if `n` is less than 1.
    """
    if n < 1:
        raise GeometryError(f"n is {n}; ask for at least one methane.")
    return jax.vmap(lambda hydrogens: Environment.from_neighbors(hydrogens, ["H"] * 4, "C"))(_draw_hydrogens(key, n))


@functools.partial(jax.jit, static_argnums=1)
def _draw_hydrogens(key: PRNGKeyArray, n: int) -> Float[Array, "n 4 3"]:
    def draw(key: PRNGKeyArray) -> Float[Array, "n 4 3"]:
        direction, radius = jax.random.split(key)
        x = jax.random.normal(direction, (n, 4, 3))
        r = METHANE_RADIUS * jnp.cbrt(jax.random.uniform(radius, (n, 4, 1)))
        return r * x / jnp.linalg.norm(x, axis=-1, keepdims=True)

    def redraw(state: tuple[PRNGKeyArray, Array]) -> tuple[PRNGKeyArray, Array]:
        key, positions = state
        key, now = jax.random.split(key)
        return key, jnp.where(_are_apart(positions)[:, None, None], positions, draw(now))

    key, now = jax.random.split(key)
    return jax.lax.while_loop(lambda state: ~jnp.all(_are_apart(state[1])), redraw, (key, draw(now)))[1]


def _are_apart(hydrogens: Float[Array, "n 4 3"]) -> Bool[Array, " n"]:
    atoms, (first, second) = jnp.pad(hydrogens, ((0, 0), (1, 0), (0, 0))), np.triu_indices(5, 1)
    distance = jnp.linalg.norm(atoms[:, first] - atoms[:, second], axis=-1)
    return jnp.min(distance, -1) >= METHANE_MIN_DISTANCE


def draw_evenly(total: int, size: int, seed: int) -> np.ndarray:
    """Draw a sample that covers a sequence evenly: one index at random from each of `size` parts of equal length, or
    all indices if there are no more, ascending. **Raises:** `GeometryError` for a `size` below 1 or a negative seed."""
    if size < 1:
        raise GeometryError(f"a sample of {size} cannot be drawn; draw at least one environment.")
    if seed < 0:
        raise GeometryError(f"the seed of a sample is {seed}; give a number of at least 0.")
    size = min(size, total)
    edges = np.arange(size + 1) * total // max(size, 1)
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


def draw_methanes(n: int, seed: int, start: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Draw methanes `start` to `n - 1` of a seed: of each block, its first index and the hydrogens `(m, 4, 3)`, Å."""
    first, second = np.triu_indices(5, 1)
    drawn = METHANES_PER_STREAM * 9 // 8  # one in 23 has atoms too near to each other
    for block in range(start // METHANES_PER_STREAM, -(-n // METHANES_PER_STREAM)):
        rng = np.random.default_rng([seed, block])
        kept = np.zeros((0, 4, 3))
        while len(kept) < METHANES_PER_STREAM:
            hydrogens = rng.normal(size=(4, 3, drawn))
            radii = METHANE_RADIUS * np.cbrt(rng.uniform(size=(4, 1, drawn)))
            hydrogens *= radii / np.sqrt((hydrogens**2).sum(1))[:, None]
            atoms = np.concatenate([np.zeros((1, 3, drawn)), hydrogens])
            apart = ((atoms[first] - atoms[second]) ** 2).sum(1).min(0) >= METHANE_MIN_DISTANCE**2
            kept = np.concatenate([kept, hydrogens[:, :, apart].transpose(2, 0, 1)])
        low = max(start - block * METHANES_PER_STREAM, 0)
        yield block * METHANES_PER_STREAM + low, kept[low : min(METHANES_PER_STREAM, n - block * METHANES_PER_STREAM)]
