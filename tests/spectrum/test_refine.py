"""Spectra from JᵀJ and a few derivatives agree with those from all rows of J within their floor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.spectrum import refine
from jaxfeat.spectrum.solve import LEAST_ROUNDING

ONE = jaxfeat.PowerSpectrum(("O", "C", "H"), n_max=3, l_max=3, sigma=0.4, r_cut=3.5)
F = jaxfeat.stacked(ONE)
DISTORTIONS = [10.0**-k for k in (1, 2, 4, 6, 7, 8, 10, 12, 14)] + [0.0]
"""Displacements (Å) of a planar molecule's atoms. Its smallest singular values are proportional to them."""


def distorted():
    # The additional hydrogen lies in the plane of furan and barely within reach. Its values are small in every frame.
    planar = molecule("C4H4O") + Atoms("H", [[0, 4.6, 2.2]])
    moves = np.random.default_rng(0).normal(size=(10, 3))
    return [Atoms(planar.numbers, planar.positions + d * moves) for d in DISTORTIONS] + [molecule("CH3OH")]


def dense(f, at, n, n_rigid, scale=1.0):
    """Compute the singular values of the whole Jacobian of n atoms without those of rigid motions."""
    columns = np.asarray(jaxfeat.jacobian(f, at))[:, :n] / np.reshape(scale, (-1, 1))
    rows = np.pad(columns.reshape(len(columns), -1), ((0, 3 * n), (0, 0)))
    return np.linalg.svd(rows, compute_uv=False)[: 3 * n - n_rigid]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("equilibrated", [False, True])
@pytest.mark.parametrize("f", [F, ONE], ids=["structures", "environments"])
def test_values_are_those_of_all_rows_from_regular_to_singular(f, equilibrated):
    frames = distorted()
    if f is F:
        batch, n_rigid = jaxfeat.structures(frames, 3.5), 6
    else:
        # The additional hydrogen is within reach of the second carbon too.
        batch, n_rigid = jaxfeat.environments(frames, 3.5, [1]), 3
    counts = np.asarray(batch.mask).sum(-1)
    spectrum = jaxfeat.singular_spectrum(f, batch, equilibrated, directions=False)
    screened = jaxfeat.singular_spectrum(f, batch, equilibrated, screened=True)
    assert np.asarray(spectrum.certified).all()
    floors, scales = np.asarray(spectrum.floor), np.asarray(spectrum.scale)
    for i, n in enumerate(counts):
        exact = dense(f, batch[i], n, n_rigid, scales[i, :n])
        found = np.asarray(spectrum.values[i])[: len(exact)]
        assert np.abs(found - exact).max() < floors[i] / 8 < 1e-12 * exact[0]
        assert np.isnan(np.asarray(spectrum.values[i])[len(exact) :]).all()
        worst = np.abs(np.asarray(screened.values[i])[: len(exact)] - exact).max()
        assert worst <= screened.floor[i]
    # The values span all decades, and the smaller ones are below the reach of JᵀJ.
    smallest = np.asarray(spectrum.values)[: len(DISTORTIONS), -1] / np.asarray(spectrum.values)[:1, 0]
    assert smallest[0] > 1e-6 and smallest[-1] < 1e-14
    slopes = np.diff(np.log10(smallest[1:7])) / np.diff(np.log10(DISTORTIONS[1:7]))
    np.testing.assert_allclose(slopes, 1, atol=0.1)
    np.testing.assert_array_equal(spectrum.n_null[:6], 0)
    assert spectrum.n_null[len(DISTORTIONS) - 1] > 0
    # Screening refines items with a value below the floor of JᵀJ, and then all small values of these.
    doubtful = np.asarray(screened.certified)
    assert 0 < doubtful.sum() < len(doubtful)
    np.testing.assert_array_equal(np.asarray(screened.values)[doubtful], np.asarray(spectrum.values)[doubtful])
    np.testing.assert_array_equal(screened.n_null, spectrum.n_null)


def test_items_with_many_small_values_go_by_all_rows():
    f = jaxfeat.PowerSpectrum(("C", "H"), n_max=1, l_max=0, r_cut=6.0)
    atoms = molecule("trans-butane")
    atoms.rattle(0.05, seed=1)
    for g, at, n_rigid in (
        (jaxfeat.stacked(f), jaxfeat.structures(atoms, 6.0), 6),
        (f, jaxfeat.environments(atoms, 6.0, [0])[0], 3),
    ):
        spectrum = jaxfeat.singular_spectrum(g, at, directions=False)
        exact = dense(g, at, int(np.asarray(at.mask).sum()), n_rigid)
        share = refine.MARGIN / LEAST_ROUNDING
        assert np.sum(exact < exact[0] * share) > refine.MOST_SMALL
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
    np.testing.assert_allclose(spectrum.values, exact, atol=float(spectrum.floor) / 8)


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
    derivatives = jax.jit(lambda env: jnp.stack([f.differential(env)(one) for one in along]))(env)
    products = derivatives @ derivatives.T
    rows = np.einsum("dnx,knx->kd", jaxfeat.jacobian(f, env), along)
    np.testing.assert_allclose(products, rows @ rows.T, rtol=1e-12)
