"""How clearly a complete basis sees displacements, and the causes that this decides next to exact points."""

import numpy as np
import pytest
from ase import Atoms
from null_cases import TETRAHEDRON
from null_checks import FAMILIES, check_near, count_causes

import jaxfeat
from jaxfeat import Cure, Environment, PowerSpectrum, cure, null_space
from jaxfeat.linalg.subspaces import orthogonal_complement
from jaxfeat.nulls.jacobian_nulls import decompose_jacobian
from jaxfeat.nulls.kernel import site_edges, summed_edges
from jaxfeat.nulls.visibility import least_visibility, wave_gradients

ROOM = 6
POWER = PowerSpectrum(("H",), n_max=4, l_max=6, radial="laplacian")
SMALL = PowerSpectrum(("H",), n_max=2, l_max=2, radial="laplacian")

OCTAHEDRON = FAMILIES["octahedron"]


def disturbed(points, distance, seed):
    rng = np.random.default_rng(seed)
    turned = points @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return environment(turned + distance * rng.normal(size=points.shape))


def environment(points):
    return Environment.from_neighbors(points, ["H"] * len(points), "H").padded(ROOM)


def counted(found):
    return {name: count for name, count in found.counts.items() if count}


def test_next_to_an_octahedron_no_basis_is_called_too_small():
    """σ_min/σ_max is about the cube of the distance there, whatever the basis. Symmetry is the cause of that."""
    for seed in (0, 3, 5):
        env = disturbed(OCTAHEDRON, 3e-5, seed)
        found = check_near(null_space(POWER, env), POWER, env)
        assert found.symmetry == found.nullity - 3 > 0 and count_causes(found) == {"symmetry": 14}
        assert cure(POWER, env, found) == {"symmetry": Cure("symmetry", found.symmetry, symbol="O_h")}
    # The octahedron is farther than this tolerance, so neither J nor the geometry tells the cause.
    unknown = null_space(POWER, env, tolerance=1e-5)
    assert unknown.status == "ambiguous" and "a complete basis sees 1 by rounding only" in unknown.reason
    assert list(cure(POWER, env, unknown)) == ["ambiguous"]


@pytest.mark.parametrize("distance", [1e-9, 5e-9, 1e-8, 1e-7, 1e-6])
@pytest.mark.parametrize("heights", [(0.9, -1.2), (1.1, -1.1), (0.9, 1.7, -1.2)])
def test_what_a_line_hides_has_symmetry_for_its_cause_next_to_it(heights, distance):
    """The shortest rotation is known to few digits there, and J sees the others by the square of the distance."""
    points = np.outer(heights, [0, 0, 1.0])
    exact = null_space(POWER, disturbed(points, 0, 0))
    assert (exact.rigid, exact.symmetry, exact.nullity) == (2, exact.nullity - 2, exact.nullity)
    for seed in range(3):
        env = disturbed(points, distance, seed)
        found = check_near(null_space(POWER, env), POWER, env)
        assert set(counted(found)) <= {"rigid", "symmetry"} and count_causes(found) == count_causes(exact)
        assert found.symbol == exact.symbol == found.near[-1].symbol
        # The third rotation is rigid if it is long enough to be told from rounding.
        assert found.rigid == (2 if distance <= 1e-8 else 3)


def test_truncation_next_to_a_symmetric_point_is_still_truncation():
    """A larger basis clearly sees the directions that the small one does not."""
    for distance, symmetry, truncation in ((1e-3, 0, 7), (3e-5, 1, 6)):
        env = disturbed(OCTAHEDRON, distance, 0)
        found = check_near(null_space(SMALL, env), SMALL, env)
        assert (found.symmetry, found.truncation, found.nullity) == (symmetry, truncation, 10)
        # At the octahedron symmetry hides the truncated directions as well.
        assert count_causes(found) == {"symmetry": 14 - truncation, "truncation": truncation}
        assert count_causes(null_space(POWER, env)) == {"symmetry": 14}
    assert counted(null_space(POWER, disturbed(OCTAHEDRON, 1e-3, 0))) == {"rigid": 3}
    assert counted(null_space(SMALL, disturbed(OCTAHEDRON, 0, 0))) == {"rigid": 3, "symmetry": 14}


@pytest.mark.parametrize("lift", [jaxfeat.stacked, jaxfeat.summed])
def test_molecules_are_held_to_the_same_rule(lift):
    f = lift(PowerSpectrum(("S", "F"), r_cut=6.0, n_max=1, l_max=0))
    rng = np.random.default_rng(0)
    octahedral = 1.6 * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    for positions, counts in (
        (octahedral, {"rigid": 6, "symmetry": 14}),
        (octahedral + 0.2 * rng.normal(size=(7, 3)), {"rigid": 6, "truncation": 14}),
        # The basis sees none of these 14 directions. A complete basis sees 8 of them by a high power of the distance.
        (octahedral + 3e-5 * rng.normal(size=(7, 3)), {"rigid": 6, "symmetry": 8, "truncation": 6}),
    ):
        at = jaxfeat.structures(Atoms("SF6", positions), 6.0, centers="S")
        at = at[0] if at.batch_shape else at
        assert counted(check_near(null_space(f, at), f, at)) == counts


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
