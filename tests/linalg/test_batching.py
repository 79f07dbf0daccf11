import jax.numpy as jnp
import numpy as np
import pytest

from jaxfeat.linalg.batching import map_blocks, map_blocks_in_two_steps
from jaxfeat.linalg.lanes import in_lanes


@pytest.mark.parametrize("block_items", [1, 4, 6, 100])
def test_blocks_give_every_item_in_order(block_items):
    x = np.arange(14.0).reshape(2, 7)
    sizes = []

    def doubled(block):
        sizes.append(len(block))
        return 2 * block

    np.testing.assert_array_equal(map_blocks(doubled, x, 2, block_items), 2 * x)
    assert max(sizes) <= block_items
    found = map_blocks_in_two_steps(jnp.square, lambda square, y: (y, square + y), x, 2, block_items)
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_array_equal(found[1], x**2 + x)
    assert map_blocks_in_two_steps(jnp.square, jnp.add, np.zeros((0, 3)), 1, block_items).shape == (0, 3)
    assert map_blocks_in_two_steps(jnp.square, jnp.add, x[0], 0, block_items).shape == (7,)


def test_the_two_steps_have_blocks_of_their_own_size(monkeypatch):
    monkeypatch.setattr("jaxfeat.linalg.batching.BLOCK_ITEMS", 4)
    sizes = [], []
    first, then = (in_lanes(lambda _, each, seen=seen: seen.append(each.shape[-1]) or each) for seen in sizes)
    x = np.arange(7.0)
    found = map_blocks_in_two_steps(lambda y: first((), y), lambda same, y: then((), same + y), x, 1, 2)
    np.testing.assert_array_equal(found, 2 * x)
    assert 2 in sizes[0] and 4 in sizes[1] and 4 not in sizes[0]
