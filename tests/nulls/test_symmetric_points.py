"""Counts here and near together are those of the exact molecule or crystal."""

import ase
import jax
import numpy as np
import pytest
from ase.build import bulk, molecule, mx2

import jaxfeat
from jaxfeat import PowerSpectrum
from jaxfeat.nulls.symmetric_points import find_symmetric_points


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
