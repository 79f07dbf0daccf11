"""The symmetric geometries nearby are symmetric, nested, and no farther than they say."""

import itertools

import ase
import jax
import numpy as np
import pytest
from ase.build import bulk, molecule, mx2
from null_cases import OCTAHEDRON, TETRAHEDRON, rotated

import jaxfeat
from jaxfeat import Environment, PowerSpectrum
from jaxfeat.geometry.symmetry import point_stabilizer
from jaxfeat.nulls.symmetric_points import SAME_POINT, find_symmetric_points, label_kinds, write_symbol


def around(positions, species=None):
    positions = np.asarray(positions, float)
    return Environment.from_neighbors(positions, ["H"] * len(positions) if species is None else species)


def find(at, largest=0.1, group="O3", atoms=None):
    return find_symmetric_points(at, np.asarray(at.mask) if atoms is None else atoms, group, largest)


def check(found, at):
    distances = [point.distance for point in found]
    assert distances == sorted(distances)
    for point in found:
        moved = np.linalg.norm(np.asarray(point.at.positions) - np.asarray(at.positions), axis=1)
        np.testing.assert_allclose(moved.max(), point.distance, rtol=1e-9, atol=SAME_POINT)
    orders = [point.stabilizer.order for point in found]
    assert orders == sorted(orders)
    return [point.symbol for point in found]


@pytest.mark.parametrize("noise", [1e-8, 1e-5, 1e-3])
@pytest.mark.parametrize(("points", "symbol"), [(TETRAHEDRON, "T_d"), (OCTAHEDRON, "O_h")])
def test_noise_alone_leaves_one_point(points, symbol, noise):
    """Some of the operations fit better than others by chance, and these are no points of their own."""
    rng = np.random.default_rng(0)
    at = around(rotated(points, rng) + noise * rng.normal(size=points.shape))
    found = find(at)
    assert check(found, at)[-1] == symbol and len(found) <= 2
    assert found[-1].distance < 3 * noise
    exact = np.asarray(found[-1].at.positions)
    assert write_symbol(point_stabilizer(exact, np.ones(len(exact), int), "O3", 1e-12)) == symbol


def test_points_lead_from_the_nearest_to_the_most_symmetric():
    """An octahedron, longer along z by 5e-2 Å and along x by 1e-3 Å, disturbed by 1e-6 Å."""
    rng = np.random.default_rng(2)
    stretched = OCTAHEDRON * [1 + 1e-3, 1, 1 + 5e-2]
    at = around(rotated(stretched, rng) + 1e-6 * rng.normal(size=(6, 3)))
    found = find(at)
    assert check(found, at) == ["D_2h", "D_4h", "O_h"]
    below = (1e-5, 2e-3, 0.1)
    assert all(point.distance < largest < 50 * point.distance for point, largest in zip(found, below, strict=True))
    # Each point has the operations of the one before, so what the nearer one hides the farther one hides too.
    spaces = [np.eye(18) - point.stabilizer.fixed_projector() for point in found]
    for smaller, larger in itertools.pairwise(spaces):
        assert np.abs(smaller @ larger - smaller).max() < 1e-2
    assert [point.symbol for point in find(at, 1e-2)] == ["D_2h", "D_4h"]
    assert [point.symbol for point in find(at, 1e-4)] == ["D_2h"]


def test_exact_positions_are_their_own_point():
    at = around(TETRAHEDRON)
    (found,) = find(at)
    assert found.at is at and found.distance <= SAME_POINT and found.symbol == "T_d"
    stretched = around(OCTAHEDRON * [1, 1, 1 + 1e-2])
    first, second = find(stretched)
    assert first.at is stretched and (first.symbol, second.symbol) == ("D_4h", "O_h")
    assert find(around(np.random.default_rng(0).normal(size=(5, 3))), 1e-2) == []


def test_reflections_are_no_symmetry_of_chiral_features():
    rng = np.random.default_rng(0)
    flat = around(rng.normal(size=(4, 3)) * [1, 1, 1e-4])
    assert [point.symbol for point in find(flat, 1e-2)] == ["C_s"] and find(flat, 1e-2, "SO3") == []
    at = around(TETRAHEDRON + 1e-4 * rng.normal(size=(4, 3)))
    assert [point.symbol for point in find(at, group="SO3")][-1] == "T"


def test_lines_are_points_too():
    rng = np.random.default_rng(0)
    at = around(np.outer([1.1, -1.1 + 1e-2], [0.6, 0, 0.8]) + 1e-5 * rng.normal(size=(2, 3)))
    found = find(at)
    assert check(found, at)[-2:] == ["C_∞v", "D_∞h"]
    assert found[-2].distance < 1e-4 < found[-1].distance < 1e-2
    assert np.linalg.svd(np.asarray(found[-1].at.positions), compute_uv=False)[1] < 1e-15


def test_atoms_that_take_no_part_stay():
    rng = np.random.default_rng(0)
    positions = np.concatenate([TETRAHEDRON + 1e-4 * rng.normal(size=(4, 3)), [(0.3, 0.2, 4.5)]])
    at = around(positions).padded(7)
    atoms = np.arange(7) < 4
    found = find(at, atoms=atoms)
    assert found[-1].symbol == "T_d" and found[-1].stabilizer.permutations.shape[1] == 4
    np.testing.assert_array_equal(np.asarray(found[-1].at.positions)[~atoms], np.asarray(at.positions)[~atoms])


def structure(atoms, **options):
    found = jaxfeat.structures(atoms, 4.0, **options)
    return found[0] if found.batch_shape else found


def test_molecules_turn_about_their_centroid_and_exchange_centers_with_centers():
    rng = np.random.default_rng(0)
    atoms = molecule("CH4")
    atoms.positions = rotated(atoms.positions, rng) + 7 + 1e-4 * rng.normal(size=(5, 3))
    at = structure(atoms)
    found = find(at)
    assert check(found, at)[-1] == "T_d" and found[-1].distance < 1e-3
    one = structure(atoms, centers=[0, 1])
    assert len(set(label_kinds(one)[1:].tolist())) == 2 and find(one)[-1].symbol == "C_3v"


# --- molecules and crystals as wholes ---


def rounded(atoms, digits):
    """Turn a molecule at random and round its coordinates."""
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    atoms = atoms.copy()
    atoms.positions = (atoms.positions @ turn).round(digits)
    return atoms


def fractions_rounded(atoms, digits):
    atoms = atoms.copy()
    atoms.set_scaled_positions(atoms.get_scaled_positions().round(digits))
    return atoms


def rattled(atoms, distance):
    atoms = atoms.copy()
    atoms.rattle(distance, seed=1)
    return atoms


def exactly(atoms):
    """Make a molecule of ASE, whose coordinates have six digits, exactly symmetric."""
    atoms = atoms.copy()
    atoms.positions = np.asarray(jaxfeat.symmetrized(jaxfeat.structures(atoms, 4.0), 1e-3).positions)
    return atoms


LAYER, SILICON = mx2("MoS2", vacuum=5), bulk("Si")
WURTZITE, SALT = bulk("ZnS", "wurtzite", a=3.82, c=6.26), bulk("NaCl", "rocksalt", a=5.64)
CASES = {
    "MoS2 with 0.6667": (LAYER, fractions_rounded(LAYER, 4), "P-6m2 (187)"),
    "silicon, 1e-6 Å": (SILICON, rattled(SILICON, 1e-6), "Fd-3m (227)"),
    "silicon, 1e-4 Å": (SILICON, rattled(SILICON, 1e-4), "Fd-3m (227)"),
    "wurtzite with 0.3333": (WURTZITE, fractions_rounded(WURTZITE, 4), "P6_3mc (186)"),
    "salt, 1e-5 Å": (SALT, rattled(SALT, 1e-5), "Fm-3m (225)"),
    # spglib needs 20 s for this cell at tolerances below the noise if it is asked for it as it is.
    "two cells of salt": (SALT * (2, 1, 1), rattled(SALT * (2, 1, 1), 1e-5), "Fm-3m (225)"),
} | {
    f"{name}, {digits} digits": (exactly(molecule(name)), rounded(exactly(molecule(name)), digits), symbol)
    for name, symbol in (("CH4", "T_d"), ("C6H6", "D_6h"), ("C2H2", "D_∞h"))
    for digits in (4, 6)
}


@pytest.mark.parametrize("make", [jaxfeat.stacked, jaxfeat.summed])
@pytest.mark.parametrize("case", CASES)
def test_counts_here_and_near_are_those_of_the_exact_structure(case, make):
    exact_atoms, atoms, symbol = CASES[case]
    f = make(PowerSpectrum(sorted(set(atoms.get_chemical_symbols())), n_max=4, l_max=4))
    exact, here = (jaxfeat.null_space(f, jaxfeat.structures(one, 4.0)) for one in (exact_atoms, atoms))
    assert here.status == "ok"
    found = dict(here.counts)
    for group in here.near:
        found[group.cause] += len(group.directions)
    # Atoms on a line have one rotation less, which counts as symmetry beside the line.
    assert found.pop("rigid") - exact.rigid == ("C2H2" in case)
    assert found == {cause: n for cause, n in exact.counts.items() if cause != "rigid"}
    assert here.near[-1].symbol == symbol and here.near[-1].distance < 1e-3


def test_an_exact_crystal_is_the_first_of_its_points():
    exact, rough = (jax.tree.map(np.asarray, jaxfeat.structures(atoms, 4.0)) for atoms in CASES["salt, 1e-5 Å"][:2])
    (found,) = find_symmetric_points(exact, exact.mask, "O3", 0.1)
    assert found.at is exact and found.distance == 0 and found.stabilizer is None
    assert [one.symbol for one in find_symmetric_points(rough, rough.mask, "O3", 1e-7)] == []
    chain = exact.with_positions(exact.positions)
    object.__setattr__(chain, "cell", np.diag([5.64, 0.0, 0.0]))
    assert find_symmetric_points(chain, chain.mask, "O3", 0.1) == []


def test_sums_over_chains_apart_have_symmetries_of_their_own():
    """Chains out of each other's reach are more symmetric than the crystal, so the cause of the rest is not known."""
    cell = [[1.6, 0, 0], [3.0, 12.0, 0], [1.0, 2.0, 13.0]]
    chain = ase.Atoms("CH", [[0, 0, 0], [0.5, 0.9, 0.1]], cell=cell, pbc=True)
    f = jaxfeat.summed(PowerSpectrum(("H", "C"), r_cut=3.0, n_max=3, l_max=3))
    null = jaxfeat.null_space(f, jaxfeat.structures(chain, 3.0))
    assert null.incompleteness == null.truncation == 0


@pytest.mark.parametrize("make", [jaxfeat.stacked, jaxfeat.summed])
def test_complete_kernels_that_are_too_large_lose_no_symmetry(make, monkeypatch):
    monkeypatch.setattr("jaxfeat.nulls.kernel.MAX_TUPLES", 2)
    _, atoms, symbol = CASES["silicon, 1e-4 Å"]
    f = make(PowerSpectrum(("Si",), n_max=4, l_max=4))
    null = jaxfeat.null_space(f, jaxfeat.structures(atoms, 4.0))
    assert sum(len(group.directions) for group in null.near if group.cause == "symmetry") == 3
    assert null.near[-1].symbol == symbol
