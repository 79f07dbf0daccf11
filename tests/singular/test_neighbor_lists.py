"""Structures are searched with lists that have room for atoms that come within reach, and ends have new lists."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms

import jaxfeat
from jaxfeat.cutoffs import NoCutoff
from jaxfeat.errors import BasisError, GeometryError
from jaxfeat.manifolds.manifold import Family, Parameter
from jaxfeat.singular.neighbor_lists import n_points_listed, with_new_lists, with_room
from jaxfeat.singular.search_space import Free, Within, read_starts
from jaxfeat.singular.singular_equations import item_velocity, rigid_part

R_CUT = 3.0
RADIAL = jaxfeat.SymmetryFunctions(("H", "O"), R_CUT, g2=[[4.0, r] for r in (0.8, 1.2, 1.6, 2.0, 2.4)])
"""Features of stacked centers know all six distances of the four atoms below. Their derivatives compile in no time."""

NEARLY_PLANAR = np.asarray([[0.0, 0.1, 0], [1.3, 0, 0.06], [-0.5, 0.9, 0.02], [1.7, 0.8, -0.03]])
MOLECULE = Atoms("OHHO", NEARLY_PLANAR)
CRYSTAL = Atoms("OH", [[0.2, 0, 0.1], [1.7, 1.3, 1.25]], cell=[2.9, 3.1, 3.3], pbc=True)


def one_of(atoms, within=R_CUT):
    return jax.tree.map(np.asarray, jaxfeat.structures([atoms], within))


def inverse_distances(positions, species, mask):
    s = jnp.where(mask, jnp.sum(positions**2, -1), 1.0)
    return jnp.stack([jnp.sum(jnp.where(mask, s**-p, 0.0)) for p in (0.5, 1.0, 2.0)])


NO_RADIUS = jaxfeat.stacked(jaxfeat.function(inverse_distances, nu=1))
"""Features without a radius. A further neighbor would change them."""


def coplanar_to(positions):
    return np.linalg.svd(positions - positions.mean(0), compute_uv=False)[2]


def n_listed(structure):
    return int(np.asarray(structure.neighbor_mask).sum())


def test_lists_have_room_for_all_that_may_come_within_reach():
    sound = np.ones(1, bool)
    molecule = one_of(MOLECULE, 1.4)
    assert n_listed(molecule) < 12
    roomy = with_room(jaxfeat.stacked(RADIAL), molecule, sound, 1.0)
    assert n_listed(roomy) == 12 and np.isinf(roomy.r_cut).all()
    around = roomy[0].environments()
    distances = np.linalg.norm(around.positions, axis=-1)
    np.testing.assert_allclose(np.sort(distances, axis=None), np.sort(MOLECULE.get_all_distances(), axis=None)[4:])
    crystal = one_of(CRYSTAL)
    roomy = with_room(jaxfeat.stacked(RADIAL), crystal, sound, 0.4)
    expected = one_of(CRYSTAL, R_CUT + 0.8)
    assert n_listed(roomy) == n_listed(expected) > n_listed(crystal)
    for name in ("neighbor", "shift", "neighbor_mask", "r_cut"):
        np.testing.assert_array_equal(getattr(roomy, name), getattr(expected, name))
    # Further neighbors would change features that have no window.
    hard = jaxfeat.RadialSpectrum(("H", "O"), R_CUT, n_max=1, cutoff=NoCutoff())
    assert with_room(jaxfeat.stacked(hard), crystal, sound, 0.4) is crystal
    assert with_room(NO_RADIUS, crystal, sound, 0.4) is crystal


def test_padding_and_bad_structures_keep_their_place():
    batch = jax.tree.map(np.asarray, jaxfeat.structures([MOLECULE, MOLECULE[:2]], R_CUT))
    roomy = with_room(jaxfeat.stacked(RADIAL), batch, np.ones(2, bool), 1.0)
    assert [n_listed(one) for one in roomy] == [12, 2]
    moved = batch.positions.copy()
    moved[0, 3] += 3.0
    moved[1] = np.nan
    found = with_new_lists(batch, moved, np.asarray([True, False]))
    assert [n_listed(one) for one in found] == [6, 2]
    np.testing.assert_array_equal(found[1].neighbor[found[1].neighbor_mask], batch[1].neighbor[batch[1].neighbor_mask])


def test_points_with_other_neighbors_end_a_path():
    given, listed = one_of(MOLECULE, 2.0)[0], one_of(MOLECULE, 4.0)[0]
    path = np.stack([NEARLY_PLANAR, NEARLY_PLANAR * [1.0, 1.0, 1.1], NEARLY_PLANAR * 0.5])
    assert n_points_listed(given, listed, path) == 3
    assert n_points_listed(given, given, path) == 2
    far = path.copy()
    far[1, 0] += 30.0
    assert n_points_listed(given, given, far) == 1 and n_points_listed(given, listed, far) == 3


@pytest.fixture(scope="module")
def planar():
    return jaxfeat.find_singular_points(jaxfeat.stacked(RADIAL), jaxfeat.structures([MOLECULE], R_CUT))


def test_a_molecule_lands_in_a_plane(planar):
    """Six distances of four atoms are blind to first order where the atoms are in one plane, and nowhere else near."""
    assert planar.landed.all() and planar.sigma_ratio[0] < 1e-13 and planar.accuracy[0] < 1e-12, planar
    assert coplanar_to(planar.positions[0]) < 1e-13 and coplanar_to(NEARLY_PLANAR) > 0.05
    # The coordinates of four points in a plane, less one rotation and two translations.
    assert planar.dimension[0] == 5 and planar.counts("symmetry")[0] == 1
    # No step moves the molecule as a whole.
    np.testing.assert_allclose(planar.positions[0].mean(0), NEARLY_PLANAR.mean(0), atol=1e-13)
    assert isinstance(planar.environments, jaxfeat.Structure) and n_listed(planar.environments) == 12
    assert "1 landed of 1 starts; 1 distinct; 1 by symmetry 1" in repr(planar)
    assert [len(family) for family in planar.distinct] == [1]


def test_the_set_of_planar_molecules_is_followed(planar):
    path = jaxfeat.trace_singular_set(jaxfeat.stacked(RADIAL), planar.environments[0], 0.12)
    assert path.status == "length" and path.dimension.tolist() == [5] * len(path.path)
    assert max(map(coplanar_to, np.asarray(path.environments.positions))) < 1e-12
    assert np.abs(np.diff(np.asarray(path.environments.positions), axis=0).mean(1)).max() < 1e-12
    near = jaxfeat.trace_singular_set(
        jaxfeat.stacked(RADIAL), planar.environments[0], 0.12, constraints=Free(max_move=0.02)
    )
    assert near.status == "left-bounds"
    moved = np.asarray(near.environments.positions) - planar.positions[0]
    assert 0.015 < np.linalg.norm(moved, axis=-1).max() < 0.02 + 1e-8


def test_a_crystal_lands_where_an_atom_is_on_a_mirror_plane():
    """A box has mirror planes through atoms at half its edges, and each hides one direction."""
    start = CRYSTAL.copy()
    start.positions[1] = start.positions[0] + [2.9 / 2 - 0.005, 0.9, 1.1]
    found = jaxfeat.find_singular_points(jaxfeat.summed(RADIAL), jaxfeat.structures([start], R_CUT))
    assert found.landed.all() and found.sigma_ratio[0] < 1e-13, found
    apart = np.diff(found.positions[0], axis=0)[0]
    np.testing.assert_allclose(apart[0], 2.9 / 2, atol=1e-13)
    assert np.abs(apart[1:] - [0.9, 1.1]).max() < 0.2 and found.dimension[0] == 2
    assert found.counts("rigid")[0] == 3 and found.counts("symmetry")[0] == 1
    np.testing.assert_allclose(found.positions[0].mean(0), start.positions.mean(0), atol=1e-13)


def test_inversion_finds_the_molecule_again():
    f, truth = jaxfeat.stacked(RADIAL), one_of(MOLECULE)
    start = truth.with_positions(truth.positions + 0.02 * np.random.default_rng(1).normal(size=(1, 4, 3)))
    found = jaxfeat.invert(f, f(truth), start)
    assert found.recovered.all() and found.residual[0] < 1e-13
    turned = truth.with_positions(truth.positions[:, ::-1] @ np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 2)[0] + 5)
    turned = eqx.tree_at(lambda one: one.species, turned, turned.species[:, ::-1])
    # At 0.06 Å from a singular point digits are lost.
    assert found.distance(truth)[0] < 1e-10 and found.distance(turned)[0] < 1e-10
    assert "1 recovered" in repr(found)


def test_an_end_with_other_neighbors_is_said_to_be_none():
    """The molecule shrinks, and its ends come within the radius, which the lists of the start do not know."""
    listed = one_of(Atoms("HOOH", [[-1.3, 0.9, 0], [-0.7, 0, 0], [0.7, 0, 0], [1.3, 0.8, 0.6]]), 2.4)
    assert n_listed(listed) == 10
    smaller = listed.with_positions(0.88 * listed.positions)
    found = jaxfeat.invert(NO_RADIUS, NO_RADIUS(smaller), listed)
    assert found.status.tolist() == ["neighbors-missed"] and found.residual[0] > 1e-3
    assert n_listed(found.environments) == 12


def test_velocities_of_structures_are_derivatives():
    rng = np.random.default_rng(0)
    f, at = jaxfeat.summed(RADIAL), one_of(CRYSTAL)[0]
    direction = jnp.asarray(rng.normal(size=(2, 3)))

    def along(x):
        return jax.jvp(lambda x: f(at.with_positions(x)), (x,), (direction,))[1]

    @jax.jit
    def both(x):
        jacobian = jax.jacfwd(lambda x: f(at.with_positions(x)))(x)
        return item_velocity(f, at.with_positions(x), direction), along(x), jax.jacfwd(along)(x), jacobian

    found, value, by_position, by_direction = both(jnp.asarray(at.positions))
    assert np.abs(value).max() > 1e-2
    np.testing.assert_allclose(found.value, value, atol=1e-12)
    np.testing.assert_allclose(found.by_position.T, by_position.reshape(len(value), 6), atol=1e-12)
    np.testing.assert_allclose(found.by_direction.T, by_direction.reshape(len(value), 6), atol=1e-12)


def test_the_rigid_part_vanishes_on_changes_of_shape_only():
    at = one_of(MOLECULE)[0]
    turn = np.cross([0.3, -1.0, 0.5], at.positions) + np.asarray([0.1, 0.2, -0.3])
    assert np.abs(rigid_part(at, jnp.asarray(turn))).max() > 0.1
    axes = np.eye(3)[:, None]
    motions = np.concatenate([np.cross(axes, at.positions), np.broadcast_to(axes, (3, 4, 3))])
    shape = np.linalg.svd(motions.reshape(6, 12))[2][6:].reshape(-1, 4, 3)
    for change in shape:
        np.testing.assert_allclose(rigid_part(at, jnp.asarray(change)), 0, atol=1e-12)


def test_each_bad_structure_has_a_status():
    batch = jax.tree.map(np.asarray, jaxfeat.structures([MOLECULE] * 4, R_CUT))
    positions = batch.positions.copy()
    positions[1, 2, 0] = np.nan
    positions[2, 3] = positions[2, 1]
    starts = eqx.tree_at(lambda s: s.neighbor_mask, batch.with_positions(positions), batch.neighbor_mask.copy())
    starts.neighbor_mask[3] = False
    f = jaxfeat.stacked(RADIAL)
    points, _, status = read_starts(f, Free(), starts, "a search")
    assert status.tolist() == ["", "non-finite", "coincident", "empty"] and points.shape == (4, 12)


def test_wrong_searches_of_structures_are_refused():
    f, starts = jaxfeat.stacked(RADIAL), jaxfeat.structures([MOLECULE], R_CUT)
    with pytest.raises(GeometryError, match="max_move"):
        jaxfeat.find_singular_points(f, starts, constraints=Free(radii=(0.5, 2.0)))
    with pytest.raises(GeometryError, match="max_move is -1"):
        Free(max_move=-1)
    with pytest.raises(GeometryError, match="describes environments"):
        jaxfeat.find_singular_points(RADIAL, starts)
    with pytest.raises(BasisError, match="search crystals without it"):
        jaxfeat.find_singular_points(f, jaxfeat.structures([CRYSTAL], R_CUT), exclude="symmetric")
    with pytest.raises(GeometryError, match="one structure"):
        jaxfeat.trace_singular_set(f, starts, 0.1)


def test_bounds_of_structures():
    start = one_of(MOLECULE)
    space = Free(min_distance=0.4).around(start)
    moved = start.positions[0] + [[0.3, 0, 0], [0, 0, 0], [0, 0, 0], [0, -0.4, 0]]
    slack_at = jax.jit(lambda x, item: space.slack(x, item))
    slack = np.asarray(slack_at(moved.reshape(-1), start[0]))
    first, second = np.triu_indices(4, 1)
    np.testing.assert_allclose(slack[:6], np.linalg.norm(moved[first] - moved[second], axis=1) - 0.4, rtol=1e-12)
    np.testing.assert_allclose(slack[6:], [0.7, 1, 1, 0.6], rtol=1e-12)
    crystal = one_of(CRYSTAL)
    slack = slack_at(crystal.positions.reshape(-1), crystal[0])
    nearest = np.linalg.norm(np.asarray(crystal[0].environments().positions), axis=-1).min(-1)
    np.testing.assert_allclose(slack, [*(nearest - 0.4), 1, 1], rtol=1e-12)


def test_a_manifold_of_structures_is_searched():
    start = jaxfeat.structures(MOLECULE, R_CUT)

    def bent(height):
        return start.with_positions(start.positions.at[3, 2].set(height))

    space = Within(Family((Parameter("height", -1.0, 1.0, 0.3),), bent))
    points, items, status = read_starts(jaxfeat.stacked(RADIAL), space, np.asarray([[0.2], [np.nan]]), "a search")
    assert status.tolist() == ["", "non-finite"] and isinstance(items, jaxfeat.Structure)
    assert space.item(jnp.asarray(points[0]), items[0]).positions[3, 2] == 0.2
    slack = np.asarray(jax.jit(lambda x, item: space.slack(x, item))(points[0], items[0]))
    np.testing.assert_allclose(slack[:2], [1.2, 0.8], rtol=1e-14)
    assert slack.shape == (8,)
