"""Blocks of equal shape, cut from batches of mixed sizes."""

import jax
import numpy as np
import pytest

import jaxfeat
from jaxfeat.geometry.environment import concatenate_on_host
from jaxfeat.geometry.structure import species_present
from jaxfeat.spectrum import blocks


def hydrogens(seed, count, n_neighbors):
    return jaxfeat.manifolds.random_environments(jax.random.key(seed), count, ["H"] * n_neighbors, min_distance=0.0)


def test_small_shapes_join_larger_ones():
    shapes = np.asarray([[1, 2]] * 5 + [[2, 2]] + [[2, 4]] * 2 + [[3, 4]] * 4 + [[4, 1]])
    joined = blocks.join_small_shapes(shapes, 4)
    assert {shape: len(members) for shape, members in joined.items()} == {(1, 2): 5, (3, 4): 7, (4, 1): 1}
    for shape, members in joined.items():
        assert (shapes[members] <= np.asarray(shape)).all()
    assert sorted(np.concatenate(list(joined.values())).tolist()) == list(range(len(shapes)))


@pytest.mark.parametrize("n", [0, 1, 3, 5, 9, 17, 26, 33, 70, 200])
def test_a_room_holds_its_neighbors_and_little_more(n):
    assert n <= blocks.room_for_neighbors(n) <= 1.5 * n + 1


def test_blocks_of_a_stream_repeat_few_environments(monkeypatch):
    f = jaxfeat.PowerSpectrum(("C", "H"), 4.0, n_max=2, l_max=1)
    monkeypatch.setattr(blocks, "_n_in_cache", lambda *_: 8)
    few, some, many = hydrogens(0, 5, 2), hydrogens(3, 90, 3), hydrogens(1, 110, 4)
    most = jaxfeat.manifolds.random_environments(jax.random.key(2), 397, ["C"] * 6, min_distance=0.0)
    batch = concatenate_on_host([few, some, many, most])
    cut = list(blocks.blocks_by_shape(f, batch, least_of_shape=1, cache_fills=16, chunk_length=512))
    of_some = [(8, 8)] * 11 + [(2, 8)]
    expected = [(128, 128)] * 3 + [(13, 128), (5, 8), *of_some] + [(32, 32)] * 3 + [(14, 32)]
    assert [(len(block.indices), len(block.present)) for block in cut] == expected
    assert sorted(np.concatenate([block.indices for block in cut]).tolist()) == list(range(len(batch)))


def test_a_block_holds_its_items_and_repeats_the_first():
    f = jaxfeat.PowerSpectrum(("C", "H"), 4.0, n_max=2, l_max=1)
    batch = concatenate_on_host([hydrogens(0, 5, 2), hydrogens(1, 60, 4)])
    for block in blocks.blocks_by_shape(f, batch, least_of_shape=1, chunk_length=16):
        room, m = block.items.max_neighbors, len(block.indices)
        expected = np.asarray(batch.positions)[block.indices, :room]
        np.testing.assert_array_equal(block.items.positions[:m], expected)
        np.testing.assert_array_equal(block.items.positions[m:], np.broadcast_to(expected[:1], (16 - m, room, 3)))


@pytest.mark.parametrize(("count", "length"), [(1, 1), (2, 2), (3, 3), (5, 6), (7, 8), (33, 48), (49, 64)])
def test_blocks_of_picked_items_have_few_lengths(count, length):
    batch = hydrogens(0, 50, 2)
    block = blocks.block_of(jax.tree.map(np.asarray, batch), np.arange(count), None)
    assert len(block.indices) == count and len(block.items) == length


def test_species_are_listed_item_by_item():
    f = jaxfeat.PowerSpectrum(("O", "C", "H"), 4.0, n_max=1, l_max=0)
    neighbors = [["H", "H"], ["O", "H"], ["C", "C"]]
    batch = jaxfeat.Environment.stack(
        [jaxfeat.Environment.from_neighbors([[0, 0, 1], [0, 1, 0]], names, "C") for names in neighbors]
    )
    assert f.species.tolist() == [8, 6, 1]
    assert species_present(f.species, batch).tolist() == [[6, 1, -1], [8, 6, 1], [6, -1, -1]]
