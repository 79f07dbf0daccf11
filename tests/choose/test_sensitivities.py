"""Sensitivities of single environments are those of `singular_spectrum`, and levels those of the definition."""

import jax
import numpy as np
import pytest
from ase.build import molecule
from null_cases import TETRAHEDRON

import jaxfeat
from jaxfeat import Environment, PowerSpectrum
from jaxfeat.choose.sensitivities import Sensitivities, lowest_level, select_lowest

RNG = np.random.default_rng(3)


def rattled(name, n, seed=0):
    rng = np.random.default_rng(seed)
    atoms = []
    for _ in range(n):
        one = molecule(name)
        one.positions += rng.normal(scale=0.05, size=one.positions.shape)
        atoms.append(one)
    return atoms


ATOMS = rattled("CH3CH2OH", 3)
F = PowerSpectrum(("C", "H", "O"), r_cut=2.5, n_max=4, l_max=3)


def on_host(batch):
    return jax.tree.map(np.asarray, batch)


@pytest.mark.parametrize("equilibrated", [True, False])
def test_sensitivities_are_ratios_of_spectra(equilibrated):
    at = Sensitivities(jaxfeat.environments(ATOMS, 4.0), equilibrated)
    indices = np.asarray([20, 3, 11])
    spectrum = jaxfeat.singular_spectrum(F, jaxfeat.environments(ATOMS, F)[indices], equilibrated, directions=False)
    np.testing.assert_allclose(at(F, indices), spectrum.ratio, rtol=1e-9)


def test_directions_that_symmetry_hides_do_not_count():
    """A tetrahedron hides directions from every basis. The smallest value of the others is above 1e-3."""
    envs = [Environment.from_neighbors(1.09 * TETRAHEDRON, ["H"] * 4, "C")]
    envs.append(Environment.from_neighbors(RNG.normal(size=(4, 3)), ["H"] * 4, "C"))
    f = PowerSpectrum(("C", "H"), n_max=4, l_max=5)
    batch = Environment.stack(envs)
    symmetric, generic = Sensitivities(batch, True)(f, np.arange(2))
    spectra = jaxfeat.singular_spectrum(f, batch, equilibrated=True)
    assert spectra.ratio[0] < 1e-13
    values = np.asarray(spectra.values[0])
    n_null = int(spectra.n_null[0])
    assert n_null == jaxfeat.null_space(f, envs[0]).symmetry > 0
    np.testing.assert_allclose(symmetric, values[-1 - n_null] / values[0], rtol=1e-9)
    np.testing.assert_allclose(generic, spectra.ratio[1], rtol=1e-9)


def test_nothing_to_see_is_unknown():
    alone = Environment.from_neighbors(np.zeros((0, 3)), [], "C")
    at = Sensitivities(Environment.stack([alone, Environment.from_neighbors([[0, 0, 1.0]], ["H"], "C")]), True)
    assert np.isnan(at(PowerSpectrum(("C", "H"), n_max=2, l_max=1), np.arange(2))[0])


def test_the_lowest_share_is_taken_by_species_and_in_part():
    values = np.asarray([5.0, 1.0, 4.0, 3.0, 2.0, 0.1, np.nan])
    species = np.asarray([1, 1, 1, 1, 1, 6, 6])
    kept = select_lowest(values, np.ones(7), species, 0.3)
    np.testing.assert_allclose(kept, [0, 1, 0, 0, 0.5, 0.3, 0])


def test_weights_stand_for_repetitions():
    rng = np.random.default_rng(0)
    values, species, weights = rng.lognormal(size=60), rng.integers(1, 3, 60), rng.integers(1, 5, 60)
    repeated = [np.repeat(x, weights) for x in (values, species)]
    level = lowest_level(values, weights.astype(float), species, 0.2)
    assert level == pytest.approx(lowest_level(repeated[0], np.ones(weights.sum()), repeated[1], 0.2), rel=0.15)
    one_species = np.ones(101, int)
    assert lowest_level(np.arange(1.0, 102), np.ones(101), one_species, 1.0) == pytest.approx(51)


def test_a_high_floor_is_no_sensitivity():
    """One radial function of `gto` is flat near the cutoff, where rounding leaves little known."""
    f = jaxfeat.RadialSpectrum(("C", "H", "O"), r_cut=4.0, n_max=1)
    batch = jaxfeat.environments(ATOMS[:1], 4.0)
    spectra = jaxfeat.singular_spectrum(f, batch, equilibrated=True)
    ratios = Sensitivities(batch, True)(f, np.arange(len(batch)))
    assert (np.asarray(spectra.floor) > 1e-6).any() and (ratios <= 1e-13).any()
    assert not ((ratios > 1e-13) & (ratios <= np.asarray(spectra.floor / spectra.values[:, 0]))).any()
