"""Structures that vesin cannot search are refused before the search; structures that are hard for it come out right."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.errors import GeometryError
from jaxfeat.geometry import bounds

CLUSTER = np.asarray([[0, 0, 0], [1.0, 0, 0], [0, 1.2, 0.3]])


def _away(x):
    atoms = molecule("CH4")
    atoms.positions[3, 0] = x
    return atoms


def _skew(degrees):
    return Atoms("C", cell=[4, 4, 4, 90, 90, degrees], pbc=True)


REFUSED = {
    "an atom far away": (_away(5e5), r"structure 0 \(CH4\): atom 3 is at \(500000, .*mend its coordinates"),
    "farther": (_away(-1e12), "atom 3 is at .*farther than 1e[+]05 Å from the origin"),
    "far away in a crystal": (Atoms("C2", [[0, 0, 0], [1e13, 0, 1]], cell=[5] * 3, pbc=True), "atom 1 is at .*farther"),
    "above a slab": (Atoms("C2", [[0, 0, 0], [0, 0, 5e5]], cell=[5, 5, 0], pbc=[1, 1, 0]), "atom 1 is at .*farther"),
    "a small cell": (Atoms("C", cell=[0.01] * 3, pbc=True), "pairs .* within 4 Å.*mend the cell, .* 0.01 Å apart"),
    "a flat cell": (_skew(1e-4), "pairs of atoms .*mend the cell"),
    "a flat cell, in radians": (_skew(np.rad2deg(1e-4)), "pairs of atoms .*mend the cell"),
    "a short vector": (Atoms("C", cell=[1e-7, 5, 5], pbc=[1, 0, 0]), "pairs of atoms .*mend the cell"),
    "a long cell": (Atoms("C", cell=[1e9, 5, 5], pbc=True), "cell vector 0 is 1.0e[+]09 Å long.*unset its pbc"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_structures_beyond_the_bounds_are_refused(name):
    atoms, message = REFUSED[name]
    for make in (jaxfeat.environments, jaxfeat.structures):
        with pytest.raises(GeometryError, match=message):
            make(atoms, 4.0)


def test_a_radius_with_too_many_pairs_is_refused():
    with pytest.raises(GeometryError, match=r"2e[+]08 pairs of atoms are within 500 Å.*choose a smaller r_cut"):
        jaxfeat.environments(bulk("C"), 500.0)


SOUND = {
    "a large flake": (Atoms("H5", [*CLUSTER, [2000, 2000, 0], [2000, 1999, 0]]), [2, 2, 2, 1, 1]),
    "a large sheet": (Atoms("H3", CLUSTER, cell=[2000, 2000, 5], pbc=True), [2, 2, 2]),
    "far up, but not too far": (Atoms("H3", [*CLUSTER[:2], [0, 0, 9e4]], cell=[5, 5, 0], pbc=[1, 1, 0]), [1, 1, 0]),
    "a long chain": (Atoms("H3", [[0, 0, 0], [0, 0, 1], [9e4, 0, 0]]), [1, 1, 0]),
    "a hair's breadth": (Atoms("H", cell=[0.01, 5, 5], pbc=[1, 0, 0]), [798]),
    "moved together": (Atoms("H3", CLUSTER + 9e4), [2, 2, 2]),
}


@pytest.mark.parametrize("name", SOUND)
def test_structures_that_are_hard_for_vesin_are_right(name):
    atoms, counts = SOUND[name]
    batch = jaxfeat.environments(atoms, 4.0)
    assert batch.n_neighbors.tolist() == counts
    distances = np.linalg.norm(batch.positions, axis=-1)[np.asarray(batch.mask)]
    assert distances.max() < 4.0
    structure = jaxfeat.structures(atoms, 4.0).environments()
    np.testing.assert_allclose(structure.positions, batch.positions, atol=1e-9)


DROP = 8 * np.random.default_rng(0).normal(size=(2000, 3))
ESTIMATED = {
    "copper": (bulk("Cu", cubic=True) * (4, 4, 4), 6.0),
    "diamond, far": (bulk("C"), 20.0),
    "a drop": (Atoms("H2000", DROP), 4.0),
    "a drop in a box": (Atoms("H2000", DROP, cell=[300] * 3, pbc=True), 4.0),
    "a molecule": (molecule("C6H6"), 4.0),
}


@pytest.mark.parametrize("name", ESTIMATED)
def test_the_number_of_pairs_is_estimated(name, monkeypatch):
    atoms, r_cut = ESTIMATED[name]
    true = int(np.asarray(jaxfeat.environments(atoms, r_cut).mask).sum())
    monkeypatch.setattr(bounds, "MAX_PAIRS", 0)
    with pytest.raises(GeometryError, match="pairs") as caught:
        jaxfeat.environments(atoms, r_cut)
    estimate = float(str(caught.value).split("about ")[1].split(" ")[0])
    assert true / 2 <= estimate <= 4 * true


def test_frames_that_cannot_be_searched_stand_among_the_others(tmp_path):
    methane = molecule("CH4")
    atoms = [methane, *(case for case, _ in REFUSED.values()), Atoms("C", cell=[3, 3, 0], pbc=True), methane]
    ase.io.write(tmp_path / "m.traj", atoms)
    (block,) = jaxfeat.frames(tmp_path / "m.traj", 4.0, "C").batches(0)
    assert set(block.structure_index.tolist()) == set(range(len(atoms)))
    sound = np.isin(block.structure_index, [0, len(atoms) - 1])
    assert sound[[0, -1]].all() and sound.sum() == 2
    np.testing.assert_array_equal(block.r_cut, np.where(sound, 4.0, 0.0))
    np.testing.assert_array_equal(block.n_neighbors, np.where(sound, 4, 0))
    np.testing.assert_array_equal(block.center_species, 6)
