"""Next to exact members of families the answer is right or ambiguous, and never a wrong cause."""

import numpy as np
import pytest
from ase import Atoms
from null_cases import TETRAHEDRON

import jaxfeat
from jaxfeat import Environment, PowerSpectrum, cure, null_space
from jaxfeat.linalg.subspaces import orthogonal_complement
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.kernel import site_edges, summed_edges
from jaxfeat.nulls.visibility import least_visibility, wave_gradients

ROOM = 6
POWER = PowerSpectrum(("H",), n_max=4, l_max=6, radial="laplacian")
SMALL = PowerSpectrum(("H",), n_max=2, l_max=2, radial="laplacian")

OCTAHEDRON = 1.3 * np.concatenate([np.eye(3), -np.eye(3)])


def on_line(heights):
    return np.outer(heights, [0, 0, 1.0])


def ring(n, height=0.0):
    angles = 2 * np.pi * np.arange(n) / n
    return 1.2 * np.column_stack([np.cos(angles), np.sin(angles), np.full(n, height)])


FAMILIES = {
    "tetrahedron": TETRAHEDRON,
    "octahedron": OCTAHEDRON,
    "square": ring(4),
    "hexagon": ring(6),
    "prism": np.concatenate([ring(3, 0.7), ring(3, -0.7)]),
    "pyramid": np.concatenate([ring(3, 0.4), on_line([1.4])]),
    "pair": np.array([(-0.45, 0, 0.95), (0.6, 0.7, 0.5), (0.6, -0.7, -0.5), (-0.75, 0, 0)]),
    "plane": np.array([(1.1, 0, 0), (-0.3, 1.4, 0), (-0.8, -0.9, 0), (0.5, -1.7, 0)]),
    "line, 2 alike": on_line([1.1, -1.1]),
    "line, 3": on_line([0.9, 1.7, -1.2]),
    "line, 4 alike": on_line([0.9, 1.7, -0.9, -1.7]),
}


def disturbed(points, distance, seed):
    rng = np.random.default_rng(seed)
    turned = points @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return environment(turned + distance * rng.normal(size=points.shape))


def environment(points):
    return Environment.from_neighbors(points, ["H"] * len(points), "H").padded(ROOM)


def counted(found):
    return {name: count for name, count in found.counts.items() if count}


@pytest.mark.parametrize("name", FAMILIES)
def test_no_member_of_a_family_gets_a_cause_that_is_not_its_own(name):
    """A random displacement leaves no symmetry and no incompleteness, and the basis truncates nothing. From 1e-11 Å on
    features move by more than rounding, so the counts of the exact member are wrong."""
    for distance in 10.0 ** np.arange(-11, -1):
        for seed in range(2):
            found = null_space(POWER, disturbed(FAMILIES[name], distance, seed))
            assert found.status == "ambiguous" or counted(found) == {"rigid": 3}, (distance, seed, found)
            assert found.status == "ok" or distance < 1e-3, (distance, seed, found.reason)


def test_next_to_an_octahedron_no_basis_is_called_too_small():
    """σ_min/σ_max is about the cube of the distance there, whatever the basis."""
    for seed in (0, 3, 5):
        env = disturbed(OCTAHEDRON, 3e-5, seed)
        found = null_space(POWER, env)
        assert found.truncation == found.nullity - 3 > 0
        assert found.status == "ambiguous" and "a complete basis sees one by" in found.reason
        assert list(cure(POWER, env, found)) == ["ambiguous"]


@pytest.mark.parametrize("distance", [1e-7, 1e-6])
@pytest.mark.parametrize("heights", [(0.9, -1.2), (1.1, -1.1), (0.9, 1.7, -1.2)])
def test_rotations_of_atoms_nearly_in_line_are_ambiguous(heights, distance):
    for seed in range(3):
        found = null_space(POWER, disturbed(on_line(heights), distance, seed))
        assert found.status == "ambiguous" and "lie on a line" in found.reason
    assert counted(null_space(POWER, disturbed(on_line(heights), 0, 0)))["rigid"] == 2


def test_a_tolerance_below_the_distance_from_the_line_does_not_settle_it():
    for distance in (1e-9, 5e-9, 1e-8):
        found = null_space(POWER, disturbed(on_line([0.9, -1.2]), distance, 0), tolerance=1e-9)
        assert found.status == "ambiguous"


def test_truncation_next_to_a_symmetric_point_is_still_truncation():
    """A larger basis clearly sees the directions that the small one does not."""
    env = disturbed(OCTAHEDRON, 1e-3, 0)
    found = null_space(SMALL, env)
    assert found.status == "ok" and set(counted(found)) == {"rigid", "truncation"}
    assert counted(null_space(POWER, env)) == {"rigid": 3}
    assert null_space(SMALL, disturbed(OCTAHEDRON, 3e-5, 0)).status == "ambiguous"


@pytest.mark.parametrize("lift", [jaxfeat.stacked, jaxfeat.summed])
def test_molecules_are_held_to_the_same_rule(lift):
    f = lift(PowerSpectrum(("S", "F"), r_cut=6.0, n_max=1, l_max=0))
    rng = np.random.default_rng(0)
    octahedral = 1.6 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    for positions, status in (
        (octahedral + 0.2 * rng.normal(size=(7, 3)), "ok"),
        (octahedral + 3e-5 * rng.normal(size=(7, 3)), "ambiguous"),
    ):
        at = jaxfeat.structures(Atoms("SF6", positions), 6.0, centers="S")
        found = null_space(f, at[0] if at.batch_shape else at)
        assert set(counted(found)) == {"rigid", "truncation"} and found.status == status, found.reason
    assert "a complete basis sees one by" in found.reason


# --- how clearly a complete basis sees a displacement ---


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
