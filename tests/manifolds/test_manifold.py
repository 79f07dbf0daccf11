"""Manifolds are differentiable maps from named parameters to environments of the same atoms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import wobbling_methanols

from jaxfeat import Environment, manifolds
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.following import follow_center

WATER = np.asarray([[0.0, 0.76, 0.59], [0.0, -0.76, 0.59]])


def water(scale=1.0):
    return Environment.from_neighbors(scale * WATER, ["H", "H"], "O")


MANIFOLDS = {
    "prl": lambda: manifolds.prl_methane(-1),
    "pair": lambda: manifolds.pair(1),
    "ring": lambda: manifolds.ring(1),
    "planar": lambda: manifolds.planar(5),
    "equal radii": lambda: manifolds.equal_radii(5),
    "displacement": lambda: manifolds.displacement(water(), {"a": np.ones((2, 3)), "b": np.eye(3)[:2]}),
    "interpolation": lambda: manifolds.interpolation(water(), water(1.1)),
    "trajectory": lambda: manifolds.trajectory(follow_center(wobbling_methanols(4, seed=0), 4.0, 0).environments),
}


@pytest.mark.parametrize("name", MANIFOLDS)
def test_defaults_lie_in_the_bounds_and_derivatives_are_right(name):
    manifold = MANIFOLDS[name]()
    assert all(p.low <= p.default <= p.high for p in manifold.parameters)
    assert len(set(manifold.names)) == len(manifold.names)
    at = jnp.asarray(manifold.values()) + 0.01
    slopes = jax.jit(jax.jacfwd(lambda values: manifold(*values).positions))(at)
    for k in range(len(at)):
        ahead, behind = (manifold(*at.at[k].add(h)).positions for h in (1e-5, -1e-5))
        np.testing.assert_allclose(slopes[..., k], (ahead - behind) / 2e-5, atol=1e-8)
        assert np.abs(slopes[..., k]).max() > 1e-3


def test_parameters_are_named():
    manifold = manifolds.pair(1)
    assert manifold.values(cy=0.1) == (*manifold.values()[:6], 0.1)
    with pytest.raises(GeometryError, match="no parameter 'cz'; choose among ax, az"):
        manifold.values(cz=0.1)
    with pytest.raises(GeometryError, match="2 values were given for the parameters ax"):
        manifold(1.0, 2.0)


def test_reprs_show_the_bounds():
    assert repr(manifolds.prl_methane(1)) == "MethaneFamily(F = 0 to 2 π, L = -0.5 to 0.5 π)"
    assert repr(manifolds.displacement(water(), {"a": np.ones((2, 3))}, 0.5)) == "Displacement(a = -0.5 to 0.5 Å)"
    assert repr(manifolds.interpolation(water(), water(1.1))) == "Displacement(t = 0 to 1)"
