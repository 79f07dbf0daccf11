"""Alignment of environments."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxfeat import Environment, manifolds


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
