"""Methanes of PRL 125, 166001: degenerate for order 2 without elevation, at the published angles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from invariants import invariants_agree

from jaxfeat.errors import GeometryError
from jaxfeat.manifolds import prl_methane


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


@pytest.mark.parametrize("sign", [0, 2, "+"])
def test_signs_are_one_or_minus_one(sign):
    with pytest.raises(GeometryError, match="the members of a pair are 1 and -1"):
        prl_methane(sign)


def test_methanes_can_be_traced():
    family = prl_methane(1)
    batch = jax.jit(jax.vmap(family))(jnp.asarray([0.1, 0.2]), jnp.asarray([0.3, 0.4]))
    assert batch.positions.shape == (2, 4, 3)
    assert np.array_equal(batch.positions[1], family(0.2, 0.4).positions)
    velocity = jax.jacfwd(lambda f: family(f, 0.0).positions)(0.5)
    assert np.allclose(velocity[3], 1.09 * np.asarray([-np.sin(0.5), np.cos(0.5), 0.0]), rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_methanes_keep_the_dtype_of_their_parameters(dtype):
    one = jnp.asarray(1.0, dtype)
    assert prl_methane(1)(one, one).positions.dtype == dtype
