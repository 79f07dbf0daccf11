"""A stratum can be relabeled, drawn from, landed on and followed."""

import numpy as np
import pytest

from jaxfeat import strata
from jaxfeat.errors import GeometryError


def test_the_order_of_neighbors_does_not_matter():
    stratum, order = strata(5)["D crossed"], [3, 0, 4, 1, 2]
    moved = stratum.relabeled(order)
    x = np.asarray(stratum.member(1).positions)
    shuffled = np.empty_like(x)
    shuffled[order] = x
    assert moved.residual(shuffled) < 1e-14
    np.testing.assert_allclose(moved.direction(shuffled)[order], stratum.direction(x), atol=1e-14)
    rows = moved.rational_member(1)
    assert rows[3] == stratum.rational_member(1)[0] and len({moved.random_species(4)[i] for i in moved.like[0]}) == 1


def test_like_neighbors_share_a_species_and_others_do_not():
    stratum = strata(5)["A_1"]
    species = np.asarray([stratum.random_species(seed, ("H", "C", "O")) for seed in range(20)])
    assert (species[:, 0] == species[:, 1]).all() and (species[:, 0] != species[:, 2]).any()
    assert set(species.ravel()) == {"H", "C", "O"}


def test_landing_and_following_stay_on_the_stratum():
    stratum, rng = strata(5)["A_2"], np.random.default_rng(0)
    x = np.asarray(stratum.member(0).positions)
    landed = stratum.land(x + 0.02 * rng.normal(size=x.shape))
    assert 1e-3 < np.abs(landed - x).max() < 0.1 and stratum.residual(landed) < 1e-12
    path = stratum.follow(x, rng.normal(size=x.shape), 0.4, step=0.1)
    assert path.shape == (5, 5, 3) and max(map(stratum.residual, path)) < 1e-12
    lengths = np.linalg.norm(np.diff(path, axis=0).reshape(4, -1), axis=1)
    np.testing.assert_allclose(lengths, 0.1, rtol=0.05)
    with pytest.raises(GeometryError, match="leads off the stratum, or is a rotation"):
        stratum.follow(x, np.cross([0, 0, 1], x), 0.1)
