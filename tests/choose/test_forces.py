"""Forces on the singular directions of structures: closed forms, shares by construction, and bad input."""

import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat import PowerSpectrum, stacked, structures, summed, visible_force
from jaxfeat.errors import GeometryError, PrecisionError, SpeciesError

F = PowerSpectrum(("H", "O"), n_max=3, l_max=2)
WATER = molecule("H2O")
RNG = np.random.default_rng(11)


def stretch(sign):
    """Make forces on oxygen and both hydrogens along the bonds; the second bond has a sign."""
    bonds = WATER.positions[1:] - WATER.positions[0]
    bonds /= np.linalg.norm(bonds, axis=1, keepdims=True)
    on_hydrogens = np.array([bonds[0], sign * bonds[1]])
    return np.concatenate([-on_hydrogens.sum(0, keepdims=True), on_hydrogens])


def without_rigid(forces, atoms):
    """Take translations and rotations out, by least squares."""
    centered = atoms.positions - atoms.positions.mean(0)
    rigid = [np.tile(axis, (len(atoms), 1)) for axis in np.eye(3)] + [np.cross(axis, centered) for axis in np.eye(3)]
    rows = np.linalg.qr(np.asarray(rigid).reshape(6, -1).T)[0]
    flat = forces.ravel()
    return (flat - rows @ (rows.T @ flat)).reshape(forces.shape)


@pytest.mark.parametrize("make", [stacked, summed])
def test_a_diatomic_asks_for_the_force_over_the_derivative_by_its_length(make):
    """Moving both ends by ±1/√2 Å changes the length by √2 Å, so that σ = √2 |dF/dr|, and v·f = √2 f."""
    f, r, pull, step = make(F), 1.1, 0.7, 1e-4
    at = [structures(Atoms("OH", [[0, 0, 0], [0, 0, length]]), F) for length in (r - step, r, r + step)]
    slope = np.linalg.norm(np.asarray(f(at[2]) - f(at[0]))) / (2 * step)
    found = visible_force(f, at[1], [[0, 0, -pull], [0, 0, pull]])
    assert (found.sigma.shape, int(found.n_null)) == ((1,), 0)
    np.testing.assert_allclose(found.sigma, [np.sqrt(2) * slope], rtol=1e-6)
    np.testing.assert_allclose(found.slopes, [pull / slope], rtol=1e-6)
    np.testing.assert_allclose(found.components, [np.sqrt(2) * pull], rtol=1e-12)
    np.testing.assert_allclose(found.force_norm, np.sqrt(2) * pull, rtol=1e-12)
    np.testing.assert_allclose(found.scale_free, 1, rtol=1e-12)
    assert found.invisible_share < 1e-12 and found.rigid_share < 1e-12


def test_sums_hide_the_force_that_breaks_the_symmetry_of_water():
    """A symmetric force is visible to both maps. An antisymmetric one is visible to one center after the other."""
    at = structures(WATER, F)
    for f, sign, n_null, share in ((F, 1, 0, 0), (F, -1, 0, 0), (summed(F), 1, 1, 0), (summed(F), -1, 1, 1)):
        found = visible_force(f, at, stretch(sign))
        assert int(found.n_null) == n_null
        np.testing.assert_allclose(found.invisible_share, share, atol=1e-9)
        assert np.isnan(found.scale_free) == (share == 1)
    both = visible_force(summed(F), at, without_rigid(stretch(1), WATER) + 0.5 * without_rigid(stretch(-1), WATER))
    lengths = [np.linalg.norm(without_rigid(stretch(sign), WATER)) for sign in (1, -1)]
    np.testing.assert_allclose(
        both.invisible_share, 0.5 * lengths[1] / np.hypot(lengths[0], 0.5 * lengths[1]), rtol=1e-9
    )


def test_a_featurizer_stands_for_the_stacked_map_and_forces_of_its_energy_are_visible():
    """The forces of an energy w·F are -wᵀJ, and the smallest w that gives them is the norm of the slopes."""
    atoms = molecule("CH3OH")
    atoms.rattle(0.1, seed=1)
    f = PowerSpectrum(("H", "C", "O"), n_max=2, l_max=1)
    at = structures(atoms, f)
    for given, same in ((f, stacked(f)), (summed(f), summed(f))):
        jacobian = np.asarray(jaxfeat.jacobian(same, at)).reshape(-1, 3 * len(atoms))
        weights = RNG.normal(size=len(jacobian))
        found = visible_force(given, at, (-weights @ jacobian).reshape(-1, 3))
        assert found.invisible_share < 1e-9 and found.rigid_share < 1e-9
        least = np.linalg.lstsq(jacobian.T, -weights @ jacobian, rcond=1e-13)[0]
        np.testing.assert_allclose(np.linalg.norm(found.slopes), np.linalg.norm(least), rtol=1e-6)
        assert np.all(np.diff(found.sigma) <= 0)


def test_a_force_in_the_null_space_is_invisible():
    f = PowerSpectrum(("H", "C"), n_max=1, l_max=0)
    atoms = molecule("CH4")
    atoms.rattle(0.1, seed=0)
    at = structures(atoms, f)
    null = jaxfeat.null_space(summed(f), at)
    direction = next(null.directions[cause][0] for cause, n in null.counts.items() if n and cause != "rigid")
    found = visible_force(summed(f), at, 3 * direction)
    np.testing.assert_allclose((found.invisible_share, found.force_norm), (1, 3), rtol=1e-8)
    assert int(found.n_null) == null.nullity - null.rigid


def test_rigid_parts_are_left_out_and_told():
    at, push = structures(WATER, F), np.array([[0.3, -0.2, 0.1]] * 3)
    turn = np.cross([0.2, 0.1, 0.4], WATER.positions - WATER.positions.mean(0))
    internal = without_rigid(stretch(1) + 0.3 * stretch(-1), WATER)
    alone, pushed = visible_force(F, at, internal), visible_force(F, at, internal + push + turn)
    np.testing.assert_allclose(pushed.slopes, alone.slopes, rtol=1e-9)
    np.testing.assert_allclose(pushed.scale_free, alone.scale_free, rtol=1e-9)
    share = np.linalg.norm(push + turn) / np.linalg.norm(internal + push + turn)
    np.testing.assert_allclose(pushed.rigid_share, share, rtol=1e-12)
    only = visible_force(F, at, push + turn)
    np.testing.assert_allclose(only.rigid_share, 1, rtol=1e-12)
    assert only.force_norm == 0 and np.isnan(only.invisible_share) and np.isnan(only.scale_free)
    assert np.isnan(visible_force(F, at, np.zeros((3, 3))).rigid_share)


def test_only_translations_are_rigid_in_a_crystal():
    f = PowerSpectrum(("Si",), r_cut=3.0, n_max=2, l_max=2)
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=0)
    at = structures(atoms, f)
    turn = np.cross([0, 0, 1.0], atoms.positions - atoms.positions.mean(0))
    both = turn + np.array([[0.0, 0.0, 1.0]])
    found = visible_force(f, at, both)
    np.testing.assert_allclose(found.rigid_share, np.sqrt(8) / np.linalg.norm(both), rtol=1e-9)
    np.testing.assert_allclose(found.force_norm, np.linalg.norm(turn), rtol=1e-9)
    assert len(found.sigma) + int(found.n_null) == 3 * 8 - 3


def test_the_number_has_no_scale():
    """Twice the weight of all species makes power spectra four times as large, and slopes a quarter."""
    at, forces = structures(WATER, F), stretch(1) + 0.3 * stretch(-1)
    one, four = (
        visible_force(PowerSpectrum(("H", "O"), n_max=3, l_max=2, include_center=False, weights=weights), at, forces)
        for weights in ((1.0, 1.0), (2.0, 2.0))
    )
    np.testing.assert_allclose(four.sigma, 4 * one.sigma, rtol=1e-9)
    np.testing.assert_allclose(four.slopes, one.slopes / 4, rtol=1e-6)
    np.testing.assert_allclose(four.scale_free, one.scale_free, rtol=1e-6)
    expected = np.linalg.norm(one.slopes) * np.sqrt((one.sigma**2).mean()) / np.linalg.norm(one.components)
    np.testing.assert_allclose(one.scale_free, expected, rtol=1e-12)


def test_a_batch_has_the_numbers_of_its_structures():
    hydroxide = Atoms("OH", [[0, 0, 0], [0, 0, 1.0]])
    many, forces = [WATER, hydroxide], [stretch(1), np.array([[0, 0, 1.0], [0, 0, -1.0]])]
    batch = structures(many, F)
    found = visible_force(F, batch, forces)
    padded = np.zeros((2, 3, 3))
    padded[0], padded[1, :2], padded[1, 2] = *forces, 99.0  # forces on padding count for nothing
    again = visible_force(F, batch, padded)
    for k, atoms in enumerate(many):
        alone = visible_force(F, structures(atoms, F), forces[k])
        n = len(alone.sigma)
        for one in (found, again):
            for name in ("invisible_share", "scale_free", "force_norm", "n_null"):
                np.testing.assert_allclose(getattr(one, name)[k], getattr(alone, name), rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(one.slopes[k, :n], alone.slopes, rtol=1e-9, atol=1e-12)
            assert np.isnan(one.slopes[k, n:]).all() and np.isnan(one.sigma[k, n:]).all()
    steepest = " to ".join(sorted(f"{found.slopes[k, : 3 - 2 * k].max():.3g}" for k in range(2)))
    assert "batch (2,), up to 3 directions" in repr(found) and "2 ok" in repr(found)
    assert f"steepest slope = {steepest}," in repr(found)
    assert "3 directions, invisible_share = 0, scale_free = " in repr(visible_force(F, structures(WATER, F), forces[0]))


def test_atoms_out_of_reach_are_invisible():
    at = structures(Atoms("OH", [[0, 0, 0], [0, 0, 9.0]]), F)
    found = visible_force(F, at, [[0, 0, 1.0], [0, 0, -1.0]])
    assert str(found.status) == "empty" and found.sigma.shape == (0,)
    assert (found.invisible_share, int(found.n_null)) == (1, 1) and "steepest slope = 0," in repr(found)


@pytest.mark.parametrize(
    ("atoms", "forces", "error", "message"),
    [
        (WATER, np.zeros((2, 3)), GeometryError, r"shape \(2, 3\); give a vector for each atom, shape \(3, 3\)"),
        (WATER, np.full((3, 3), np.nan), GeometryError, "^atom 0: the force is not finite; leave out"),
        ([WATER] * 2, [np.zeros((3, 3)), np.zeros((1, 3))], GeometryError, r"structure 1: .* shape \(1, 3\)"),
        ([WATER] * 2, [np.zeros((3, 3)), np.full((3, 3), np.inf)], GeometryError, "structure 1, atom 0: the"),
        (molecule("CH4"), np.zeros((5, 3)), SpeciesError, "species C not among"),
    ],
)  # fmt: skip
def test_bad_forces_are_refused_in_a_sentence(atoms, forces, error, message):
    with pytest.raises(error, match=message):
        visible_force(F, structures(atoms, F), forces)


def test_environments_and_float32_are_refused():
    with pytest.raises(GeometryError, match="give the structure that holds this environment"):
        visible_force(F, jaxfeat.environments(WATER, F), np.zeros((3, 3)))
    at = structures(WATER, F)
    narrow = at.with_positions(jnp.asarray(at.positions, jnp.float32))
    with pytest.raises(PrecisionError, match="a visible force needs the digits of float64"):
        visible_force(F, narrow, np.zeros((3, 3)))
