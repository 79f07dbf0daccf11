"""Environments as a stream."""

import jax
import numpy as np

from jaxfeat import Environment
from jaxfeat.store.stream import content_hash


def test_the_hash_of_environments_is_that_of_former_stores():
    singles = [Environment.from_neighbors(np.eye(3)[:n] * [1.0, 1.25, 1.5], ["H", "O", "H"][:n], "C") for n in (2, 3)]
    batch = jax.tree.map(np.asarray, Environment.stack(singles))
    known = "e55c8ff9326ff7ee8860d75c477058954b1b31f0a7ed75a6084b394257797c5d"
    assert content_hash(batch) == content_hash(batch.padded(5)) == known
