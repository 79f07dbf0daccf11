"""The verdict of a certificate, and tangent spaces of sets whose dimension is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import CC, P, Q, polynomials, two_neighbors

from jaxfeat.singular.certify import Certificates, tangent_spaces
from jaxfeat.singular.search_space import Free
from jaxfeat.singular.singular_equations import SingularEquations

ENV = two_neighbors(0.2, 0.0, 0.0)
RING = {"ppc": 1.0, "qqc": 1.0, "c": -0.04}
POINT = ({"pc": 1.0, "c": -0.2}, {"qc": 1.0})


def test_singular_points_within_bounds_have_landed():
    ratio = np.asarray([1e-13, 1e-13, 1e-3, 1e-3, np.nan])
    violation = np.asarray([0, 1e-3, 1e-9, 1e-3, 0])
    status = Certificates(None, None, ratio, None, violation).status
    assert status.tolist() == ["landed", "left-bounds", "not-singular", "left-bounds", "not-singular"]


@pytest.mark.parametrize(("features", "dimension"), [((), 2), ((RING,), 1), (POINT, 0)])
def test_dimensions_do_not_count_rotations(features, dimension):
    """Features are singular where c = 0: everywhere there, on a ring of p and q, or at one point."""
    equations = SingularEquations(polynomials(P, Q, CC, *features), Free((0.3, 3.0)), jnp.eye(5), None)
    starts = jax.tree.map(lambda leaf: np.asarray(leaf)[None], ENV)
    x = np.asarray(ENV.positions)
    # The gradient of c.
    direction = x[::-1].reshape(1, -1) / np.linalg.norm(x)
    (space,) = tangent_spaces(equations, x.reshape(1, -1), direction, starts, 1)
    assert space.moves.shape == space.turns.shape == (dimension, 6)
    rotations = np.cross(np.eye(3)[:, None], x).reshape(3, -1)
    np.testing.assert_allclose(rotations @ space.moves.T, 0, atol=1e-9)
    np.testing.assert_allclose(space.moves @ space.moves.T, np.eye(dimension), atol=1e-9)
