"""Environments with neighbors in a plane, and on a sphere."""

import numpy as np
import pytest

from jaxfeat import manifolds
from jaxfeat.errors import GeometryError


def test_planar_neighbors_leave_the_plane_by_z_alone():
    manifold = manifolds.planar(4)
    assert np.abs(manifold(*manifold.values()).positions[:, 2]).max() == 0
    assert np.abs(manifold(*manifold.values(z=0.3)).positions[:, 2]).tolist() == [0, 0, 0, 0.3]


def test_equal_radii_are_equal_until_dr():
    manifold = manifolds.equal_radii(4)
    radii = lambda **named: np.linalg.norm(manifold(*manifold.values(r=1.3, **named)).positions, axis=-1)  # noqa: E731
    np.testing.assert_allclose(radii(), 1.3, rtol=1e-14)
    np.testing.assert_allclose(radii(dr=0.2), [1.3, 1.3, 1.3, 1.5], rtol=1e-14)


@pytest.mark.parametrize("family", [manifolds.planar, manifolds.equal_radii])
def test_there_are_two_neighbors_at_least(family):
    with pytest.raises(GeometryError, match="n is 1; give at least two neighbors"):
        family(1)
