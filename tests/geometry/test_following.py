"""The environments of one atom along a path of structures."""

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from cases import wobbling_methanols

import jaxfeat
from jaxfeat.errors import GeometryError, ReadError
from jaxfeat.geometry.following import follow_center, follow_displacement


def vectors_of(env, r_cut=np.inf):
    """Sort the vectors to the neighbors within a radius."""
    found = np.asarray(env.positions)[np.asarray(env.mask)]
    found = found[np.linalg.norm(found, axis=-1) < r_cut]
    return found[np.lexsort(np.round(found, 6).T)]


def rattled(atoms, n, scale, seed):
    """Move atoms at random, drift as a whole, and put all atoms back into the cell."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(n):
        frame = atoms.copy()
        frame.positions += scale * rng.normal(size=(len(atoms), 3)) + [0.9 * k, 0.0, 1.7 * k]
        frame.wrap()
        frames.append(frame)
    return frames


def slab():
    return fcc111("Al", (2, 2, 2), vacuum=4.0)


CRYSTALS = {"one atom": lambda: bulk("Cu"), "silicon": lambda: bulk("Si", cubic=True), "slab": slab}


@pytest.mark.parametrize("name", CRYSTALS)
def test_neighbors_of_crystals_enter_and_leave(name):
    frames = rattled(CRYSTALS[name](), 6, 0.25, seed=1)
    env = jax.tree.map(np.asarray, follow_center(frames, 3.4, 0).environments)
    sizes = set()
    for k, frame in enumerate(frames):
        whole = jaxfeat.environments(frame, 3.4, [0])[0]
        np.testing.assert_allclose(vectors_of(env[k], 3.4), vectors_of(whole), atol=1e-12)
        sizes.add(int(whole.n_neighbors))
        where = frame.positions[env.neighbor_index[k]] + env.neighbor_shift[k] @ frame.cell.array
        np.testing.assert_allclose(env.positions[k], where - frame.positions[0], atol=1e-12)
    assert len(sizes) > 1 or name == "one atom"
    # No neighbor jumps from one side of the cell to the other.
    assert np.linalg.norm(np.diff(env.positions, axis=0), axis=-1).max() < 2.0


def test_cells_change_along_a_path():
    first = bulk("Si", cubic=True)
    last = first.copy()
    last.set_cell(first.cell.array @ [[1.1, 0.05, 0.0], [0.05, 0.95, 0.0], [0.0, 0.0, 1.0]], scale_atoms=True)
    env = follow_center([first, last], 4.0, 0).environments
    for k, frame in enumerate((first, last)):
        whole = jaxfeat.environments(frame, 4.0, [0])[0]
        np.testing.assert_allclose(vectors_of(env[k], 4.0), vectors_of(whole), atol=1e-12)
    # Half way between them, as well.
    half = first.copy()
    half.set_cell((first.cell.array + last.cell.array) / 2, scale_atoms=True)
    middle = env[0].with_positions((env.positions[0] + env.positions[1]) / 2)
    np.testing.assert_allclose(vectors_of(middle, 4.0), vectors_of(jaxfeat.environments(half, 4.0, [0])[0]), atol=1e-12)


def test_an_atom_that_passes_by_between_two_structures_is_a_neighbor():
    ends = [Atoms("CHO", [(0, 0, 0), (x, 1.5, 0), (0, 0, 1)], cell=[20, 20, 20], pbc=True) for x in (-3.0, 3.0)]
    assert follow_center(ends, 2.0, 0).neighbors.tolist() == [1, 2]
    assert follow_center(ends[:1], 2.0, 0).neighbors.tolist() == [2]
    assert follow_center(ends, 1.4, 0).neighbors.tolist() == [2]


def test_neighbors_that_a_displacement_brings_are_there():
    """The silicon at the center moves against the others by 0.5 Å, and atoms at 3.84 Å come within 3.5 Å."""
    atoms = bulk("Si", cubic=True)
    moves = np.zeros((8, 3))
    moves[0] = 2.0
    found = follow_displacement(atoms, moves, 3.5, 0, reach=1.0)
    start = found.environments[0]
    # The norm counts the four neighbors at the start.
    step = moves[0] / np.linalg.norm(moves[0]) / 2
    distances = np.linalg.norm(start.positions, axis=-1)
    assert (distances < 3.5).sum() == 4 and len(distances) > 4
    for sign in (1, -1):
        ahead = atoms.copy()
        ahead.positions[0] += sign * step
        moved = start.with_positions(start.positions + sign * (moves - moves[0])[found.neighbors] / np.sqrt(48))
        expected = vectors_of(jaxfeat.environments(ahead, 3.5, [0])[0])
        np.testing.assert_allclose(vectors_of(moved, 3.5), expected, atol=1e-12)


def test_followed_neighbors_are_those_of_any_structure():
    frames = wobbling_methanols(5, seed=2)
    found = follow_center(frames, 1.6, 0)
    near = [np.linalg.norm(frame.positions - frame.positions[0], axis=1) < 1.6 for frame in frames]
    assert {*np.flatnonzero(np.any(near, 0))[1:].tolist()} <= {*found.neighbors.tolist()}
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
    with pytest.raises(GeometryError, match="structure 1 repeats in other directions than structure 0"):
        follow_center(frames, 4.0, 0)
    frames[1].pbc = False
    frames[1].positions[2] = np.nan
    with pytest.raises(GeometryError, match="structure 1: atom 2 is at"):
        follow_center(frames, 4.0, 0)


def test_a_cell_of_another_size_is_refused():
    first = bulk("Si", cubic=True)
    last = Atoms(first.numbers, scaled_positions=first.get_scaled_positions(), cell=2 * first.cell.array, pbc=True)
    with pytest.raises(GeometryError, match="the cell changes by 100% from structure 0 to 1"):
        follow_center([first, last], 3.0, 0)
