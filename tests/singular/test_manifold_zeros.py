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


def zeros_along_r1(f, n):
    """Find the zeros of two neighbors at a fixed angle, on a grid of n distances of the first one."""
    planar = manifolds.planar(2)
    section = ManifoldSlice(planar, np.asarray(planar.values(phi2=1.0), float), (planar.names.index("r1"),))
    axis = np.linspace(0.95, 1.2, n)
    batch = jaxfeat.Environment.stack([section(jnp.asarray([r])) for r in axis])
    sigma = np.asarray(jaxfeat.singular_spectrum(f, batch, equilibrated=True).values)
    return find_manifold_zeros(f, section, [axis], sigma, 0)


def test_a_zero_is_found_between_the_points_of_any_grid():
    f = jaxfeat.function(blind_at_a_radius)
    for n in (8, 11):
        (zero,) = zeros_along_r1(f, n)
        np.testing.assert_allclose(zero.at, 1.1, atol=1e-12)
        assert zero.dimension == 0 and zero.ratio <= 1e-13 and zero.error < 1e-10


def nearly_blind_at_a_point(positions, species, mask):
    """Compute squared distances, and features that depend on the angle unless r1 = 1.1 Å and r2 = 0.9 Å.

    The dependence grows with the distance of r1 from its value, and with the square of the distance of r2.
    """
    squares = jnp.sum(positions**2, -1)
    cosine = positions[0] @ positions[1]
    return jnp.stack([squares[0], squares[1], (squares[0] - 1.21) * cosine, (squares[1] - 0.81) ** 2 * cosine])


def test_a_point_with_a_slow_direction_is_no_curve():
    f = jaxfeat.function(nearly_blind_at_a_point)
    planar = manifolds.planar(2)
    free = tuple(planar.names.index(name) for name in ("r1", "r2"))
    section = ManifoldSlice(planar, np.asarray(planar.values(phi2=1.0), float), free)
    axes = [np.linspace(0.95, 1.2, 8), np.linspace(0.75, 1.1, 9)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    batch = jaxfeat.Environment.stack([section(jnp.asarray(point)) for point in grid])
    sigma = np.asarray(jaxfeat.singular_spectrum(f, batch, equilibrated=True).values).reshape(8, 9, -1)
    (zero,) = find_manifold_zeros(f, section, axes, sigma, 0)
    assert zero.dimension == 0
    np.testing.assert_allclose(zero.at, (1.1, 0.9), atol=1e-6)


def blind_by_powers(positions, species, mask):
    """Compute the distances and the angles of three neighbors; two angles are hidden at r1 = 1.1 Å, one by a power."""
    squares = jnp.sum(positions**2, -1)
    cosines = jnp.stack([positions[k] @ positions[(k + 1) % 3] for k in range(3)])
    off = squares[0] - 1.21
    return jnp.concatenate([squares, cosines * jnp.stack([off, off**4, jnp.ones_like(off)])])


def test_a_value_below_its_floor_around_a_zero_makes_one_zero():
    f = jaxfeat.function(blind_by_powers)
    planar = manifolds.planar(3)
    section = ManifoldSlice(planar, np.asarray(planar.values(z=0.4), float), (planar.names.index("r1"),))
    axis = np.linspace(0.95, 1.2, 8)
    batch = jaxfeat.Environment.stack([section(jnp.asarray([r])) for r in axis])
    sigma = np.asarray(jaxfeat.singular_spectrum(f, batch, equilibrated=True).values)
    (zero,) = find_manifold_zeros(f, section, [axis], sigma, 0)
    np.testing.assert_allclose(zero.at, 1.1, atol=1e-12)


def blind_below_a_radius(positions, species, mask):
    """Compute squared distances of two neighbors, and a feature that depends on their angle if r1 > 1.1 Å."""
    squares = jnp.sum(positions**2, -1)
    return jnp.stack([squares[0], squares[1], jnp.maximum(squares[0] - 1.21, 0.0) ** 2 * (positions[0] @ positions[1])])


def test_an_interval_is_one_zero_with_ends_that_no_grid_sets():
    f = jaxfeat.function(blind_below_a_radius)
    for n in (8, 21):
        (zero,) = zeros_along_r1(f, n)
        assert zero.dimension == 1 and zero.low == 0.95 and zero.low < zero.at < zero.high
        np.testing.assert_allclose(zero.high, 1.1, atol=1e-6)
