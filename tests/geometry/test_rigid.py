"""Rigid motions, and the displacements that are orthogonal to them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.geometry.rigid import rigid_motions

RNG = np.random.default_rng(0)
AXIS = np.asarray([0.6, 0.0, 0.8])
POINTS = {
    "generic": (RNG.normal(size=(5, 3)), 3, 3),
    "planar": (RNG.normal(size=(4, 3)) * [1, 1, 0], 3, 3),
    "on a line through the origin": (np.outer([1.0, -0.7, 1.9], AXIS), 2, 2),
    "on a line elsewhere": (np.outer([1.0, -0.7, 1.9], AXIS) + np.eye(3)[1], 3, 2),
    "one": (AXIS[None], 2, 0),
    "none": (np.zeros((0, 3)), 0, 0),
}
"""Points, rotations about the origin that displace them, and rotations about their centroid that do."""

ROOM = 6


def padded(points):
    positions = np.zeros((ROOM, 3))
    positions[: len(points)] = points
    return jnp.asarray(positions), jnp.arange(ROOM) < len(points)


def motions_of(points, translations):
    """Rigid motions as displacements `(k, 3 * ROOM)` of points that stand first."""
    origin = points.mean(0) if translations and len(points) else np.zeros(3)
    turns = [np.cross(axis, points - origin) for axis in np.eye(3)]
    shifts = [np.tile(axis, (len(points), 1)) for axis in np.eye(3)] if translations else []
    return np.stack([np.pad(motion, ((0, ROOM - len(points)), (0, 0))).ravel() for motion in turns + shifts])


@pytest.mark.parametrize("translations", [False, True])
@pytest.mark.parametrize("name", POINTS)
def test_the_complement_is_orthonormal_and_holds_no_rigid_motion(name, translations):
    points, about_origin, about_centroid = POINTS[name]
    positions, mask = padded(points)
    found = rigid_motions(positions, mask, translations=translations)
    n_rigid = about_centroid + 3 * (len(points) > 0) if translations else about_origin
    assert int(found.n_rigid) == n_rigid
    valid = np.asarray(found.valid)
    assert valid.sum() == 3 * len(points) - n_rigid
    complement = np.asarray(found.project(jnp.eye(3 * ROOM)))[:, valid]
    np.testing.assert_allclose(complement.T @ complement, np.eye(valid.sum()), atol=1e-14)
    np.testing.assert_allclose(motions_of(points, translations) @ complement, 0, atol=1e-14)
    # The padding of the complement's displacements does not move.
    np.testing.assert_allclose(complement[3 * len(points) :], 0, atol=1e-14)
    lifted = np.asarray(found.lift(jnp.eye(len(valid))))
    np.testing.assert_allclose(lifted[:, valid], complement, atol=1e-14)


def test_weights_scale_the_rigid_motions():
    points, *_ = POINTS["generic"]
    positions, mask = padded(points)
    weights = RNG.uniform(0.3, 3.0, ROOM)
    found = rigid_motions(positions, mask, weights=jnp.asarray(weights))
    complement = np.asarray(found.project(jnp.eye(3 * ROOM)))[:, np.asarray(found.valid)]
    np.testing.assert_allclose(motions_of(points, False) * np.repeat(weights, 3) @ complement, 0, atol=1e-14)


@pytest.mark.parametrize("bend", [1e-3, 1e-5])
def test_clearance_tells_how_nearly_collinear_points_are(bend):
    points = np.outer([1.0, -0.7, 1.9], AXIS) + bend * np.asarray([[0, 1.0, 0], [0, 0, 0], [0, 0, 0]])
    found = rigid_motions(*padded(points))
    assert int(found.n_rigid) == 3
    lengths = np.linalg.svd(motions_of(points, False), compute_uv=False)
    assert float(found.clearance) == pytest.approx(lengths[-1] / lengths[0], rel=1e-2)
