"""Zeros of σ_min over parameters, for features whose zeros are known."""

import jax.numpy as jnp
import numpy as np

import jaxfeat
from jaxfeat import manifolds
from jaxfeat.singular.manifold_zeros import find_manifold_zeros
from jaxfeat.singular.zero_search import ManifoldSlice


def blind_at_a_radius(positions, species, mask):
    """Compute squared distances of two neighbors, and a feature that depends on their angle unless r1 = 1.1 Å."""
    squares = jnp.sum(positions**2, -1)
    return jnp.stack([squares[0], squares[1], (squares[0] - 1.21) * (positions[0] @ positions[1])])


def test_a_zero_is_found_between_the_points_of_any_grid():
    f = jaxfeat.function(blind_at_a_radius)
    planar = manifolds.planar(2)
    section = ManifoldSlice(planar, np.asarray(planar.values(phi2=1.0), float), (planar.names.index("r1"),))
    for n in (8, 11):
        axis = np.linspace(0.95, 1.2, n)
        batch = jaxfeat.Environment.stack([section(jnp.asarray([r])) for r in axis])
        sigma = np.asarray(jaxfeat.singular_spectrum(f, batch, equilibrated=True).values)
        (zero,) = find_manifold_zeros(f, section, [axis], sigma, 0)
        np.testing.assert_allclose(zero.at, 1.1, atol=1e-12)
        assert zero.dimension == 0 and zero.ratio <= 1e-13 and zero.error < 1e-10
