"""Inversion: closed forms, the law of lost digits, and environments with equal features."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import COMPLETE, PAIR, batch, pairs

import jaxfeat
from jaxfeat import Environment, PowerSpectrum, invert, manifolds
from jaxfeat.errors import BasisError, GeometryError, PrecisionError, SpeciesError

POWER = PowerSpectrum(("H", "O"), n_max=3, l_max=3, sigma=0.4)
SLOPE = 0.7


def _folded(positions, species, mask):
    x, y, t = positions[0]
    return jnp.stack([x, y + x**2, SLOPE / 2 * t**2])


FOLD = jaxfeat.function(_folded)
"""Features of one neighbor with σ_min = SLOPE |t| near t = 0."""
WHERE = jaxfeat.function(lambda positions, species, mask: positions.reshape(-1))


def folded(x):
    return np.stack([x[:, 0], x[:, 1] + x[:, 0] ** 2, SLOPE / 2 * x[:, 2] ** 2], 1)


def points(*t):
    return np.stack([np.full(len(t), 0.3), np.full(len(t), -1.0), np.asarray(t)], 1)


def turned(positions):
    rotation = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    return positions @ rotation.T


def test_digits_are_lost_as_the_smallest_singular_value_and_as_a_root_on_the_fold():
    t = np.asarray([1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 0])
    error = 1e-11
    target = folded(points(*t)) + error * np.eye(3)[2]
    starts = points(*(1.1 * t + 1e-7))
    found = invert(FOLD, target, batch(starts[:, None]))
    assert found.recovered.all(), found
    moved = found.positions[:, 0] - points(*t)
    np.testing.assert_allclose(moved[:, 2], np.sqrt(t**2 + 2 * error / SLOPE) - t, rtol=1e-4)
    np.testing.assert_allclose(moved[:4, 2], error / (SLOPE * t[:4]), rtol=1e-4)
    np.testing.assert_allclose(moved[:, :2], 0, atol=1e-14)
    # What is left is a rounding error of the features over σ_min, not over its square.
    exact = invert(FOLD, folded(points(*t[:-1])), batch(starts[:-1, None]))
    assert exact.recovered.all()
    assert (np.abs(exact.positions[:, 0, 2] - t[:-1]) < 1e-15 / (SLOPE * t[:-1])).all()


def test_across_the_fold_is_another_solution_and_beyond_it_none():
    here, beyond = folded(points(0.2, 0.2, 0.0))[:2], folded(points(0.0)) - [0, 0, 1e-3]
    starts = points(0.3, -0.3, 0.1)
    found = invert(FOLD, np.concatenate([here, beyond]), batch(starts[:, None]))
    assert found.status.tolist() == ["recovered", "recovered", "stationary"]
    np.testing.assert_allclose(found.positions[:2, 0], points(0.2, -0.2), atol=1e-14)
    # The nearest features are those of the fold; there |F - F*| is flat to fourth order.
    np.testing.assert_allclose(found.positions[2, 0], points(0.0)[0], atol=1e-3)
    np.testing.assert_allclose(found.residual[2], 1e-3 / np.linalg.norm(beyond), rtol=1e-6)
    noisy = invert(FOLD, np.concatenate([here, beyond]), batch(starts[:, None]), tolerance=2e-3)
    assert noisy.recovered.all()
    np.testing.assert_array_equal(noisy.positions, found.positions)


def test_iterations_are_counted_and_run_out():
    starts = batch(points(0.3, 0.9)[:, None])
    found = invert(FOLD, folded(points(0.2, 0.9)), starts, max_iterations=2)
    assert found.status.tolist() == ["max-iterations", "recovered"] and found.iterations[0] == 2
    assert "1 max-iterations, 1 recovered" in repr(found)
    # A linear map is inverted in a few steps, of which the first are damped; each at most 0.3 Å in any coordinate.
    far = invert(WHERE, points(0.5, 2.0), batch(points(0.5, 0.0)[:, None]))
    assert far.recovered.all() and far.iterations[1] >= 7
    np.testing.assert_allclose(far.positions[:, 0], points(0.5, 2.0), atol=1e-14)


@pytest.fixture(scope="module")
def truth():
    """Four and three neighbors of two species, nothing special about them."""
    found = manifolds.random_environments(jax.random.key(2), 2, ["H", "O", "H", "H"], center_species=None)
    fewer = Environment.from_neighbors(found.positions[1, :3], ["H", "O", "H"])
    return Environment.stack([found[0], fewer, found[1]])


@pytest.fixture(scope="module")
def starts(truth):
    """Turned, mirrored, two hydrogens exchanged, and every atom moved by some 0.05 Å."""
    moved = truth.positions + 0.03 * np.random.default_rng(3).normal(size=truth.positions.shape)
    other = -turned(np.asarray(moved)[:, [2, 1, 0, 3]])
    assert (np.asarray(truth.species)[:, [2, 1, 0, 3]] == truth.species).all()
    return truth.with_positions(jnp.where(truth.mask[..., None], other, 0))


@pytest.fixture(scope="module")
def found(truth, starts):
    return invert(POWER, POWER(truth), starts)


def test_power_spectra_are_inverted_up_to_rotation_inversion_and_permutation(found, truth, starts):
    assert found.recovered.all() and (found.residual < 1e-13).all(), found
    assert (found.distance(truth) < 1e-12).all()
    np.testing.assert_allclose(POWER(found.environments), POWER(truth), atol=1e-13)
    # Rotations are free, and not made use of: each atom is next to where it started.
    assert 0.01 < np.abs(found.positions - starts.positions).max() < 0.2
    assert (found.positions[1, 3] == 0).all()
    assert (found.iterations <= 10).all()


def test_bad_starts_touch_no_other(found, truth, starts):
    features = np.repeat(np.asarray(POWER(truth)), 2, 0)
    alone = starts[np.repeat(np.arange(3), 2)]
    positions = np.array(alone.positions)
    positions[1, 0, 2] = np.inf
    positions[3, 2] = positions[3, 1]
    features[5, 3] = np.nan
    mixed = alone.with_positions(jnp.asarray(positions))
    mixed = eqx.tree_at(lambda e: e.mask, mixed, mixed.mask.at[4].set(False))
    bad = invert(POWER, features, mixed)
    assert bad.status.tolist() == ["recovered", "non-finite", "recovered", "coincident", "empty", "non-finite"]
    np.testing.assert_array_equal(bad.positions[[1, 3, 4, 5]], positions[[1, 3, 4, 5]])
    assert np.isnan(bad.residual[[1, 3, 4, 5]]).all() and (bad.iterations[[1, 3, 4, 5]] == 0).all()
    good = invert(POWER, np.repeat(np.asarray(POWER(truth)), 2, 0), alone)
    for name in ("positions", "residual", "iterations"):
        np.testing.assert_array_equal(getattr(bad, name)[[0, 2]], getattr(good, name)[[0, 2]])
    np.testing.assert_allclose(good.positions[::2], found.positions, atol=1e-12)
    distance = bad.distance(truth[np.repeat(np.arange(3), 2)])
    np.testing.assert_array_equal(np.isnan(distance), ~bad.recovered)


def test_equal_features_need_not_be_congruent():
    """A start next to one of two near members of a pair is inverted to that member."""
    plus, minus = (manifolds.pair_family(*PAIR, sign) for sign in (1, -1))
    near = np.asarray([plus.positions, minus.positions]) + 0.02 * np.random.default_rng(0).normal(size=(2, 4, 3))
    target = np.asarray(COMPLETE(Environment.stack([plus, plus])))
    found = invert(COMPLETE, target, batch(near))
    assert found.recovered.all()
    own, other = found.distance(plus), found.distance(minus)
    assert own[0] < 1e-12 and other[1] < 1e-12 and own[1] > 0.1 and other[0] > 0.1
    # Where they coalesce, half of the digits are gone.
    merged = batch(pairs(0.0))
    found = invert(COMPLETE, COMPLETE(merged), batch(pairs(0.0) + 0.02 * np.eye(4, 3)))
    assert found.recovered.all()
    assert (found.distance(merged) > 1e-12).all() and (found.distance(merged) < 1e-5).all()


def test_mirror_images_are_one_to_features_of_all_rotations_only(truth):
    chiral = jaxfeat.function(WHERE.fn, group="SO3")
    inverted = -turned(np.asarray(truth.positions))
    env = truth.with_positions(jnp.asarray(inverted))
    distances = [invert(f, inverted.reshape(3, -1), env).distance(truth) for f in (WHERE, chiral)]
    assert (distances[0] < 1e-14).all() and (distances[1][[0, 2]] > 0.1).all()
    # Two atoms move outwards, which is no rotation: the length of both moves together.
    outwards = 1e-5 * inverted / np.maximum(np.linalg.norm(inverted, axis=-1, keepdims=True), 1) * [[3], [4], [0], [0]]
    moved = invert(WHERE, (inverted + outwards).reshape(3, -1), env)
    np.testing.assert_allclose(moved.distance(truth), np.linalg.norm(outwards, axis=(1, 2)), rtol=1e-3)


def test_what_cannot_be_inverted_says_so(truth, starts):
    features = np.asarray(POWER(truth))
    with pytest.raises(PrecisionError, match="positions are float32"):
        invert(POWER, features, starts.with_positions(starts.positions.astype(jnp.float32)))
    with pytest.raises(PrecisionError, match="features are float32"):
        invert(POWER, features.astype(np.float32), starts)
    with pytest.raises(GeometryError, match="a batch of environments"):
        invert(POWER, features[0], starts[0])
    for wrong in (features[:2], features[0]):
        with pytest.raises(BasisError, match="give one row of features for each of 3 starts"):
            invert(POWER, wrong, starts)
    with pytest.raises(BasisError, match=f"rows of {features.shape[1] - 1}; .* has {features.shape[1]} features"):
        invert(POWER, features[:, :-1], starts)
    with pytest.raises(SpeciesError, match="O not among"):
        invert(PowerSpectrum(("H",), n_max=2, l_max=2), features, starts)
    found = invert(POWER, features, starts, max_iterations=1)
    with pytest.raises(GeometryError, match="truth has batch shape"):
        found.distance(truth[:2])
    with pytest.raises(GeometryError, match="different atoms"):
        found.distance(truth[np.asarray([1, 1, 1])])
