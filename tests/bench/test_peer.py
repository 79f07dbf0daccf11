"""Items are grouped for the calls of peers, and a package that is not installed says so."""

import numpy as np

from jaxfeat.bench.peer import AbstractPeer, group_by_key
from jaxfeat.bench.workloads import w1e


class Doubled(AbstractPeer):
    """A package whose Jacobians are known, in two batches."""

    title, module, distribution, variant = "Doubled", "no_such_package", "doubled", "gto"
    batches = ((0, 1), (2, 3))

    def features(self):
        return None

    def jacobian(self, batch):
        return np.stack([np.diag([1.0, 2.0, k]) for k in batch])

    def matrices(self, batch, jacobian):
        yield batch, jacobian

    def normalize(self, stack):
        return 2 * stack


def test_values_are_sorted_normalized_and_put_to_their_items():
    peer = Doubled(w1e(True, None))
    np.testing.assert_allclose(peer.values(), [[4, 2, 0], [4, 2, 2], [4, 4, 2], [6, 4, 2]])
    for call in peer.stages().values():
        call()
    assert [len(items) for items in peer.environments.values()] == [1] * 4


def test_a_package_that_is_not_installed_says_so():
    assert Doubled.missing() == "Doubled is not installed; pip install 'jaxfeat[peers]' adds it."


def test_groups_share_a_key_and_are_of_limited_size():
    assert group_by_key(range(7), lambda k: k % 2, 2) == [[0, 2], [4, 6], [1, 3], [5]]
