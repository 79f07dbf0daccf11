"""Sites, and the rigid motions of environments and structures."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from null_cases import TETRAHEDRON

import jaxfeat
from jaxfeat import Environment
from jaxfeat.nulls.sites import rigid_space, rotation_ratio, split_into_sites


def structure(atoms, r_cut=3.0):
    found = jaxfeat.structures(atoms, r_cut)
    return found[0] if found.batch_shape else found


@pytest.mark.parametrize(
    ("at", "count"),
    [
        (Environment.from_neighbors(TETRAHEDRON, ["H"] * 4).padded(6), 3),
        (Environment.from_neighbors([(0, 0, 1.0), (0, 0, -1.3)], ["H"] * 2), 2),
        (structure(molecule("CH4")), 6),
        (structure(molecule("CO2")), 5),
        (structure(bulk("C")), 3),
    ],
    ids=["environment", "line", "molecule", "linear molecule", "crystal"],
)
def test_rigid_motions_keep_all_distances(at, count):
    space = rigid_space(at)
    assert len(space) == count
    np.testing.assert_allclose(space @ space.T, np.eye(count), atol=1e-12)
    mask = np.asarray(at.mask)
    moves = space.reshape(count, -1, 3)
    assert not moves[:, ~mask].any()
    if not getattr(at, "periodic", False):
        x, moves = np.asarray(at.positions)[mask], moves[:, mask]
        along = np.einsum("ijx,cijx->cij", x[:, None] - x, moves[:, :, None] - moves[:, None])
        assert np.abs(along).max() < 1e-12


def test_a_center_moves_with_its_atom():
    """A displacement of all atoms by the same vector moves no neighbor relative to its center."""
    at = structure(molecule("H2O"))
    everything = np.tile([0.3, -0.2, 0.5], 3)
    for site in split_into_sites(at, np.ones(at.neighbor.shape, bool)):
        rows = np.eye(3 * len(site.vectors))
        np.testing.assert_allclose(site.rows_on_atoms(rows) @ everything, 0, atol=1e-15)


def test_a_fixed_center_leaves_rows_unchanged():
    (site,) = split_into_sites(Environment.from_neighbors(TETRAHEDRON, ["H"] * 4), np.ones(4, bool))
    np.testing.assert_array_equal(site.rows_on_atoms(np.eye(12)), np.eye(12))


def test_the_shortest_rotation_vanishes_with_the_distance_from_a_line():
    for height in (1e-1, 1e-3, 1e-5):
        near = Environment.from_neighbors([(0, 0, 1.0), (height, 0, -1.3)], ["H"] * 2)
        assert 0.1 * height < rotation_ratio(near) < 10 * height
    atoms = Atoms("HF", [(0, 0, 0), (0, 0, 0.9)])
    assert rotation_ratio(structure(atoms)) == pytest.approx(1)
