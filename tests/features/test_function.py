"""Functions as featurizers."""

import jax.numpy as jnp
import numpy as np
from cases import environment

import jaxfeat


def test_a_function_takes_the_generic_way():
    def distances(positions, species, mask):
        s = jnp.sum(positions**2, -1)
        return jnp.stack([jnp.sum(jnp.where(mask, s, 0)), jnp.sum(jnp.where(mask & (species == 1), s**2, 0))])

    env = environment("generic", ("C", "H"))
    jacobian = np.asarray(jaxfeat.jacobian(jaxfeat.function(distances, labels=2), env))
    r = np.asarray(env.positions)
    fourth = 4 * np.sum(r**2, -1, keepdims=True) * r * (np.asarray(env.species) == 1)[:, None]
    assert np.abs(jacobian - [2 * r, fourth]).max() < 1e-13
