"""Manifolds are differentiable maps from named parameters to environments of the same atoms."""

import ase.io
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial.transform import Rotation

from jaxfeat import Environment, manifolds
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.follow import follow_center

WATER = [[0.0, 0.76, 0.59], [0.0, -0.76, 0.59]]


def environment(positions, species=None):
    return Environment.from_neighbors(np.asarray(positions, float), species or ["H"] * len(positions), "C")


def wobbling(n, rng):
    atoms = molecule("CH3OH")
    return [Atoms(atoms.numbers, atoms.positions + 0.05 * rng.normal(size=(len(atoms), 3))) for _ in range(n)]


MANIFOLDS = {
    "prl": lambda: manifolds.prl_methane(-1),
    "pair": lambda: manifolds.pair(1),
    "ring": lambda: manifolds.ring(1),
    "planar": lambda: manifolds.planar(5),
    "equal radii": lambda: manifolds.equal_radii(5),
    "displacement": lambda: manifolds.displacement(environment(WATER), {"a": np.ones((2, 3)), "b": np.eye(3)[:2]}),
    "interpolation": lambda: manifolds.interpolation(environment(WATER), environment(1.1 * np.asarray(WATER))),
    "trajectory": lambda: manifolds.trajectory(
        follow_center(wobbling(4, np.random.default_rng(0)), 4.0, 0).environments
    ),
}


@pytest.mark.parametrize("name", MANIFOLDS)
def test_defaults_lie_in_the_bounds_and_derivatives_are_right(name):
    manifold = MANIFOLDS[name]()
    assert all(p.low <= p.default <= p.high for p in manifold.parameters)
    assert len(set(manifold.names)) == len(manifold.names)
    at = jnp.asarray(manifold.values()) + 0.01
    slopes = jax.jit(jax.jacfwd(lambda values: manifold(*values).positions))(at)
    for k in range(len(at)):
        ahead, behind = (manifold(*at.at[k].add(h)).positions for h in (1e-5, -1e-5))
        np.testing.assert_allclose(slopes[..., k], (ahead - behind) / 2e-5, atol=1e-8)
        assert np.abs(slopes[..., k]).max() > 1e-3


def test_parameters_are_named():
    manifold = manifolds.pair(1)
    assert manifold.values(cy=0.1) == (*manifold.values()[:6], 0.1)
    with pytest.raises(GeometryError, match="no parameter 'cz'; choose among ax, az"):
        manifold.values(cz=0.1)
    with pytest.raises(GeometryError, match="2 values were given for the parameters ax"):
        manifold(1.0, 2.0)


def test_planar_neighbors_leave_the_plane_by_z_alone():
    manifold = manifolds.planar(4)
    assert np.abs(manifold(*manifold.values()).positions[:, 2]).max() == 0
    assert np.abs(manifold(*manifold.values(z=0.3)).positions[:, 2]).tolist() == [0, 0, 0, 0.3]


def test_equal_radii_are_equal_until_dr():
    manifold = manifolds.equal_radii(4)
    radii = lambda **named: np.linalg.norm(manifold(*manifold.values(r=1.3, **named)).positions, axis=-1)  # noqa: E731
    np.testing.assert_allclose(radii(), 1.3, rtol=1e-14)
    np.testing.assert_allclose(radii(dr=0.2), [1.3, 1.3, 1.3, 1.5], rtol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 6, 12])
def test_alignment_undoes_rotations_and_permutations_of_like_neighbors(n):
    rng = np.random.default_rng(n)
    positions, species = rng.normal(size=(n, 3)), rng.choice([1, 8], n)
    order = np.lexsort((rng.uniform(size=n), species))
    moved = positions[order] @ Rotation.random(rng=rng).as_matrix().T
    here, there = environment(positions, species.tolist()), environment(moved, species[order].tolist())
    aligned = manifolds.aligned(there, here)
    np.testing.assert_allclose(aligned.positions, positions, atol=1e-12)
    np.testing.assert_array_equal(aligned.species, species)


def test_mirror_images_stay_apart():
    positions = np.random.default_rng(0).normal(size=(5, 3))
    aligned = manifolds.aligned(environment(positions * [1, 1, -1]), environment(positions))
    assert np.linalg.norm(aligned.positions - positions) > 0.1


def test_interpolation_goes_from_one_to_the_other():
    rng = np.random.default_rng(1)
    first, last = environment(rng.normal(size=(4, 3))), environment(rng.normal(size=(4, 3)))
    way = manifolds.interpolation(first, last)
    np.testing.assert_allclose(way(0.0).positions, first.positions, atol=1e-14)
    gram = lambda x: np.sort((x @ x.T).ravel())  # noqa: E731
    np.testing.assert_allclose(gram(way(1.0).positions), gram(last.positions), atol=1e-12)
    with pytest.raises(GeometryError, match="hold different atoms"):
        manifolds.interpolation(first, environment(rng.normal(size=(4, 3)), ["H", "H", "H", "O"]))


def test_a_trajectory_passes_through_its_frames():
    frames = wobbling(5, np.random.default_rng(2))
    found = follow_center(frames, 1.6, 0)
    near = [np.linalg.norm(frame.positions - frame.positions[0], axis=1) < 1.6 for frame in frames]
    assert found.neighbors.tolist() == np.flatnonzero(np.any(near, 0))[1:].tolist()
    assert 0 < len(found.neighbors) < 5
    way = manifolds.trajectory(found.environments)
    for k in range(5):
        expected = frames[k].positions[found.neighbors] - frames[k].positions[0]
        np.testing.assert_allclose(way(float(k)).positions, expected, atol=1e-14)


def test_directions_are_scaled_to_one_angstrom():
    env = environment(WATER)
    way = manifolds.displacement(env, {"q": 7 * np.ones((2, 3))})
    assert np.isclose(np.linalg.norm(way(0.4).positions - env.positions), 0.4)
    with pytest.raises(GeometryError, match="direction 'q' has length 0"):
        manifolds.displacement(env, {"q": np.zeros((2, 3))})
    with pytest.raises(GeometryError, match=r"shape \(3, 3\); the environment's is \(2, 3\)"):
        manifolds.displacement(env, {"q": np.ones((3, 3))})


def test_atoms_are_followed_through_structures_of_one_molecule(tmp_path):
    frames = wobbling(2, np.random.default_rng(0))
    ase.io.write(tmp_path / "f.xyz", frames)
    with pytest.raises(GeometryError, match="structure 1 has other atoms"):
        follow_center([frames[0], molecule("CH4")], 4.0, 0)
    with pytest.raises(GeometryError, match="there is no atom 6, only 0 to 5"):
        follow_center(frames, 4.0, 6)
    with pytest.raises(GeometryError, match=r"no atom comes within 0.1 Å of atom 0"):
        follow_center(frames, 0.1, 0)
    frames[1].pbc = True
    with pytest.raises(GeometryError, match="structure 1 is periodic"):
        follow_center(frames, 4.0, 0)
    frames[1].pbc = False
    frames[1].positions[2] = np.nan
    with pytest.raises(GeometryError, match="structure 1: atom 2 is at"):
        follow_center(frames, 4.0, 0)


def test_random_environments_keep_to_their_bounds():
    env = manifolds.random_environments(jax.random.key(0), 50, ["H", "H", "O"], (0.9, 1.4), 0.8, "N")
    positions = np.asarray(env.positions)
    assert positions.shape == (50, 3, 3)
    radii = np.linalg.norm(positions, axis=-1)
    assert 0.9 <= radii.min() < 0.95 and 1.35 < radii.max() <= 1.4
    first, second = np.triu_indices(3, 1)
    assert np.linalg.norm(positions[:, first] - positions[:, second], axis=-1).min() >= 0.8
    assert env.species.tolist() == [[1, 1, 8]] * 50
    assert set(env.center_species.tolist()) == {7}
    with pytest.raises(GeometryError, match="hardly fit between"):
        manifolds.random_environments(jax.random.key(0), 5, ["H"] * 40)
