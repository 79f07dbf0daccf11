"""Landing with one direction, and with several at once."""

import jax
import numpy as np
from toy_features import COMPLETE, batch, pairs

from jaxfeat.singular.certify import certify, newton_distances
from jaxfeat.singular.land import land_jointly
from jaxfeat.singular.search_equations import search_equations
from jaxfeat.singular.search_space import Free


def test_several_null_directions_are_landed_on_where_one_is_slow():
    """Several directions are null at the crossing of two loci of the pair family."""
    starts = jax.tree.map(np.asarray, batch(pairs(1e-5, names=("az", "cy"))))
    points = starts.positions.reshape(2, 12)
    space = Free(radii=(0.3, 2.5), min_distance=0.3)
    equations = search_equations(COMPLETE, space, points, starts, None, np.random.default_rng(0), lanes=2)
    near = certify(equations.whitened, points, np.zeros((2, 12)), starts, 2)
    q = int((near.values[0] < 1e-3).sum())
    assert q > 1 and (near.values[:, -q] > 1e-8).all() and (near.values[:, -q - 1] > 1e-2).all()
    assert (newton_distances(equations.plain, points, near.directions[:, -1], starts, 2) > 1e-6).all()
    found, directions = land_jointly(equations, points, near.directions[:, -q:], starts, 2)
    after = certify(equations.whitened, found, directions[:, -1], starts, 2)
    assert (after.values[:, -q] < 1e-12).all() and (after.ratio < 1e-14).all() and (after.residual < 1e-14).all()
    assert 1e-7 < np.abs(found - points).max() < 1e-4
    assert (newton_distances(equations.plain, found, directions[:, -1], starts, 2) < 1e-8).all()
    np.testing.assert_allclose(directions @ directions.mT, np.broadcast_to(np.eye(q), (2, q, q)), atol=1e-10)
