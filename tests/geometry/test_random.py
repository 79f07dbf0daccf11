"""Random environments keep to their recipes."""

import jax
import numpy as np
import pytest

from jaxfeat import manifolds
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.random import METHANES_PER_STREAM, draw_evenly, draw_methanes
from jaxfeat.manifolds import random_methane

JAX_NUMBERS = [0.645996634275679, -1.9672278262654996, -0.27109731071704435]
NUMPY_NUMBERS = [1.6274872530000748, 1.3577789715179498, 0.5624433185592818]


def drawn_by_jax():
    return np.asarray(random_methane(jax.random.key(0), 4000).positions)


def drawn_by_numpy():
    return np.concatenate([hydrogens for _, hydrogens in draw_methanes(4000, 0)])


@pytest.mark.parametrize("draw", [drawn_by_jax, drawn_by_numpy])
def test_random_methanes_follow_their_recipe(draw):
    positions = np.pad(draw(), ((0, 0), (1, 0), (0, 0)))
    assert positions.shape == (4000, 5, 3)
    assert positions.dtype == np.float64
    radii = np.linalg.norm(positions[:, 1:], axis=-1)
    assert radii.max() <= 3.0
    assert abs(np.mean(radii**3 / 27) - 0.5) < 0.02
    assert np.all(np.abs(positions[:, 1:].mean((0, 1))) < 0.05)
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)[:, *np.triu_indices(5, 1)]
    assert 0.5 <= distances.min() < 0.51


def test_a_key_of_jax_fixes_random_methanes():
    batch = random_methane(jax.random.key(0), 5)
    assert bool(batch.mask.all())
    assert batch.center_species.tolist() == [6] * 5
    assert np.array_equal(random_methane(jax.random.key(0), 5).positions, batch.positions)
    assert jax.jit(lambda key: random_methane(key, 3))(jax.random.key(1)).positions.shape == (3, 4, 3)
    with pytest.raises(GeometryError, match="n is 0"):
        random_methane(jax.random.key(0), 0)


def test_random_numbers_are_those_of_published_results():
    """The numbers of both generators: stored and published results rest on them."""
    np.testing.assert_allclose(random_methane(jax.random.key(7), 2).positions[1, 3], JAX_NUMBERS, rtol=1e-14)
    ((_, hydrogens),) = draw_methanes(2, 7)
    np.testing.assert_allclose(hydrogens[1, 3], NUMPY_NUMBERS, rtol=1e-14)


def test_blocks_can_be_drawn_without_those_before():
    n, start = METHANES_PER_STREAM + 20, METHANES_PER_STREAM - 3
    everything = np.concatenate([hydrogens for _, hydrogens in draw_methanes(n, 5)])
    found = list(draw_methanes(n, 5, start))
    assert [(first, len(hydrogens)) for first, hydrogens in found] == [(start, 3), (METHANES_PER_STREAM, 20)]
    np.testing.assert_array_equal(np.concatenate([hydrogens for _, hydrogens in found]), everything[start:])


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


def test_a_sample_covers_a_sequence_evenly():
    for total, size in ((1000, 10), (1003, 17), (20, 19)):
        drawn = draw_evenly(total, size, 5)
        assert len(drawn) == size
        for k, index in enumerate(drawn):
            assert k * total // size <= index < (k + 1) * total // size
    assert not np.array_equal(draw_evenly(1000, 10, 5), draw_evenly(1000, 10, 6))
    # Each index of a part is drawn.
    assert {int(draw_evenly(12, 3, seed)[1]) for seed in range(60)} == {4, 5, 6, 7}
    for total in (0, 1, 20):
        np.testing.assert_array_equal(draw_evenly(total, 20, 0), np.arange(total))
    for size, seed, words in ((0, 0, "at least one"), (3, -1, "at least 0")):
        with pytest.raises(GeometryError, match=words):
            draw_evenly(10, size, seed)
