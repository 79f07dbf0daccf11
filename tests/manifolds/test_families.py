"""Pairs with equal features, seen from the invariants of tuples of neighbors; neighbors in special positions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from invariants import invariants_agree

from jaxfeat.errors import GeometryError, SpeciesError
from jaxfeat.manifolds import equal_radii, pair_family, planar, prl_methane, ring_pair

PAIRS = [(-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8), *np.random.default_rng(0).uniform(0.3, 1.2, (3, 7)).tolist()]


@pytest.mark.parametrize("parameters", PAIRS)
def test_pairs_differ_from_order_three(parameters):
    plus, minus = (pair_family(*parameters, sign) for sign in (1, -1))
    assert invariants_agree(plus, minus, 2)
    assert not invariants_agree(plus, minus, 3)


@pytest.mark.parametrize("zero", [1, 3, 4, 6], ids=["az", "by", "bz", "cy"])
def test_pairs_coalesce_on_four_loci(zero):
    parameters = np.random.default_rng(zero).uniform(0.3, 1.2, 7)
    parameters[zero] = 0.0
    assert invariants_agree(*(pair_family(*parameters, sign) for sign in (1, -1)), 4)


def test_pairs_of_several_species():
    env = pair_family(*PAIRS[0], 1, species=("N", "O", "O", 1), center_species=None)
    assert env.species.tolist() == [7, 8, 8, 1]
    assert int(env.center_species) == 0
    with pytest.raises(SpeciesError, match="the second and the third neighbor"):
        pair_family(*PAIRS[0], 1, species=("N", "O", "N", "O"))
    with pytest.raises(SpeciesError, match="3 species were given for 4 neighbors"):
        pair_family(*PAIRS[0], 1, species=("N", "O", "O"))


def test_rings_differ_from_order_four():
    plus, minus = (ring_pair(1.2, (0.0, 1.1, 2.9), 0.6, 0.7, 1.3, sign) for sign in (1, -1))
    assert invariants_agree(plus, minus, 3, pseudoscalars=True)
    assert not invariants_agree(plus, minus, 4)


def test_isosceles_rings_coalesce():
    assert invariants_agree(*(ring_pair(1.2, (0.0, 1.1, -1.1), 0.6, 0.7, 1.3, sign) for sign in (1, -1)), 4)


def test_rings_have_their_shape():
    env = ring_pair(1.2, jnp.asarray([0.0, 1.1, 2.9]), 0.6, 0.7, 1.3, -1, species="O", center_species="N")
    assert env.species.tolist() == [8] * 7
    assert int(env.center_species) == 7
    assert np.allclose(np.linalg.norm(env.positions[:6, :2], axis=-1), 1.2, rtol=0, atol=1e-15)
    assert env.positions[:, 2].tolist() == [0.7] * 3 + [-0.7] * 3 + [-1.3]
    with pytest.raises(GeometryError, match="phi holds 2 azimuths"):
        ring_pair(1.2, (0.0, 1.1), 0.6, 0.7, 1.3, 1)


@pytest.mark.parametrize("sign", [0, 2, "+"])
def test_signs_are_one_or_minus_one(sign):
    for build in (
        lambda: pair_family(*PAIRS[0], sign),
        lambda: ring_pair(1.2, (0.0, 1.1, 2.9), 0.6, 0.7, 1.3, sign),
        lambda: prl_methane(sign),
    ):
        with pytest.raises(GeometryError, match="the members of a pair are 1 and -1"):
            build()


def test_pairs_can_be_traced():
    velocity = jax.jit(jax.jacfwd(lambda cy: pair_family(*PAIRS[0][:6], cy, -1).positions))(0.8)
    assert velocity.tolist() == [[0.0] * 3] * 3 + [[0.0, -1.0, 0.0]]
    velocity = jax.jit(jax.jacfwd(lambda z: ring_pair(1.2, (0.0, 1.1, 2.9), 0.6, 0.7, z, -1).positions))(1.3)
    assert velocity[6].tolist() == [0.0, 0.0, -1.0]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_pairs_keep_the_dtype_of_their_parameters(dtype):
    one = jnp.asarray(1.0, dtype)
    assert pair_family(one, 0.9, 0.6, 0.7, 0.5, 2, 0.8, 1).positions.dtype == dtype
    assert ring_pair(one, (0.0, 1.1, 2.9), 0.6, 0.7, 1.3, 1).positions.dtype == dtype
    assert prl_methane(1)(one, one).positions.dtype == dtype


def test_integers_are_lengths_too():
    assert pair_family(1, 1, 1, 1, 1, 2, 1, 1).positions.dtype == jnp.float64


@pytest.mark.parametrize("elevation, same", [(0.0, True), (0.1, False)])
def test_methanes_are_degenerate_without_elevation_only(elevation, same):
    plus, minus = (prl_methane(sign)(0.8 * np.pi, elevation) for sign in (1, -1))
    assert invariants_agree(plus, minus, 2) is same
    assert not invariants_agree(plus, minus, 3)
    assert np.allclose(np.linalg.norm(plus.positions, axis=-1), 1.09, rtol=0, atol=1e-15)
    assert plus.species.tolist() == [1] * 4
    assert int(plus.center_species) == 6


def test_the_methane_grid_ends_at_the_singular_point():
    azimuths, elevations = prl_methane(1).grid()
    assert np.allclose(azimuths / np.pi, np.linspace(0.7, 0.9, 9), rtol=0, atol=1e-15)
    assert np.allclose(elevations / np.pi, np.linspace(0.1, -0.1, 9), rtol=0, atol=1e-15)


def test_methanes_can_be_traced():
    family = prl_methane(1)
    batch = jax.jit(jax.vmap(family))(jnp.asarray([0.1, 0.2]), jnp.asarray([0.3, 0.4]))
    assert batch.positions.shape == (2, 4, 3)
    assert np.array_equal(batch.positions[1], family(0.2, 0.4).positions)
    velocity = jax.jit(jax.jacfwd(lambda f: family(f, 0.0).positions))(0.5)
    assert np.allclose(velocity[3], 1.09 * np.asarray([-np.sin(0.5), np.cos(0.5), 0.0]), rtol=0, atol=1e-15)


def test_planar_neighbors_leave_the_plane_by_z_alone():
    manifold = planar(4)
    assert np.abs(manifold(*manifold.values()).positions[:, 2]).max() == 0
    assert np.abs(manifold(*manifold.values(z=0.3)).positions[:, 2]).tolist() == [0, 0, 0, 0.3]


def test_equal_radii_are_equal_until_dr():
    manifold = equal_radii(4)
    radii = lambda **named: np.linalg.norm(manifold(*manifold.values(r=1.3, **named)).positions, axis=-1)  # noqa: E731
    np.testing.assert_allclose(radii(), 1.3, rtol=1e-14)
    np.testing.assert_allclose(radii(dr=0.2), [1.3, 1.3, 1.3, 1.5], rtol=1e-14)


@pytest.mark.parametrize("family", [planar, equal_radii])
def test_there_are_two_neighbors_at_least(family):
    with pytest.raises(GeometryError, match="n is 1; give at least two neighbors"):
        family(1)
