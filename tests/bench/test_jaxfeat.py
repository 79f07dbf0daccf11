"""Items of a workload are divided into blocks of few shapes."""

import numpy as np
import pytest

from jaxfeat.bench.jaxfeat import Block, Jaxfeat, _divide, _group_by_room
from jaxfeat.bench.workloads import WORKLOADS


def test_items_of_similar_size_share_a_room():
    assert [rows.tolist() for rows in _group_by_room([7, 12, 5, 8, 14], (7, 8, 14))] == [[0, 2], [3], [1, 4]]
    assert [rows.tolist() for rows in _group_by_room([7, 12, 5], ())] == [[0, 1, 2]]


def test_the_last_block_repeats_items():
    rows = np.asarray([9, 3, 5, 7, 1])
    blocks = list(_divide(Block(rows, {"x": 10.0 * rows}), 2))
    assert [block.items.tolist() for block in blocks] == [[9, 3], [5, 7], [7, 1]]
    assert all(block.batch["x"].tolist() == (10 * block.items).tolist() for block in blocks)
    assert [block.items.tolist() for block in _divide(Block(rows, rows), 9)] == [rows.tolist()]


@pytest.mark.parametrize("name", ["W1", "W1e", "W4"])
def test_every_item_is_in_a_block(name):
    workload = WORKLOADS[name](True, None)
    package = Jaxfeat(workload, "gto")
    for blocks in (package.blocks, package.large_blocks):
        assert {int(item) for block in blocks for item in block.items} == set(range(workload.n_items))
        assert all(len(block.batch) == len(block.items) for block in blocks)
    assert set(package.stages()) == {"features", "jacobian", "values", "screened", "vectors"}
