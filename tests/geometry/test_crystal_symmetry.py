"""Space groups of crystals that a file rounded or that noise disturbs."""

import jax.numpy as jnp
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk, molecule, mx2
from ase.spacegroup import crystal

import jaxfeat
from jaxfeat.errors import GeometryError
from jaxfeat.geometry.crystal_symmetry import nearby_crystals, symmetrize_crystal
from jaxfeat.geometry.symmetry import stabilizer, symmetrized

HEXAGONAL = [1, 1, 1, 90, 90, 120]


def hexagonal(symbols, points, a, c):
    return Atoms(symbols, scaled_positions=points, cell=np.asarray(HEXAGONAL) * [a, a, c, 1, 1, 1], pbc=True)


def layer(digits=4):
    atoms = mx2("MoS2", a=3.18, thickness=3.19, vacuum=5)
    atoms.set_scaled_positions(np.round(atoms.get_scaled_positions(), digits))
    return atoms


def molybdenite():
    points = [(1 / 3, 2 / 3, z) for z in (0.25, 0.621, 0.879)]
    points += [(2 / 3, 1 / 3, z) for z in (0.75, 0.379, 0.121)]
    return hexagonal("MoS2MoS2", np.round(points, 4), 3.16, 12.29)


def gallium_selenide():
    points = [(0, 0, 0.173), (0, 0, 0.327), (1 / 3, 2 / 3, 0.1), (1 / 3, 2 / 3, 0.4)]
    points += [(1 / 3, 2 / 3, 0.673), (1 / 3, 2 / 3, 0.827), (2 / 3, 1 / 3, 0.6), (2 / 3, 1 / 3, 0.9)]
    return hexagonal("Ga2Se2Ga2Se2", np.round(points, 4), 3.743, 15.919)


def wurtzite():
    points = [(1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0.5), (1 / 3, 2 / 3, 0.382), (2 / 3, 1 / 3, 0.882)]
    return hexagonal("Zn2O2", np.round(points, 4), 3.25, 5.207)


def perovskite():
    """A cubic cell with the angles and the lengths of a file with four digits, and a titanium off its site."""
    points = [(0, 0, 0), (0.5, 0.5, 0.50003), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
    return Atoms("SrTiO3", scaled_positions=points, cell=[3.9051, 3.905, 3.905, 90.001, 90, 90], pbc=True)


def supercell():
    """A cell of diamond that is not cubic, with noise on atoms and cell."""
    rng = np.random.default_rng(3)
    atoms = bulk("Si", cubic=True) * (2, 1, 1)
    atoms.positions += 1e-4 * rng.normal(size=atoms.positions.shape)
    atoms.set_cell(atoms.cell.array * (1 + 1e-5 * rng.normal(size=(3, 3))), scale_atoms=True)
    return atoms


CRYSTALS = {
    "layer": (layer, "P-6m2 (187)", ["D3h", "C3v", "C3v"]),
    "molybdenite": (molybdenite, "P6_3/mmc (194)", ["D3h", "C3v", "C3v"] * 2),
    "gallium selenide": (gallium_selenide, "P-6m2 (187)", ["C3v"] * 8),
    "wurtzite": (wurtzite, "P6_3mc (186)", ["C3v"] * 4),
    "perovskite": (perovskite, "Pm-3m (221)", ["Oh", "Oh", "D4h", "D4h", "D4h"]),
    "supercell": (supercell, "Fd-3m (227)", ["Td"] * 16),
}


def sites(structure, tolerance=1e-9):
    return [stabilizer(env.trimmed(), tolerance).symbol for env in structure.environments()]


@pytest.mark.parametrize("name", CRYSTALS)
def test_rounded_crystals_become_exact(name):
    make, symbol, expected = CRYSTALS[name]
    given = jaxfeat.structures(make(), 4.0)
    exact = symmetrized(given, 1e-2)
    assert symmetrize_crystal(given, 1e-2).symbol == symbol
    assert sites(exact) == expected and sites(given) != expected
    # The crystal is where it was.
    np.testing.assert_allclose(exact.positions, given.positions, atol=2e-3)
    np.testing.assert_allclose(exact.positions.mean(0), given.positions.mean(0), atol=1e-13)
    np.testing.assert_array_equal(exact.species, given.species)
    # The cell is strained and does not turn.
    strain = np.linalg.lstsq(np.asarray(given.cell), np.asarray(exact.cell))[0]
    np.testing.assert_allclose(strain, strain.T, atol=1e-14)
    # A second time finds the same group, and nothing to move.
    again = symmetrize_crystal(exact, 1e-9)
    assert again.symbol == symbol and again.distance < 1e-13


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")
@pytest.mark.parametrize("name", ["molybdenite", "gallium selenide", "wurtzite", "perovskite"])
def test_spglib_finds_the_operations_at_rounding(name):
    given = jaxfeat.structures(CRYSTALS[name][0](), 3.0)

    def operations(structure, tolerance):
        cell = np.asarray(structure.cell)
        found = spglib.get_symmetry_dataset(
            (cell, np.asarray(structure.positions) @ np.linalg.inv(cell), np.asarray(structure.species)), tolerance
        )
        return sorted(rotation.tolist() for rotation in found.rotations)

    assert operations(symmetrized(given, 1e-2), 1e-9) == operations(given, 1e-2) != operations(given, 1e-9)


def test_neighbors_keep_their_order_and_gain_images():
    """The radius is the length of some edges, and lies below that of their images, which the file rounded otherwise."""
    atoms = layer()
    lengths = np.sort(np.linalg.norm(jaxfeat.environments(atoms, 3.5, ["Mo"])[0].positions, axis=-1))
    assert len(lengths) == 12 and lengths[1] < lengths[2] - 1e-5
    given = jaxfeat.structures(atoms, float(lengths[1] + 1e-6), centers=[0])
    exact = symmetrized(given, 1e-2)
    assert given.neighbor.shape == (1, 2) and exact.neighbor.shape == (1, 6)
    np.testing.assert_array_equal(exact.neighbor[:, :2], given.neighbor)
    np.testing.assert_array_equal(exact.shift[:, :2], given.shift)
    assert sites(exact) == ["D3h"]


def test_the_chain_of_groups_near_a_crystal():
    exact, hexagonal = nearby_crystals(jaxfeat.structures(layer(), 4.0))
    assert (exact.symbol, exact.n_operations) == ("Amm2 (38)", 4)
    assert (hexagonal.symbol, hexagonal.n_operations) == ("P-6m2 (187)", 12)
    assert exact.distance < 1e-14 and 1e-4 < hexagonal.distance < 3e-4
    assert repr(hexagonal) == "NearbyCrystal(P-6m2 (187), 12 operations, 0.0002 Å away)"
    (found,) = nearby_crystals(symmetrized(jaxfeat.structures(layer(), 4.0), 1e-2))
    assert found.symbol == "P-6m2 (187)" and found.distance < 1e-14


@pytest.mark.parametrize("noise", [1e-9, 1e-7, 1e-5, 1e-3])
def test_distances_follow_the_noise(noise):
    rng = np.random.default_rng(5)
    atoms = symmetrized(jaxfeat.structures(wurtzite(), 4.0), 1e-2)
    moves = noise * rng.normal(size=atoms.positions.shape)
    first, last = nearby_crystals(atoms.with_positions(atoms.positions + jnp.asarray(moves)))
    assert (first.symbol, first.n_operations) == ("P1 (1)", 1) and first.distance < 1e-14
    assert last.symbol == "P6_3mc (186)" and 0.5 * noise < last.distance < 6 * noise


def test_a_strain_counts_as_distance():
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    atoms.set_cell(atoms.cell.array * [[1.0], [1.0], [1.001]], scale_atoms=True)
    tetragonal, cubic = nearby_crystals(jaxfeat.structures(atoms, 3.0))
    assert (tetragonal.symbol, cubic.symbol) == ("I4/mmm (139)", "Fm-3m (225)")
    # The cubic cell has the mean of the squares of the lengths.
    side = np.sqrt((2 + 1.001**2) / 3)
    np.testing.assert_allclose(cubic.structure.cell, 4.21 * side * np.eye(3), atol=1e-13)
    assert cubic.distance == pytest.approx(4.21 / 2 * np.hypot(side - 1, side - 1.001), rel=1e-9)


def test_padding_stays():
    one, two = bulk("Si"), crystal("NaCl", [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=225, cellpar=[5.64] * 3 + [90] * 3)
    padded = jaxfeat.structures([one, two], 4.0)[0]
    exact = symmetrized(padded, 1e-3)
    assert exact.positions.shape == (8, 3) and sites(exact)[:2] == ["Td", "Td"]
    np.testing.assert_array_equal(exact.neighbor_mask.sum(-1), padded.neighbor_mask.sum(-1))


def test_refusals():
    given = jaxfeat.structures(bulk("Si"), 3.0)
    wire = Atoms("C2", [(0, 0, 0), (0.5, 0, 1.2)], cell=[0, 0, 2.4], pbc=[False, False, True])
    for at, found, message in [
        (given, stabilizer(jaxfeat.structures(molecule("CH4"), 3.0)), "crystal; give a tolerance in Å"),
        (given, 0.0, "tolerance is 0.0; give a positive length"),
        (given, 4.0, "choose a"),
        (jaxfeat.structures(wire, 3.0), 1e-3, "repeats in one direction"),
        (jaxfeat.structures([bulk("Si")] * 2, 3.0), 1e-3, "batch of shape"),
    ]:
        with pytest.raises(GeometryError, match=message):
            symmetrized(at, found)
    for at, message in (([bulk("Si")] * 2, "this is a batch of"), (molecule("CH4"), "this is a molecule")):
        with pytest.raises(GeometryError, match=message):
            nearby_crystals(jaxfeat.structures(at, 3.0))


def test_environments_and_molecules_take_a_tolerance():
    atoms = molecule("CH4")
    atoms.positions = np.round(atoms.positions, 3)
    whole = symmetrized(jaxfeat.structures(atoms, 3.0), 1e-2)
    env = symmetrized(jaxfeat.environments(atoms, 3.0, ["C"])[0], 1e-2)
    assert stabilizer(whole, 1e-12).symbol == stabilizer(env, 1e-12).symbol == "Td"
