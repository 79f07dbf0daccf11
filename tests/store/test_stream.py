"""Environments as a stream."""

from threading import Event

import jax
import numpy as np
import pytest

from jaxfeat import Environment
from jaxfeat.errors import ReadError
from jaxfeat.store.stream import content_hash, prefetch


def test_the_hash_of_environments_is_that_of_former_stores():
    singles = [Environment.from_neighbors(np.eye(3)[:n] * [1.0, 1.25, 1.5], ["H", "O", "H"][:n], "C") for n in (2, 3)]
    batch = jax.tree.map(np.asarray, Environment.stack(singles))
    known = "e55c8ff9326ff7ee8860d75c477058954b1b31f0a7ed75a6084b394257797c5d"
    assert content_hash(batch) == content_hash(batch.padded(5)) == known


def test_nobody_waits_for_a_prefetched_item():
    slow = Event()

    def items():
        yield "first"
        slow.wait()
        yield "second"

    coming = prefetch(items())
    assert next(coming) == "first"
    # As after Ctrl-C.
    coming.close()
    assert not slow.is_set()
    slow.set()
    assert list(prefetch(iter("ab"))) == ["a", "b"]


def test_errors_of_prefetched_items_arrive():
    def items():
        yield "first"
        raise ReadError("broken")

    coming = prefetch(items())
    assert next(coming) == "first"
    with pytest.raises(ReadError, match="broken"):
        next(coming)
