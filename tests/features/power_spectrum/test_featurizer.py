"""Power spectra against other packages and against sums of Legendre polynomials."""

import numpy as np
import peers
import pytest
from cases import R_CUT, cluster_setting, density_options
from peers import amplitude, in_order_of, pair_weights
from references import power_spectrum_legendre, random_cluster

import jaxfeat
from jaxfeat.cutoffs import NoCutoff, ShiftedCosine, Willatt2018

BASES = [("gto", 0.5), ("gto-rascal", 0.5), ("laplacian", 0.5), ("laplacian", 0.0)]


@pytest.mark.as_shipped
def test_power_spectra_of_random_clusters_are_dscribes():
    pytest.importorskip("dscribe")
    f = jaxfeat.PowerSpectrum(("H", "C", "O"), 4.0, n_max=6, l_max=4, sigma=0.5, radial="gto", cutoff=NoCutoff())
    environments, expected = [], []
    for seed in range(20):
        positions, species = random_cluster(np.random.default_rng(seed), 3 + seed % 6, 3, 0.8, 3.9, 0.7)
        symbols, center = ["CHO"[s] for s in species], "CHO"[seed % 3]
        values, labels = peers.dscribe_power_spectrum(positions, symbols, center, "CHO", 4.0, 6, 4, 0.5)
        environments.append(jaxfeat.Environment.from_neighbors(positions, symbols, center))
        expected.append(in_order_of(f, values, labels, amplitude("gto", 0.5)))
    found, expected = np.asarray(f(jaxfeat.Environment.stack(environments))), np.array(expected)
    error = np.abs(found - expected).max(-1) / np.abs(expected).max(-1)
    assert error.max() < 1e-9


@pytest.mark.parametrize(
    "width, scaling, center",
    [(0.5, None, 1.0), (None, None, 0.5), (1.2, (2.0, 1.5, 3), 0.0), (0.5, (1.5, 0.3, 1), 0.5)],
    ids=["cosine", "no cutoff", "scaled, no center", "scaled, half a center"],
)
def test_power_spectra_are_featomics(width, scaling, center):
    pytest.importorskip("featomic")
    f = jaxfeat.PowerSpectrum(
        ("C", "H"),
        R_CUT,
        n_max=4,
        l_max=3,
        sigma=0.4,
        radial="gto-rascal",
        cutoff=NoCutoff() if width is None else ShiftedCosine(width),
        radial_scaling=None if scaling is None else Willatt2018(*map(float, scaling)),
        include_center=center,
    )
    for seed in range(3):
        positions, species = random_cluster(np.random.default_rng(seed), 6, 2, 0.8, R_CUT - 0.1, 0.7)
        symbols = ["CH"[s] for s in species]
        options = {"width": width, "radial_scaling": scaling, "center_weight": center}
        values, _, labels = peers.featomic_power_spectrum(positions, symbols, "C", R_CUT, 4, 3, 0.4, **options)
        expected = in_order_of(f, values, labels, amplitude("gto-rascal", 0.4))
        found = np.asarray(f(jaxfeat.Environment.from_neighbors(positions, symbols, "C")))
        assert np.abs(found - expected).max() < 1e-7 * np.abs(expected).max()


def test_the_degenerate_methane_grid_is_librascals():
    # skmatter ships sum_m c c / √(2l+1) / 16 π³ for densities of unit height; ours have unit L² norm.
    pytest.importorskip("skmatter")
    features, positions, labels = peers.skmatter_methane()
    f = jaxfeat.PowerSpectrum(
        ("H",), 4.0, n_max=2, l_max=2, sigma=0.5, radial="gto-rascal", cutoff=ShiftedCosine(0.5), include_center=True
    )
    batch = jaxfeat.Environment.stack(
        [jaxfeat.Environment.from_neighbors(x, "H H H H".split(), "H") for x in positions]
    )
    raw = np.asarray(f(batch)) / pair_weights(f) / amplitude("gto-rascal", 0.5) ** 2 / (16 * np.pi**3)
    column = {peers.unordered(label): k for k, label in enumerate(f.labels)}
    found = raw[:, [column[peers.unordered(("H", n, "H", k, l))] for n, k, l in labels]]
    assert np.abs(found - features).max() < 1e-6 * np.abs(features).max()


@pytest.mark.parametrize("radial, sigma", BASES)
def test_power_spectra_are_sums_of_legendre_polynomials(radial, sigma):
    cutoff = "smooth"
    f = jaxfeat.PowerSpectrum(**density_options(radial, sigma, 3, 4, cutoff))
    env, positions, species, weight = cluster_setting(1, 6, cutoff)
    p = power_spectrum_legendre(positions, species, (radial, 3, R_CUT), 4, sigma, weight=weight)
    p *= amplitude(radial, sigma) ** 2
    expected = np.array([p["CH".index(a), n, "CH".index(b), k, l] for a, n, b, k, l in f.labels]) * pair_weights(f)
    found = np.asarray(f(env))
    assert np.abs(found - expected).max() < 1e-12 * np.abs(expected).max()
