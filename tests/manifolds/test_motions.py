"""Motions of given atoms."""

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from cases import wobbling_methanols

import jaxfeat
from jaxfeat import Environment, manifolds
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.following import follow_center, follow_displacement
from jaxfeat.geometry.symmetry import stabilizer

WATER = [[0.0, 0.76, 0.59], [0.0, -0.76, 0.59]]


def environment(positions, species=None):
    return Environment.from_neighbors(np.asarray(positions, float), species or ["H"] * len(positions), "C")


def test_directions_are_scaled_to_one_angstrom():
    env = environment(WATER)
    way = manifolds.displacement(env, {"q": 7 * np.ones((2, 3))})
    assert np.isclose(np.linalg.norm(way(0.4).positions - env.positions), 0.4)
    with pytest.raises(GeometryError, match="direction 'q' has length 0"):
        manifolds.displacement(env, {"q": np.zeros((2, 3))})
    with pytest.raises(GeometryError, match=r"shape \(3, 3\); the environment's is \(2, 3\)"):
        manifolds.displacement(env, {"q": np.ones((3, 3))})


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
    frames = wobbling_methanols(5, seed=2)
    found = follow_center(frames, 1.6, 0)
    way = manifolds.trajectory(found.environments)
    for k in range(5):
        expected = frames[k].positions[found.neighbors] - frames[k].positions[0]
        np.testing.assert_allclose(way(float(k)).positions, expected, atol=1e-14)
    with pytest.raises(GeometryError, match="one frame is no trajectory"):
        manifolds.trajectory(found.environments[:1])
    with pytest.raises(GeometryError, match="frames have different neighbors"):
        manifolds.trajectory(Environment.stack([environment(WATER), environment(WATER, ["H", "O"])]))


def silicon():
    """Silicon, and a displacement of its atoms along an optical mode, in no special direction."""
    atoms = bulk("Si", cubic=True)
    second = np.abs(np.mod(4 * atoms.get_scaled_positions(), 2) - 1).sum(1) < 1.5
    return atoms, np.where(second, 1.0, -1.0)[:, None] * [0.3, 0.5, 1.0]


def sorted_distances(env):
    return np.sort(np.linalg.norm(np.asarray(env.positions)[np.asarray(env.mask)], axis=-1))


def test_silicon_passes_through_the_tetrahedral_point_along_an_optical_mode():
    atoms, mode = silicon()
    assert np.abs(mode.sum(0)).max() == 0
    found = follow_displacement(atoms, mode, 4.2, 0, reach=1.0)
    way = manifolds.displacement(found.environments[0], {"q": mode[found.neighbors] - mode[0]})
    start = way(0.0).trimmed()
    assert start.max_neighbors == 16 < way.all_neighbors().max_neighbors
    assert stabilizer(start, 1e-12).symbol == "Td" and stabilizer(way(1e-4).trimmed(), 1e-6).symbol == "C1"
    null = jaxfeat.null_space(jaxfeat.PowerSpectrum(("Si",), r_cut=4.2, n_max=8, l_max=6), start)
    assert (null.stabilizer.symbol, null.symmetry, null.truncation) == ("Td", 42, 0)
    # Four of the sixteen neighbors move against the center, and twelve move with it.
    scale = 1 / (np.sqrt(4) * 2 * np.linalg.norm(mode[0]))
    for q in (-0.9, -0.2, 0.4, 1.0):
        there = Atoms(atoms.numbers, atoms.positions + q * scale * mode, cell=atoms.cell, pbc=True)
        whole = jaxfeat.environments(there, 4.2, [0])[0]
        np.testing.assert_allclose(sorted_distances(way(q)), sorted_distances(whole), atol=1e-12)


def test_neighbors_outside_the_radius_are_padding():
    """A sodium goes from one side of its octahedron to the other; neighbors enter the radius and leave it."""
    first, last = bulk("NaCl", "rocksalt", a=5.64, cubic=True), bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    first.positions[0] += [0.9, 0.6, 0.2]
    last.positions[0] -= [0.9, 0.6, 0.2]
    last.wrap()
    ends = follow_center([first, last], 4.2, 0).environments
    way = manifolds.interpolation(ends[0], ends[1], align=False)
    sizes = set()
    for t in (0.0, 0.3, 0.5, 0.8, 1.0):
        there = first.copy()
        there.positions[0] -= t * np.asarray([1.8, 1.2, 0.4])
        whole, env = jaxfeat.environments(there, 4.2, [0])[0], way(t)
        np.testing.assert_allclose(sorted_distances(env), sorted_distances(whole), atol=1e-12)
        n = int(env.n_neighbors)
        assert env.mask[:n].all() and not env.positions[n:].any() and not env.species[n:].any()
        assert (env.neighbor_index[:n] >= 0).all() and (env.neighbor_index[n:] == -1).all()
        sizes.add(n)
    assert len(sizes) > 1
    # Neighbors keep their order, so derivatives go along the path.
    slope = jax.jit(jax.jacfwd(lambda t: way(t).positions))(0.3)
    np.testing.assert_allclose(slope, (way(0.3001).positions - way(0.2999).positions) / 2e-4, atol=1e-8)
    with pytest.raises(GeometryError, match="other order"):
        manifolds.interpolation(environment(WATER, ["H", "O"]), environment(WATER, ["O", "H"]), align=False)
