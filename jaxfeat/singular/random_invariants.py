"""Random smooth invariants of a given order: complete features without a basis, which tell symmetry from blindness.

Each ordered tuple t of neighbors, with repeats, has generators g_t of its invariants: dot products and, for SO(3),
triple products. An invariant is the sum of sin(w·g_t + phase) over the tuples, with a random w and a phase that depends
on the species: a Fourier component of the distribution of g_t, and features of this order know nothing else. More than
twice as many generic sums as coordinates see, at every x, each displacement that the distribution sees.
"""

from itertools import combinations, product

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxfeat.errors import BasisError
from jaxfeat.geometry.environment import Environment

PER_COORDINATE = 4  # number of invariants for each coordinate
MAX_TUPLES = 20_000  # most tuples of neighbors that one evaluation sums over


class RandomInvariants(eqx.Module):
    """Map of an environment to `(k,)`, invariant under rotations and permutations of like neighbors. `length`: Å."""

    frequencies: Float[Array, "g k"]
    phases: Float[Array, " k"]
    species_phases: Float[Array, "slots k"]
    length: Float[Array, ""]
    pseudoscalars: bool = eqx.field(static=True)

    def __call__(self, env: Environment) -> Float[Array, " k"]:
        order = self.species_phases.shape[0]
        tuples = np.asarray(list(product(range(env.max_neighbors), repeat=order)))
        x = env.positions / self.length
        first, second = np.triu_indices(order)
        gram = jnp.einsum("ix,jx->ij", x, x, precision="highest")
        values = [gram[tuples[:, first], tuples[:, second]]]
        if self.pseudoscalars and order >= 3:
            slots = np.asarray(list(combinations(range(order), 3)))
            a, b, c = (x[tuples[:, slots[:, i]]] for i in range(3))
            values.append(jnp.sum(jnp.cross(a, b) * c, -1))
        # Atomic numbers times random phases, one for each slot, distinguish all lists of species.
        numbers = env.species.astype(x.dtype)[tuples]
        angles = jnp.concatenate(values, -1) @ self.frequencies + numbers @ self.species_phases + self.phases[None]
        there = env.mask[tuples].all(-1)
        return jnp.sum(jnp.where(there[:, None], jnp.sin(angles), 0), 0)


def random_invariants(n: int, order: int, group: str, length: float, rng: np.random.Generator) -> RandomInvariants:
    """Draw invariants of tuples of `order` of n neighbors, of which there may be at most `MAX_TUPLES`."""
    if n**order > MAX_TUPLES:
        raise BasisError(
            f'exclude="symmetric" compares with order {order}, which for {n} neighbors has {n**order} tuples, but '
            f"at most {MAX_TUPLES} are possible; search without it, or with fewer neighbors."
        )
    pseudoscalars = group == "SO3"
    n_generators = order * (order + 1) // 2 + (len(list(combinations(range(order), 3))) if pseudoscalars else 0)
    k = max(PER_COORDINATE * 3 * n, 32)
    return RandomInvariants(
        frequencies=jnp.asarray(rng.normal(size=(n_generators, k))),
        phases=jnp.asarray(rng.uniform(0, 2 * np.pi, k)),
        species_phases=jnp.asarray(rng.uniform(0, 2 * np.pi, (order, k))),
        length=jnp.asarray(float(length)),
        pseudoscalars=pseudoscalars,
    )
