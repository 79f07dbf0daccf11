"""Matrices of peers are the derivatives of their features."""

import dataclasses

import numpy as np
import pytest

from jaxfeat.bench.peers import PEERS
from jaxfeat.bench.workloads import WORKLOADS


def flat(package, found):
    """Return all features of a peer, in some order."""
    if package == "featomic":
        return np.concatenate([block.values.ravel() for block in found.blocks()])
    return np.concatenate([np.ravel(one["data"] if package == "quippy" else one) for one in found])


@pytest.mark.parametrize("package", PEERS)
@pytest.mark.parametrize("name", ["W1e", "W2", "W3", "W4"])
def test_matrices_of_peers_are_derivatives_of_their_features(package, name):
    """They are, along a random displacement, in which the center of an environment stays."""
    pytest.importorskip(PEERS[package].module)
    workload = WORKLOADS[name](True, None)
    atoms = workload.atoms[1]
    workload = dataclasses.replace(workload, atoms=[atoms])
    u = np.random.default_rng(0).normal(size=atoms.positions.shape)
    if not workload.stacked:
        u[0] = 0
    original, found = atoms.positions.copy(), []
    for step in (1e-4, 0, -1e-4):
        atoms.positions = original + step * u
        peer = PEERS[package](workload)
        if step:
            found.append(flat(package, peer.features()))
        else:
            (batch,) = peer.batches
            ((items, (matrix,)),) = peer.matrices(batch, peer.jacobian(batch))
    assert list(items) == [0]
    slope = (found[0] - found[1]) / 2e-4
    along = (u if workload.stacked else u[1:]).ravel() @ matrix
    np.testing.assert_allclose(np.linalg.norm(along), np.linalg.norm(slope), rtol=1e-6)
    largest = np.sort(np.abs(slope))[-20:]
    np.testing.assert_allclose(np.sort(np.abs(along))[-20:], largest, rtol=1e-5, atol=1e-6 * largest[-1])
