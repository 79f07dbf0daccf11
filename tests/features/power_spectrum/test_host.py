"""The power spectrum in NumPy is that of the compiled programs."""

import jax
import numpy as np
import pytest
from ase.build import molecule
from cases import CASES, environments, parametrized

import jaxfeat
from jaxfeat.features.power_spectrum.host import power_spectrum_jacobian_on_host, power_spectrum_on_host
from jaxfeat.geometry.structure import species_present

POWER_SPECTRA = [case for case in CASES if case.cls == "PowerSpectrum"]


def same_sizes(case):
    """Yield the featurizer and environments of equally many neighbors, as NumPy arrays without padding."""
    f = case.build().prepared()
    batch = jax.tree.map(np.asarray, environments(case.species))
    counts = batch.mask.sum(1)
    for n in np.unique(counts):
        yield f, batch[np.flatnonzero(counts == n)].padded(int(n))


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-14 * np.abs(expected).max())


@pytest.mark.usefixtures("compiled")
@parametrized(POWER_SPECTRA)
def test_features_and_jacobians_are_those_of_the_compiled_programs(case):
    for f, batch in same_sizes(case):
        present = species_present(f.species, batch)
        assert_close(power_spectrum_on_host(f, batch, present), np.asarray(f(batch)))
        assert_close(power_spectrum_jacobian_on_host(f, batch, present), np.asarray(jaxfeat.jacobian(f, batch)))


@parametrized(POWER_SPECTRA)
def test_rows_have_the_inner_products_of_the_jacobians_columns(case):
    for f, batch in same_sizes(case):
        present = species_present(f.species, batch)
        rows, n_features = f.rows_on_host(batch, present, batch.max_neighbors)
        jacobian = power_spectrum_jacobian_on_host(f, batch, present)
        columns = jacobian.reshape(*jacobian.shape[:2], 3 * batch.max_neighbors)
        assert_close(rows.swapaxes(1, 2) @ rows, columns.swapaxes(1, 2) @ columns)
        assert n_features <= f.n_features


def test_windows_of_users_and_stacked_quantities_need_a_compiled_program():
    class Window(jaxfeat.cutoffs.AbstractCutoff):
        smoothness = 0

        def __call__(self, r, r_cut):
            return 1 - r / r_cut

    window = jaxfeat.PowerSpectrum(("H", "C", "O"), cutoff=Window(), n_max=2, l_max=2)
    atoms = molecule("CH3OH")
    for f, at in (
        (window, jaxfeat.environments(atoms, window)),
        (jaxfeat.summed(window), jaxfeat.structures(atoms, window)),
    ):
        values = jaxfeat.singular_spectrum(f, at, directions=False).values
        compiled = jax.jit(lambda at, f=f: jaxfeat.singular_spectrum(f, at, directions=False).values)(at)
        np.testing.assert_allclose(values, compiled, rtol=0, atol=1e-12 * np.nanmax(compiled))
    assert jaxfeat.PowerSpectrum(("H",)).runs_on_host
    assert not jaxfeat.PowerSpectrum(("H",), cutoff=Window()).runs_on_host
    assert not jaxfeat.RadialSpectrum(("H",)).runs_on_host
    assert not jax.eval_shape(lambda r: jaxfeat.PowerSpectrum(("H",), r_cut=r), 4.0).runs_on_host


@pytest.mark.parametrize("n_neighbors", [0, 1])
def test_an_environment_of_no_or_one_neighbor(n_neighbors):
    positions = np.asarray([[0.4, -0.7, 1.3]])[:n_neighbors]
    env = jaxfeat.Environment.from_neighbors(positions, ["H"] * n_neighbors, "C")
    spectrum = jaxfeat.singular_spectrum(jaxfeat.PowerSpectrum(("H", "C"), n_max=2, l_max=2), env)
    assert int(spectrum.n_values) == n_neighbors
    assert str(spectrum.status) == ("ok" if n_neighbors else "empty")
