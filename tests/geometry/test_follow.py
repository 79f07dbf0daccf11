"""One center that is followed through several structures."""

import numpy as np
import pytest
from ase.build import molecule
from cases import wobbling_methanols

from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.geometry.follow import follow_center


def test_neighbors_are_those_of_any_structure():
    frames = wobbling_methanols(5, seed=2)
    found = follow_center(frames, 1.6, 0)
    near = [np.linalg.norm(frame.positions - frame.positions[0], axis=1) < 1.6 for frame in frames]
    assert found.neighbors.tolist() == np.flatnonzero(np.any(near, 0))[1:].tolist()
    assert 0 < len(found.neighbors) < 5
    env = found.environments
    assert env.structure_index.tolist() == [0, 1, 2, 3, 4]
    for k, frame in enumerate(frames):
        vectors = frame.positions[env.neighbor_index[k]] - frame.positions[env.center_index[k]]
        np.testing.assert_allclose(env.positions[k], vectors, atol=1e-14)


def test_structures_of_one_molecule_are_asked_for():
    frames = wobbling_methanols(2, seed=0)
    with pytest.raises(ReadError, match="the list of structures is empty"):
        follow_center([], 4.0, 0)
    with pytest.raises(GeometryError, match="structure 1 has other atoms"):
        follow_center([frames[0], molecule("CH4")], 4.0, 0)
    with pytest.raises(GeometryError, match="there is no atom 6, only 0 to 5"):
        follow_center(frames, 4.0, 6)
    with pytest.raises(GeometryError, match=r"no atom comes within 0.1 Å of atom 0"):
        follow_center(frames, 0.1, 0)
    frames[1].set_cell([9.0] * 3)
    frames[1].pbc = True
    with pytest.raises(GeometryError, match="structure 1 is periodic"):
        follow_center(frames, 4.0, 0)
    frames[1].pbc = False
    frames[1].positions[2] = np.nan
    with pytest.raises(GeometryError, match="structure 1: atom 2 is at"):
        follow_center(frames, 4.0, 0)
