"""A complete basis sees displacements about as clearly as large bases of features do."""

import numpy as np
import pytest
from null_cases import TETRAHEDRON

from jaxfeat import Environment, PowerSpectrum
from jaxfeat.linalg.subspaces import orthogonal_complement
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.kernel import site_edges, summed_edges
from jaxfeat.nulls.visibility import least_visibility, wave_gradients

OCTAHEDRON = 1.3 * np.concatenate([np.eye(3), -np.eye(3)])
POWER = PowerSpectrum(("H",), n_max=4, l_max=6, radial="laplacian")


def turns(points):
    return np.stack([np.cross(axis, points).ravel() for axis in np.eye(3)])


def relative(rows):
    values = np.linalg.svd(rows, compute_uv=False)
    return values / values[0]


def seen(points, nu=2, pseudoscalars=False):
    return wave_gradients(site_edges(points, np.ones(len(points), int)), nu, pseudoscalars, 1e-5)


@pytest.mark.parametrize("distance", [1e-4, 1e-3])
@pytest.mark.parametrize("points", [TETRAHEDRON, OCTAHEDRON], ids=["tetrahedron", "octahedron"])
def test_next_to_symmetric_points_it_is_that_of_features(points, distance):
    """Values range over nine orders of magnitude, and each is that of a power spectrum within a factor of 20."""
    for seed in range(2):
        near = points + distance * np.random.default_rng(seed).normal(size=points.shape)
        env = Environment.from_neighbors(near, ["H"] * len(near), "H").padded(6)
        jacobian = decompose_jacobian(POWER, env).matrix.reshape(-1, 18)[:, : near.size]
        expected, found = relative(jacobian)[:-3], relative(seen(near))[:-3]
        assert expected[-1] < 1e-6
        assert np.abs(np.log(found / expected)).max() < np.log(20)


@pytest.mark.parametrize(("nu", "pseudoscalars"), [(2, False), (3, False), (3, True)])
def test_rigid_motions_are_not_seen(nu, pseudoscalars):
    points = np.random.default_rng(0).normal(size=(5, 3))
    values = relative(seen(points, nu, pseudoscalars))
    assert values[-3:].max() < 1e-14 and values[-4] > 1e-3


def test_planes_are_seen_through_by_pseudoscalars():
    planar = np.random.default_rng(1).normal(size=(4, 3)) * [1, 1, 0]
    assert [(relative(seen(planar, 3, chiral)) > 1e-12).sum() for chiral in (False, True)] == [7, 9]


def test_crowds_are_told_apart():
    """With many neighbors, no direction is taken for one that no basis sees."""
    points = np.random.default_rng(2).normal(size=(30, 3))
    radial = np.zeros((30, 30, 3))
    radial[np.arange(30), np.arange(30)] = points / np.linalg.norm(points, axis=1, keepdims=True)
    assert least_visibility(seen(points, 1), radial.reshape(30, 90))[0] > 1e-8
    assert least_visibility(seen(points, 2), orthogonal_complement(turns(points)))[0] > 1e-3


def test_sums_over_centers_move_with_their_centers():
    """Two atoms that see each other have one visible displacement, the stretch."""
    edges = summed_edges(np.array([(0, 0, 1.1), (0, 0, -1.1)]), np.array([0, 1]), np.array([1, 0]), np.ones(2, int))
    rows = wave_gradients(edges, 2, False, 1e-5)
    stretch = np.array([[0, 0, 1.0, 0, 0, -1.0]]) / np.sqrt(2)
    assert least_visibility(rows, stretch)[0] > 0.5
    assert least_visibility(rows, orthogonal_complement(stretch))[0] < 1e-15
