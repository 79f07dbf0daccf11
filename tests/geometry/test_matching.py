"""Congruent environments form families, and others are aligned."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxfeat import Environment, manifolds
from jaxfeat.geometry.matching import group_congruent

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))
Z = np.asarray([1, 1, 1, 8, 8])


def turned(x, sign=1.0):
    q, r = np.linalg.qr(RNG.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return sign * x @ (q * np.sign(np.linalg.det(q))).T


def families(positions, species):
    return [members.tolist() for members in group_congruent(np.asarray(positions), np.asarray(species))]


def test_rotations_inversion_and_permutations_of_like_atoms_change_nothing():
    shuffled = np.asarray([2, 0, 1, 4, 3])
    images = [X, turned(X), turned(X, -1), turned(X)[shuffled], RNG.normal(size=(5, 3)), turned(X) + 1e-7]
    assert families(images, [Z] * 6) == [[0, 1, 2, 3, 5], [4]]


def test_other_species_and_other_positions_are_not_congruent():
    swapped = X[[3, 1, 2, 0, 4]]
    moved = X + 1e-3 * np.eye(5, 3)
    fewer = np.where(np.arange(5)[:, None] == 4, 0, X)
    assert families([X, swapped, moved, fewer], [Z, Z, Z, np.where(np.arange(5) == 4, 0, Z)]) == [[0], [1], [2], [3]]
    # All distances agree, and yet no rotation takes one to the other.
    twins = [manifolds.pair_family(-0.45, 0.95, 0.6, 0.7, 0.5, -0.75, 0.8, sign).positions for sign in (1, -1)]
    assert families(twins, [[1] * 4] * 2) == [[0], [1]]
    pair = [np.asarray([(1.0, 0, 0), (0, 1.0, 0)]), np.asarray([(1.0, 0, 0), (0, 0, 1.0)])]
    assert families(pair, [[1, 8]] * 2) == [[0, 1]] and families(pair, [[1, 8], [8, 1]]) == [[0, 1]]
    assert families(pair, [[1, 8], [8, 8]]) == [[0], [1]]


def test_collinear_and_missing_neighbors():
    assert group_congruent(np.zeros((0, 4, 3)), np.zeros((0, 4), int)) == ()
    on_a_line = np.asarray([(0, 0, 1.0), (0, 0, -1.2), (0, 0, 2.0)])
    assert families([on_a_line, turned(on_a_line), on_a_line * 1.1], [[1, 1, 1]] * 3) == [[0, 1], [2]]
    assert families(np.zeros((2, 3, 3)), np.zeros((2, 3), int)) == [[0, 1]]


def environment(positions, species=None):
    return Environment.from_neighbors(np.asarray(positions, float), species or ["H"] * len(positions), "C")


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
