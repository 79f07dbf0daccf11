"""Spectra of structures from JᵀJ and a few derivatives: as exact as by way of all rows of J."""

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.sensitivity import refined

F = jaxfeat.stacked(jaxfeat.PowerSpectrum(("O", "C", "H"), n_max=3, l_max=3, sigma=0.4, r_cut=3.5))
DISTORTIONS = [10.0**-k for k in (1, 2, 4, 6, 7, 8, 10, 12, 14)] + [0.0]
"""Å, by which a planar molecule's atoms are moved: its smallest singular values follow."""


def distorted():
    # In the plane of furan and barely within reach of it: its values are small as well, and stay.
    planar = molecule("C4H4O") + Atoms("H", [[0, 4.6, 2.2]])
    moves = np.random.default_rng(0).normal(size=(10, 3))
    return [Atoms(planar.numbers, planar.positions + d * moves) for d in DISTORTIONS] + [molecule("CH3OH")]


def dense(f, structure, atoms, scale=1.0):
    """Singular values of the Jacobian as it is, those of rigid motions left out."""
    columns = np.asarray(jaxfeat.jacobian(f, structure))[:, : len(atoms)] / np.reshape(scale, (-1, 1))
    return np.linalg.svd(columns.reshape(len(columns), -1), compute_uv=False)[: 3 * len(atoms) - 6]


@pytest.mark.parametrize("equilibrated", [False, True])
def test_values_are_those_of_all_rows_from_regular_to_singular(equilibrated):
    frames = distorted()
    batch = jaxfeat.structures(frames, 3.5)
    spectrum = jaxfeat.singular_spectrum(F, batch, equilibrated, directions=False)
    screened = jaxfeat.singular_spectrum(F, batch, equilibrated, screened=True)
    assert np.asarray(spectrum.certified).all()
    floors, scales = np.asarray(spectrum.floor), np.asarray(spectrum.scale)
    for i, atoms in enumerate(frames):
        exact = dense(F, batch[i], atoms, scales[i, : len(atoms)])
        found = np.asarray(spectrum.values[i])[: len(exact)]
        assert np.abs(found - exact).max() < 32 * np.finfo(float).eps * exact[0] < floors[i]
        assert np.isnan(np.asarray(spectrum.values[i])[len(exact) :]).all()
        worst = np.abs(np.asarray(screened.values[i])[: len(exact)] - exact).max()
        assert worst <= screened.floor[i]
    # All decades are there, and the smaller values are not what JᵀJ would have.
    smallest = np.asarray(spectrum.values)[: len(DISTORTIONS), -1] / np.asarray(spectrum.values)[:1, 0]
    assert smallest[0] > 1e-4 and smallest[-1] < 1e-14
    slopes = np.diff(np.log10(smallest[1:8])) / np.diff(np.log10(DISTORTIONS[1:8]))
    np.testing.assert_allclose(slopes, 1, atol=0.1)
    np.testing.assert_array_equal(spectrum.n_null[:7], 0)
    assert spectrum.n_null[len(DISTORTIONS) - 1] > 0
    # Screening refines where JᵀJ has something below its floor, and then all that is small.
    doubtful = np.asarray(screened.certified)
    assert 0 < doubtful.sum() < len(doubtful)
    np.testing.assert_array_equal(np.asarray(screened.values)[doubtful], np.asarray(spectrum.values)[doubtful])
    np.testing.assert_array_equal(screened.n_null, spectrum.n_null)


def test_structures_with_many_small_values_go_by_all_rows():
    f = jaxfeat.stacked(jaxfeat.PowerSpectrum(("C", "H"), n_max=1, l_max=0, r_cut=3.5))
    atoms = molecule("trans-butane")
    atoms.rattle(0.05, seed=1)
    structure = jaxfeat.structures(atoms, 3.5)
    spectrum = jaxfeat.singular_spectrum(f, structure, directions=False)
    exact = dense(f, structure, atoms)
    assert np.sum(exact < exact[0] * refined.SMALL_SHARE) > refined.ROOMS[-1]
    assert np.asarray(spectrum.certified).all()
    np.testing.assert_allclose(spectrum.values, exact, atol=1e-14 * exact[0])


def test_crystals_have_neighbors_twice():
    atoms = bulk("Si") * (2, 2, 2)
    atoms.rattle(0.1, seed=2)
    f = jaxfeat.stacked(jaxfeat.PowerSpectrum(("Si",), n_max=3, l_max=3, r_cut=4.2))
    structure = jaxfeat.structures(atoms, 4.2)
    spectrum = jaxfeat.singular_spectrum(f, structure, directions=False)
    columns = np.asarray(jaxfeat.jacobian(f, structure))
    exact = np.linalg.svd(columns.reshape(len(columns), -1), compute_uv=False)[: 3 * len(atoms) - 3]
    np.testing.assert_allclose(spectrum.values, exact, atol=32 * np.finfo(float).eps * exact[0])


@pytest.mark.parametrize(
    "f",
    [
        *(jaxfeat.PowerSpectrum(("H", "C", "O"), n_max=n, l_max=l, r_cut=3.5) for n, l in ((3, 3), (2, 0), (1, 1))),
        jaxfeat.Bispectrum(("H", "C"), n_max=1, l_max=1, r_cut=3.5),
    ],
    ids=lambda f: f"{type(f).__name__} {f.n_max} {f.l_max}",
)
def test_derivatives_along_displacements_are_those_of_the_jacobian(f):
    positions = [[1.0, 0.2, 0.3], [-0.7, 0.9, 0], [-0.2, -1.1, 2.5]]
    env = jaxfeat.Environment.from_neighbors(positions, ["H", "C", "H"], center_species="C").padded(4)
    along = np.random.default_rng(1).normal(size=(2, 4, 3))
    products = jax.jit(lambda env: f.differential(env)(along))(env)
    rows = np.einsum("dnx,knx->kd", jaxfeat.jacobian(f, env), along)
    np.testing.assert_allclose(products, rows @ rows.T, rtol=1e-12)
