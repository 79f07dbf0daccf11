"""Search spaces move the coordinates that they are to move, and bad starts get a status each."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import COMPLETE, batch, pairs

from jaxfeat import PowerSpectrum, manifolds
from jaxfeat.errors import GeometryError, PrecisionError, SpeciesError
from jaxfeat.singular.search_space import Free, SearchResult, Within, read_starts


def test_each_bad_start_has_a_status():
    positions = pairs(0.1, b=6)
    positions[1, 2, 0] = np.inf
    positions[2, 3] = positions[2, 1]
    positions[3, 0] = 0
    starts = batch(positions)
    starts = eqx.tree_at(lambda env: env.mask, starts, starts.mask.at[4].set(False))
    points, host, status = read_starts(COMPLETE, Free(), starts, "a search")
    assert status.tolist() == ["", "non-finite", "coincident", "coincident", "empty", ""]
    assert points.shape == (6, 12) and all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(host))


def test_starts_that_cannot_be_read_are_refused():
    starts = batch(pairs(0.1))
    with pytest.raises(GeometryError, match="a batch of environments"):
        read_starts(COMPLETE, Free(), starts[0], "a search")
    with pytest.raises(PrecisionError, match="positions are float32, but a search needs the digits of float64"):
        read_starts(COMPLETE, Free(), starts.with_positions(starts.positions.astype(jnp.float32)), "a search")
    with pytest.raises(SpeciesError):
        read_starts(PowerSpectrum(("O",), n_max=1, l_max=1), Free(), starts, "a search")
    with pytest.raises(GeometryError, match="fixed has shape"):
        read_starts(COMPLETE, Free(fixed=[True]), starts, "a search")
    with pytest.raises(GeometryError, match="radii is"):
        Free(radii=(1.0, 0.5))
    with pytest.raises(GeometryError, match="min_distance"):
        Free(min_distance=0.0)


def test_fixed_coordinates_and_padding_stay():
    fixed = np.zeros((5, 3), bool)
    fixed[0] = fixed[2, 1] = True
    start = batch(pairs(0.1, b=1)).padded(5)[0]
    space = Free((0.4, 2.0), 0.4, fixed)
    moved = space.item(start.positions.reshape(-1) + 1, start).positions
    np.testing.assert_array_equal(np.asarray(moved == start.positions), fixed | (np.arange(5) == 4)[:, None])
    np.testing.assert_array_equal(space.scale(start) > 0, np.asarray(moved != start.positions).reshape(-1))
    kept = space.trimmed(5, 4)
    assert kept.fixed.shape == (4, 3) and kept.radii.tolist() == [0.4, 2.0] and kept.min_distance == 0.4


def test_bounds_are_filled_in_from_the_starts():
    starts = batch(np.asarray([[[1.0, 0, 0], [0, 2.0, 0]]]))
    space = Free(min_distance=0.1).around(starts)
    np.testing.assert_allclose(space.radii, (0.75, 2.5))
    # Two neighbors above the lower bound, two below the upper one, and their distance.
    slack = space.slack(starts.positions.reshape(-1), starts[0])
    np.testing.assert_allclose(slack, (0.25, 1.25, 1.5, 0.5, np.sqrt(5) - 0.1), rtol=1e-14)


def test_parameters_of_a_manifold_are_bounded():
    space = Within(manifolds.planar(2))
    values = np.asarray([space.manifold.values(r1=1.0, z=0.5), space.manifold.values(r1=np.nan, z=3.0)])
    points, environments = space.read(values)
    np.testing.assert_array_equal(points, values)
    assert np.isfinite(environments.positions).all()
    env = space.item(jnp.asarray(points[0]), environments[0])
    np.testing.assert_allclose(env.positions, space.manifold(*values[0]).positions)
    assert (space.slack(jnp.asarray(points[0]), environments[0]) >= 0).all()
    assert space.slack(jnp.asarray(space.manifold.values(z=3.0)), environments[0]).min() == -2
    with pytest.raises(GeometryError, match=r"r1, r2, phi2, z.*give an array \(b, 4\)"):
        space.read(np.zeros(2))


def test_results_have_a_length_and_positions():
    result = SearchResult(COMPLETE, batch(pairs(0.1)), np.zeros(2), np.zeros(2, int), np.asarray(["a", "b"]))
    assert len(result) == 2 and isinstance(result.positions, np.ndarray) and result.positions.shape == (2, 4, 3)
