"""Radii within which features tell environments apart: a search tries to break them, and folds nearly attain them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy_features import COMPLETE, PAIR

import jaxfeat
from jaxfeat import Environment, PowerSpectrum, manifolds, one_to_one_radius
from jaxfeat.errors import GeometryError, PrecisionError, SpeciesError
from jaxfeat.inverse.curvature import SliceTensor
from jaxfeat.inverse.one_to_one import RADIUS_MESSAGES

POWER = PowerSpectrum(("C", "H"), n_max=4, l_max=4, sigma=0.4)


def member(cy, sign=1):
    """Make a member of the pair family, which coalesces with its partner at cy = 0."""
    return Environment.from_neighbors(np.asarray(manifolds.pair_family(*PAIR[:6], cy, sign).positions), ["H"] * 4, "C")


def least_stretch(f, env, radius, seed=0):
    """Search for two environments, displaced by at most a radius across rotations, whose features are nearest to each
    other: the minimum of |F(a) - F(b)| / |a - b|, over σ_min at the center of the ball."""
    spectrum, rng = jaxfeat.singular_spectrum(f, env), np.random.default_rng(seed)
    values, axes = np.asarray(spectrum.values), np.asarray(spectrum.directions)
    k = len(values)
    drawn = rng.normal(size=(200, k)) * np.where(np.arange(200)[:, None] % 2, values**-0.5, 1)
    # The gradient of σ_min leads to the nearest fold. The pair lies along the last singular vector there.
    gradient = SliceTensor.at(f.prepared(), env, spectrum).second[-1, :, -1]
    middles = np.concatenate([drawn, np.eye(k), -np.eye(k), [gradient, -gradient]])
    middles *= 0.99 * radius / np.linalg.norm(middles, axis=1, keepdims=True)
    slopes = np.einsum("bdnx,knx->bdk", jaxfeat.jacobian(f, _displaced(env, middles, axes)), axes)
    steps = 1e-2 * radius * np.linalg.svd(slopes, full_matrices=False)[2][:, -1]
    ends = [np.asarray(f(_displaced(env, middles + sign * steps, axes))) for sign in (1, -1)]
    lengths = np.maximum(*(np.linalg.norm(middles + sign * steps, axis=1) for sign in (1, -1)))
    stretch = np.linalg.norm(ends[1] - ends[0], axis=1) / np.linalg.norm(2 * steps, axis=1)
    return float(stretch[lengths <= radius].min() / values[-1])


def _displaced(env, coefficients, axes):
    batch = Environment.stack([env] * len(coefficients))
    return batch.with_positions(jnp.asarray(np.asarray(env.positions) + np.einsum("bk,knx->bnx", coefficients, axes)))


def test_no_search_breaks_the_radius_of_random_methanes():
    methanes = manifolds.random_methane(jax.random.key(11), 8)
    for i in range(8):
        env, found = methanes[i], one_to_one_radius(POWER, methanes[i], n_starts=16, seed=i)
        assert found.status == "bound" and found.radius > 3e-3, (i, found)
        assert found.partner_distance > found.radius, (i, found)
        np.testing.assert_allclose(found.curvature * found.radius, found.sigma)
        for share in (0.3, 0.6, 0.9):
            assert least_stretch(POWER, env, share * found.radius, seed=i) >= 1 - share, (i, share, found)


def test_near_a_fold_the_radius_is_half_of_the_distance_of_the_partner():
    ratios = []
    for cy in (0.3, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        env, found = member(cy), one_to_one_radius(POWER, member(cy), n_starts=8)
        image = manifolds.aligned(member(cy, -1), env)
        partner = float(np.linalg.norm(np.asarray(image.positions) - np.asarray(env.positions)))
        np.testing.assert_allclose(found.partner_distance, partner, rtol=1e-3, err_msg=str(cy))
        np.testing.assert_allclose(POWER(found.partner), POWER(env), atol=1e-11)
        assert least_stretch(POWER, env, 0.9 * found.radius) >= 0.1
        ratios.append(found.partner_distance / found.radius)
    # No bound can exceed the distance of the fold, where the ratio is 2.
    assert min(ratios) > 2 and max(ratios[2:]) < 2.5 and ratios[0] > 5, ratios


def test_the_search_would_break_a_radius_that_is_a_third_larger():
    env = member(1e-3)
    found = one_to_one_radius(POWER, env, n_starts=0)
    assert 0 < least_stretch(POWER, env, found.radius) < 0.3, found
    larger = 1.33 * found.radius
    assert least_stretch(POWER, env, 0.9 * larger) < 1 - 0.9, found
    assert found.partner is None and found.partner_distance == np.inf


def test_singular_environments_have_radius_zero_and_a_cause():
    square = Environment.from_neighbors(np.eye(4, 3) - np.eye(4, 3)[[2, 3, 0, 1]], ["H"] * 4, "C")
    few = PowerSpectrum(("C", "H"), n_max=1, l_max=1, sigma=0.4)
    generic = manifolds.random_methane(jax.random.key(3), 1)[0]
    far = Environment.from_neighbors([[0, 0, 1.1], [0.3, 0, -1.3], [3, 3, 0]], ["H"] * 3, "C")
    known = (POWER, member(0.0), "incompleteness"), (POWER, square, "symmetry")
    for f, env, cause in (*known, (few, generic, "truncation"), (POWER, far, "locality")):
        found = one_to_one_radius(f, env, n_starts=0)
        assert found.radius == found.sigma == 0 and np.isnan(found.curvature), found
        assert found.status == cause and cause in repr(found)


def test_featurizers_without_a_bound_have_an_estimate():
    for cy in (0.4, 1e-3):
        env = member(cy)
        found = one_to_one_radius(COMPLETE, env, n_starts=8)
        assert found.status == "estimate" and 0 < found.radius < found.partner_distance / 2
        assert least_stretch(COMPLETE, env, 0.9 * found.radius) >= 0.1
        np.testing.assert_allclose(found.partner_distance, 3**0.5 * cy, rtol=0.05)


def test_what_has_no_radius_says_so():
    env = member(0.3)
    with pytest.raises(GeometryError, match="env must be one environment"):
        one_to_one_radius(POWER, Environment.stack([env, env]))
    with pytest.raises(GeometryError, match="reach is 0"):
        one_to_one_radius(POWER, env, reach=0)
    with pytest.raises(PrecisionError, match="positions are float32"):
        one_to_one_radius(POWER, env.with_positions(env.positions.astype(jnp.float32)))
    with pytest.raises(GeometryError, match="no neighbors"):
        one_to_one_radius(POWER, Environment.from_neighbors(np.zeros((0, 3)), [], "C"))
    with pytest.raises(SpeciesError, match="C not among"):
        one_to_one_radius(PowerSpectrum(("H",)), env)
    assert {"bound", "estimate", "symmetry"} <= RADIUS_MESSAGES.keys()
