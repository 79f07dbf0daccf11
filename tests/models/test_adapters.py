"""DScribe, featomic and bare values, by way of the seam, agree with the package's own features in their bases."""

import numpy as np
import pytest
from ase.build import bulk, molecule

import jaxfeat
from jaxfeat.cutoffs import NoCutoff, ShiftedCosine
from jaxfeat.errors import ModelError
from jaxfeat.models.external import make_model

dscribe = pytest.importorskip("dscribe.descriptors")
featomic = pytest.importorskip("featomic")

MOLECULES = [molecule(name) for name in ("H2O", "CH3OH", "C2H2")]
SPECIES, SIZES = ("H", "C", "O"), {"n_max": 3, "l_max": 3, "sigma": 0.4}


def whole_tensor(m, soap):
    """Multiply by √2 the products that DScribe stores once for two equal ones."""
    weights, n_max = np.full(soap.get_number_of_features(), np.sqrt(2)), SIZES["n_max"]
    n, k = np.triu_indices(n_max)
    for symbol in SPECIES:
        once = np.tile(np.where(n == k, 1, np.sqrt(2)), SIZES["l_max"] + 1)
        weights[soap.get_location((symbol, symbol))] = once

    def evaluate(structure):
        features, slopes = m.model.evaluate(structure)
        return features * weights, slopes * weights[:, None, None]

    return make_model(evaluate, reach=m.reach, nu=m.nu, group=m.group, species=m.species, key=None, periodic=False)


def test_soap_of_dscribe_has_the_spectra_of_a_power_spectrum_in_its_basis():
    soap = dscribe.SOAP(species=SPECIES, r_cut=6.0, **SIZES)
    m = jaxfeat.from_dscribe(soap)
    assert "analytic" in repr(m) and m.reach == pytest.approx(6.0 + 0.4 * np.sqrt(2 * np.log(1e3)))
    own = jaxfeat.PowerSpectrum(SPECIES, r_cut=6.0, cutoff=NoCutoff(), **SIZES)
    scaled = whole_tensor(m, soap)
    for atoms in MOLECULES:
        a = jaxfeat.singular_spectrum(scaled, jaxfeat.structures(atoms, scaled))
        b = jaxfeat.singular_spectrum(jaxfeat.stacked(own), jaxfeat.structures(atoms, own))
        np.testing.assert_allclose(a.values, b.values, atol=1e-9 * float(a.values[0]))
        for center in (None, 0, len(atoms) - 1):
            given = own if center is not None else jaxfeat.stacked(own)
            theirs = jaxfeat.null_space(m, jaxfeat.structures(atoms, m), center=center)
            ours = jaxfeat.null_space(given, jaxfeat.structures(atoms, own), center=center)
            assert (theirs.counts, theirs.status) == (ours.counts, ours.status), (atoms, center)
    assert m.model.probe.derivative < 1e-8 and m.model.probe.floor < 1e-11


def test_power_spectra_of_featomic_have_the_spectra_of_their_like():
    from featomic.basis import Gto, TensorProduct
    from featomic.cutoff import Cutoff
    from featomic.cutoff import ShiftedCosine as Window
    from featomic.density import Gaussian

    calculator = featomic.SoapPowerSpectrum(
        cutoff=Cutoff(radius=4.0, smoothing=Window(width=0.5)),
        density=Gaussian(width=0.4, center_atom_weight=1.0),
        basis=TensorProduct(max_angular=3, radial=Gto(max_radial=2, radius=4.0), spline_accuracy=None),
    )
    m = jaxfeat.from_featomic(calculator, ("O", "C", "H"))
    own = jaxfeat.PowerSpectrum(SPECIES, r_cut=4.0, radial="gto-rascal", cutoff=ShiftedCosine(0.5), **SIZES)
    for atoms in MOLECULES:
        structure = jaxfeat.structures(atoms, m)
        a, b = jaxfeat.singular_spectrum(m, structure), jaxfeat.singular_spectrum(jaxfeat.stacked(own), structure)
        np.testing.assert_allclose(a.values, b.values, atol=1e-9 * float(a.values[0]))
        for center in (None, 0, len(atoms) - 1):
            given = own if center is not None else jaxfeat.stacked(own)
            theirs, ours = (jaxfeat.null_space(f, structure, center=center) for f in (m, given))
            assert (theirs.counts, theirs.status) == (ours.counts, ours.status), (atoms, center)
    assert m.nu == 2 and m.reach == 4.0
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    salt.rattle(0.05, seed=0)
    salt.numbers[salt.numbers == 11], salt.numbers[salt.numbers == 17] = 6, 8
    crystal = jaxfeat.structures(salt, m)
    a, b = jaxfeat.singular_spectrum(m, crystal), jaxfeat.singular_spectrum(jaxfeat.stacked(own), crystal)
    np.testing.assert_allclose(a.values, b.values, atol=1e-8 * float(a.values[0]))


def test_acsf_and_soap_without_analytic_derivatives_take_differences():
    acsf = dscribe.ACSF(
        species=SPECIES, r_cut=5.0, g2_params=[[1, 0.5], [4, 1.5], [2, 3]], g4_params=[[0.01, 1, 1], [0.1, 2, -1]]
    )
    radial = dscribe.ACSF(species=SPECIES, r_cut=5.0, g2_params=[[1, 0.5], [4, 1.5]])
    slow = dscribe.SOAP(species=SPECIES, r_cut=5.0, rbf="polynomial", n_max=2, l_max=2)
    water = jaxfeat.structures(MOLECULES[0], r_cut=9.0)
    for descriptor, nu in ((acsf, 2), (radial, 1), (slow, 2)):
        m = jaxfeat.from_dscribe(descriptor)
        found = jaxfeat.null_space(m, water)
        assert m.nu == nu and found.status == "ok" and found.nullity == 6
        assert 1e-13 < m.model.probe.floor < 1e-7
    with pytest.raises(ModelError, match="average"):
        jaxfeat.from_dscribe(dscribe.SOAP(species=SPECIES, r_cut=5.0, n_max=2, l_max=2, average="inner"))
    with pytest.raises(ModelError, match="no SOAP"):
        jaxfeat.from_dscribe(dscribe.CoulombMatrix(n_atoms_max=3))


def test_crystals_are_cut_into_clusters_for_dscribe():
    salt = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    salt.rattle(0.05, seed=0)
    soap = dscribe.SOAP(species=("Na", "Cl"), r_cut=4.0, periodic=True, n_max=2, l_max=2, sigma=0.4)
    m = jaxfeat.from_dscribe(soap)
    structure = jaxfeat.structures(salt, m)
    np.testing.assert_allclose(jaxfeat.stacked(m)(structure).reshape(8, -1), soap.create(salt), atol=1e-10)
    rigid = np.tile(np.eye(3), (8, 1, 1)).transpose(0, 2, 1)
    moved = np.einsum("dnx,nxk->dk", np.asarray(jaxfeat.jacobian(m, structure)), rigid)
    np.testing.assert_allclose(moved, 0, atol=1e-10)


def test_values_alone_have_the_jacobian_of_their_derivatives():
    soap = dscribe.SOAP(species=SPECIES, r_cut=6.0, **SIZES)
    m, exact = jaxfeat.from_features(soap.create, reach=7.5, nu=2), jaxfeat.from_dscribe(soap)
    structure = jaxfeat.structures(MOLECULES[1], m)
    a, b = (jaxfeat.singular_spectrum(f, structure) for f in (m, exact))
    error = np.abs(np.asarray(a.values) - np.asarray(b.values)).max() / float(b.values[0])
    assert error < m.model.probe.floor < 1e-8
    assert jaxfeat.null_space(m, structure).counts == jaxfeat.null_space(exact, structure).counts
    with pytest.raises(ModelError, match="one row"):
        jaxfeat.jacobian(jaxfeat.from_features(lambda atoms: np.zeros(3), reach=4.0), structure)


def test_keys_tell_settings_apart():
    soaps = [dscribe.SOAP(species=SPECIES, r_cut=r, **SIZES) for r in (4.0, 5.0, 5.0)]
    first, second, third = (jaxfeat.from_dscribe(soap).identity for soap in soaps)
    assert first != second == third
